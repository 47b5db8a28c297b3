"""Projected replicator dynamics (Lanctot et al. 2017, arXiv:1711.00832, section 3.1 and appendix).

In these replicator dynamics every policy keeps a least probability, for exploration.
"""

from __future__ import annotations

import numpy as np

from psro.metagame.solvers.payoffs import checked, unit
from psro.metagame.solvers.regret import pure_payoffs
from psro.metagame.solvers.settings import Count, PositiveShare, Share
from psro.metagame.solvers.uniform import uniform


def projected_replicator(
    payoffs: np.ndarray,
    *,
    gamma: Share = 0.01,
    step: PositiveShare = 0.05,
    iterations: Count = 2_000,
) -> list[np.ndarray]:
    """The average over Euler steps of the dynamics that start at uniform play, `[K_p]` per player:

        x_p <- P(x_p + step * dx_p),  dx_p(k) = x_p(k) (u_p(k, x_-p) - u_p(x)),

    Here u_p is player p's payoff. P projects to the distributions with no entry below the least
    probability (the paper's gamma-exploratory simplex).

    Args:
        payoffs: `[P, K_0, ..., K_{P-1}]`.
        gamma: exploration: no policy's probability is below gamma / (K_p + 1).
        step: time of one Euler step. In one unit of time, if a policy earns the whole payoff span
            more than another, their ratio grows by a factor of e.
        iterations: number of Euler steps.

    Raises:
        MetaSolverError: payoffs of a wrong shape.
    """
    payoffs = unit(checked(payoffs, "projected_replicator"))
    strategies = uniform(payoffs)
    totals = [strategy.copy() for strategy in strategies]
    for _ in range(iterations):
        earned = pure_payoffs(payoffs, strategies)
        for p, x in enumerate(strategies):
            moved = x + step * x * (earned[p] - earned[p] @ x)
            strategies[p] = project(moved, gamma / (len(x) + 1))
            totals[p] += strategies[p]
    return [total / total.sum() for total in totals]


def project(point: np.ndarray, floor: float) -> np.ndarray:
    """The nearest distribution `[K]` with no entry below `floor` (Wang and Carreira-Perpinan 2013,
    "Projection onto the probability simplex", arXiv:1309.1541)."""
    above = point - floor
    mass = 1 - floor * len(point)
    descending = np.sort(above)[::-1]
    shifts = (np.cumsum(descending) - mass) / np.arange(1, len(point) + 1)
    shift = shifts[np.count_nonzero(descending > shifts) - 1]
    return np.maximum(above - shift, 0.0) + floor
