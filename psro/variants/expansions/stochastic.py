"""A stochastic policy is added beside every best response: self-play PSRO (SP-PSRO; McAleer et al.
2022, arXiv:2207.06541, algorithm 1)."""

from __future__ import annotations

import numpy as np

from psro.metagame.solvers import regret_minimisers
from psro.metagame.strategy import MetaStrategy
from psro.variants.expansions.base import Expanded, Place, Situation, Steps, Train


def stochastic(now: Situation) -> Steps:
    """Like `anytime`, but each player's mixture is over its population and one new policy nu. nu is
    trained too, against the other player's best response beta, while beta learns. The average of nu
    over the rounds is added to the population, beside the best response:

        nu_p^t = BR(beta_-p^(t-1)),  Pi_p <- Pi_p + {beta_p^T, (nu_p^1 + ... + nu_p^T) / T}.

    The paper trains the new policy off-policy and averages it by supervised learning. Here nu is a
    best response of its own, trained further in every round. Its realization plans are averaged
    exactly. If policies are networks, one is fitted to the average. The average includes every
    round, also the last one. Then it replaces nu. Both policies are trained in one call, so nu
    answers the beta of the previous round.

    The returned mixture is the average one. Its regret after few rounds can be much larger than the
    exploitability that the population itself leaves, because the population grows by two policies
    in each iteration. `--evaluation-solver least_exploitable` measures the latter, and the variant
    sets it.
    """
    size, best, new = now.meta_game.size, now.meta_game.size, now.meta_game.size + 1
    span, mixed = now.span, [*range(size), new]
    states = [regret_minimisers.init(size + 1) for _ in range(2)]
    # The first round has no new policy yet: mixtures of the old ones.
    against = MetaStrategy(marginals=(np.full(size, 1 / size),) * 2)
    responding, plans = against, []
    for _ in range(now.rounds):
        meta_game = yield [Train(slot=best, against=against), Train(slot=new, against=responding)]
        plans.append([of_player[new] for of_player in meta_game.plans])
        payoffs = meta_game.payoffs / span
        earned = payoffs[0][mixed, best], payoffs[1][best, mixed]
        states = [now.minimise(*pair)[0] for pair in zip(states, earned, strict=True)]
        against = MetaStrategy(marginals=tuple(_seated(state.strategy) for state in states))
        pure = np.zeros(size + 2)
        pure[best] = 1.0
        responding = MetaStrategy(marginals=(pure, pure))
    yield [Place(slot=new, plans=[np.mean(rounds, axis=0) for rounds in zip(*plans, strict=True)])]
    averages = [_seated(regret_minimisers.average(state)) for state in states]
    return Expanded(meta_strategy=MetaStrategy(marginals=tuple(averages)))


def _seated(weights: np.ndarray) -> np.ndarray:
    """Inserts a zero for the best response: from weights of the old policies and the new one,
    `[K + 1]`, to weights of all, `[K + 2]`."""
    return np.insert(weights, len(weights) - 1, 0.0)
