"""One player's info states and sequences.

A *sequence* of a player is an (info state, action) pair, or the empty sequence, number 0. With
perfect recall every info state has exactly one parent sequence. So a player's info states form a
tree, and exact quantities are a few vector operations over it (von Stengel 1996, "Efficient
computation of behavior strategies").
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Hashable, Sequence

import numpy as np

from games.errors import GameError
from games.marks import Marks

MAX_LEVELS = 1_000
"""The most decisions of one player in one episode that learners accept: every level is compiled
into a program of its own."""

_TABLE_BYTES = 32
"""A learner's memory for each info state and action: a few tables of four or eight bytes."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class PlayerTree:
    """One player's info states, sorted by own-decision depth, and its sequences.

    I info states, S sequences (with the empty one), A actions, O observation entries, L levels.
    The info states of a level are contiguous. So are the sequences of an info state, in the order
    of its legal actions. A level is therefore a slice of either.

    Attributes:
        num_actions: A, the largest number of actions of any player in the game.
        observation: the network's input at each info state, `[I, O]`; int8 if all entries are small
            whole numbers, else float32. `Marks` make their rows when they are read.
        parent: the sequence that leads to each info state, int32 `[I]`; 0 at level 0.
        first_sequence: info state i has sequences `first_sequence[i]:first_sequence[i + 1]`,
            int32 `[I + 1]`.
        info_state: the info state of each sequence, int32 `[S]`; -1 for sequence 0.
        action: the action of each sequence, int32 `[S]`; -1 for sequence 0.
        level_start: level l holds info states `level_start[l]:level_start[l + 1]`, int32 `[L + 1]`.
        names: OpenSpiel's string for each info state (of its first history), or its name in the
            game's file.
        keys: what identifies each info state: a string, a tensor or a history, see the tree's
            `identity`.
        action_names: the name of each sequence's action in the game's file, `[S]`, "" for the empty
            sequence; None if the file has no labels. The names at one info state differ.
    """

    num_actions: int
    observation: np.ndarray | Marks
    parent: np.ndarray
    first_sequence: np.ndarray
    info_state: np.ndarray
    action: np.ndarray
    level_start: np.ndarray
    names: Sequence[str]
    keys: Sequence[Hashable]
    action_names: Sequence[str] | None = None

    @property
    def num_info_states(self) -> int:
        return len(self.parent)

    @property
    def num_sequences(self) -> int:
        return len(self.action)

    @functools.cached_property
    def legal(self) -> np.ndarray:
        """Legal actions as a table, bool `[I, A]`. Learners need it: their networks and tables have
        an entry for every info state and action. Exact computations need only `action`.

        Raises:
            GameError: tables of this size do not fit into memory.
        """
        self.check_tables()
        table = np.zeros((self.num_info_states, self.num_actions), bool)
        table[self.info_state[1:], self.action[1:]] = True
        return table

    def check_tables(self) -> None:
        """Raises `GameError` if a learner's arrays, `[I, A]` and `[I, O]`, would not fit into
        memory, or if there are too many levels."""
        width = self.observation.shape[1]
        entries = self.num_info_states * (self.num_actions + width)
        if entries * _TABLE_BYTES > _memory():
            raise GameError(
                f"it has {self.num_info_states:,} info states, which differ in {width:,} "
                f"numbers, and up to {self.num_actions:,} actions: a learner's tables of "
                f"{entries:,} entries do not fit into {_memory() / 2**30:.0f} GiB of memory"
            )
        if self.num_levels > MAX_LEVELS:
            raise GameError(
                f"it decides up to {self.num_levels:,} times in one episode, and learners go "
                f"through at most {MAX_LEVELS:,} decisions"
            )

    def actions(self, info_state: int) -> np.ndarray:
        """The legal actions of an info state, in order, int32."""
        return self.action[self.first_sequence[info_state] : self.first_sequence[info_state + 1]]

    @property
    def num_levels(self) -> int:
        """The most own decisions in one episode."""
        return len(self.level_start) - 1

    @property
    def previous_action(self) -> np.ndarray:
        """The player's previous own action at each info state, int32 `[I]`; -1 for none."""
        return self.action[self.parent]

    @property
    def parent_info_state(self) -> np.ndarray:
        """The player's previous own info state at each info state, int32 `[I]`; -1 for none."""
        return self.info_state[self.parent]

    @property
    def parent_sequence(self) -> np.ndarray:
        """The sequence that each sequence continues, int32 `[S]`; 0 for sequence 0."""
        return np.concatenate([[0], self.parent[self.info_state[1:]]]).astype(np.int32)

    def indistinct(self) -> int:
        """The number of info states that a policy cannot tell from another one, even with perfect
        memory, if it sees (observation, own previous action) at each own decision."""
        classes = np.zeros(self.num_info_states, np.int64)
        previous, before, distinct = self.previous_action, self.parent_info_state, 0
        marked = isinstance(self.observation, Marks)
        observation = self.observation.places if marked else self.observation
        for first, last in zip(self.level_start[:-1], self.level_start[1:], strict=True):
            above = np.where(before[first:last] < 0, -1, classes[before[first:last]])
            seen = np.column_stack(
                [
                    np.stack([above, previous[first:last]], axis=1).view(np.uint8),
                    np.ascontiguousarray(observation[first:last]).view(np.uint8),
                ]
            )
            # A row becomes one opaque item, so that rows sort by their bytes. (Observations -0.0
            # and 0.0 would differ, but -0.0 does not occur.)
            rows = seen.view(np.dtype((np.void, seen.shape[1])))[:, 0]
            kinds, classes[first:last] = np.unique(rows, return_inverse=True)
            distinct += len(kinds)
        return self.num_info_states - distinct


def _memory() -> int:
    """This machine's memory in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
