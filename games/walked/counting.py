"""How many histories a board game in the dark has, without going through them."""

from __future__ import annotations

import numpy as np

from games.walked.rules import HiddenBoard

EMPTY, MARKED, KNOWN = 0, (1, 3), (2, 4)
"""Of a cell: nobody has tried it; a player has marked it; the other player knows of that mark. So a
board is a number in base five."""
_BASE = 5


def num_histories(rules: HiddenBoard) -> int:
    """Nodes of the game's tree, terminals included: added up over what players may know together,
    which says how a history goes on. Every try makes it one more."""
    cells = [cell for cell in range(rules.num_cells) if rules.open_cells >> cell & 1]
    boards = np.zeros(1, np.int64)
    ways = np.ones(1, np.int64)  # histories of each board
    total = 1
    while len(boards):
        digits = boards // _BASE ** np.arange(len(cells))[:, None] % _BASE  # [cells, B]
        marks = [
            sum((digits[k] == MARKED[p]) + (digits[k] == KNOWN[p]) << cell
                for k, cell in enumerate(cells)) for p in range(2)
        ]  # fmt: skip
        mover = _mover(rules, digits)
        afterwards = []
        for k, cell in enumerate(cells):
            for p in range(2):
                free = (mover == p) & (digits[k] == EMPTY)
                own = marks[p] | 1 << cell
                over = free & (rules.wins[p][own] | (own | marks[1 - p] == rules.open_cells))
                bumps = (mover == p) & (digits[k] == MARKED[1 - p])
                total += int(ways[free | bumps].sum())
                for goes_on, more in ((free & ~over, MARKED[p]), (bumps, 1)):
                    afterwards.append((boards[goes_on] + more * _BASE**k, ways[goes_on]))
        boards, places = np.unique(
            np.concatenate([after for after, _ in afterwards]), return_inverse=True
        )
        ways = np.zeros(len(boards), np.int64)
        np.add.at(ways, places, np.concatenate([number for _, number in afterwards]))
    return total


def _mover(rules: HiddenBoard, digits: np.ndarray) -> np.ndarray:
    """Whose turn it is on each board, `[B]`."""
    tries = [sum((digits == MARKED[p]) + (digits == KNOWN[p])) for p in range(2)]
    if rules.passes:  # a try is a turn
        tries = [tries[p] + sum(digits == KNOWN[1 - p]) for p in range(2)]
    return (tries[0] > tries[1]).astype(np.int8)
