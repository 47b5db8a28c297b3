"""Solutions other than Nash equilibria."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from games.tree import GameTree
from psro.errors import PsroError
from psro.exact import logit, logit_limit, sequence_form
from psro.exact.rational import certificate, dominance, strategic
from psro.exact.rational.matrix_game import minimax as matrix_minimax
from psro.exact.rational.numbers import floats
from psro.metagame.solve.completion import completed, uniform_where_unreached
from psro.metagame.solve.nash import float_form, of_behaviours, strategic_form
from psro.metagame.solve.records import Equilibrium, Solved, SolveError
from psro.metagame.solvers import META_SOLVERS, cce_gains, ce_gains

_PATH_END = 1e3
"""Where a path ends by default: lambda times the span of payoffs."""


def quantal(tree: GameTree, precision: float | None, path: bool) -> Solved:
    """The logit equilibrium of the principal branch at a lambda, by default 1; with `path`, all its
    points up to there, by default until supports are clear."""
    agents, scale = logit.Agents(tree), tree.span
    points: list[tuple[float, tuple[np.ndarray, ...]]] = []
    notes = ["the regret of a quantal response equilibrium is not 0: players make mistakes"]
    if precision is None:
        precision = _PATH_END / (scale or 1.0) if path else 1.0
    before = None
    for point in logit.branch(agents, scale):
        if before is not None and point.orientation != before.orientation:
            low, high = sorted((before.precision, point.precision))
            notes.append(
                f"the branch crosses another one between lambda = {low:.4g} and {high:.4g}: from "
                "there on there are several"
            )
        before = point
        if point.precision >= precision:
            break
        points.append((float(point.precision), tuple(agents.behaviours(point.logs))))
    point = logit.at_precision(agents, scale, precision)
    behaviours = agents.behaviours(point.logs)
    points.append((float(point.precision), tuple(behaviours)))
    regret = logit_limit.largest_gain(tree, behaviours)
    return Solved(
        tree=tree,
        concept="qre",
        method="the principal branch of the logit correspondence",
        equilibria=(
            of_behaviours(tree, behaviours, regret, logs=point.logs, precision=point.precision),
        ),
        path=tuple(points) if path else None,
        notes=tuple(notes),
    )


MAX_EXACT_CELLS = 4_000
"""The most profiles of pure strategies of exact linear programs. One of 60 x 60 takes a quarter of
a second, and iterated dominance may solve one for each strategy."""


def _small_form(tree: GameTree) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """The strategic form in fractions. Raises SolveError if exact programs would take too long."""
    profiles = math.prod(strategic.num_strategies(player) for player in tree.players)
    if profiles > MAX_EXACT_CELLS:
        raise SolveError(
            f"{tree.name} has {profiles:,} profiles of pure strategies, and exact linear programs "
            f"are solved for at most {MAX_EXACT_CELLS:,}"
        )
    return strategic_form(tree)


def rationalizable(tree: GameTree) -> Solved:
    """What is left of the reduced strategies after all strictly dominated ones are eliminated."""
    plans, table = _small_form(tree)
    return Solved(
        tree=tree,
        concept="rationalizable",
        method="iterated elimination of strictly dominated strategies, in exact arithmetic",
        complete=True,
        plans=plans,
        elimination=dominance.eliminated(table),
        notes=("beliefs may correlate the others' strategies",) if tree.num_players > 2 else (),
    )


def minimax(tree: GameTree) -> Solved:
    """Each player's best guarantee against the others, who may act together against it."""
    try:
        plans, table = _small_form(tree)
    except PsroError:
        if tree.num_players != 2:
            raise
        return _minimax_of_plans(tree)
    guarantees, behaviours = [], []
    for p, (own, player) in enumerate(zip(plans, tree.players, strict=True)):
        solved = matrix_minimax(np.moveaxis(table[p], p, 0).reshape(len(own), -1))
        guarantees.append(solved.value)
        behaviours.append(certificate.behaviour(player, solved.row @ own.astype(object)))
    return Solved(
        tree=tree,
        concept="minimax",
        method="linear programs over the strategic form, in exact arithmetic",
        equilibria=(
            Equilibrium(
                payoffs=floats(np.array(guarantees, object)),
                regret=0.0,
                behaviours=tuple(map(uniform_where_unreached, tree.players, behaviours)),
                exact_payoffs=tuple(guarantees),
                exact_behaviours=tuple(behaviours),
            ),
        ),
        notes=(_GUARANTEE,),
    )


_GUARANTEE = "payoffs are what each player can guarantee itself, not what this profile earns"


def _minimax_of_plans(tree: GameTree) -> Solved:
    """The same for two players with many strategies, by linear programs over the sequence form."""
    plans, guarantees, worst = [], [], 0.0
    parts = {field.name: getattr(tree, field.name) for field in dataclasses.fields(GameTree)}
    for p in range(2):
        own = tree.terminal_returns[:, p]
        opposed = np.stack([own, -own], axis=1) if p == 0 else np.stack([-own, own], axis=1)
        game = GameTree(**parts | {"terminal_returns": opposed})
        solution = sequence_form.equilibrium(game)
        plans.append(solution.plans[p])
        guarantees.append(float(solution.value[p]))
        worst = max(worst, solution.nash_conv)
    return Solved(
        tree=tree,
        concept="minimax",
        method="linear programs over the sequence form",
        equilibria=(
            Equilibrium(
                payoffs=np.array(guarantees), regret=worst, behaviours=completed(tree, plans)
            ),
        ),
        notes=(_GUARANTEE,),
    )


def joint(tree: GameTree, concept: str) -> Solved:
    """A distribution over profiles of reduced strategies: a (coarse) correlated equilibrium with
    the largest sum of payoffs, or alpha-Rank's."""
    plans, table = float_form(tree)
    solver = {"ce": "mwce", "cce": "mwcce", "alpha_rank": "alpha_rank"}[concept]
    distribution = META_SOLVERS[solver](table)
    if concept == "ce":
        regret = max(float(gains.sum()) for gains in ce_gains(table, distribution))
    else:
        regret = max(0.0, float(cce_gains(table, distribution).max()))
    axes = tuple(range(1, table.ndim))
    return Solved(
        tree=tree,
        concept=concept,
        method=f"the meta-solver {solver} on the strategic form",
        equilibria=(
            Equilibrium(
                payoffs=(table * distribution).sum(axis=axes), regret=regret, joint=distribution
            ),
        ),
        plans=plans,
        notes=("alpha-Rank is no equilibrium: its regret is that of a coarse correlated one",)
        if concept == "alpha_rank"
        else (),
    )
