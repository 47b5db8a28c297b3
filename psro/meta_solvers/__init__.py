"""Meta-solvers: payoffs `[P, K_0, ..., K_{P-1}]` to one distribution `[K_p]` per player.

A solver is one file and one line in `META_SOLVERS`.
"""

from collections.abc import Callable

import numpy as np

from psro.meta_solvers.nash import nash
from psro.meta_solvers.regret import MetaSolverError, regrets
from psro.meta_solvers.uniform import uniform

MetaSolver = Callable[[np.ndarray], list[np.ndarray]]

META_SOLVERS: dict[str, MetaSolver] = {"nash": nash, "uniform": uniform}

TWO_PLAYER_ZERO_SUM = frozenset({"nash"})
"""The solvers that are for two-player zero-sum games only."""

__all__ = [
    "META_SOLVERS",
    "TWO_PLAYER_ZERO_SUM",
    "MetaSolver",
    "MetaSolverError",
    "nash",
    "regrets",
    "uniform",
]
