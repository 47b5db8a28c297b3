"""Which sequences a player's public slots and types have."""

from __future__ import annotations

import dataclasses

import numpy as np

from games.public.game import PublicStates


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Numbering:
    """A public state's info states follow each other, one for each type that the board leaves, and
    have the same actions. So the sequences of a slot are `start + num_actions * rank[type]`.

    S slots, B boards, T types.

    Attributes:
        start: the sequence of the first type, int64 `[S]`.
        num_actions: of the slot's state, int64 `[S]`; 0 for slot 0, where all types have the empty
            sequence.
        place: the slot's number within its state, int64 `[S]`.
        board: of the slot's state, int32 `[S]`.
        rank: the number of types before each one that the board leaves, int64 `[B, T]`; -1 for a
            type that it does not leave.
    """

    start: np.ndarray
    num_actions: np.ndarray
    place: np.ndarray
    board: np.ndarray
    rank: np.ndarray

    @classmethod
    def of(cls, states: PublicStates, possible: np.ndarray) -> Numbering:
        num_actions = np.diff(states.first_slot)
        sizes = possible.sum(axis=1)[states.board] * num_actions
        first_sequence = np.append(1, 1 + np.cumsum(sizes)[:-1])  # of each state
        place = np.arange(states.first_slot[-1])
        place[1:] -= np.repeat(states.first_slot[:-1], num_actions)
        return cls(
            start=place + np.append(0, np.repeat(first_sequence, num_actions)),
            num_actions=np.append(0, np.repeat(num_actions, num_actions)),
            place=place,
            board=np.append(0, np.repeat(states.board, num_actions)).astype(np.int32),
            rank=np.where(possible, np.cumsum(possible, axis=1) - 1, -1),
        )

    @property
    def num_types(self) -> int:
        return self.rank.shape[1]

    def sequences(self, slots: np.ndarray) -> np.ndarray:
        """The sequences of all types at slots `[n]`, int64 `[n, T]`. Impossible types have the
        empty sequence."""
        rank = self.rank if len(self.rank) == 1 else self.rank[self.board[slots]]
        sequences = self.num_actions[slots][:, None] * rank
        sequences += self.start[slots][:, None]
        if (self.rank < 0).any():
            sequences[np.broadcast_to(rank < 0, sequences.shape)] = 0
        return sequences

    def follow(self, slots: np.ndarray) -> np.ndarray:
        """Whether each of slots `[n]` but the first has the same number in the next public state as
        the slot before it, where all types are possible, bool `[n - 1]`."""
        after, before = slots[1:], slots[:-1]
        same = self.place[after] == self.place[before]
        same &= self.num_actions[after] == self.num_actions[before]
        same &= self.start[after] - self.start[before] == self.num_actions[before] * self.num_types
        complete = (self.rank >= 0).all(axis=1)
        return same & complete[self.board[after]] & complete[self.board[before]] & (before > 0)

    def view(self, values: np.ndarray, slot: int, count: int) -> np.ndarray:
        """The entries in `values` of the sequences of `slot` and of those that follow it in the
        sense of `follow`, `[count, T]`: a view."""
        width = int(self.num_actions[slot])
        first = int(self.start[slot] - self.place[slot])
        states = values[first : first + count * self.num_types * width]
        return states.reshape(count, self.num_types, width)[:, :, self.place[slot]]
