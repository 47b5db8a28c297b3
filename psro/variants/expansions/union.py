"""Self-play first, then best responses: the union of policy gradients and PSRO."""

from __future__ import annotations

from psro.variants.expansions.base import Situation, Steps
from psro.variants.expansions.bundle import bundle
from psro.variants.expansions.self_play import self_play


def union(now: Situation) -> Steps:
    """In the first `now.horizon` iterations all players learn together (`self_play`). Every policy of
    self-play stays in the population, and the last one is the meta-strategy. Then each iteration
    adds a best response, and the mixture moves by one step (`bundle`). So the mixture begins with
    the policy of self-play, and leaves it only for what is surer against all that is known: what
    the meta-game can see, it is never more exploitable.
    """
    if now.number <= now.horizon:
        return (yield from self_play(now))
    return (yield from bundle(now))
