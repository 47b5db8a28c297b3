"""Nash equilibria of a game: which method fits, and its certificate."""

from __future__ import annotations

import numpy as np

from games.tree import GameTree
from psro import exact
from psro.exact import logit, logit_limit, sequence_form
from psro.exact.rational import certificate, enumeration, lemke, strategic
from psro.exact.rational.numbers import floats
from psro.metagame.solve.completion import completed
from psro.metagame.solve.records import Equilibrium, Solved, SolveError
from psro.metagame.solve.selection import best
from psro.metagame.solvers import META_SOLVERS

METHODS = ("auto", "enumeration", "lemke", "lp", "logit")
"""How a Nash equilibrium is found."""

ENUMERATED = 8
"""By default, equilibria are enumerated if no player has more reduced strategies than this, and the
one with the largest sum of payoffs is returned."""

_ONE_OF_SEVERAL = "there may be others, which pay more; --all lists those of small games"

MAX_CELLS = 1_000_000
"""The most profiles of pure strategies whose payoffs are floats."""


def nash(tree: GameTree, all_equilibria: bool, best_by: str | None, method: str) -> Solved:
    if all_equilibria or best_by or method == "enumeration":
        solved, table = _enumerated(tree)
        return best(solved, best_by, table) if best_by else solved
    if method == "logit" or (method == "auto" and tree.num_players > 2):
        return _of_limit(tree)
    if method == "lp":
        return _of_program(tree)
    if method == "auto":
        counts = [strategic.num_strategies(player) for player in tree.players]
        if max(counts) <= ENUMERATED:
            solved, table = _enumerated(tree)
            return best(solved, "total", table) if len(solved.equilibria) > 1 else solved
        if lemke.num_rows(tree) > lemke.MAX_ROWS:
            return _of_floats(tree)
    plans = lemke.lemke_equilibrium(tree)
    return Solved(
        tree=tree,
        concept="nash",
        method="Lemke's algorithm on the sequence form, in exact arithmetic",
        equilibria=(_certified(tree, plans),),
        notes=() if tree.is_constant_sum else (_ONE_OF_SEVERAL,),
    )


def strategic_form(tree: GameTree) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """Each player's reduced strategies, as plans `[K_p, S_p]`, and their payoffs in fractions."""
    plans = tuple(strategic.reduced_strategies(player) for player in tree.players)
    return plans, strategic.strategic_payoffs(tree, plans)


def _enumerated(tree: GameTree) -> tuple[Solved, np.ndarray]:
    """All extreme equilibria of two players; for more players, the pure ones and one more."""
    plans, table = strategic_form(tree)
    sizes = table.shape[1:]
    if tree.num_players == 2:
        profiles = enumeration.extreme_equilibria(table)
        method = "all extreme equilibria, by vertex enumeration in exact arithmetic"
        notes: tuple[str, ...] = ()
    else:
        pure = enumeration.pure_equilibria(table)
        profiles = [enumeration.pure_profile(profile, sizes) for profile in pure]
        method = "all pure equilibria by enumeration, and the limit of the logit correspondence"
        notes = ("mixed equilibria of more than two players are not all listed",)
    certifier, equilibria, known = certificate.Certifier(tree), [], set()
    for profile in profiles:
        mixed = tuple(
            weights @ own.astype(object)
            for weights, own in zip(profile.strategies, plans, strict=True)
        )
        key = tuple(tuple(plan.tolist()) for plan in mixed)
        if key not in known:  # reduced strategies may be mixed in several ways to one plan
            known.add(key)
            equilibria.append(_certified(tree, mixed, certifier, profile.component))
    if tree.num_players > 2:
        try:
            last = _of_limit(tree).equilibria[0]
        except logit.LogitError as error:
            notes = (*notes, str(error))
        else:
            new = not any(_alike(tree, last, one) for one in equilibria)
            equilibria += [last] if new else []
    if not equilibria:
        raise SolveError(f"no equilibrium of {tree.name} was found: {'; '.join(notes)}")
    solved = Solved(
        tree=tree,
        concept="nash",
        method=method,
        equilibria=tuple(equilibria),
        complete=tree.num_players == 2,
        plans=plans,
        notes=notes,
    )
    return solved, table


