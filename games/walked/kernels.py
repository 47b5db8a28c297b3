"""The walk over a board's histories, compiled by numba.

A board's history says which cells were marked, in order, and in abrupt games also which turns ended
with a bump. Given it, what one player bumped into does not depend on what the other bumped into. So
the sum over all histories of the game factors: at each board history there is a list of each
player's own sequences that agree with it, and every pair of one of each is one history of the game.
Where the board history ends, a sequence of the one list earns what all of the other list together
weigh. Phantom tic-tac-toe has 2e10 histories and 5e5 board histories with 1e8 list entries.

In abrupt games a walk ends where one cell is left to mark. From there on players bump, each in its
turn, until one of them marks it: `games.walked.waits`.

A cell is a bit of a word, a player's marks are a word. Info states and sequences of both players
are numbered together, those that follow a sequence right after it: what the end of a walk touches
is close together.
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
"""Bits of a word that hold the cells a player has tried. Above them stands where the first sequence
of an info state is, or a sequence."""
TRIED = (1 << MOST_CELLS) - 1
PLACED, BUMPED = 0, 1
"""How a try ends."""
LINKS, PLAN, GAIN, WAITS = range(4)
"""What `Tables.numbers` hold of a sequence, one after the other: where the first sequences of the
info states are that follow it, as two int32; its plan; its gains; and in abrupt games what
`games.walked.waits` says, of four numbers a row."""
ROW = 4
WON, LOST = 1.0, -1.0
"""What the player who marks a winning cell earns, and what the other earns."""

OWN, OTHER, FIRST, LAST, START, STOP, KIND, LEFT, BUMPS, FIELDS = range(10)
"""What is kept of the board histories above the current one: the mover's and the other's marks; the
mover's info states, by place; the other's list, by place, and how its last try ended; the cells
that are left to mark; whether bumps are left."""


class Board(NamedTuple):
    """The rules: bits of the cells, whether a bump passes the turn, who has won with which marks
    (bool `[2, 2^n]`), the number of bits of a word, and how many numbers a sequence has in an info
    state with so many untried cells, int32 `[2^n]` each."""

    cells: int
    passes: bool
    wins: np.ndarray
    size: np.ndarray
    stride: np.ndarray


class Tables(NamedTuple):
    """The players' own info states, with numbers of their sequences side by side: so a walk reads
    few places in memory.

    Attributes:
        numbers: of all sequences, as `LINKS` and the next say, float64 `[N]`.
        links: the same memory as int32 `[2 N]`; -1 where no info state follows.
        empty: where each player's empty sequence is, int64 `[2]`.
    """

    numbers: np.ndarray
    links: np.ndarray
    empty: np.ndarray


class Room(NamedTuple):
    """Where a walk writes: lists of words, int64; frames, int64 `[depth, FIELDS]`, and their sums,
    float64 `[depth, 2]`; sums of waiting, float64 `[2, 4, cells + 2]`."""

    words: np.ndarray
    frames: np.ndarray
    sums: np.ndarray
    waits: np.ndarray


@njit(nogil=True, cache=True)
def stride_of(board, word):
    """How far apart the sequences of an info state are. In abrupt games this is the same for all
    info states of a list: they have as many tries. In others it is always the same."""
    return board.stride[board.cells & ~word]


@njit(nogil=True, cache=True)
def sequence_of(board, word, bit, stride):
    """The sequence that tries a cell at an info state: untried cells are in order."""
    return (word >> MOST_CELLS) + stride * board.size[board.cells & ~word & (bit - 1)]


@njit(nogil=True, cache=True)
def decide(board, tables, start, stop, kind, other, top, words):
    """Writes from place `top` on the info states at which the mover may stand, whose last tries are
    the list's: after them, and if it tries again after a bump, after any bumps into the `other`
    player's marks. Returns their end."""
    end = top
    for place in range(start, stop):
        word = words[place]
        first = tables.links[2 * (word >> MOST_CELLS) + kind]
        words[end] = first << MOST_CELLS | word & TRIED
        end += 1
    if board.passes:
        return end
    place, stride = top, stride_of(board, words[top])
    while place < end:
        word = words[place]
        bumps = other & ~word
        while bumps:
            bit = bumps & -bumps
            bumps ^= bit
            first = tables.links[2 * sequence_of(board, word, bit, stride) + BUMPED]
            words[end] = first << MOST_CELLS | word & TRIED | bit
            end += 1
        place += 1
    return end


@njit(nogil=True, cache=True)
def end_game(board, tables, first, last, bit, gain, words):
    """Ends the game with a mark in a cell, and returns what the mover's plan weighs there."""
    reached, stride = 0.0, stride_of(board, words[first])
    for place in range(first, last):
        sequence = sequence_of(board, words[place], bit, stride)
        reached += tables.numbers[sequence + PLAN]
        tables.numbers[sequence + GAIN] += gain
    return reached


@njit(nogil=True, cache=True)
def place_mark(board, tables, first, last, bit, words):
    """Writes the list of the mover's sequences that mark a cell, from place `last` on. Returns its
    end and what the mover's plan weighs there."""
    reached, end, stride = 0.0, last, stride_of(board, words[first])
    for place in range(first, last):
        sequence = sequence_of(board, words[place], bit, stride)
        reached += tables.numbers[sequence + PLAN]
        words[end] = sequence << MOST_CELLS | words[place] & TRIED | bit
        end += 1
    return end, reached


@njit(nogil=True, cache=True)
def bump(board, tables, first, last, other, words):
    """`place_mark` for the sequences that bump into a mark of the `other` player."""
    reached, end, stride = 0.0, last, stride_of(board, words[first])
    for place in range(first, last):
        word = words[place]
        bumps = other & ~word
        while bumps:
            bit = bumps & -bumps
            bumps ^= bit
            sequence = sequence_of(board, word, bit, stride)
            reached += tables.numbers[sequence + PLAN]
            words[end] = sequence << MOST_CELLS | word & TRIED | bit
            end += 1
    return end, reached


@njit(nogil=True, cache=True)
def keep(frame, own, other, first, last, start, stop, kind, left, bumps):
    frame[OWN], frame[OTHER], frame[FIRST], frame[LAST] = own, other, first, last
    frame[START], frame[STOP], frame[KIND], frame[LEFT] = start, stop, kind, left
    frame[BUMPS] = bumps


@njit(nogil=True, cache=True)
def kept(frame):
    return (
        frame[OWN], frame[OTHER], frame[FIRST], frame[LAST], frame[START], frame[STOP],
        frame[KIND], frame[LEFT], frame[BUMPS] != 0,
    )  # fmt: skip
