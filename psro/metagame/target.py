"""The opponents of the next best responses."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from psro import exact
from psro.metagame.exact_meta_game import ExactMetaGame
from psro.metagame.form_meta_game import FormMetaGame
from psro.metagame.joint_gaps import CorrelatedGap, correlated_gap, joint_opponent_reach
from psro.metagame.meta_game import MetaGame
from psro.metagame.strategy import MetaStrategy


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExactTarget:
    """What is known exactly about a target.

    Attributes:
        gains: gains of each player's sequences against the opponents, `[S_p]` (`exact.gains`).
        reach: the opponents' part of reaching each player's info states, `[I_p]`; None where the
            game is not enumerated.
        mixture: one realization plan `[S_q]` of every player that stands for it as an opponent;
            None if no single plan can.
        best_response_value: each player's expected return by an exact best response, `[P]`.
    """

    gains: tuple[np.ndarray, ...]
    reach: tuple[np.ndarray, ...] | None
    mixture: list[np.ndarray] | None
    best_response_value: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True)
class Target:
    """The opponents of every player's next best response, and the value that it has to beat.

    Attributes:
        opponents: probability of every opponent profile, `[P, K, ..., K]` for a capacity of K. Axis
            q is the player at seat (player + 1 + q) mod P.
        value: each player's current expected return, `[P]`.
        exact: the same target, exactly; None where games are sampled.
    """

    opponents: np.ndarray
    value: np.ndarray
    exact: ExactTarget | None = None


def target_of(
    meta_game: ExactMetaGame,
    strategy: MetaStrategy,
    concept: str,
    capacity: int,
    correlated: CorrelatedGap | None = None,
) -> Target:
    """The target of a meta-strategy. For a correlated one, a player's opponents are drawn from what
    it knows: for `cce`, nothing; for `ce`, its recommendation with the largest deviation gain.
    (JPSRO trains a best response for each recommendation; this trains only that one.) `correlated`
    holds the gains of all recommendations, if they have been computed before."""
    tree, plans, joint = meta_game.tree, meta_game.plans, strategy.joint
    players = range(tree.num_players)
    others = [strategy.others(p) for p in players]
    told, mixture = None, None
    if joint is None:
        mixture = meta_game.mixture(strategy.marginals)
    elif concept == "ce":
        told = _told(correlated or correlated_gap(meta_game, strategy), strategy)
        given = [np.take(joint, k, axis=p) for p, k in enumerate(told)]
        others = [weights / weights.sum() for weights in given]
    if joint is not None and tree.num_players == 2:
        mixture = [exact.mix(plans[q], others[1 - q]) for q in players]
    gains, reach = zip(
        *(_gains_and_reach(meta_game, p, others[p], mixture) for p in players), strict=True
    )
    if told is not None:
        value = [gains[p] @ plans[p][told[p]] for p in players]
    elif joint is not None:
        value = strategy.values(meta_game.payoffs)
    else:
        value = [gains[p] @ mixture[p] for p in players]
    return Target(
        opponents=np.stack([_by_seat(p, others[p], capacity) for p in players]),
        value=np.array(value),
        exact=ExactTarget(
            gains=gains,
            reach=reach,
            mixture=mixture,
            best_response_value=np.array(
                [exact.best_response_value(tree.players[p], gains[p]) for p in players]
            ),
        ),
    )


def target_on_form(
    meta_game: FormMetaGame,
    strategy: MetaStrategy,
    concept: str,
    capacity: int,
    correlated: CorrelatedGap | None = None,
) -> Target:
    """As `target_of`, in a game of two players that is not enumerated: there is no reach, and no
    mixed plan."""
    players, value = range(2), strategy.values(meta_game.payoffs)
    others = [strategy.others(p) for p in players]
    if strategy.joint is not None and concept == "ce":
        told = _told(correlated or correlated_gap(meta_game, strategy), strategy)
        given = [np.take(strategy.joint, k, axis=p) for p, k in enumerate(told)]
        others = [weights / weights.sum() for weights in given]
        value = np.array(
            [np.take(meta_game.payoffs[p], k, axis=p) @ others[p] for p, k in enumerate(told)]
        )
    gains = tuple(meta_game.gains_against(p, others[p]) for p in players)
    best = [exact.best_response_value(meta_game.tree.players[p], gains[p]) for p in players]
    return Target(
        opponents=np.stack([_by_seat(p, others[p], capacity) for p in players]),
        value=value,
        exact=ExactTarget(
            gains=gains, reach=None, mixture=None, best_response_value=np.array(best)
        ),
    )


def sampled_target(meta_game: MetaGame, strategy: MetaStrategy, capacity: int) -> Target:
    """The target of a meta-strategy where the policies' plans are not known. The opponents of a
    correlated one are drawn from what a player knows before it is told anything (`cce`)."""
    return Target(
        opponents=opponents_of(strategy, capacity),
        value=strategy.values(meta_game.payoffs),
    )


def opponents_of(strategy: MetaStrategy, capacity: int) -> np.ndarray:
    """Probabilities of every player's opponent profiles; see `Target.opponents`."""
    players = range(len(strategy.marginals))
    return np.stack([_by_seat(p, strategy.others(p), capacity) for p in players])


def _told(correlated: CorrelatedGap, strategy: MetaStrategy) -> list[int]:
    """Each player's recommendation with the largest deviation gain. If no deviation gains, its most
    probable one, because a policy without weight is never recommended."""
    return [
        k if gains[k] > 0 else int(np.argmax(weights))
        for k, gains, weights in zip(
            correlated.recommendation,
            correlated.recommendation_gains,
            strategy.marginals,
            strict=True,
        )
    ]


def _gains_and_reach(
    meta_game: ExactMetaGame,
    player: int,
    weights: np.ndarray,
    mixture: Sequence[np.ndarray] | None,
) -> tuple[np.ndarray, np.ndarray]:
    """The player's gains `[S]` and the opponents' reach of its info states `[I]`. The opponents
    follow the plans of `mixture`, or else draw their profiles by `weights`."""
    tree = meta_game.tree
    if mixture is not None:
        return exact.gains_and_reach(tree, player, mixture)
    reach = joint_opponent_reach(meta_game, player, weights)
    return exact.sequence_returns(tree, player, reach), exact.info_state_reach(tree, player, reach)


def _by_seat(player: int, others: np.ndarray, capacity: int) -> np.ndarray:
    """Weights of the others' profiles, with axes reordered from the order of seats to the order of
    seats after the player, and padded to a capacity."""
    order = np.roll(np.arange(others.ndim), -player)
    padding = [(0, capacity - size) for size in others.shape]
    return np.pad(others, padding).transpose(order)
