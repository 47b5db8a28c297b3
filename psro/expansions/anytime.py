"""Opponents that move while a best response learns: anytime PSRO (McAleer et al. 2022,
arXiv:2201.07700, algorithm 3) and efficient PSRO (Zhou et al. 2022, arXiv:2202.00633,
algorithm 1)."""

from __future__ import annotations

import numpy as np

from psro.expansions.base import Expanded, Situation, Steps, Train
from psro.meta_strategy import MetaStrategy
from psro.regret_minimisers import Hedge


def anytime(now: Situation) -> Steps:
    """Each player's mixture over its population moves by regret minimisation against the *other
    player's* best response, which learns meanwhile: together they play the game in which the one is
    restricted to its population and the other is not, so that the average mixture approaches the
    least exploitable one. Its exploitability cannot rise when a population grows, as the one of the
    meta-game's equilibrium can.

    Training is cut into `rounds`; after each the mixtures move by one step of multiplicative
    weights, and best responses are trained further. In the last round they train against the
    average, which is the meta-strategy: the policies that the iteration adds have no weight in it.
    """
    size = now.meta_game.size
    learners = [Hedge.fresh(size, now.rounds) for _ in range(2)]
    for _ in range(now.rounds):
        against = MetaStrategy(marginals=tuple(each.strategy for each in learners))
        meta_game = yield [Train(slot=size, against=against)]
        payoffs = meta_game.payoffs
        earned = payoffs[0][:size, size], payoffs[1][size, :size]
        learners = [each.updated(own) for each, own in zip(learners, earned, strict=True)]
    return Expanded(
        meta_strategy=MetaStrategy(
            marginals=tuple(np.append(each.average, 0.0) for each in learners)
        )
    )
