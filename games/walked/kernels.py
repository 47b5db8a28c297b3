"""The walk over a board's histories, compiled by numba.

A board's history says which cells were marked, in order, and in abrupt games also which turns ended
with a bump. Given it, what one player bumped into does not depend on what the other bumped into. So
the sum over all histories of the game factors: at each board history there is a list of each
player's own sequences that agree with it, and every pair of one of each is one history of the game.
Where the board history ends, a sequence of the one list earns what all of the other list together
weigh. Phantom tic-tac-toe has 2e10 histories and 5e5 board histories with 1e8 list entries.

A cell is a bit of a word, a player's marks are a word. Info states and sequences of both players
are numbered together.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

try:
    from numba import njit

    COMPILED = True
except ModuleNotFoundError:  # the same functions in Python: for small boards
    COMPILED = False

    def njit(**options):
        return lambda function: function


MOST_CELLS = 16
"""Bits of an info state's word that hold the cells its player has tried; its first sequence stands
above them."""
_TRIED = (1 << MOST_CELLS) - 1
PLACED, BUMPED = 0, 1
"""How a try ends; rows of `Tables.child`."""

OWN, OTHER, FIRST, LAST, START, STOP, KIND, LEFT, BUMPS, FIELDS = range(10)
"""What is kept of the board histories above the current one: the mover's and the other's marks; the
mover's decisions, by place; the other's list, by place, and how its last try ended; the cells that
are left to mark; whether bumps are left."""


class Board(NamedTuple):
    """The rules: bits of the cells, whether a bump passes the turn, who has won with which marks
    (bool `[2, 2^n]`), and the number of bits of a word, int32 `[2^n]`."""

    cells: int
    passes: bool
    wins: np.ndarray
    size: np.ndarray


class Tables(NamedTuple):
    """The players' own info states; -1 where there is none.

    Attributes:
        states: int64 `[I]`: the first sequence above `MOST_CELLS` bits, and the cells tried.
        child: the info state after a sequence whose try ended so, int32 `[2, S]`.
        parent: the sequence before an info state, int32 `[I]`.
        owner: the info state of a sequence, int32 `[S]`. Not read if no info state is missing.
        counts: info states and sequences so far, int64 `[2]`.
        empty: each player's empty sequence, int64 `[2]`.
    """

    states: np.ndarray
    child: np.ndarray
    parent: np.ndarray
    owner: np.ndarray
    counts: np.ndarray
    empty: np.ndarray


class Room(NamedTuple):
    """Where a walk writes: lists of sequences, int32; decisions, int64; frames, int64
    `[depth, FIELDS]`, and their sums, float64 `[depth, 2]`."""

    sequences: np.ndarray
    decisions: np.ndarray
    frames: np.ndarray
    sums: np.ndarray


@njit(nogil=True, cache=True)
def walk(board, tables, opening, pays, x, gains, room):
    """Adds one part of the game to the `gains [S]` of all sequences; `x [S]` are both players'
    plans. Returns the number of histories of the part from its third turn on, or -1 if the tables
    are full: info states that are missing are made, and the part can be walked again.

    Args:
        opening: the first two cells that are marked, as bits; 0 for a bump in the second turn.
        pays: what the player who marks a winning cell earns, what the other earns, and what each
            earns if the board is full.
    """
    sequences, frames, sums = room.sequences, room.frames, room.sums
    sequences[0], sequences[1] = tables.empty
    own = other = depth = kind = 0
    start, stop, weight = 1, 2, x[tables.empty[1]]
    first, last = 2, _decide(board, tables, 0, 1, PLACED, 0, 2, room)
    left, bumps, loss, histories = opening[0], False, 0.0, 0
    while last >= 0:
        if left:
            bit = left & -left
            left ^= bit
            marks = own | bit
            won = board.wins[depth & 1, marks]
            if won or marks | other == board.cells:
                histories += (last - first) * (stop - start)
                pay = pays[0] if won else pays[2]
                if pay != 0.0:
                    ended = _end(board, first, last, bit, pay * weight, x, gains, room)
                    loss += (pays[1] if won else pays[2]) * ended
                continue
            end, reached = _place(board, first, last, bit, x, room)
            ending = PLACED
        elif bumps:
            bumps = False
            end, reached = _bump(board, first, last, other, x, room)
            if end == last:
                continue
            marks, ending = own, BUMPED
        else:
            if loss != 0.0:
                for place in range(start, stop):
                    gains[sequences[place]] += loss
            depth -= 1
            if depth < 0:
                return histories
            weight, loss = sums[depth]
            own, other, first, last, start, stop, kind, left, bumps = _kept(frames[depth])
            continue
        _keep(frames[depth], own, other, first, last, start, stop, kind, left, bumps)
        sums[depth, 0], sums[depth, 1] = weight, loss
        depth += 1
        own, other = other, marks
        above, until, start, stop = start, stop, last, end
        first, last = end, _decide(board, tables, above, until, kind, other, end, room)
        kind, weight, loss = ending, reached, 0.0
        left, bumps = board.cells & ~(own | other), board.passes
        if depth == 1:
            left, bumps = left & opening[1], bumps and opening[1] == 0
        else:
            histories += (last - first) * (stop - start)
    return -1


@njit(nogil=True, cache=True)
def _keep(frame, own, other, first, last, start, stop, kind, left, bumps):
    frame[OWN], frame[OTHER], frame[FIRST], frame[LAST] = own, other, first, last
    frame[START], frame[STOP], frame[KIND], frame[LEFT] = start, stop, kind, left
    frame[BUMPS] = bumps


@njit(nogil=True, cache=True)
def _kept(frame):
    return (
        frame[OWN], frame[OTHER], frame[FIRST], frame[LAST], frame[START], frame[STOP],
        frame[KIND], frame[LEFT], frame[BUMPS] != 0,
    )  # fmt: skip


@njit(nogil=True, cache=True)
def _sequence(board, state, bit):
    """The sequence that tries a cell at an info state: untried cells are in order."""
    return (state >> MOST_CELLS) + board.size[board.cells & ~state & (bit - 1)]


@njit(nogil=True, cache=True)
def _decide(board, tables, start, stop, kind, other, top, room):
    """Writes from place `top` on the info states at which the mover may stand, whose last tries are
    the list's: after them, and if it tries again after a bump, after any bumps into the `other`
    player's marks. Returns their end, or -1 if the tables are full."""
    states, child, sequences, decisions = (
        tables.states, tables.child, room.sequences, room.decisions,
    )  # fmt: skip
    end = top
    for place in range(start, stop):
        sequence = sequences[place]
        state = child[kind, sequence]
        if state < 0:
            tried = _tried(board, tables, sequence)
            state = _make(board, tables, kind, sequence, tried)
            if state < 0:
                return -1
        decisions[end] = states[state]
        end += 1
    if board.passes:
        return end
    place = top
    while place < end:
        decision = decisions[place]
        bumps = other & ~decision
        while bumps:
            bit = bumps & -bumps
            bumps ^= bit
            sequence = _sequence(board, decision, bit)
            state = child[BUMPED, sequence]
            if state < 0:
                state = _make(board, tables, BUMPED, sequence, decision & _TRIED | bit)
                if state < 0:
                    return -1
            decisions[end] = states[state]
            end += 1
        place += 1
    return end


