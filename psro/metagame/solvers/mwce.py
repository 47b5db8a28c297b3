"""The correlated equilibrium with maximum welfare, the players' summed payoffs."""

from __future__ import annotations

import numpy as np

from psro.metagame.solvers.correlated import correlated
from psro.metagame.solvers.payoffs import checked


def mwce(payoffs: np.ndarray) -> np.ndarray:
    """A correlated equilibrium with the largest expected sum of payoffs. If there are several, it
    is a vertex of their set.

    From payoffs `[P, K_0, ..., K_{P-1}]`, a joint `[K_0, ..., K_{P-1}]`.

    Raises:
        MetaSolverError: payoffs of a wrong shape, or no result passed its certificate.
    """
    return correlated(checked(payoffs, "mwce"), "welfare")
