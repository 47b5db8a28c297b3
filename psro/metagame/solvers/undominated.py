"""An equilibrium of a small table that no other one Pareto-dominates, through all extreme
equilibria in exact arithmetic."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from psro.exact.rational.enumeration import extreme_equilibria
from psro.exact.rational.numbers import floats, fractions
from psro.metagame.solvers.regret import pure_payoffs, regrets

MAX_ENUMERATED = 8
"""All equilibria are enumerated if no player has more policies than this."""

_LOSS = 1e-9
"""No player of a better equilibrium gets less than before by more than this."""

_GAIN = 1e-6
"""The least gain of all players together that counts."""


def undominated(
    payoffs: np.ndarray,
    solution: list[np.ndarray],
    *,
    tolerance: float,
    rank: Callable[[np.ndarray, list[np.ndarray]], tuple[float, float]],
) -> list[np.ndarray]:
    """The solution itself; or, of the equilibria in which nobody earns less and somebody earns
    more, that of the highest rank.

    Args:
        payoffs: `[2, K_0, K_1]`, each player's within [0, 1].
        solution: an equilibrium, `[K_0]` and `[K_1]`.
        tolerance: the largest regret of an equilibrium in floating point.
        rank: of an equilibrium; larger is better.
    """
    if max(payoffs.shape[1:]) > MAX_ENUMERATED:
        return solution
    before = _earned(payoffs, solution)
    better = []
    for profile in extreme_equilibria(fractions(payoffs)):
        candidate = [floats(strategy) for strategy in profile.strategies]
        gain = _earned(payoffs, candidate) - before
        dominates = gain.min() >= -_LOSS and gain.sum() > _GAIN
        if dominates and regrets(payoffs, candidate).max() <= tolerance:
            better.append(candidate)
    return max([solution, *better], key=lambda one: rank(payoffs, one))


def _earned(payoffs: np.ndarray, strategies: list[np.ndarray]) -> np.ndarray:
    """Both players' expected payoffs, `[2]`."""
    earned = pure_payoffs(payoffs, strategies)
    return np.array([own @ strategy for own, strategy in zip(earned, strategies, strict=True)])
