"""A stochastic policy is added beside every best response: self-play PSRO (SP-PSRO; McAleer et al.
2022, arXiv:2207.06541, algorithm 1)."""

from __future__ import annotations

import numpy as np

from psro.metagame.solvers import regret_minimisers
from psro.metagame.strategy import MetaStrategy
from psro.variants.expansions.base import Expanded, Place, Situation, Steps, Train


def stochastic(now: Situation) -> Steps:
    """As `anytime`, but that each player's mixture is over its population and one policy more,
    nu, which is itself trained, against the other player's best response beta as it learns. The
    average over rounds of what it was is added to the population, beside the best response:

        nu_p^t = BR(beta_-p^(t-1)),  Pi_p <- Pi_p + {beta_p^T, (nu_p^1 + ... + nu_p^T) / T}.

    The paper trains the new policy off-policy and averages it by supervised learning. Here it is
    a best response of its own, trained further in every round, averaged as a realization plan,
    exactly; and where policies are networks, one is fitted to the average. All of its rounds count
    in that, the last as well, after which it is replaced by it. Both are jobs of one call, so that
    nu answers the beta of the round before.

    The mixture that is returned is the average one, whose regret after few rounds over a population
    that grows by two an iteration can be much larger than what the population itself leaves open;
    `--evaluation-solver least_exploitable` measures the latter, and the variant sets it.
    """
    size, best, new = now.meta_game.size, now.meta_game.size, now.meta_game.size + 1
    span, own = now.meta_game.tree.span or 1.0, [*range(size), new]
    states = [regret_minimisers.init(size + 1) for _ in range(2)]
    # Before there is a new policy, the mixtures of the old ones.
    against = MetaStrategy(marginals=(np.full(size, 1 / size),) * 2)
    responding, plans = against, []
    for _ in range(now.rounds):
        meta_game = yield [Train(slot=best, against=against), Train(slot=new, against=responding)]
        plans.append([own[new] for own in meta_game.plans])
        payoffs = meta_game.payoffs / span
        earned = payoffs[0][own, best], payoffs[1][best, own]
        states = [now.minimise(*pair)[0] for pair in zip(states, earned, strict=True)]
        against = MetaStrategy(marginals=tuple(_seated(state.strategy) for state in states))
        pure = np.zeros(size + 2)
        pure[best] = 1.0
        responding = MetaStrategy(marginals=(pure, pure))
    yield [Place(slot=new, plans=[np.mean(own, axis=0) for own in zip(*plans, strict=True)])]
    averages = [_seated(regret_minimisers.average(state)) for state in states]
    return Expanded(meta_strategy=MetaStrategy(marginals=tuple(averages)))


def _seated(weights: np.ndarray) -> np.ndarray:
    """Weights of old policies and the new one, `[K + 1]`, with none for the best response between
    them, `[K + 2]`."""
    return np.insert(weights, len(weights) - 1, 0.0)
