"""Self-play alone, without best responses: every iteration continues the training of the last one.
The rivals of PSRO, on the same engine."""

from __future__ import annotations

import numpy as np

from psro.metagame.strategy import MetaStrategy
from psro.variants.expansions.base import Expanded, SelfPlay, Situation, Steps


def self_play(now: Situation) -> Steps:
    """Iteration t trains policy `pi_t`, all players together, from `pi_(t-1)`. The last policy is
    the whole meta-strategy: what is measured is the last iterate. `--self-play` says how the
    players learn. Payoffs are measured, but nothing depends on them."""
    size, begun = now.meta_game.size, now.begun > 1  # a population of one is untrained
    yield [
        SelfPlay(
            slot=size,
            start=range(max(size - now.networks, 0), size) if now.number > 1 or begun else (),
            begin=min((now.number - 1) / now.horizon, 1.0),
            end=min(now.number / now.horizon, 1.0),
        )
    ]
    pure = np.zeros(size + now.networks)
    pure[size] = 1.0
    return Expanded(meta_strategy=MetaStrategy(marginals=(pure,) * now.meta_game.num_players))
