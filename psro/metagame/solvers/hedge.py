"""Multiplicative weights in self-play. Online double oracle uses it in place of an equilibrium
(Dinh et al. 2021, arXiv:2103.07780; Freund and Schapire 1999)."""

from __future__ import annotations

import numpy as np

from psro.metagame.solvers import regret_minimisers
from psro.metagame.solvers.payoffs import checked, unit
from psro.metagame.solvers.regret import pure_payoffs
from psro.metagame.solvers.settings import Count


def hedge(payoffs: np.ndarray, *, iterations: Count = 3_000) -> list[np.ndarray]:
    """Each player's average strategy `[K_p]` over all rounds of `regret_minimisers.hedge_step`, in
    which `x_(t+1)(k)` is in proportion to `exp(mu_t (u_1(k) + ... + u_t(k)))`. Here u_t(k) is what
    policy k would have earned in round t.

    A player's average regret after T rounds is at most `sqrt(2 log K_p / T)` of its payoff span,
    plus a term of order 1 / T. So in two-player zero-sum games the averages converge to an
    equilibrium: the sum of both players' gains is at most the sum of both regrets. In other games
    only the joint average converges, to the set of coarse correlated equilibria; the result has its
    marginals.

    Online double oracle plays such rounds against any opponent. Its effective strategy set grows by
    the best response to the average opponent, if that policy is new. Its regret is
    `O(sqrt(k log k / T))`, where k is the size of that set and not of the game. Here both players
    use this method, and all rounds are played before best responses are trained. When best
    responses are no longer new, the bound above holds against all strategies of the game.

    Args:
        payoffs: `[P, K_0, ..., K_{P-1}]`.
        iterations: rounds (T).
    """
    payoffs = unit(checked(payoffs, "hedge"))
    states = [regret_minimisers.init(size) for size in payoffs.shape[1:]]
    for _ in range(iterations):
        earned = pure_payoffs(payoffs, [state.strategy for state in states])
        states = [
            regret_minimisers.hedge_step(state, payoff)[0]
            for state, payoff in zip(states, earned, strict=True)
        ]
    return [regret_minimisers.average(state) for state in states]
