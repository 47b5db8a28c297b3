"""Best responses to what each policy beats: PSRO_rN (Balduzzi et al. 2019, arXiv:1901.08106,
algorithm 4)."""

from __future__ import annotations

import numpy as np

from games.units import ALIKE, rounding, span
from psro.metagame.strategy import SUPPORT, MetaStrategy
from psro.variants.expansions.base import Expanded, Situation, Steps, Train


def rectified(now: Situation) -> Steps:
    """For every policy v in a player's support, a best response to the opponents in the other's
    support that v beats or ties with (rectified Nash weights):

        for each v with p[v] > 0:  v' = argmax_x sum_w p[w] [phi(v, w) >= 0] phi(x, w),

    for the meta-game's equilibrium p, and v's payoff phi(v, w) against w.

    Choices. The paper's objective is `sum_w p[w] max(phi(v, w), 0)`. Here the policy v decides once
    which opponents count; this does not change as the response moves away from v. The paper's games
    are symmetric, with value zero. In other games, v beats the opponents against which it gets at
    least the game's value. There are as many responses as policies in the larger support, the most
    probable first, but at most `levels`. The player with the smaller support gets best responses to
    all opponents for the rest. `levels` responses are always trained, so that array shapes stay the
    same; those beyond the supports are dropped.
    """
    size, weights = now.meta_game.size, now.meta_strategy.marginals
    payoffs = now.meta_game.payoffs
    values = [weights[0] @ table @ weights[1] for table in payoffs]
    scores = [payoffs[0] - values[0], (payoffs[1] - values[1]).T]  # [own policy, opponent's]
    margin = ALIKE * span(payoffs) + rounding(payoffs)
    supports = [  # likeliest first
        [k for k in np.argsort(-own, kind="stable") if own[k] > SUPPORT] for own in weights
    ]
    requests = []
    for level in range(now.levels):
        faced = []  # for each player: the other's rectified weights
        for p in range(2):
            others = weights[1 - p]
            if level < len(supports[p]):
                beaten = others * (scores[p][supports[p][level]] >= -margin)
                others = beaten / beaten.sum() if beaten.sum() > SUPPORT else others
            faced.append(others)
        # Player 1 faces player 0's weights, and player 0 faces player 1's.
        requests.append(
            Train(slot=size + level, against=MetaStrategy(marginals=(faced[1], faced[0])))
        )
    yield requests
    return Expanded(keep=range(size, size + min(now.levels, max(now.meta_strategy.support_size))))
