"""The restricted game in extensive form, as in XDO (McAleer et al. 2021, arXiv:2103.06426).

PSRO's restricted game mixes whole policies. In XDO's, a player chooses at every info state among
the actions that some policy of its population plays there. This is again a game, and here again a
`GameTree`, so all exact functions work on it.

A *mask* says which of one player's sequences are allowed, bool `[S]`; entry 0 is True. Entries at
info states that the player's own allowed actions cannot reach have no effect.

**Info states outside the restricted game.** Some info states can be reached by the player's own
allowed actions, but only after a disallowed action of the opponent. An equilibrium of the
restricted game does not say what to play there. An opponent that leaves the restricted game gets
there, so its gain depends on what is played; a plan of zeros would hide that gain. So
`Restricted.lift` takes a fallback behaviour for these info states, by default uniform. With any
fallback XDO ends in an equilibrium of the whole game: against lifted plans, no plan of allowed
actions earns more than in the restricted game. So a best response that gains must play an action
that was not allowed, and there are finitely many. The number of iterations depends on the fallback
(`docs/design-notes.md`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from games.form import Form
from games.restriction import MaskError
from games.tree import GameTree, PlayerTree
from psro import exact
from psro.errors import PsroError
from psro.exact import sequence_form
from psro.exact.cfr import cfr_plus
from psro.exact.mmd import magnetic_mirror_descent

_CHECKED = 10
"""Iterations of CFR+ between two measurements of a restricted game that is not enumerated."""


class RestrictedGameError(PsroError):
    """Invalid masks, or a restricted game that was not solved; one sentence says why."""


def allowed(player: PlayerTree, plans: np.ndarray, *, threshold: float = 0.0) -> np.ndarray:
    """The mask `[S]` of a population of realization plans `[K, S]`. An action is allowed if some
    policy reaches the info state by its own actions and plays the action there.

    This is enough for a restricted game: some policy reaches every info state that allowed actions
    lead to. A plan does not say what its policy does at info states that it does not reach. The
    mask of two populations together is `mask | mask`.

    Args:
        player: the owner of the plans.
        plans: `[K, S]`.
        threshold: actions with at most this probability count as not played, and what only they
            lead to as not reached. (A softmax plays every action with a small probability.)

    Raises:
        RestrictedGameError: no plans, or a threshold that could leave an info state no action.
    """
    played = _played(player, exact.behaviour(player, _population(player, plans)), threshold)
    return exact.realization_plan(player, played).any(axis=0)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Restricted:
    """A restricted game, and its place in the whole game. The whole game has S sequences and I info
    states, the restricted one S' and I'.

    Attributes:
        whole: the whole game.
        tree: the restricted game.
        sequences: for each player, the numbers of its sequences in the whole game, int64 `[S'_p]`.
        info_states: for each player, the numbers of its info states there, int64 `[I'_p]`.
    """

    whole: GameTree
    tree: GameTree
    sequences: tuple[np.ndarray, ...]
    info_states: tuple[np.ndarray, ...]

    def lift(
        self, plans: Sequence[np.ndarray], fallback: Sequence[np.ndarray] | None = None
    ) -> list[np.ndarray]:
        """Plans of the restricted game, each `[S'_p]`, as plans of the whole game, each `[S_p]`.
        They are zero after a disallowed action of the player itself.

        Args:
            plans: the plans of the restricted game.
            fallback: behaviours `[S_p]` of the whole game for info states outside the restricted
                one; None for uniform behaviours.
        """
        if fallback is None:
            fallback = list(map(exact.uniform_behaviour, self.whole.players))
        lifted = []
        for p, plan in enumerate(plans):
            inside = np.zeros(self.whole.players[p].num_info_states + 1, bool)
            inside[self.info_states[p]] = True  # sequence 0 has info state -1, the extra entry
            behaviour = np.where(inside[self.whole.players[p].info_state], 0.0, fallback[p])
            behaviour[self.sequences[p]] = exact.behaviour(self.tree.players[p], plan)
            lifted.append(exact.realization_plan(self.whole.players[p], behaviour))
        return lifted


def solve_on_form(
    form: Form,
    masks: Sequence[np.ndarray],
    *,
    precision: float = 1e-3,
    max_iterations: int = 2_000,
) -> list[np.ndarray]:
    """An equilibrium of the restricted game of a two-player zero-sum game that is not enumerated,
    as plans `[S_p]` of the whole game, by CFR+ over the allowed sequences.

    Args:
        form: the whole game.
        masks: the allowed sequences of each player, bool `[S_p]`. Where a player's allowed actions
            do not lead, all actions are: play is uniform there.
        precision: CFR+ stops when the restricted game's NashConv is at most this share of half the
            span of returns.
        max_iterations: the most iterations of CFR+.

    Raises:
        RestrictedGameError: CFR+ did not reach the precision.
    """
    whole = []
    for player, mask in zip(form.players, masks, strict=True):
        inside = np.logical_or.reduceat(mask[1:], player.first_sequence[:-1] - 1)
        outside = np.append(False, np.repeat(~inside, np.diff(player.first_sequence)))
        whole.append(mask | outside)
    gap = np.inf
    for number, plans in enumerate(cfr_plus(form, whole), start=1):
        if number % _CHECKED == 0:
            value, gains = form.returns_and_gains(plans)
            best = [
                exact.best_response_value(player, np.where(mask, of_player, -np.inf))
                for player, of_player, mask in zip(form.players, gains, whole, strict=True)
            ]
            gap = float(sum(best) - sum(value))
            if gap <= precision * form.max_return:
                return plans
        if number >= max_iterations:
            break
    raise RestrictedGameError(
        f"the restricted game's NashConv is {gap:.3g} after {max_iterations} iterations of CFR+"
    )


def restrict(tree: GameTree, masks: Sequence[np.ndarray]) -> Restricted:
    """The game in which each player may use only the actions that its mask, bool `[S_p]`, allows
    (`GameTree.restrict`), with its place in the whole game.

    Raises:
        RestrictedGameError: a mask has another shape, or leaves a player no action somewhere.
    """
    try:
        part = tree.restrict(masks)
    except MaskError as error:
        raise RestrictedGameError(str(error)) from None
    return Restricted(
        whole=tree, tree=part.tree, sequences=part.sequences, info_states=part.info_states
    )


MAX_SEQUENCES = 50_000
"""By default, `solve` uses the linear program for restricted games of at most so many sequences of
both players together; it takes seconds. (One-die Liar's Dice has 49,142 and takes 1.8 CPU seconds;
CFR+ takes 2.3 for a NashConv of 1e-3.)"""

METHODS = ("auto", "linear_program", "cfr_plus", "mmd")
"""The methods by which `solve` finds an equilibrium."""

LEARNER_STEPS = 5_000
"""The most steps of magnetic mirror descent: 2.5 CPU seconds on Leduc."""

_LEARNER_CHECK = 50
"""Steps of magnetic mirror descent between two measurements of NashConv."""

_CFR_CHECK = 10
"""Iterations of CFR+ between two measurements of NashConv. A measurement costs one iteration."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class RestrictedEquilibrium:
    """An equilibrium of a restricted game.

    Attributes:
        plans: plans of the whole game, `[S_p]` for each player p.
        restricted: the restricted game.
        measured: exploitability within the *restricted* game: the certificate.
        method: `linear_program`, `cfr_plus` or `mmd`.
        iterations: iterations of CFR+, or steps of the learner; 0 for the linear program.
    """

    plans: list[np.ndarray]
    restricted: Restricted
    measured: exact.Exploitability
    method: str
    iterations: int


