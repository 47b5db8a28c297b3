"""Self-play against a window of recent policies."""

from __future__ import annotations

import numpy as np

from psro.metagame.solvers.payoffs import checked
from psro.metagame.solvers.settings import Count


def last_k(payoffs: np.ndarray, *, k: Count = 5) -> list[np.ndarray]:
    """The uniform distribution over each player's newest `k` policies, or all if there are fewer:
    `sigma(n) = 1 / min(k, K)` for `n >= K - k`, else 0. Like `last`, it may not converge.

    Args:
        payoffs: `[P, K_0, ..., K_{P-1}]`.
        k: width of the window.
    """
    payoffs = checked(payoffs, "last_k")
    return [
        np.where(np.arange(size) >= size - k, 1 / min(k, size), 0.0) for size in payoffs.shape[1:]
    ]
