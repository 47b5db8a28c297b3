"""What a file calls players, info states and actions, as names that a person can tell apart.

Labels come from strangers: they are made printable where they are read, here, and are text ever
after. A file may leave them empty or use one twice; names are never empty and never the same.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence

import numpy as np

from games.printing import printable

MAX_PAYOFFS = 60_000_000
"""The most numbers in a file: a general-sum game of 5,000 x 5,000 has 50 million."""

MAX_AXES = 32
"""Of payoffs, one for the players and one for each player's actions. NumPy's own limit is 64, and
some of what payoffs are then given to takes 32."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PayoffTable:
    """What a file of payoffs holds.

    Attributes:
        payoffs: everybody's, float64 `[P, A_0, ..., A_{P-1}]`, or of all players but the last.
        player_names: of all players; None where the file names none.
        action_names: of every player's actions, `[P][A_p]`; None where the file names none.
    """

    payoffs: np.ndarray
    player_names: tuple[str, ...] | None = None
    action_names: tuple[tuple[str, ...], ...] | None = None


def distinct(labels: Sequence[str], numbered: Sequence[str]) -> tuple[str, ...]:
    """Printable names of things that a file calls `labels`: an empty label becomes the one in
    `numbered`, and one that occurs twice gets it in brackets."""
    labels = [printable(label) for label in labels]
    often = Counter(labels)
    names = [
        number if not label else f"{label} ({number})" if often[label] > 1 else label
        for label, number in zip(labels, numbered, strict=True)
    ]
    return tuple(names) if len(set(names)) == len(names) else tuple(numbered)


def action_names(labels: Sequence[str]) -> tuple[str, ...]:
    """Of one info state's actions, in order; those without a label are called by their place."""
    return distinct(labels, [str(place) for place in range(1, len(labels) + 1)])


def player_names(labels: Sequence[str]) -> tuple[str, ...]:
    """Of all players."""
    return distinct(labels, [f"player {seat}" for seat in range(len(labels))])
