"""Opponents that change while a best response learns: anytime PSRO (McAleer et al. 2022,
arXiv:2201.07700, algorithm 3) and efficient PSRO (Zhou et al. 2022, arXiv:2202.00633,
algorithm 1)."""

from __future__ import annotations

import numpy as np

from psro.metagame.solvers import regret_minimisers
from psro.metagame.strategy import MetaStrategy
from psro.variants.expansions.base import Expanded, Situation, Steps, Train


def anytime(now: Situation) -> Steps:
    """Each player's mixture over its population moves by regret minimisation against the *other
    player's* best response, which learns meanwhile: together they play the game in which the one is
    restricted to its population and the other is not, `max over sigma_p in Delta(Pi_p) of min over
    any pi_-p of u_p(sigma_p, pi_-p)`, for Pi_p the population and u_p the expected return. So the
    average mixture approaches the least exploitable one: after T rounds against exact best
    responses it is exploited by at most the average regret more, `O(sqrt(K / T))` for K policies
    (`regret_minimisers`). The least exploitable one's exploitability cannot rise when a population
    grows, as that of the meta-game's equilibrium can.

    Training is cut into `rounds`; after each the mixtures move by one step, and best responses are
    trained further. The average mixture is the meta-strategy: the policies that the iteration adds
    have no weight in it. Best responses to the average itself would be worse to add: it leaves many
    nearly equally good ones, of which the best may be in the population already.

    EPSRO solves the same game, which it calls unrestricted-restricted (URR). It adds that no payoff
    table is needed, which here costs nothing; that best responses start from the ones before
    (`init`); and its mixtures move by multiplicative weights (`hedge`).

    The papers leave open which minimiser, and how many of its steps there are to one of the best
    response: here `rounds` of both, each mixture beginning anew from the even one, so that nothing
    has to be remembered between iterations.
    """
    size, span = now.meta_game.size, now.meta_game.tree.span or 1.0
    states = [regret_minimisers.init(size) for _ in range(2)]
    for _ in range(now.rounds):
        against = MetaStrategy(marginals=tuple(state.strategy for state in states))
        meta_game = yield [Train(slot=size, against=against)]
        payoffs = meta_game.payoffs / span
        earned = payoffs[0][:size, size], payoffs[1][size, :size]
        states = [now.minimise(*pair)[0] for pair in zip(states, earned, strict=True)]
    averages = [regret_minimisers.average(state) for state in states]
    return Expanded(
        meta_strategy=MetaStrategy(marginals=tuple(np.append(weights, 0.0) for weights in averages))
    )
