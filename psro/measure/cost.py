"""What a run of default settings costs, estimated from the size of its game.

Fitted to runs of ten games of OpenSpiel on two cores of an x86 server in 2026, in processor seconds
and peak memory, with nothing compiled before: matrix_rps (19.8 s, 1.0 GB), tiny_hanabi (20.9, 1.0),
kuhn_poker (23.3, 1.1), goofspiel of 4 cards (25.2, 1.0), tiny_bridge_2p (25.7, 1.1), leduc_poker
(27.7, 1.1), kuhn_poker for three (28.8, 1.0) and liars_dice (44.0, 1.5); of 4 iterations only,
goofspiel of 5 cards (23.4, 1.2); of 3, liars_dice with seven sides, 1.6 million histories (33.6,
1.6). `ERROR` is the largest error on these ten.
"""

from __future__ import annotations

import dataclasses

from games import GameTree
from psro.runs.config import RunConfig

ERROR = 0.3
"""Share by which an estimate was off at most, on the games that it was fitted to."""
_START, _BEST_RESPONSE = 17.0, 0.3
"""Seconds of starting and compiling, and of one best response."""
_READ, _ITERATION = 6e-6, 3e-6
"""Seconds a history of reading the game, and of one iteration."""
_PROCESS, _HISTORY = 1.05e9, 600
"""Bytes of the process, and of a history."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cost:
    """Processor seconds and bytes of memory."""

    seconds: float
    memory: float

    def __str__(self) -> str:
        minutes = self.seconds / 60
        time = f"{self.seconds:.0f} s" if minutes < 3 else f"{minutes:.0f} min"
        return f"{time}, {self.memory / 1e9:.1f} GB"


def cost_of(tree: GameTree, iterations: int = RunConfig.iterations) -> Cost:
    """The cost of a run of default settings, its game read and its code compiled. A matrix game, in
    which everybody decides once, is not laid out: its histories cost nothing."""
    enumerated = tree.num_info_states > tree.num_players
    histories = tree.num_histories if enumerated else 0
    responses = iterations * tree.num_players * _BEST_RESPONSE
    return Cost(
        seconds=_START + responses + histories * (_READ + iterations * _ITERATION),
        memory=_PROCESS + histories * _HISTORY,
    )
