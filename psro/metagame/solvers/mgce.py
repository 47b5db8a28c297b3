"""The correlated equilibrium with maximum Gini impurity (Marris et al. 2021, arXiv:2106.09435,
section 4): unique, and with the widest support that the constraints allow."""

from __future__ import annotations

import numpy as np

from psro.metagame.solvers.correlated import correlated
from psro.metagame.solvers.payoffs import checked


def mgce(payoffs: np.ndarray) -> np.ndarray:
    """The correlated equilibrium with the largest 1 - sum(joint ** 2).

    From payoffs `[P, K_0, ..., K_{P-1}]`, a joint `[K_0, ..., K_{P-1}]`.

    Raises:
        MetaSolverError: payoffs of a wrong shape, or no result passed its certificate.
    """
    return correlated(checked(payoffs, "mgce"), "gini")
