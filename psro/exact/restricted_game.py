"""The restricted game in extensive form, as XDO has it (McAleer et al. 2021, arXiv:2103.06426).

PSRO's restricted game mixes whole policies; XDO's lets a player choose anew at every info state
among the actions that some policy of its population plays there. That is again a game, and here it
is again a `GameTree`, so that everything exact works on it unchanged.

A *mask* says which of one player's sequences are allowed, bool `[S]`; entry 0 is True. What a mask
says where the player's own allowed actions never lead does not matter.

**Info states outside of the restricted game.** A player's own allowed actions may lead to info
states that no play of the restricted game does: a disallowed action of the opponent comes before
them. An equilibrium of the restricted game says nothing there, but an opponent that leaves the
restricted game arrives there, and what it gains depends on what is played. A plan that is zero
there would count what it gains as nothing. So `Restricted.lift` takes a fallback behaviour for
them, by default every legal action alike. Whatever the fallback, XDO ends in an equilibrium of the
whole game: against lifted plans no plan of allowed actions earns more than in the restricted game,
so a best response that gains must bring an action that was not allowed, and there are finitely
many. How soon it ends does depend on it (`docs/design-notes.md`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from games.restriction import MaskError
from games.tree import GameTree, PlayerTree
from psro import exact
from psro.errors import PsroError
from psro.exact import sequence_form
from psro.exact.cfr import cfr_plus
from psro.exact.mmd import magnetic_mirror_descent


class RestrictedGameError(PsroError):
    """Masks that are none, or a restricted game that was not solved; one sentence says why."""


def allowed(player: PlayerTree, plans: np.ndarray, *, threshold: float = 0.0) -> np.ndarray:
    """The mask `[S]` of a population of realization plans `[K, S]`: an action is allowed where a
    policy that itself comes to the info state plays it.

    That is all that a restricted game needs: wherever allowed actions lead, some policy comes.
    Where a policy does not come, its plan does not say what it would do. The mask of two
    populations together is `mask | mask`.

    Args:
        player: whose plans they are.
        plans: `[K, S]`.
        threshold: actions that a policy plays with no higher probability than this count as not
            played, nor does it come to what they alone lead to: a softmax plays everything a
            little.

    Raises:
        RestrictedGameError: no plans, or a threshold that could leave an info state no action.
    """
    played = _played(player, exact.behaviour(player, _population(player, plans)), threshold)
    return exact.realization_plan(player, played).any(axis=0)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Restricted:
    """A restricted game, and its place in the whole one. S sequences and I info states of the whole
    game, S' and I' of the restricted one.

    Attributes:
        whole: the game that was restricted.
        tree: the restricted game.
        sequences: for each player, each of its sequences in the whole game, int64 `[S'_p]`.
        info_states: likewise, int64 `[I'_p]`.
    """

    whole: GameTree
    tree: GameTree
    sequences: tuple[np.ndarray, ...]
    info_states: tuple[np.ndarray, ...]

    def lift(
        self, plans: Sequence[np.ndarray], fallback: Sequence[np.ndarray] | None = None
    ) -> list[np.ndarray]:
        """Plans of the restricted game, each `[S'_p]`, as plans of the whole game, each `[S_p]`;
        zero wherever a disallowed action of the player's own comes before.

        Args:
            plans: of the restricted game.
            fallback: behaviours `[S_p]` of the whole game for info states outside of the restricted
                one; None for every legal action alike.
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


def restrict(tree: GameTree, masks: Sequence[np.ndarray]) -> Restricted:
    """The game in which each player may only do what its mask, bool `[S_p]`, allows, as
    `GameTree.restrict` makes it, to lift plans from.

    Raises:
        RestrictedGameError: masks of other shapes, or that leave a player no action somewhere.
    """
    try:
        part = tree.restrict(masks)
    except MaskError as error:
        raise RestrictedGameError(str(error)) from None
    return Restricted(
        whole=tree, tree=part.tree, sequences=part.sequences, info_states=part.info_states
    )


MAX_SEQUENCES = 50_000
"""`solve` takes the linear program for restricted games of at most so many sequences, of both
players together: seconds. (All of one-die Liar's Dice, 49,142: 1.8 CPU seconds, and CFR+ 2.3 to a
NashConv of 1e-3.)"""

METHODS = ("auto", "linear_program", "cfr_plus", "mmd")
"""How `solve` finds an equilibrium."""

LEARNER_STEPS = 5_000
"""Steps of magnetic mirror descent at most: on Leduc 2.5 CPU seconds."""

_LEARNER_CHECK = 50
"""Steps of it between two measurements of NashConv."""

_CFR_CHECK = 10
"""Iterations of CFR+ between two measurements of NashConv, which costs as much as one of them."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class RestrictedEquilibrium:
    """An equilibrium of a restricted game.

    Attributes:
        plans: lifted to the whole game, `[S_p]` for each player p.
        restricted: the restricted game.
        measured: what exact best responses of the *restricted* game gain there: the certificate.
        method: `linear_program`, `cfr_plus` or `mmd`.
        iterations: of CFR+ or of the learner; 0 for the linear program.
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
        masks: what each player may do, bool `[S_p]`.
        method: one of `METHODS`: `linear_program`, exact to rounding; `cfr_plus`; `mmd`, a learner
            (`magnetic_mirror_descent`), which gives the best policies that it came to in
            `LEARNER_STEPS`; or `auto`, the linear program up to `MAX_SEQUENCES`, CFR+ beyond.
        precision: CFR+ and the learner end when the restricted game's NashConv is no larger, in
            game payoff; but at most at this share of half the returns' span, and at least at a
            hundredth of that share, so that they end in games of any unit, and not at once.
        max_iterations: of CFR+, and of the learner.
        fallback: see `Restricted.lift`.

    Raises:
        RestrictedGameError: masks as in `restrict`, an unknown method, or CFR+ was not that precise
            in time.
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
    """An equilibrium by CFR+, what is gained against it, and after how many iterations."""
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
    """The least exploitable policies that magnetic mirror descent came to, what is gained against
    them, and after how many steps learning ended."""
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
    """What each of `behaviours [K, S]` plays with more than the threshold's probability."""
    most = np.diff(player.first_sequence).max(initial=1)
    if not 0 <= threshold < 1 / most:
        raise RestrictedGameError(
            f"threshold = {threshold} must be at least 0 and below 1 / {most}: of {most} legal "
            "actions all may have that probability"
        )
    played = behaviours > threshold
    played[:, 0] = True
    return played
