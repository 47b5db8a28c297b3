"""The end of abrupt games: one cell is left, and players bump until one of them marks it.

No mark is set while they wait, so what one player bumps into does not depend on what the other
does. All that the other asks of an own info state is what a plan weighs together after k bumps,
in any order, and then the last cell. This is added up once in a walk, from the deepest info states
upwards (`fill`), is read where a board history comes down to one cell (`wait`), and what is earned
is handed down once to the sequences that earn it (`spread`).

An info state with u untried cells has for each of them, as the last cell, u - 1 rows: row k - 1 is
of k bumps into other untried cells. Its first number is what the plan weighs that marks the last
cell after them, its second of the last bumps themselves, when the other player marks the last cell.
The other two are what these gain.
"""

from __future__ import annotations

from games.walked.ends import note_waits
from games.walked.kernels import (
    BUMPED,
    GAIN,
    LOST,
    MOST_CELLS,
    PLACED,
    PLAN,
    ROW,
    WAITS,
    WON,
    njit,
    place_mark,
    stride_of,
)

MARKS, BUMPS = 0, 1
"""The player marks the last cell, or the other does: the columns of a plan in a row. Those of the
gains follow."""


@njit(nogil=True, cache=True)
def wait(board, tables, mover, first, last, bit, start, stop, kind, own, other, room, ends):
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
    end, reached = place_mark(board, tables, first, last, bit, words)
    longest = max(untried, untried_next) + 1
    of_mover[:, :longest] = 0.0
    of_next[:, :longest] = 0.0
    top = _add_up(board, tables, start, stop, kind, cell, untried_next, of_next, end, words)
    if untried_next > 1:  # the mover may come to its turn again
        above = _add_up(board, tables, last, end, PLACED, cell, untried, of_mover, top, words)
    else:
        above = top
    if len(ends.wins):
        note_waits(
            ends, mover, pays, untried, (top, above), pays_next, untried_next, (end, top),
            (last, end), words,
        )  # fmt: skip
        return
    of_mover[BUMPS, 0] = reached
    for k in range(untried_next):
        of_next[2 + MARKS, k] = pays_next * of_mover[BUMPS, k]
        of_mover[2 + BUMPS, k] = LOST * pays_next * of_next[MARKS, k]
    for k in range(untried_next - 1):
        of_mover[2 + MARKS, k] = pays * of_next[BUMPS, k + 1]
        of_next[2 + BUMPS, k + 1] = LOST * pays * of_mover[MARKS, k]
    for place in range(last, end):
        tables.numbers[(words[place] >> MOST_CELLS) + GAIN] += of_mover[2 + BUMPS, 0]
    _hand_out(tables, end, top, untried_next, of_next, words)
    _hand_out(tables, top, above, untried, of_mover, words)


@njit(nogil=True, cache=True)
def _add_up(board, tables, start, stop, kind, cell, untried, sums, top, words):
    """Adds the plans of a list's info states to the first rows of `sums`. Writes from place `top`
    on the sequences that mark the cell, and returns their end."""
    numbers, stride = tables.numbers, board.stride[(1 << untried) - 1]
    for place in range(start, stop):
        word = words[place]
        first = tables.links[2 * (word >> MOST_CELLS) + kind]
        sequence = first + stride * board.size[board.cells & ~word & (cell - 1)]
        words[top] = sequence
        top += 1
        sums[MARKS, 0] += numbers[sequence + PLAN]
        row = sequence + WAITS
        for k in range(1, untried):
            sums[MARKS, k] += numbers[row + MARKS]
            sums[BUMPS, k] += numbers[row + BUMPS]
            row += ROW
    return top


@njit(nogil=True, cache=True)
def _hand_out(tables, start, stop, untried, sums, words):
    """Adds the last rows of `sums` to the gains of sequences."""
    numbers = tables.numbers
    for place in range(start, stop):
        sequence = words[place]
        numbers[sequence + GAIN] += sums[2 + MARKS, 0]
        row = sequence + WAITS
        for k in range(1, untried):
            numbers[row + 2 + MARKS] += sums[2 + MARKS, k]
            numbers[row + 2 + BUMPS] += sums[2 + BUMPS, k]
            row += ROW


@njit(nogil=True, cache=True)
def load(board, tables, states, places, plans):
    """Writes both players' `plans [S]`, and zeros as gains. `states [I]` are the words of info
    states, `places [I]` their first sequences among those of the plans."""
    numbers = tables.numbers
    for number in range(len(states) - 1, -1, -1):
        word, place = states[number], places[number]
        stride, untried = stride_of(board, word), board.size[board.cells & ~word]
        for rank in range(untried):
            sequence = (word >> MOST_CELLS) + rank * stride
            numbers[sequence + PLAN] = plans[place + rank]
            numbers[sequence + GAIN : sequence + stride] = 0.0
        if board.passes:
            _between(board, tables, word, stride, untried, 0, True)


@njit(nogil=True, cache=True)
def take(board, tables, states, gains):
    """Adds `gains [N]`, at the places of what the plans weigh, to those of all sequences."""
    numbers = tables.numbers
    for word in states:
        stride, start = stride_of(board, word), word >> MOST_CELLS
        stop = start + stride * board.size[board.cells & ~word]
        for sequence in range(start, stop, stride):
            numbers[sequence + GAIN] += gains[sequence + PLAN]
            for row in range(sequence + WAITS, sequence + stride, ROW):
                numbers[row + 2 + MARKS] += gains[row + MARKS]
                numbers[row + 2 + BUMPS] += gains[row + BUMPS]


@njit(nogil=True, cache=True)
def unload(board, tables, states, places, gains):
    """Hands the gains of waiting down to the sequences that earn them, and writes all `gains
    [S]`."""
    for number in range(len(states)):
        word, place = states[number], places[number]
        stride, untried = stride_of(board, word), board.size[board.cells & ~word]
        if board.passes:
            _between(board, tables, word, stride, untried, 2, False)
        for rank in range(untried):
            sequence = (word >> MOST_CELLS) + rank * stride
            gains[place + rank] = tables.numbers[sequence + GAIN]


@njit(nogil=True, cache=True)
def _between(board, tables, word, stride, untried, column, upwards):
    """Adds the numbers after a bump to the rows of an info state, or the other way: `column` is the
    first of those of a plan or of gains."""
    numbers, single = tables.numbers, GAIN if column else PLAN
    first = word >> MOST_CELLS
    stride_below = stride - ROW
    for rank in range(untried):
        row = first + rank * stride + WAITS + column
        for other in range(untried):
            if other == rank:
                continue
            sequence = first + other * stride
            if upwards:
                numbers[row + BUMPS] += numbers[sequence + single]
            else:
                numbers[sequence + single] += numbers[row + BUMPS]
            below = tables.links[2 * sequence + BUMPED]
            if below < 0:
                continue
            below += (rank - (other < rank)) * stride_below
            if upwards:
                numbers[row + MARKS] += numbers[below + single]
            else:
                numbers[below + single] += numbers[row + MARKS]
            deeper = below + WAITS + column
            for k in range(ROW, ROW * (untried - 1), ROW):
                for kind in (MARKS, BUMPS):
                    if upwards:
                        numbers[row + k + kind] += numbers[deeper + k - ROW + kind]
                    else:
                        numbers[deeper + k - ROW + kind] += numbers[row + k + kind]
