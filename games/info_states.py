"""One player's own info states and sequences, as arrays: all of a player that realization plans,
best responses and tabulation need.

A *sequence* of a player is an (info state, action) pair, or the empty sequence, number 0. With
perfect recall every info state has exactly one parent sequence. So a player's info states form a
tree, and exact quantities are a few vector operations over it (von Stengel 1996, "Efficient
computation of behavior strategies").
"""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import numpy as np

from games.errors import GameError

_SEQUENCE_BYTES = 34
"""What NashConv takes for each sequence: plans, gains, and what is made of them."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class InfoStates:
    """One player's info states, sorted by own-decision depth, and its sequences.

    I info states, S sequences (with the empty one), L levels. The info states of a level are
    contiguous. So are the sequences of an info state, in the order of its legal actions. A level is
    therefore a slice of either.

    Attributes:
        num_actions: A, the largest number of actions of any player in the game.
        parent: the sequence that leads to each info state, int32 `[I]`; 0 at level 0.
        first_sequence: info state i has sequences `first_sequence[i]:first_sequence[i + 1]`,
            int32 `[I + 1]`.
        info_state: the info state of each sequence, int32 `[S]`; -1 for sequence 0.
        action: the action of each sequence, an integer `[S]`; -1 for sequence 0.
        level_start: level l holds info states `level_start[l]:level_start[l + 1]`, int32 `[L + 1]`.
    """

    num_actions: int
    parent: np.ndarray
    first_sequence: np.ndarray
    info_state: np.ndarray
    action: np.ndarray
    level_start: np.ndarray

    @property
    def num_info_states(self) -> int:
        return len(self.parent)

    @property
    def num_sequences(self) -> int:
        return len(self.action)

    @property
    def num_levels(self) -> int:
        """The most own decisions in one episode."""
        return len(self.level_start) - 1

    def actions(self, info_state: int) -> np.ndarray:
        """The legal actions of an info state, in order."""
        return self.action[self.first_sequence[info_state] : self.first_sequence[info_state + 1]]

    @property
    def previous_action(self) -> np.ndarray:
        """The player's previous own action at each info state, `[I]`; -1 for none."""
        return self.action[self.parent]

    @property
    def parent_info_state(self) -> np.ndarray:
        """The player's previous own info state at each info state, int32 `[I]`; -1 for none."""
        return self.info_state[self.parent]

    @property
    def parent_sequence(self) -> np.ndarray:
        """The sequence that each sequence continues, int32 `[S]`; 0 for sequence 0."""
        return np.concatenate([[0], self.parent[self.info_state[1:]]]).astype(np.int32)

    @property
    def observation_size(self) -> int:
        """O, the entries of an observation."""
        raise NotImplementedError

    def observe(self, rows: Any) -> np.ndarray:
        """The network's input at some info states, `[len(rows), O]`. `rows` are numbers of info
        states, as an array or a slice. Observations are made when they are asked for, where all of
        them would not fit into memory."""
        raise NotImplementedError


def memory() -> int:
    """This machine's memory in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def check_memory(name: str, num_sequences: int) -> None:
    """Raises `GameError` if exact quantities of so many sequences, of all players together, take
    more than three quarters of the memory."""
    if num_sequences * _SEQUENCE_BYTES > 0.75 * memory():
        raise GameError(
            f"{name!r} is too large: its players have {num_sequences:,} sequences, which take "
            f"{num_sequences * _SEQUENCE_BYTES / 2**30:.0f} GiB, and this machine has "
            f"{memory() / 2**30:.0f} GiB of memory"
        )
