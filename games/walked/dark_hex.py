"""Dark hex."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from games.errors import GameError
from games.walked.rules import HiddenBoard, hidden_board

VERSIONS = {"cdh": False, "adh": True}
"""Classical and abrupt: whether the turn passes when a player bumps into an opponent's stone."""

CELL_STATES = 9
"""OpenSpiel's states of a cell, of which views show three: empty, black and white."""


def rules(name: str, parameters: dict[str, Any]) -> HiddenBoard:
    """OpenSpiel's `dark_hex`. Black (player 0) connects north and south, white west and east."""
    rows, columns = parameters["num_rows"], parameters["num_cols"]
    if rows < 2 or columns < 2:
        raise GameError(f"{name!r}: a board of {rows} x {columns} must be at least 2 x 2")

    def won(player: int, marks: int) -> bool:
        cells, near = rows * columns, _near(rows, columns)
        begin, end = (cells, cells + 1) if player == 0 else (cells + 2, cells + 3)
        connected = {cell for cell in range(cells) if marks >> cell & 1 and begin in near[cell]}
        ahead = list(connected)
        while ahead:
            places = near[ahead.pop()]
            if end in places:
                return True
            for place in places:
                if place < cells and marks >> place & 1 and place not in connected:
                    connected.add(place)
                    ahead.append(place)
        return False

    return hidden_board(
        name, rows * columns, parameters, VERSIONS, won,
        entries=entries(rows * columns), view_size=CELL_STATES * rows * columns,
    )  # fmt: skip


def entries(cells: int) -> np.ndarray:
    """Where the view has its ones, `[3, cells]`: empty, black, white."""
    return CELL_STATES * np.arange(cells) + np.array([4, 5, 3])[:, None]


@functools.cache
def _near(rows: int, columns: int) -> list[list[int]]:
    return neighbours(rows, columns).tolist()


def neighbours(rows: int, columns: int) -> np.ndarray:
    """The places next to every cell, int32 `[cells, 6]`: the cells by rows, then the edges north,
    south, west and east, then a place without a stone."""
    cells = rows * columns
    table = np.full((cells, 6), cells + 4, np.int32)
    for cell in range(cells):
        row, column = divmod(cell, columns)
        near = []
        for down, right in ((-1, 0), (-1, 1), (0, 1), (1, 0), (1, -1), (0, -1)):
            if 0 <= row + down < rows and 0 <= column + right < columns:
                near.append(cell + down * columns + right)
        edges = (row == 0, row == rows - 1, column == 0, column == columns - 1)
        near += [cells + edge for edge, touches in enumerate(edges) if touches]
        table[cell, : len(near)] = near
    return table
