"""Names of players, info states and actions, from the labels in a file.

Labels come from strangers. They are made printable here, where they are read, and are plain text
from then on. A file may leave labels empty or use one twice. Names are never empty, and no two are
equal.
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
"""The most axes of payoffs: one for the players, and one for each player's actions. NumPy's own
limit is 64, but some functions that take payoffs allow only 32."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PayoffTable:
    """What a file of payoffs holds.

    Attributes:
        payoffs: all players', float64 `[P, A_0, ..., A_{P-1}]`, or those of all players but the
            last.
        player_names: names of all players; None if the file names none.
        action_names: names of every player's actions, `[P][A_p]`; None if the file names none.
        outcome_names: the name of every profile's outcome, "" for none, in the order of `payoffs`;
            None if the file names none.
    """

    payoffs: np.ndarray
    player_names: tuple[str, ...] | None = None
    action_names: tuple[tuple[str, ...], ...] | None = None
    outcome_names: tuple[str, ...] | None = None


def distinct(labels: Sequence[str], numbered: Sequence[str]) -> tuple[str, ...]:
    """Printable names from `labels`, all different. An empty label becomes its entry in `numbered`.
    A label that occurs twice gets its entry in brackets. If names are still not different, the
    result is `numbered`."""
    labels = [printable(label) for label in labels]
    counts = Counter(labels)
    names = [
        number if not label else f"{label} ({number})" if counts[label] > 1 else label
        for label, number in zip(labels, numbered, strict=True)
    ]
    return tuple(names) if len(set(names)) == len(names) else tuple(numbered)


def action_names(labels: Sequence[str]) -> tuple[str, ...]:
    """Names of one info state's actions, in order. Actions without a label are named by their
    place."""
    return distinct(labels, [str(place) for place in range(1, len(labels) + 1)])


def player_names(labels: Sequence[str]) -> tuple[str, ...]:
    """Names of all players."""
    return distinct(labels, [f"player {seat}" for seat in range(len(labels))])
