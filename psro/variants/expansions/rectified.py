"""Best responses to what each policy beats: PSRO_rN (Balduzzi et al. 2019, arXiv:1901.08106,
algorithm 4)."""

from __future__ import annotations

import numpy as np

from games.units import ALIKE, rounding, span
from psro.metagame.strategy import SUPPORT, MetaStrategy
from psro.variants.expansions.base import Expanded, Situation, Steps, Train


def rectified(now: Situation) -> Steps:
    """For every policy in a player's support a best response to those opponents, in the other's
    support, which it beats or ties with (Nash weights, rectified):

        for each v with p[v] > 0:  v' = argmax_x sum_w p[w] [phi(v, w) >= 0] phi(x, w),

    for p the meta-game's equilibrium and phi(v, w) what v wins from w.

    Choices. The paper writes the rectified objective `sum_w p[w] max(phi(v, w), 0)`; which
    opponents count is decided once here, by the policy v itself, and not anew as the response moves
    away from it. Its games are symmetric and of value zero; in others what is beaten is what
    concedes the value. There are as many responses as the larger of the players' supports has
    policies, likeliest first, at most `levels`; a player with the smaller one gets best responses
    to its whole opposition in their stead. So that shapes stay, `levels` are always trained, and
    those beyond the supports are thrown away.
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
        faced = []  # by each player: the other's rectified weights
        for p in range(2):
            others = weights[1 - p]
            if level < len(supports[p]):
                beaten = others * (scores[p][supports[p][level]] >= -margin)
                others = beaten / beaten.sum() if beaten.sum() > SUPPORT else others
            faced.append(others)
        # Player 0 is who faces player 1's weights, and the other way round.
        requests.append(
            Train(slot=size + level, against=MetaStrategy(marginals=(faced[1], faced[0])))
        )
    yield requests
    return Expanded(keep=range(size, size + min(now.levels, max(now.meta_strategy.support_size))))
