"""The rules of a board game in the dark, as numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from games.errors import GameError

MOST_CELLS = 10
"""A larger board has too many info states."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class HiddenBoard:
    """A game of `games.native.hidden_board.HiddenBoard` for two: who marks winning cells earns 1,
    the other -1, a full board without them 0. A set of cells is a word: bit i is cell i.

    Attributes:
        name: the game's string.
        num_cells: n.
        passes: whether the turn passes when a player bumps into a mark (abrupt games).
        wins: whether a player has won with a set of marks, bool `[2, 2^n]`.
        entries: where the view has its ones, `[3, n]`: empty, player 0's mark, player 1's.
        view_size: entries of the view.
        blocked: cells that nobody may mark, a word. They make small games.
    """

    name: str
    num_cells: int
    passes: bool
    wins: np.ndarray
    entries: np.ndarray
    view_size: int
    blocked: int = 0

    @property
    def open_cells(self) -> int:
        """The cells that may be marked, as a word."""
        return ((1 << self.num_cells) - 1) & ~self.blocked

    @property
    def num_open(self) -> int:
        return self.open_cells.bit_count()


def hidden_board(
    name: str,
    num_cells: int,
    parameters: dict[str, Any],
    versions: dict[str, bool],
    won: Callable[[int, int], bool],
    **view: Any,
) -> HiddenBoard:
    """The rules with `won(player, marks)` as a table.

    Args:
        name: the game's string.
        num_cells: n.
        parameters: OpenSpiel's.
        versions: whether each `gameversion` passes the turn after a bump.
        won: function of a player and a set of marks.
        view: `entries` and `view_size`.

    Raises:
        GameError: players see more than their own tries, or the board is too large.
    """
    if parameters["gameversion"] not in versions:
        known = " or ".join(versions)
        raise GameError(f"{name!r}: gameversion {parameters['gameversion']!r} must be {known}")
    if parameters["obstype"] != "reveal-nothing":
        raise GameError(
            f"{name!r} is not walked through: obstype {parameters['obstype']!r} must be "
            "reveal-nothing"
        )
    if num_cells > MOST_CELLS:
        raise GameError(
            f"{name!r} is not walked through: its board of {num_cells} cells must have at most "
            f"{MOST_CELLS}"
        )
    wins = [[won(player, marks) for marks in range(1 << num_cells)] for player in (0, 1)]
    return HiddenBoard(
        name=name, num_cells=num_cells, passes=versions[parameters["gameversion"]],
        wins=np.array(wins, bool), **view,
    )  # fmt: skip
