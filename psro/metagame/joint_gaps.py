"""How far a joint meta-strategy is from a correlated equilibrium of the whole game (Marris et al.
2021, "Multi-agent training beyond zero-sum with correlated equilibrium meta-solvers",
arXiv:2106.09435), by exact best responses, for any number of players and any payoffs.

For each episode, a mediator draws a profile of policies from `joint [K_0, ..., K_{P-1}]`, and tells
each player its policy. In a *coarse* correlated equilibrium (CCE), no player gains by deciding to
deviate before it is told its policy. In a correlated equilibrium (CE), no player gains by deviating
after it is told; then it can infer something about the others' policies. A player may deviate to
any strategy of the game, not only to policies of the population.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from games.units import without_rounding
from psro import exact
from psro.errors import PsroError
from psro.metagame.exact_meta_game import ExactMetaGame
from psro.metagame.strategy import MetaStrategy


class JointError(PsroError):
    """A joint meta-strategy that does not fit its populations; one sentence says why."""


def joint_opponent_reach(meta_game: ExactMetaGame, player: int, weights: np.ndarray) -> np.ndarray:
    """The part of chance and the others in the probability of reaching each terminal, `[T]`, if the
    others' policies are drawn together.

    Args:
        meta_game: holds the policies; the player's own are ignored.
        player: the player whose opponents these are.
        weights: weights of the others' profiles, `[K_q for q != player]`, in the order of seats.
            The result is linear in them; they need not add up to one.

    The opponent with the most policies is mixed for each profile of the rest that has weight. So
    two players cost one mixed plan; three cost one for each policy of the smaller population.
    """
    tree, plans = meta_game.tree, meta_game.plans
    others = [q for q in range(tree.num_players) if q != player]
    widest = int(np.argmax(weights.shape))
    rest = [q for position, q in enumerate(others) if position != widest]
    mixtures = np.moveaxis(weights, widest, -1) @ plans[others[widest]]  # [K of the rest ..., S]
    reach = np.zeros(tree.num_terminals)
    for profile in np.argwhere(np.moveaxis(weights, widest, -1).any(axis=-1)):
        share = mixtures[tuple(profile)][tree.sequence[:, others[widest]]]
        for q, k in zip(rest, profile, strict=True):
            share *= plans[q][k][tree.sequence[:, q]]
        reach += share
    return reach * tree.chance


@dataclasses.dataclass(frozen=True, kw_only=True)
class CoarseCorrelatedGap:
    """How far a joint is from a CCE, in game payoff; arrays `[P]`.

    Attributes:
        value: expected returns under the joint.
        best_response_value: the most that a player gets if it decides to deviate before it is told
            its policy, while the others follow theirs. It may be below `value`, because following
            the joint is correlated with the others.
    """

    value: np.ndarray
    best_response_value: np.ndarray

    @property
    def gains(self) -> np.ndarray:
        """Each player's gain by deviating before it is told its policy, `[P]`, at least 0."""
        return np.maximum(self.best_response_value - self.value, 0.0)

    @property
    def gap(self) -> float:
        """The CCE gap: the sum of the gains. Zero means a CCE of the whole game."""
        return math.fsum(self.gains)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CorrelatedGap:
    """How far a joint is from a CE, in game payoff.

    Attributes:
        value: expected returns under the joint, `[P]`.
        recommendation_gains: for each player, its gain by the best deviation after it is told
            policy k, times the probability of being told k, `[K_p]`; 0 if k has no weight.
    """

    value: np.ndarray
    recommendation_gains: tuple[np.ndarray, ...]

    @property
    def gains(self) -> np.ndarray:
        """Each player's gain if it deviates optimally from every recommendation, `[P]`."""
        return np.array([math.fsum(gains) for gains in self.recommendation_gains])

    @property
    def gap(self) -> float:
        """The CE gap: the sum of the gains. Zero means a CE of the whole game."""
        return math.fsum(self.gains)

    @property
    def recommendation(self) -> list[int]:
        """Each player's recommendation with the largest gain; the first of equal ones."""
        return [int(np.argmax(gains)) for gains in self.recommendation_gains]


def coarse_correlated_gap(meta_game: ExactMetaGame, strategy: MetaStrategy) -> CoarseCorrelatedGap:
    """The CCE gap of a meta-strategy, by one best response for each player. If players draw
    independently, it is the NashConv.

    Raises:
        JointError: the strategy is not a distribution over the meta-game's profiles.
    """
    joint = _joint(meta_game, strategy)
    best = np.empty(joint.ndim)
    for p, player in enumerate(meta_game.tree.players):
        best[p] = exact.best_response_value(player, _gains(meta_game, p, joint.sum(axis=p)))
    measured = exact.Exploitability.of(_value(meta_game, joint), best, meta_game.rounding)
    return CoarseCorrelatedGap(
        value=measured.value, best_response_value=measured.best_response_value
    )


def correlated_gap(meta_game: ExactMetaGame, strategy: MetaStrategy) -> CorrelatedGap:
    """The CE gap of a meta-strategy, by one best response for each recommendation with weight.

    Raises:
        JointError: as in `coarse_correlated_gap`.
    """
    joint = _joint(meta_game, strategy)
    recommendation_gains = []
    for p, player in enumerate(meta_game.tree.players):
        leaving = np.zeros(joint.shape[p])
        for k in np.flatnonzero(strategy.marginals[p]):
            gains = _gains(meta_game, p, np.take(joint, k, axis=p))
            obeying = meta_game.worth(p, gains, k)
            leaving[k] = max(0.0, exact.best_response_value(player, gains) - obeying)
        recommendation_gains.append(without_rounding(leaving, meta_game.rounding))
    return CorrelatedGap(
        value=_value(meta_game, joint), recommendation_gains=tuple(recommendation_gains)
    )


def _gains(meta_game: ExactMetaGame, player: int, weights: np.ndarray) -> np.ndarray:
    """The gains of the player's sequences, `[S]`, against the others' profiles, drawn by
    `weights`."""
    tree = meta_game.tree
    if tree.num_players == 2:  # in games of any form
        return meta_game.gains_against(player, weights)
    return exact.sequence_returns(tree, player, joint_opponent_reach(meta_game, player, weights))


def _value(meta_game: ExactMetaGame, joint: np.ndarray) -> np.ndarray:
    """Every player's expected return under the joint, `[P]`."""
    value = meta_game.payoffs.reshape(len(meta_game.payoffs), -1) @ joint.ravel()
    return without_rounding(value, meta_game.rounding)


def _joint(meta_game: ExactMetaGame, strategy: MetaStrategy) -> np.ndarray:
    """The strategy's probabilities of profiles, `[K_0, ..., K_{P-1}]`, after checks."""
    joint, counts = strategy.profiles, meta_game.payoffs.shape[1:]
    if joint.shape != counts:
        raise JointError(f"a joint of shape {joint.shape} over populations of {counts} policies")
    if not (joint >= 0).all() or not abs(joint.sum() - 1) <= 1e-6:
        raise JointError(
            f"a joint must be probabilities that add up to 1; its least is {joint.min():.3g} and "
            f"they add up to {joint.sum():.9g}"
        )
    return joint
