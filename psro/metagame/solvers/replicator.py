"""Replicator dynamics (Taylor and Jonker 1978; Taylor 1979 for several populations).

nashpy's version is for two players and returns a trajectory. The tests compare both.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from psro.metagame.solvers.payoffs import checked, unit
from psro.metagame.solvers.regret import pure_payoffs
from psro.metagame.solvers.settings import Finite

STEP = 0.5
"""Time of one Runge-Kutta step. Payoffs are within [0, 1], so nothing changes much in less than one
unit of time."""


def replicator(payoffs: np.ndarray, *, time: Finite = 500.0) -> list[np.ndarray]:
    """The time average of the dynamics that start at uniform play, `[K_p]` per player:
    `dx_p(k) / dt = x_p(k) (u_p(k, x_-p) - u_p(x))`, where u_p is player p's payoff.

    In zero-sum games the dynamics circle an equilibrium, and only their average approaches it. The
    sum of all gains from the average is at most sum_p log(K_p) / time of the payoff span (Hofbauer,
    Sorin and Viossat 2009). If the dynamics converge, the average converges too.

    Args:
        payoffs: `[P, K_0, ..., K_{P-1}]`.
        time: length of the dynamics. In one unit, if a policy earns the whole payoff span more than
            another, their ratio grows by a factor of e.
    """
    payoffs = unit(checked(payoffs, "replicator"))
    totals = [np.zeros(size) for size in payoffs.shape[1:]]
    for number, (_, average) in enumerate(trajectory(payoffs)):
        for total, weights in zip(totals, average, strict=True):
            total += weights
        if (number + 1) * STEP >= time:
            return [total / total.sum() for total in totals]


def trajectory(payoffs: np.ndarray) -> Iterator[tuple[list[np.ndarray], list[np.ndarray]]]:
    """Yields without end: the strategies after every step, and their average over the step.

    In coordinates log x the equations are d log x_pk / dt = (payoff of k) + (a term that is the
    same for all k). So no probability is lost by rounding, and no strategy leaves the simplex. The
    method is the classical Runge-Kutta of order 4. The average has the same weights as its stages.
    """
    logits = [np.zeros(size) for size in payoffs.shape[1:]]
    while True:
        stages, slopes = [], []
        for part in (0.0, 0.5, 0.5, 1.0):
            at = logits
            if slopes:
                at = [x + part * STEP * v for x, v in zip(logits, slopes[-1], strict=True)]
            stages.append([softmax(x) for x in at])
            slopes.append(pure_payoffs(payoffs, stages[-1]))
        logits = [
            x + STEP * (a + 2 * b + 2 * c + d) / 6
            for x, a, b, c, d in zip(logits, *slopes, strict=True)
        ]
        logits = [x - x.max() for x in logits]
        average = [(a + 2 * b + 2 * c + d) / 6 for a, b, c, d in zip(*stages, strict=True)]
        yield [softmax(x) for x in logits], average


def softmax(logits: np.ndarray) -> np.ndarray:
    """The distribution `[K]` in proportion to exp(logits)."""
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()
