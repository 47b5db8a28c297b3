"""Regret matching (Hart and Mas-Colell 2000) on expected payoffs.

nashpy's `regret_minimization` subtracts a probability from a payoff and returns a pure strategy, so
it is not used.
"""

from __future__ import annotations

import numpy as np

from psro.metagame.solvers.payoffs import checked, unit
from psro.metagame.solvers.regret import pure_payoffs
from psro.metagame.solvers.settings import Count
from psro.metagame.solvers.uniform import uniform


def regret_matching(payoffs: np.ndarray, *, iterations: Count = 3_000) -> list[np.ndarray]:
    """Each player's average strategy `[K_p]` over all rounds. In each round, x(k) is in proportion
    to `max(R(k), 0)`. Then `R(k) <- R(k) + u(k) - u(x)`, where u(k) is what policy k would have
    earned.

    A player's average regret after T rounds is at most sqrt(K_p / T) of its payoff span. So in
    two-player zero-sum games the averages converge to an equilibrium. In other games only the joint
    average converges, to the set of coarse correlated equilibria; the result has its marginals.

    Args:
        payoffs: `[P, K_0, ..., K_{P-1}]`.
        iterations: rounds (T).
    """
    payoffs = unit(checked(payoffs, "regret_matching"))
    strategies = uniform(payoffs)
    regret = [np.zeros(size) for size in payoffs.shape[1:]]
    totals = [np.zeros(size) for size in payoffs.shape[1:]]
    for _ in range(iterations):
        earned = pure_payoffs(payoffs, strategies)
        for p, strategy in enumerate(strategies):
            totals[p] += strategy
            regret[p] += earned[p] - earned[p] @ strategy
            positive = np.maximum(regret[p], 0.0)
            total = positive.sum()
            strategies[p] = (
                positive / total if total > 0 else np.full(len(strategy), 1 / len(strategy))
            )
    return [total / total.sum() for total in totals]
