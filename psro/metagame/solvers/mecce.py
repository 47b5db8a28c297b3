"""The coarse correlated equilibrium with maximum Shannon entropy (Ortiz, Schapire and Kakade 2007,
"Maximum Entropy Correlated Equilibria"): unique."""

from __future__ import annotations

import numpy as np

from psro.metagame.solvers.correlated import coarse_correlated
from psro.metagame.solvers.payoffs import checked


def mecce(payoffs: np.ndarray) -> np.ndarray:
    """The coarse correlated equilibrium with the largest -sum(joint log joint).

    From payoffs `[P, K_0, ..., K_{P-1}]`, a joint `[K_0, ..., K_{P-1}]`.

    Raises:
        MetaSolverError: payoffs of a wrong shape, or no result passed its certificate.
    """
    return coarse_correlated(checked(payoffs, "mecce"), "entropy")
