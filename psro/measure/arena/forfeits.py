"""What ends an agent's episode before the game does, and what that costs."""

from __future__ import annotations

import numpy as np

KINDS = {
    "illegal": "illegal action",
    "crash": "crash",
    "time": "out of time",
    "memory": "out of memory",
}
"""Kinds of forfeits, in words."""
MOST_STARTS = 3
"""How many processes an agent gets. When the last of them has ended, it forfeits every episode in
which it is to move."""

RULE = (
    "An agent that crashes, plays an illegal action, or uses more time or memory than it may, "
    "forfeits the episode. It is paid the game's lowest payoff. In a constant-sum game the others "
    "share the rest equally; in another game each of them is paid the middle of the lowest and "
    f"the highest payoff. An agent whose process has ended {MOST_STARTS} times is not started "
    "again, and forfeits every later episode in which it is to move."
)
"""What a forfeit costs, as tables and pages state it."""


class Forfeit(Exception):
    """An agent cannot go on in this episode: `kind`, one of `KINDS`, and `words` for readers."""

    def __init__(self, kind: str, words: str = ""):
        super().__init__(words)
        self.kind, self.words = kind, words


def returns_of_forfeit(
    player: int, num_players: int, lowest: float, highest: float, total: float | None
) -> np.ndarray:
    """Every player's return, `[P]`, of an episode that `player` forfeits.

    Args:
        player: who forfeits.
        num_players: P.
        lowest: the game's lowest payoff.
        highest: its highest payoff.
        total: the sum of the payoffs at every end of the game; None if it differs.
    """
    others = (lowest + highest) / 2 if total is None else (total - lowest) / (num_players - 1)
    paid = np.full(num_players, others)
    paid[player] = lowest
    return paid
