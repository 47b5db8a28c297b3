"""Self-play first, then best responses: the union of policy gradients and PSRO."""

from __future__ import annotations

from psro.variants.expansions.base import Situation, Steps
from psro.variants.expansions.best_response import one_best_response
from psro.variants.expansions.self_play import self_play


def union(now: Situation) -> Steps:
    """In the first `now.horizon` iterations all players learn together (`self_play`). Every policy
    of self-play stays in the population, and the last one is the meta-strategy. Then each iteration
    adds a best response to the mixture of all policies by the meta-solver, which weighs those of
    self-play like any other. `--init previous` begins from the last policy.
    """
    if now.number <= now.horizon:
        return (yield from self_play(now))
    return (yield from one_best_response(now))
