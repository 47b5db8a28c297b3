"""Certificates of a meta-strategy: the gains of players by deviating.

A product is one distribution `[K_p]` per player, played independently; a joint is one distribution
`[K_0, ..., K_{P-1}]` over profiles, from which all players' policies are drawn together.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from psro.errors import PsroError


class MetaSolverError(PsroError):
    """A solver cannot solve this meta-game; one sentence says why."""


def pure_payoffs(payoffs: np.ndarray, strategies: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Payoffs of each player's policies against the others' strategies, `[K_p]` for each player.

    Args:
        payoffs: `[P, K_0, ..., K_{P-1}]`.
        strategies: one distribution `[K_p]` per player; they are played independently.
    """
    earned = []
    for p in range(len(strategies)):
        table = payoffs[p]
        for strategy in reversed(strategies[p + 1 :]):  # the last axis first
            table = table @ strategy
        for strategy in strategies[:p]:  # then the first one
            shape = table.shape[1:]
            table = (strategy @ table.reshape(len(strategy), -1)).reshape(shape)
        earned.append(table)
    return earned


def regrets(payoffs: np.ndarray, strategies: Sequence[np.ndarray]) -> np.ndarray:
    """Each player's best gain from a pure deviation, `[P]`, in units of payoff; at least 0.

    Args:
        payoffs: `[P, K_0, ..., K_{P-1}]`.
        strategies: one distribution `[K_p]` per player; they are played independently.
    """
    earned = pure_payoffs(payoffs, strategies)
    return np.array([max(e.max() - e @ s, 0.0) for e, s in zip(earned, strategies, strict=True)])


def joint_of(strategies: Sequence[np.ndarray]) -> np.ndarray:
    """The joint `[K_0, ..., K_{P-1}]` of strategies `[K_p]` that are played independently."""
    joint = np.ones(())
    for strategy in strategies:
        joint = np.multiply.outer(joint, strategy)
    return joint


def marginals(joint: np.ndarray) -> list[np.ndarray]:
    """Each player's own distribution `[K_p]` under a joint `[K_0, ..., K_{P-1}]`."""
    players = range(joint.ndim)
    return [joint.sum(axis=tuple(q for q in players if q != p)) for p in players]


def cce_gains(payoffs: np.ndarray, joint: np.ndarray) -> np.ndarray:
    """Each player's largest gain if it fixes one policy before the draw, `[P]`.

    In a coarse correlated equilibrium no gain is above 0 (Moulin and Vial 1978). A gain is negative
    if the player loses with every fixed policy.

    Args:
        payoffs: `[P, K_0, ..., K_{P-1}]`.
        joint: a distribution over profiles, `[K_0, ..., K_{P-1}]`.
    """
    return np.array([gains.max() for gains in fixed_gains(payoffs, joint)])


def fixed_gains(payoffs: np.ndarray, joint: np.ndarray) -> list[np.ndarray]:
    """Each player's gains if it fixes a policy before the draw, `[K_p]` for each player."""
    gains = []
    for p in range(joint.ndim):
        table = np.moveaxis(payoffs[p], p, 0).reshape(joint.shape[p], -1)
        gains.append(table @ joint.sum(axis=p).ravel() - (payoffs[p] * joint).sum())
    return gains


def ce_gains(payoffs: np.ndarray, joint: np.ndarray) -> list[np.ndarray]:
    """Each player's gain by the best swap of each recommended policy, `[K_p]` for each player.

    An entry is the gain if the policy is drawn, times the probability of the policy. It is at least
    0. In a correlated equilibrium all entries are 0 (Aumann 1974). The sum of a player's entries is
    its gain by its best swap of all policies at once.

    Args:
        payoffs: `[P, K_0, ..., K_{P-1}]`.
        joint: a distribution over profiles, `[K_0, ..., K_{P-1}]`.
    """
    return [swaps.max(axis=1) for swaps in swap_gains(payoffs, joint)]


def swap_gains(payoffs: np.ndarray, joint: np.ndarray) -> list[np.ndarray]:
    """Each player's gain by playing k' if k is recommended, `[K_p, K_p]` (k, k')."""
    gains = []
    for p in range(joint.ndim):
        table = np.moveaxis(payoffs[p], p, 0).reshape(joint.shape[p], -1)
        others = np.moveaxis(joint, p, 0).reshape(joint.shape[p], -1)
        earned = others @ table.T  # [k, k']
        gains.append(earned - np.diagonal(earned)[:, None])
    return gains
