"""Fictitious play (Brown 1951): every player always answers the others' past play.

nashpy's version is for two players and breaks ties at random. Here ties share the probability, so
that a run can be repeated and the order of policies does not matter.
"""

from __future__ import annotations

import numpy as np

from psro.metagame.solvers.payoffs import checked, unit
from psro.metagame.solvers.regret import pure_payoffs
from psro.metagame.solvers.settings import Count
from psro.metagame.solvers.uniform import uniform

_TIE = 1e-12
"""Policies that earn this much less than the best, as a share of the payoff span, tie with it."""


def fictitious_play(payoffs: np.ndarray, *, iterations: Count = 3_000) -> list[np.ndarray]:
    """How often each policy was played, one distribution `[K_p]` per player: the averages x move by
    `x_p <- x_p + (BR_p(x_-p) - x_p) / t` in round t.

    The averages converge to an equilibrium in two-player zero-sum games (Robinson 1951) and in some
    other games, but not in all.

    Args:
        payoffs: `[P, K_0, ..., K_{P-1}]`.
        iterations: rounds of simultaneous best responses. The first round answers uniform play.
    """
    payoffs = unit(checked(payoffs, "fictitious_play"))
    averages = uniform(payoffs)
    for played in range(iterations):
        earned = pure_payoffs(payoffs, averages)
        for p, payoff in enumerate(earned):
            best = payoff >= payoff.max() - _TIE
            averages[p] = (played * averages[p] + best / best.sum()) / (played + 1)
    return averages
