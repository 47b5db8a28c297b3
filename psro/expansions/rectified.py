"""Best responses to what each policy beats: PSRO_rN (Balduzzi et al. 2019, arXiv:1901.08106,
algorithm 4)."""

from __future__ import annotations

import numpy as np

from psro.expansions.base import Expanded, Situation, Steps, Train
from psro.meta_strategy import MetaStrategy


def rectified(now: Situation) -> Steps:
    """For every policy in a player's support a best response to those opponents, in the other's
    support, against which it does no worse than the meta-game's value (Nash weights, rectified).

    The paper trains one for every policy of the support. Here they are `levels`, for the likeliest,
    so that shapes stay; where a support is smaller, the rest train against all opponents. Its
    games are symmetric and of value zero; in others what is beaten is what concedes the value.
    """
    payoffs, weights = now.meta_game.payoffs, now.meta_strategy.marginals
    values = [weights[0] @ table @ weights[1] for table in payoffs]
    scores = [payoffs[0] - values[0], (payoffs[1] - values[1]).T]  # [own policy, opponent's]
    margin = 1e-9 * max(np.ptp(payoffs), 1e-300)
    order = [np.argsort(-each, kind="stable") for each in weights]
    requests = []
    for level in range(now.levels):
        faced = []  # by each player: the other's rectified weights
        for p in range(2):
            others = weights[1 - p]
            if level < len(order[p]) and weights[p][order[p][level]] > 1e-6:
                beaten = others * (scores[p][order[p][level]] >= -margin)
                others = beaten / beaten.sum() if beaten.sum() > 1e-6 else others
            faced.append(others)
        # Player 0 is who faces player 1's weights, and the other way round.
        requests.append(
            Train(
                slot=now.meta_game.size + level,
                against=MetaStrategy(marginals=(faced[1], faced[0])),
            )
        )
    yield requests
    return Expanded()
