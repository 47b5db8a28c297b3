"""The end of abrupt games: one cell is left, and players bump until one of them marks it.

No mark is set while they wait, so what one player bumps into does not depend on what the other
does. All that the other asks of an own info state is what a plan weighs together after k bumps,
in any order, and then the last cell. This is added up once in a walk, from the deepest info states
upwards (`fill`), is read where a board history comes down to one cell (`wait`), and what is earned
is handed down once to the sequences that earn it (`spread`).

An info state with u untried cells has for each of them, as the last cell, u - 1 rows: row k - 1 is
of k bumps into other untried cells. Its first number is of the sequences that mark the last cell
after them, its second of the last bumps themselves, when the other player marks the last cell.
"""

from __future__ import annotations

from games.walked.kernels import (
    BUMPED,
    LOST,
    MOST_CELLS,
    PLACED,
    WON,
    njit,
    place_mark,
)

MARKS, BUMPS = 0, 1
"""Columns of `Values.waits`: the player marks the last cell, or the other does."""


@njit(nogil=True, cache=True)
def wait(board, tables, mover, first, last, bit, start, stop, kind, own, other, x, gains, room):
    """Adds to the gains what follows a mark of the `mover` in a cell, after which one is left. Its
    info states are those from place `first` to `last`, its marks afterwards `own`; the other's list
    is from `start` to `stop`."""
    cell = board.cells & ~(own | other)
    words, (of_mover, of_next) = room.words, room.waits
    untried = board.size[board.cells & ~words[first]] - 1
    untried_next = board.size[board.cells & ~words[start]]
    pays = WON if board.wins[mover, own | cell] else 0.0
    pays_next = WON if board.wins[1 - mover, other | cell] else 0.0
    if pays == 0.0 and pays_next == 0.0:
        return
    end, reached = place_mark(board, first, last, bit, x, words)
    longest = max(untried, untried_next) + 1
    of_mover[:, :longest] = 0.0
    of_next[:, :longest] = 0.0
    moves = untried_next > 1  # the mover may come to its turn again
    if moves:
        _add_up(board, tables, last, end, PLACED, cell, untried, x, of_mover, words)
    _add_up(board, tables, start, stop, kind, cell, untried_next, x, of_next, words)
    of_mover[BUMPS, 0] = reached
    for k in range(untried_next):
        of_next[2 + MARKS, k] = pays_next * of_mover[BUMPS, k]
        of_mover[2 + BUMPS, k] = LOST * pays_next * of_next[MARKS, k]
    for k in range(untried_next - 1):
        of_mover[2 + MARKS, k] = pays * of_next[BUMPS, k + 1]
        of_next[2 + BUMPS, k + 1] = LOST * pays * of_mover[MARKS, k]
    for place in range(last, end):
        gains.now[words[place] >> MOST_CELLS] += of_mover[2 + BUMPS, 0]
    if moves:
        _hand_out(board, tables, last, end, PLACED, cell, untried, gains, of_mover, words)
    _hand_out(board, tables, start, stop, kind, cell, untried_next, gains, of_next, words)


@njit(nogil=True, cache=True)
def _add_up(board, tables, start, stop, kind, cell, untried, x, sums, words):
    """Adds the plans of a list's info states to the first rows of `sums`."""
    for place in range(start, stop):
        word = words[place]
        first = tables.after[kind, word >> MOST_CELLS]
        rank = board.size[board.cells & ~word & (cell - 1)]
        sums[MARKS, 0] += x.now[first + rank]
        row = tables.rows[first] + rank * (untried - 1)
        for k in range(1, untried):
            sums[MARKS, k] += x.waits[row + k - 1, MARKS]
            sums[BUMPS, k] += x.waits[row + k - 1, BUMPS]


@njit(nogil=True, cache=True)
def _hand_out(board, tables, start, stop, kind, cell, untried, gains, sums, words):
    """Adds the last rows of `sums` to the gains of a list's info states."""
    for place in range(start, stop):
        word = words[place]
        first = tables.after[kind, word >> MOST_CELLS]
        rank = board.size[board.cells & ~word & (cell - 1)]
        gains.now[first + rank] += sums[2 + MARKS, 0]
        row = tables.rows[first] + rank * (untried - 1)
        for k in range(1, untried):
            gains.waits[row + k - 1, MARKS] += sums[2 + MARKS, k]
            gains.waits[row + k - 1, BUMPS] += sums[2 + BUMPS, k]


@njit(nogil=True, cache=True)
def fill(board, tables, states, values):
    """Adds up the `waits` of a plan from its sequences. `states [I]` are words. In games without
    waiting, nothing happens."""
    if not board.passes:
        return
    for number in range(len(states) - 1, -1, -1):
        word = states[number]
        _between(board, tables, word, values, True)


@njit(nogil=True, cache=True)
def spread(board, tables, states, values):
    """Adds gains of `waits` to those of their sequences: the transpose of `fill`."""
    if not board.passes:
        return
    for number in range(len(states)):
        _between(board, tables, states[number], values, False)


@njit(nogil=True, cache=True)
def _between(board, tables, word, values, upwards):
    """Adds the values after a bump to the waits of an info state, or the other way."""
    now, waits = values
    first, untried = word >> MOST_CELLS, board.cells & ~word
    number = board.size[untried]
    for rank in range(number):
        row = tables.rows[first] + rank * (number - 1)
        for other in range(number):
            if other == rank:
                continue
            sequence = first + other
            if upwards:
                waits[row, BUMPS] += now[sequence]
            else:
                now[sequence] += waits[row, BUMPS]
            below = tables.after[BUMPED, sequence]
            if below < 0:
                continue
            place = rank - (other < rank)
            deeper = tables.rows[below] + place * (number - 2) - 1
            if upwards:
                waits[row, MARKS] += now[below + place]
            else:
                now[below + place] += waits[row, MARKS]
            for k in range(1, number - 1):
                for column in range(2):
                    if upwards:
                        waits[row + k, column] += waits[deeper + k, column]
                    else:
                        waits[deeper + k, column] += waits[row + k, column]
