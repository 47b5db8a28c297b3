"""Phantom tic-tac-toe."""

from __future__ import annotations

from typing import Any

import numpy as np

from games.walked.rules import HiddenBoard, hidden_board

CELLS = 9
LINES = (0o7, 0o70, 0o700, 0o111, 0o222, 0o444, 0o421, 0o124)
"""Three in a row, as sets of cells: bit i is cell i, by rows."""

VERSIONS = {"classical": False, "abrupt": True}
"""Whether the turn passes when a player tries a cell that the opponent has marked."""

ENTRIES = CELLS * np.array([0, 2, 1])[:, None] + np.arange(CELLS)
"""Where the view of a cell has its one: empty, crosses, noughts."""


def rules(name: str, parameters: dict[str, Any]) -> HiddenBoard:
    """OpenSpiel's `phantom_ttt`."""
    return hidden_board(
        name, CELLS, parameters, VERSIONS, won, entries=ENTRIES, view_size=3 * CELLS
    )


def won(player: int, marks: int) -> bool:
    del player
    return any(marks & line == line for line in LINES)
