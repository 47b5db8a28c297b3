"""The first step of every meta-solver: check the payoffs, and remove their units."""

from __future__ import annotations

import numpy as np

from psro.metagame.solvers.regret import MetaSolverError


def checked(payoffs: np.ndarray, solver: str) -> np.ndarray:
    """Payoffs as float64 `[P, K_0, ..., K_{P-1}]`.

    Raises:
        MetaSolverError: not that shape, no policy, or a payoff that is not finite.
    """
    payoffs = np.asarray(payoffs, dtype=np.float64)
    num_tables = payoffs.shape[0] if payoffs.ndim else 0
    if payoffs.ndim < 2 or payoffs.ndim != num_tables + 1:
        raise MetaSolverError(
            f"meta-solver {solver} needs payoffs [P, K_0, ..., K_(P-1)], one axis per player after "
            f"the first; these have the shape {list(payoffs.shape)}"
        )
    if not payoffs.size or not np.isfinite(payoffs).all():
        raise MetaSolverError(
            f"meta-solver {solver} needs finite payoffs of at least one policy per player"
        )
    return payoffs


def unit(payoffs: np.ndarray) -> np.ndarray:
    """Each player's payoffs shifted and scaled to [0, 1] (all 0 if they are all equal).

    No equilibrium concept depends on a player's units. In these units, step sizes and temperatures
    mean the same in every game.
    """
    axes = tuple(range(1, payoffs.ndim))
    least = payoffs.min(axis=axes, keepdims=True)
    span = payoffs.max(axis=axes, keepdims=True) - least
    return (payoffs - least) / np.where(span > 0, span, 1.0)