@njit(nogil=True, cache=True)
def _end(board, first, last, bit, gain, x, gains, room):
    """Ends the game with a mark in a cell, and returns what the mover's plan weighs there."""
    reached = 0.0
    for place in range(first, last):
        sequence = _sequence(board, room.decisions[place], bit)
        reached += x[sequence]
        gains[sequence] += gain
    return reached


@njit(nogil=True, cache=True)
def _place(board, first, last, bit, x, room):
    """Writes the list of the mover's sequences that mark a cell, from place `last` on. Returns its
    end and what the mover's plan weighs there."""
    reached, end = 0.0, last
    for place in range(first, last):
        sequence = _sequence(board, room.decisions[place], bit)
        reached += x[sequence]
        room.sequences[end] = sequence
        end += 1
    return end, reached


@njit(nogil=True, cache=True)
def _bump(board, first, last, other, x, room):
    """`_place` for the sequences that bump into a mark of the `other` player."""
    reached, end = 0.0, last
    for place in range(first, last):
        decision = room.decisions[place]
        bumps = other & ~decision
        while bumps:
            bit = bumps & -bumps
            bumps ^= bit
            sequence = _sequence(board, decision, bit)
            reached += x[sequence]
            room.sequences[end] = sequence
            end += 1
    return end, reached


@njit(nogil=True, cache=True)
def _tried(board, tables, sequence):
    """The cells that a player has tried after a sequence."""
    if len(tables.owner) == 0 or tables.owner[sequence] < 0:
        return 0
    state = tables.states[tables.owner[sequence]]
    untried = board.cells & ~state
    for _ in range(sequence - (state >> MOST_CELLS)):
        untried &= untried - 1
    return state & _TRIED | untried & -untried


@njit(nogil=True, cache=True)
def _make(board, tables, kind, sequence, tried):
    """A new info state after a sequence, with new sequences for the cells that are not `tried`; -1
    if the tables are full."""
    state, start = tables.counts
    stop = start + board.size[board.cells & ~tried]
    if state >= len(tables.states) or stop > len(tables.owner):
        return -1
    tables.child[kind, sequence] = state
    tables.states[state] = start << MOST_CELLS | tried
    tables.parent[state] = sequence
    tables.owner[start:stop] = state
    tables.child[:, start:stop] = -1
    tables.counts[0], tables.counts[1] = state + 1, stop
    return state
