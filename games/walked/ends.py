"""The ends of a game as lists, for a device that adds up many at once.

At an end of a board history, any sequence of player 0's list and any of player 1's make a history
of the game. So what a player's plan weighs there is a sum over its list, which the other's
sequences gain.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from games.walked.kernels import MOST_CELLS, PLAN, ROW, WAITS, njit, sequence_of, stride_of


class Ends(NamedTuple):
    """E ends, M members of lists.

    Attributes:
        members: places in `Tables.numbers` of what the plans weigh, int32 `[2, M]`.
        starts: at end e, player p has the members from `starts[p, e]` to `starts[p, e + 1]`, int64
            `[2, E + 1]`.
        wins: what player 0 earns, float64 `[E]`.
        counts: the number of ends so far, int64 `[1]`; -1 if there is no more room.
    """

    members: np.ndarray
    starts: np.ndarray
    wins: np.ndarray
    counts: np.ndarray


def room_for(ends: int, members: int) -> Ends:
    return Ends(
        np.zeros((2, members), np.int32), np.zeros((2, ends + 1), np.int64), np.zeros(ends),
        np.zeros(1, np.int64),
    )  # fmt: skip


NONE = room_for(0, 0)
"""For a walk that adds up."""


@njit(nogil=True, cache=True)
def note_mark(board, ends, mover, first, last, bit, start, stop, words):
    """Notes that the `mover` wins by a mark in a cell, at the info states from place `first` to
    `last`. The other's list is from `start` to `stop`."""
    top, stride = last, stride_of(board, words[first])
    for place in range(first, last):
        words[top] = sequence_of(board, words[place], bit, stride)
        top += 1
    end = _places(words, start, stop, top)
    _note(ends, mover, words, last, top, PLAN, top, end, PLAN)


@njit(nogil=True, cache=True)
def note_waits(ends, mover, pays, untried, own, pays_next, untried_next, others, placed, words):
    """Notes all ends after which one cell is left: what `games.walked.waits.wait` adds up. `own`,
    `others` and `placed` are a start and a stop in `words`: of the sequences that mark the last
    cell, of the mover and of the next player, and of those that marked the cell before."""
    top = max(own[1], others[1])
    end = _places(words, placed[0], placed[1], top)
    if pays_next != 0.0:
        for k in range(min(untried_next, untried)):
            marks = PLAN if k == 0 else WAITS + ROW * (k - 1)
            if k == 0:
                _note(ends, 1 - mover, words, others[0], others[1], marks, top, end, PLAN)
            else:
                bumps = WAITS + ROW * (k - 1) + 1
                _note(ends, 1 - mover, words, others[0], others[1], marks, own[0], own[1], bumps)
    if pays != 0.0:
        for k in range(min(untried_next - 1, untried)):
            marks = PLAN if k == 0 else WAITS + ROW * (k - 1)
            bumps = WAITS + ROW * k + 1
            _note(ends, mover, words, own[0], own[1], marks, others[0], others[1], bumps)


@njit(nogil=True, cache=True)
def _places(words, start, stop, top):
    """Writes the sequences of a list from place `top` on, and returns their end."""
    for place in range(start, stop):
        words[top] = words[place] >> MOST_CELLS
        top += 1
    return top


@njit(nogil=True, cache=True)
def _note(ends, winner, words, start, stop, shift, other_start, other_stop, other_shift):
    """Notes an end: `shift` is from a sequence to the number that its plan weighs."""
    number, loser = ends.counts[0], 1 - winner
    if number < 0:
        return
    top, bottom = ends.starts[winner, number], ends.starts[loser, number]
    size = max(top + stop - start, bottom + other_stop - other_start)
    if number >= len(ends.wins) or size > ends.members.shape[1]:
        ends.counts[0] = -1
        return
    for place in range(stop - start):
        ends.members[winner, top + place] = words[start + place] + shift
    for place in range(other_stop - other_start):
        ends.members[loser, bottom + place] = words[other_start + place] + other_shift
    ends.starts[winner, number + 1] = top + stop - start
    ends.starts[loser, number + 1] = bottom + other_stop - other_start
    ends.wins[number] = 1.0 - 2.0 * winner
    ends.counts[0] = number + 1
