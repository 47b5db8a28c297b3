"""Alpha-Rank of a symmetric game: the policies of one population play each other.

Omidshafiei et al. 2019, "alpha-Rank: Multi-Agent Evaluation by Evolution", arXiv:1903.01373, with
the local selection model: a mutant is measured against the resident policy.
"""

from __future__ import annotations

import numpy as np

from games.units import ALIKE, rounding, span
from psro.metagame.solvers.alpha_rank import fixation, stationary
from psro.metagame.solvers.payoffs import checked
from psro.metagame.solvers.regret import MetaSolverError
from psro.metagame.solvers.settings import Count, Positive, PositiveShare


def alpha_rank_single(
    payoffs: np.ndarray,
    *,
    epsilon: PositiveShare = 1e-10,
    alpha: Positive = np.inf,
    population: Count = 50,
) -> list[np.ndarray]:
    """The stationary distribution `[K]` over the population's policies, once for each player.

    Args:
        payoffs: `[2, K, K]` of a symmetric game: `payoffs[1]` is `payoffs[0]` transposed.
        epsilon: for infinite `alpha`, the probability of a change for the worse.
        alpha: selection intensity, per unit of payoff; infinite by default.
        population: individuals in the population (m), for finite `alpha`.

    Raises:
        MetaSolverError: payoffs of a wrong shape, not symmetric, or an `alpha` so large that the
            chain falls apart in floating point.
    """
    payoffs = checked(payoffs, "alpha_rank_single")
    tolerance = ALIKE * span(payoffs) + rounding(payoffs)
    if (
        len(payoffs) != 2
        or payoffs.shape[1] != payoffs.shape[2]
        or np.abs(payoffs[0] - payoffs[1].T).max() > tolerance
    ):
        raise MetaSolverError(
            "meta-solver alpha_rank_single is for symmetric games of two players, whose payoff "
            "tables are each other's transpose; use alpha_rank"
        )
    table = payoffs[0]
    gain = table.T - table  # [resident, mutant]: the mutant's payoff minus the resident's
    rates = fixation(gain, np.ptp(table), epsilon=epsilon, alpha=alpha, population=population)
    ranking = stationary(rates)
    return [ranking, ranking.copy()]
