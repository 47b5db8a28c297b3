"""In which order sequences are numbered: those of an info state follow each other, and then comes
all that follows the first of them, all that follows the second, and so on."""

from __future__ import annotations

from games.walked.kernels import BUMPED, MOST_CELLS, PLACED, njit

SEQUENCES, STATES, ROWS = 0, 1, 2
"""What is counted."""


@njit(nogil=True, cache=True)
def lay_out(board, follows, sequence, tables, states, parent, bumped, counts, frames):
    """Writes the tables of all after a player's empty `sequence`. False if `follows` are of no
    board of this size. `frames [depth, 4]` is for the info states above the current one: cells
    tried, cells left, the sequence of the next try, and how it ends."""
    depth = 0
    frames[0, 0], frames[0, 1], frames[0, 2], frames[0, 3] = 0, 0, sequence, PLACED
    while depth >= 0:
        tried, left, place, ending = frames[depth]
        if left == 0 and (depth > 0 or place > sequence):
            depth -= 1
            continue
        bit = left & -left
        if ending == PLACED:
            frames[depth, 3] = BUMPED
        else:
            frames[depth, 1], frames[depth, 2], frames[depth, 3] = left ^ bit, place + 1, PLACED
        if not follows[place, ending]:
            continue
        tried |= bit
        first, number, state = counts[SEQUENCES], board.size[board.cells & ~tried], counts[STATES]
        if number == 0 or first + number > len(follows) or state >= len(states):
            return False
        tables.after[ending, place] = first
        tables.rows[first] = counts[ROWS]
        states[state] = first << MOST_CELLS | tried
        parent[state], bumped[state] = place, ending == BUMPED
        counts[SEQUENCES], counts[STATES] = first + number, state + 1
        if board.passes:
            counts[ROWS] += number * (number - 1)
        depth += 1
        frames[depth, 0], frames[depth, 1] = tried, board.cells & ~tried
        frames[depth, 2], frames[depth, 3] = first, PLACED
    return True
