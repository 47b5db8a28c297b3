"""Equal weights. PSRO with them is fictitious play over best responses (Lanctot et al. 2017)."""

from __future__ import annotations

import numpy as np

from psro.metagame.solvers.payoffs import checked


def uniform(payoffs: np.ndarray) -> list[np.ndarray]:
    """The uniform distribution over each player's policies, `sigma(k) = 1 / K`. Iteration t trains
    against `(pi_0 + ... + pi_(t-1)) / t`, an average of plans. So this is fictitious play in the
    whole game (Brown 1951; Heinrich et al. 2015), starting from the untrained policies."""
    return [np.full(size, 1.0 / size) for size in checked(payoffs, "uniform").shape[1:]]
