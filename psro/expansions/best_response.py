"""One best response a player and iteration: PSRO (Lanctot et al. 2017, arXiv:1711.00832,
algorithm 1)."""

from __future__ import annotations

from psro.expansions.base import Expanded, Situation, Steps, Train


def best_response(now: Situation) -> Steps:
    """Against the meta-strategy."""
    yield [Train(slot=now.meta_game.size, against=now.meta_strategy)]
    return Expanded()
