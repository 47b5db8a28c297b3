"""The coarse correlated equilibrium with maximum welfare, the players' summed payoffs."""

from __future__ import annotations

import numpy as np

from psro.metagame.solvers.correlated import coarse_correlated
from psro.metagame.solvers.payoffs import checked


def mwcce(payoffs: np.ndarray) -> np.ndarray:
    """A coarse correlated equilibrium with the largest expected sum of payoffs. If there are
    several, it is a vertex of their set.

    From payoffs `[P, K_0, ..., K_{P-1}]`, a joint `[K_0, ..., K_{P-1}]`.

    Raises:
        MetaSolverError: payoffs of a wrong shape, or no result passed its certificate.
    """
    return coarse_correlated(checked(payoffs, "mwcce"), "welfare")