def solve(
    tree: GameTree,
    masks: Sequence[np.ndarray],
    *,
    method: str = "auto",
    precision: float = 1e-3,
    max_iterations: int = 100_000,
    fallback: Sequence[np.ndarray] | None = None,
) -> RestrictedEquilibrium:
    """An equilibrium of the restricted game of a two-player zero-sum game.

    Args:
        tree: the whole game.
        masks: the allowed sequences of each player, bool `[S_p]`.
        method: one of `METHODS`. `linear_program` is exact up to rounding. `mmd` is a learner
            (`magnetic_mirror_descent`); it returns its best policies of `LEARNER_STEPS` steps.
            `auto` uses the linear program up to `MAX_SEQUENCES`, and `cfr_plus` above.
        precision: CFR+ and the learner stop when the restricted game's NashConv is at most this, in
            game payoff. The limit is kept between 1/100 of `precision` and `precision` times half
            the returns' span, so that they stop in games of any unit, and not at once.
        max_iterations: the most iterations of CFR+, and steps of the learner.
        fallback: see `Restricted.lift`.

    Raises:
        RestrictedGameError: masks as in `restrict`, an unknown method, or CFR+ did not reach the
            precision within `max_iterations`.
        SequenceFormError: not two players, not zero-sum, or the program was not solved.
    """
    if method not in METHODS:
        raise RestrictedGameError(f"unknown method {method!r}; known: {', '.join(METHODS)}")
    sequence_form.check_zero_sum(tree)
    restricted = restrict(tree, masks)
    smaller, iterations = restricted.tree, 0
    if method == "auto":
        size = sum(player.num_sequences for player in smaller.players)
        method = "linear_program" if size <= MAX_SEQUENCES else "cfr_plus"
    if method == "linear_program":
        plans = sequence_form.equilibrium(smaller).plans
        measured = exact.exploitability(smaller, plans)
    else:
        share = precision * tree.span / 2
        precision = min(max(precision, share / 100), share)
        find = _learned if method == "mmd" else _by_cfr
        plans, measured, iterations = find(smaller, precision=precision, steps=max_iterations)
    return RestrictedEquilibrium(
        plans=restricted.lift(plans, fallback),
        restricted=restricted,
        measured=measured,
        method=method,
        iterations=iterations,
    )


