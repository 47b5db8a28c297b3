"""One part of a walk."""

from __future__ import annotations

from games.walked.ends import note_mark
from games.walked.kernels import (
    BUMPED,
    GAIN,
    LOST,
    MOST_CELLS,
    PLACED,
    PLAN,
    WON,
    bump,
    decide,
    end_game,
    keep,
    kept,
    njit,
    place_mark,
)
from games.walked.waits import wait


@njit(nogil=True, cache=True)
def walk(board, tables, opening, room, ends):
    """Adds one part of the game to the gains of all sequences, by both players' plans.

    Args:
        ends: where there is room in it, nothing is added up: the ends are noted there.
        opening: the first two cells that are marked, as bits; 0 for a bump in the second turn.
    """
    words, frames, sums = room.words, room.frames, room.sums
    words[0], words[1] = tables.empty[0] << MOST_CELLS, tables.empty[1] << MOST_CELLS
    own = other = depth = kind = 0
    start, stop, weight = 1, 2, tables.numbers[tables.empty[1] + PLAN]
    first, last = 2, decide(board, tables, 0, 1, PLACED, 0, 2, words)
    left, bumps, loss = opening[0], False, 0.0
    while True:
        if left:
            bit = left & -left
            left ^= bit
            marks = own | bit
            won, empty = board.wins[depth & 1, marks], board.cells & ~(marks | other)
            if won or empty == 0:
                if won and len(ends.wins):
                    note_mark(board, ends, depth & 1, first, last, bit, start, stop, words)
                elif won:
                    gain = WON * weight
                    loss += LOST * end_game(board, tables, first, last, bit, gain, words)
                continue
            if board.passes and empty & (empty - 1) == 0 and depth > 0:
                wait(
                    board, tables, depth & 1, first, last, bit, start, stop, kind, marks, other,
                    room, ends,
                )  # fmt: skip
                continue
            end, reached = place_mark(board, tables, first, last, bit, words)
            ending = PLACED
        elif bumps:
            bumps = False
            end, reached = bump(board, tables, first, last, other, words)
            if end == last:
                continue
            marks, ending = own, BUMPED
        else:
            if loss != 0.0:
                for place in range(start, stop):
                    tables.numbers[(words[place] >> MOST_CELLS) + GAIN] += loss
            depth -= 1
            if depth < 0:
                return
            weight, loss = sums[depth]
            own, other, first, last, start, stop, kind, left, bumps = kept(frames[depth])
            continue
        keep(frames[depth], own, other, first, last, start, stop, kind, left, bumps)
        sums[depth, 0], sums[depth, 1] = weight, loss
        depth += 1
        own, other = other, marks
        above, until, start, stop = start, stop, last, end
        first, last = end, decide(board, tables, above, until, kind, other, end, words)
        kind, weight, loss = ending, reached, 0.0
        left, bumps = board.cells & ~(own | other), board.passes
        if depth == 1:
            left, bumps = left & opening[1], bumps and opening[1] == 0
