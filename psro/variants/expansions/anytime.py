"""Opponents that change while a best response learns: anytime PSRO (McAleer et al. 2022,
arXiv:2201.07700, algorithm 3) and efficient PSRO (Zhou et al. 2022, arXiv:2202.00633,
algorithm 1)."""

from __future__ import annotations

import numpy as np

from psro.metagame.solvers import regret_minimisers
from psro.metagame.strategy import MetaStrategy
from psro.variants.expansions.base import Expanded, Situation, Steps, Train


def anytime(now: Situation) -> Steps:
    """Each player's mixture over its population moves by regret minimisation. It moves against the
    *other player's* best response, which learns at the same time. Together they play the game in
    which one player is restricted to its population and the other is not: `max over sigma_p in
    Delta(Pi_p) of min over any pi_-p of u_p(sigma_p, pi_-p)`. Here Pi_p is the population and u_p
    is the expected return. So the average mixture approaches the least exploitable one. After T
    rounds against exact best responses, its exploitability is larger by at most the average regret,
    `O(sqrt(K / T))` for K policies (`regret_minimisers`). When a population grows, the
    exploitability of the least exploitable mixture cannot rise. That of the meta-game's equilibrium
    can.

    Training is cut into `rounds`. After each round the mixtures move by one step, and best
    responses are trained further. The average mixture is the meta-strategy. The policies that the
    iteration adds have no weight in it. Best responses to the average itself would be worse
    policies to add: many policies are nearly equally good against it, and the best of them may be
    in the population already.

    EPSRO solves the same game, which it calls unrestricted-restricted (URR). It needs no payoff
    table, but here the table costs nothing. Its best responses start from the previous ones
    (`init`). Its mixtures move by multiplicative weights (`hedge`).

    The papers do not fix the minimiser, nor how many of its steps go with one step of the best
    response. Here there are `rounds` of both. Each mixture starts again from the uniform one in
    every iteration, so no state is kept between iterations.
    """
    size, span = now.meta_game.size, now.span
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