def _by_cfr(
    tree: GameTree, *, precision: float, steps: int
) -> tuple[list[np.ndarray], exact.Exploitability, int]:
    """An equilibrium by CFR+, its exploitability, and the number of iterations."""
    for number, plans in enumerate(cfr_plus(tree), 1):  # pragma: no branch: without end
        if number % _CFR_CHECK and number < steps:
            continue
        measured = exact.exploitability(tree, plans)
        if measured.nash_conv <= precision:
            return plans, measured, number
        if number >= steps:
            raise RestrictedGameError(
                f"CFR+ left a NashConv of {measured.nash_conv:.3g} in the restricted game after "
                f"{number} iterations, more than the {precision:g} asked for"
            )


def _learned(
    tree: GameTree, *, precision: float, steps: int
) -> tuple[list[np.ndarray], exact.Exploitability, int]:
    """The least exploitable policies of magnetic mirror descent, their exploitability, and the
    number of steps."""
    best, least, steps = None, None, min(steps, LEARNER_STEPS)
    for number, plans in enumerate(  # pragma: no branch: without end
        magnetic_mirror_descent(tree), 1
    ):
        if number % _LEARNER_CHECK and number < steps:
            continue
        measured = exact.exploitability(tree, plans)
        if least is None or measured.nash_conv < least.nash_conv:
            best, least = plans, measured
        if least.nash_conv <= precision or number >= steps:
            return best, least, number


def _population(player: PlayerTree, policies: np.ndarray) -> np.ndarray:
    policies = np.asarray(policies, np.float64)
    if policies.ndim != 2 or not len(policies) or policies.shape[1] != player.num_sequences:
        raise RestrictedGameError(
            f"policies of shape {policies.shape} must be [K, {player.num_sequences}], K at least 1"
        )
    return policies


def _played(player: PlayerTree, behaviours: np.ndarray, threshold: float) -> np.ndarray:
    """The actions that `behaviours [K, S]` play with a probability above the threshold."""
    most = np.diff(player.first_sequence).max(initial=1)
    if not 0 <= threshold < 1 / most:
        raise RestrictedGameError(
            f"threshold = {threshold} must be at least 0 and below 1 / {most}: all of {most} legal "
            "actions may have that probability"
        )
    played = behaviours > threshold
    played[:, 0] = True
    return played
