"""Which info states there are.

An info state says which cells a player has tried, in order, and what became of each try. It exists
if there is a way for the other player to have moved. For that it is enough to know which sets of
marks the other player may have: where its own tries met marks does not matter, only their number,
which follows from the number of its turns. A family of sets is a word of `2^n` bits. So a player's
own tree is made depth first, without the other's.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from games.walked.kernels import BUMPED, PLACED, njit
from games.walked.rules import HiddenBoard

SEQUENCES, NUMBERS = 0, 1
"""What is counted: of `Tables.numbers` too."""
MARKS, TRIES, LEFT, PLACE, ENDING = range(5)
"""What is kept of an info state: the player's marks, its tries, those that are left to make, the
sequence of the next one, and how it ends."""


class Families(NamedTuple):
    """Families of sets of cells, int64 `[..., W]`: bit m of the W words is the set with word m.

    Attributes:
        having: those with a cell, `[n, W]`.
        winning: those with which each player has won, `[2, W]`.
        at_least: those with at least so many cells, `[n + 2, W]`.
        path: the other player's marks at the info states above the current one, `[depth, W]`.
        frames: what is kept of these info states, `[depth, 5]`.
    """

    having: np.ndarray
    winning: np.ndarray
    at_least: np.ndarray
    path: np.ndarray
    frames: np.ndarray


def families_of(rules: HiddenBoard) -> Families:
    cells = rules.num_cells
    sets = np.arange(1 << cells)
    sizes = np.bitwise_count(sets)
    having = _words(np.stack([sets >> cell & 1 for cell in range(cells)]))
    at_least = _words(np.stack([sizes >= least for least in range(cells + 2)]))
    path = np.zeros((cells + 3, having.shape[1]), np.int64)
    frames = np.zeros((cells + 3, 5), np.int64)
    return Families(having, _words(rules.wins), at_least, path, frames)


def _words(members: np.ndarray) -> np.ndarray:
    """Families as words, int64 `[k, W]`, of `members [k, 2^n]`."""
    width = max(members.shape[1], 64)
    bits = np.zeros((len(members), width), bool)
    bits[:, : members.shape[1]] = members
    return np.packbits(bits, axis=1, bitorder="little").view(np.int64)


@njit(nogil=True, cache=True)
def note(board, families, player, sequence, follows, counts):
    """Notes in `follows [S, 2]` which info states of a player there are, in the order of
    `games.walked.layout`; `sequence` is its empty one. False if there is no more room."""
    path, frames = families.path, families.frames
    counts[NUMBERS] += board.stride[0]
    path[:2] = 0
    path[0, 0] = 1  # no marks
    if player == 1:
        if not _turn(board, families, player, 0, 0, 0):
            return True
        path[0] = path[1]
    first = _enter(board, sequence, PLACED, 0, follows, counts)
    frames[0, MARKS], frames[0, TRIES], frames[0, LEFT] = 0, 0, board.cells
    frames[0, PLACE], frames[0, ENDING] = first, PLACED
    depth = 0 if first >= 0 else -1
    while depth >= 0:
        marks, tried, left, place, ending = frames[depth]
        if left == 0:
            depth -= 1
            continue
        bit = left & -left
        if ending == PLACED:
            frames[depth, ENDING] = BUMPED
        else:
            frames[depth, ENDING], frames[depth, PLACE] = PLACED, place + 1
            frames[depth, LEFT] = left ^ bit
        if not _goes_on(board, families, player, marks, tried, bit, ending, depth):
            continue
        first = _enter(board, place, ending, tried | bit, follows, counts)
        if first < 0:
            break
        depth += 1
        frames[depth, MARKS] = marks | bit if ending == PLACED else marks
        frames[depth, TRIES], frames[depth, LEFT] = tried | bit, board.cells & ~(tried | bit)
        frames[depth, PLACE], frames[depth, ENDING] = first, PLACED
    return first >= 0


@njit(nogil=True, cache=True)
def _enter(board, sequence, ending, tried, follows, counts):
    """Notes an info state. Returns its first sequence, or -1 if there is no more room."""
    first, number = counts[SEQUENCES], board.size[board.cells & ~tried]
    if first + number > len(follows):
        return -1
    follows[sequence, ending] = True
    counts[SEQUENCES] += number
    counts[NUMBERS] += number * board.stride[board.cells & ~tried]
    return first


@njit(nogil=True, cache=True)
def _goes_on(board, families, player, marks, tried, bit, ending, depth):
    """Whether the player decides again after a try that ended so. Writes the other player's marks
    then below `depth`."""
    path, cell = families.path, board.size[bit - 1]
    if ending == PLACED and board.wins[player, marks | bit]:
        return False
    for word in range(path.shape[1]):
        having = families.having[cell, word]
        path[depth + 1, word] = path[depth, word] & (having if ending == BUMPED else ~having)
    if ending == PLACED:
        marks |= bit
        _leave_out(path, depth + 1, board.cells & ~marks)
    elif not board.passes:
        return path[depth + 1].any()
    turns = board.size[tried] + player  # of the other player before
    exists = _turn(board, families, player, marks, turns, depth + 1)
    path[depth + 1] = path[depth + 2]
    return exists


@njit(nogil=True, cache=True)
def _leave_out(path, depth, cells):
    """Takes one set out of a family."""
    path[depth, cells // 64] &= ~(np.int64(1) << cells % 64)


@njit(nogil=True, cache=True)
def _turn(board, families, player, marks, turns, depth):
    """Writes below `depth` the other player's marks after its turn, which is not its last. Whether
    there are any. `marks` are the player's."""
    path, width = families.path, families.path.shape[1]
    path[depth + 1] = 0
    free = board.cells & ~marks
    for cell in range(families.having.shape[0]):
        bit = 1 << cell
        if not free & bit:
            continue
        for word in range(width):
            before = path[depth, word] & ~families.having[cell, word]
            if bit < 64:
                path[depth + 1, word] |= before << bit
            elif before:
                path[depth + 1, word + bit // 64] |= before
    _leave_out(path, depth + 1, free)
    exists = False
    fewest = max(turns - board.size[marks] + 1, 0)  # marks of the other player, if it bumps
    for word in range(width):
        path[depth + 1, word] &= ~families.winning[1 - player, word]
        if board.passes:
            path[depth + 1, word] |= path[depth, word] & families.at_least[fewest, word]
        exists = exists or path[depth + 1, word] != 0
    return exists
