"""One player's info states and sequences in an enumerated game, with what learners need of
them."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from games.errors import GameError
from games.info_states import InfoStates, memory
from games.marks import Marks

MAX_LEVELS = 1_000
"""The most decisions of one player in one episode that learners accept: every level is compiled
into a program of its own."""

_TABLE_BYTES = 32
"""A learner's memory for each info state and action: a few tables of four or eight bytes."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class PlayerTree(InfoStates):
    """One player's `InfoStates` in an enumerated game, O observation entries each.

    Attributes:
        observation: the network's input at each info state, `[I, O]`; int8 if all entries are small
            whole numbers, else float32. `Marks` make their rows when they are read.
        names: OpenSpiel's string for each info state (of its first history), or its name in the
            game's file.
        keys: what identifies each info state: a string, a tensor or a history, see the tree's
            `identity`.
        action_names: the name of each sequence's action in the game's file, `[S]`, "" for the empty
            sequence; None if the file has no labels. The names at one info state differ.
    """

    observation: np.ndarray | Marks
    names: Sequence[str]
    keys: Sequence[Hashable]
    action_names: Sequence[str] | None = None

    @property
    def observation_size(self) -> int:
        return self.observation.shape[1]

    def observe(self, rows: Any) -> np.ndarray:
        return self.observation[rows]

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
        if entries * _TABLE_BYTES > memory():
            raise GameError(
                f"it has {self.num_info_states:,} info states, which differ in {width:,} "
                f"numbers, and up to {self.num_actions:,} actions: a learner's tables of "
                f"{entries:,} entries do not fit into {memory() / 2**30:.0f} GiB of memory"
            )
        if self.num_levels > MAX_LEVELS:
            raise GameError(
                f"it decides up to {self.num_levels:,} times in one episode, and learners go "
                f"through at most {MAX_LEVELS:,} decisions"
            )

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
