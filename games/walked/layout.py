"""In which order sequences are numbered: those of an info state follow each other, and then comes
all that follows the first of them, all that follows the second, and so on."""

from __future__ import annotations

from games.walked.kernels import BUMPED, MOST_CELLS, PLACED, njit

SEQUENCES, STATES, NUMBERS = 0, 1, 2
"""What is counted: of `Tables.numbers` too."""
TRIES, LEFT, PLACE, ENDING, OFFSET, STATE = range(6)
"""What is kept of the info states above the current one: cells tried, cells left, the sequence of
the next try and how it ends, where it is in `Tables.numbers`, and the info state's number."""


@njit(nogil=True, cache=True)
def lay_out(board, follows, sequence, tables, states, parent, rank, bumped, counts, frames):
    """Writes the links of all after a player's empty `sequence`, and of each info state its word,
    the info state before it (-1 for none) with the rank of the sequence between them, and whether
    that was a bump, `[I]` each. False if `follows` are of no board of this size."""
    depth = 0
    frames[0, TRIES], frames[0, LEFT], frames[0, PLACE], frames[0, ENDING] = 0, 0, sequence, PLACED
    frames[0, OFFSET], frames[0, STATE] = counts[NUMBERS], -1
    counts[NUMBERS] += board.stride[0]
    tables.links[2 * frames[0, OFFSET] : 2 * frames[0, OFFSET] + 2] = -1
    while depth >= 0:
        tried, left, place, ending, offset, above = frames[depth]
        if left == 0 and (depth > 0 or place > sequence):
            depth -= 1
            continue
        bit = left & -left
        if ending == PLACED:
            frames[depth, ENDING] = BUMPED
        else:
            frames[depth, LEFT], frames[depth, PLACE] = left ^ bit, place + 1
            frames[depth, ENDING] = PLACED
            frames[depth, OFFSET] = offset + board.stride[board.cells & ~tried]
        if not follows[place, ending]:
            continue
        before = board.size[board.cells & ~tried & (bit - 1)] if depth > 0 else 0
        tried |= bit
        untried = board.cells & ~tried
        first, number, state = counts[SEQUENCES], board.size[untried], counts[STATES]
        start, stride = counts[NUMBERS], board.stride[untried]
        stop = start + number * stride
        if (
            number == 0
            or first + number > len(follows)
            or state >= len(states)
            or stop > len(tables.numbers)
        ):
            return False
        tables.links[2 * offset + ending] = start
        for link in range(2 * start, 2 * stop, 2 * stride):
            tables.links[link : link + 2] = -1
        states[state] = start << MOST_CELLS | tried
        parent[state], rank[state], bumped[state] = above, before, ending == BUMPED
        counts[SEQUENCES], counts[STATES] = first + number, state + 1
        counts[NUMBERS] = stop
        depth += 1
        frames[depth, TRIES], frames[depth, LEFT] = tried, untried
        frames[depth, PLACE], frames[depth, ENDING] = first, PLACED
        frames[depth, OFFSET], frames[depth, STATE] = start, state
    return True
