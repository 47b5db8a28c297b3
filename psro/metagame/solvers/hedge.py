"""Multiplicative weights in self-play, which online double oracle has in place of an equilibrium
(Dinh et al. 2021, arXiv:2103.07780; Freund and Schapire 1999)."""

from __future__ import annotations

import numpy as np

from psro.metagame.solvers import regret_minimisers
from psro.metagame.solvers.payoffs import checked, unit
from psro.metagame.solvers.regret import pure_payoffs
from psro.metagame.solvers.settings import Count


def hedge(payoffs: np.ndarray, *, iterations: Count = 3_000) -> list[np.ndarray]:
    """Each player's average strategy `[K_p]` over all rounds of `regret_minimisers.hedge_step`, in
    which `x_(t+1)(k)` is in proportion to `exp(mu_t (u_1(k) + ... + u_t(k)))`, u_t(k) being what
    policy k would have earned in round t.

    A player's average regret after T rounds is at most `sqrt(2 log K_p / T)` of its payoff span,
    and a little. So in two-player zero-sum games the averages tend to an equilibrium, from which
    the players together gain no more than both regrets; elsewhere only the joint average tends to
    a coarse correlated one, of which these are the marginals.

    Online double oracle plays such rounds against whoever comes, and its effective strategy set
    grows by the best response to the average opponent when that is new to it; its regret is
    `O(sqrt(k log k / T))` in that set's size k and not the game's. Both players are such here,
    and the meta-game is played to its end before a best response is asked for. Once best
    responses bring nothing new the bound above holds against all strategies of the game.

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
