"""Self-play: every player meets the others' newest policies. Lanctot et al. 2017 (arXiv:1711.00832,
section 3) describe it as a case of PSRO."""

from __future__ import annotations

import numpy as np

from psro.metagame.solvers.last_k import last_k
from psro.metagame.solvers.payoffs import checked


def last(payoffs: np.ndarray) -> list[np.ndarray]:
    """All weight on each player's newest policy, `sigma(K - 1) = 1`, from payoffs
    `[P, K_0, ..., K_{P-1}]`. It may not converge: best responses may cycle."""
    return last_k(checked(payoffs, "last"), k=1)