def _alike(tree: GameTree, one: Equilibrium, other: Equilibrium) -> bool:
    """Whether two equilibria have the same realization plans, but for rounding."""
    return all(
        np.allclose(exact.realization_plan(own, a), exact.realization_plan(own, b), atol=1e-7)
        for own, a, b in zip(tree.players, one.behaviours, other.behaviours, strict=True)
    )


def _certified(
    tree: GameTree,
    plans: tuple[np.ndarray, ...],
    certifier: certificate.Certifier | None = None,
    component: int | None = None,
) -> Equilibrium:
    """The equilibrium of plans in fractions `[S_p]`, after its exact regret was found to be 0."""
    certifier = certifier or certificate.Certifier(tree)
    regret = certifier.regret(plans)
    if regret != 0:
        raise SolveError(f"a result for {tree.name} is no equilibrium: a gain of {float(regret):g}")
    payoffs = tuple(certifier.returns(plans))
    return Equilibrium(
        payoffs=floats(np.array(payoffs, object)),
        regret=0.0,
        behaviours=completed(tree, [floats(plan) for plan in plans]),
        exact_payoffs=payoffs,
        exact_behaviours=tuple(
            certificate.behaviour(own, plan) for own, plan in zip(tree.players, plans, strict=True)
        ),
        component=component,
    )


def _of_limit(tree: GameTree) -> Solved:
    limit = logit_limit.logit_limit(tree)
    return Solved(
        tree=tree,
        concept="nash",
        method="the limit of the logit correspondence",
        equilibria=(of_behaviours(tree, limit.behaviours, limit.regret, logs=limit.logs),),
    )


def of_behaviours(
    tree: GameTree, behaviours, regret: float, logs=None, precision=None
) -> Equilibrium:
    plans = [
        exact.realization_plan(own, b) for own, b in zip(tree.players, behaviours, strict=True)
    ]
    return Equilibrium(
        payoffs=tree.returns(plans),
        regret=regret,
        behaviours=tuple(behaviours),
        precision=precision,
        logs=logs,
    )


def _of_program(tree: GameTree) -> Solved:
    solution = sequence_form.equilibrium(tree)
    return Solved(
        tree=tree,
        concept="nash",
        method="a linear program over the sequence form",
        equilibria=(
            of_behaviours(tree, completed(tree, solution.plans), max(solution.nash_conv, 0.0)),
        ),
    )


def _of_floats(tree: GameTree) -> Solved:
    """A two-player game that is too large for exact arithmetic."""
    if tree.is_constant_sum:
        return _of_program(tree)
    if all(player.num_info_states == 1 for player in tree.players):
        plans, table = float_form(tree)
        strategies = META_SOLVERS["nash"](table)
        mixed = [x @ own for x, own in zip(strategies, plans, strict=True)]
        behaviours = completed(tree, mixed)
        regret = logit_limit.largest_gain(tree, behaviours)
        return Solved(
            tree=tree,
            concept="nash",
            method="Lemke and Howson's paths in floating point",
            equilibria=(of_behaviours(tree, behaviours, regret),),
            notes=(_ONE_OF_SEVERAL,),
        )
    return _of_limit(tree)


def float_form(tree: GameTree) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """Reduced strategies `[K_p, S_p]` and payoffs `[P, K_0, ..., K_{P-1}]` in float64."""
    plans = tuple(
        strategic.reduced_strategies(player).astype(np.float64) for player in tree.players
    )
    cells = float(np.prod([float(len(own)) for own in plans]))
    if cells > MAX_CELLS:
        raise SolveError(f"{tree.name} has {cells:.3g} profiles of pure strategies, too many here")
    return plans, tree.payoffs(plans)
