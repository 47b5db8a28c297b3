"""The average of the newest part of a run."""

from __future__ import annotations

import math

import numpy as np

from psro.metagame.solvers.last_k import last_k
from psro.metagame.solvers.payoffs import checked
from psro.metagame.solvers.settings import PositiveShare


def suffix_average(payoffs: np.ndarray, *, share: PositiveShare = 0.5) -> list[np.ndarray]:
    """The uniform distribution over the newest part of each player's policies. It is the average
    of iterates that turn around an equilibrium, without those of the beginning (Rakhlin et al.
    2012, arXiv:1109.5647, section 5: suffix averaging). It does not depend on payoffs.

    Args:
        payoffs: `[P, K_0, ..., K_{P-1}]`.
        share: the part of the policies that counts, above 0 and at most 1.
    """
    payoffs = checked(payoffs, "suffix_average")
    return [
        last_k(payoffs, k=math.ceil(share * size))[player]
        for player, size in enumerate(payoffs.shape[1:])
    ]
