"""Boards in the dark, from a seat's own observation string: phantom tic-tac-toe and dark hex.

As in `psro.play.cards`, a reader gets only that string. The whole board is read from the whole
state, when the game is over.
"""

from __future__ import annotations

import dataclasses
import re

_MARKS = {".": ""} | dict.fromkeys("xXyz", "x") | dict.fromkeys("oOpq", "o")
"""Hex says by other letters which edges a stone is connected to."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Board:
    """What one seat knows of a board, or the whole board. Action `a` marks cell `a`.

    Attributes:
        hexagonal: whether cells are hexagons, each row half a cell further right.
        columns: cells of a row.
        cells: by rows: `x` of player 0, `o` of player 1, or nothing.
        goal: what the players try, in words.
        note: what else the seat is told.
    """

    hexagonal: bool
    columns: int
    cells: tuple[str, ...]
    goal: str
    note: str


_GOALS = {
    "phantom_ttt": "three in a row win",
    "dark_hex": "x connects top and bottom, o left and right",
}


def read(short_name: str, seen: str) -> Board | None:
    """The board of OpenSpiel's game, from its string; None for a game without one."""
    if short_name not in _GOALS:
        return None
    lines = seen.splitlines()
    rows = []
    while lines and re.fullmatch(r"[.xyzopq]+", row := lines[0].replace(" ", ""), re.IGNORECASE):
        rows.append(row)
        lines.pop(0)
    return Board(
        hexagonal=short_name == "dark_hex",
        columns=len(rows[0]),
        cells=tuple(_MARKS[mark] for row in rows for mark in row),
        goal=_GOALS[short_name],
        note=" ".join(lines),
    )


def lines(board: Board, free: set[int], *, ascii_only: bool) -> list[str]:
    """The board as text. A cell that may be marked shows its number, from 1."""
    width = max(2, len(str(len(board.cells)))) + 1
    texts = [
        mark or (str(cell + 1) if cell in free else ("." if ascii_only else "·"))
        for cell, mark in enumerate(board.cells)
    ]
    rows = [texts[first : first + board.columns] for first in range(0, len(texts), board.columns)]
    if board.hexagonal:
        return [
            "  " + " " * (place * (width + 1) // 2) + " ".join(text.center(width) for text in row)
            for place, row in enumerate(rows)
        ]
    line, cross, bar = ("-", "+", "|") if ascii_only else ("─", "┼", "│")
    rule = cross.join([line * (width + 2)] * board.columns)
    shown = []
    for row in rows:
        shown += ["  " + rule] if shown else []
        shown.append("  " + bar.join(text.center(width + 2) for text in row))
    return shown
