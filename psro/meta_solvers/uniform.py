"""Every policy alike: PSRO with it is fictitious play over best responses (Lanctot et al. 2017)."""

from __future__ import annotations

import numpy as np

from psro.meta_solvers.payoffs import checked


def uniform(payoffs: np.ndarray) -> list[np.ndarray]:
    """The uniform distribution over each player's policies."""
    return [np.full(size, 1.0 / size) for size in checked(payoffs, "uniform").shape[1:]]
