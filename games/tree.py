"""A whole game as flat arrays, in sequence form (von Stengel 1996, "Efficient computation of
behavior strategies").

A *sequence* of a player is an (info state, action) pair on the way to a history, sequence 0 being
the empty one. With perfect recall every info state has exactly one parent sequence, so a player's
info states form a tree, and everything exact is a few vector operations over it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

import numpy as np

MAX_RETURN = 1e300
"""Of either sign; beyond it sums over a game are no floats."""

Text = TypeVar("Text", str, bytes)


class Texts(Sequence[Text]):
    """Many strings, or byte strings, end to end: what a tuple holds, without its 60 bytes for
    each. Equal to another one of the same content.

    Attributes:
        content: the strings in UTF-8, or the bytes, uint8.
        start: item i is `content[start[i]:start[i + 1]]`, int64 `[N + 1]`.
        kind: `str` or `bytes`.
    """

    _AT_ONCE = 1 << 16  # items that exist as Python objects at a time, when all are gone through

    def __init__(self, content: np.ndarray, start: np.ndarray, kind: type[Text]):
        self.content, self.start, self.kind = content, start, kind

    @classmethod
    def of(cls, items: Iterable[Text], kind: type[Text]) -> Texts[Text]:
        """Holds `items`, all of one kind."""
        items, content, sizes = iter(items), bytearray(), [np.zeros(1, np.int64)]
        while some := list(islice(items, cls._AT_ONCE)):
            if kind is str:
                some = [each.encode("utf-8", "surrogatepass") for each in some]
            sizes.append(np.fromiter(map(len, some), np.int64, len(some)))
            content += b"".join(some)
        return cls(np.frombuffer(content, np.uint8), np.concatenate(sizes).cumsum(), kind)

    def __len__(self) -> int:
        return len(self.start) - 1

    def __getitem__(self, index):
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(self))))
        if not -len(self) <= index < len(self):
            raise IndexError(f"item {index} of {len(self)}")
        index %= len(self)
        return self._item(self.content[self.start[index] : self.start[index + 1]].tobytes())

    def __iter__(self) -> Iterator[Text]:
        for first in range(0, len(self), self._AT_ONCE):
            start = self.start[first : first + self._AT_ONCE + 1]
            some = self.content[start[0] : start[-1]].tobytes()
            start = (start - start[0]).tolist()
            for i in range(len(start) - 1):
                yield self._item(some[start[i] : start[i + 1]])

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Texts)
            and self.kind is other.kind
            and np.array_equal(self.start, other.start)
            and np.array_equal(self.content, other.content)
        )

    __hash__ = None

    def _item(self, raw: bytes) -> Text:
        return raw.decode("utf-8", "surrogatepass") if self.kind is str else raw


class GameError(ValueError):
    """A game that cannot be loaded; one sentence says why."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class PlayerTree:
    """One player's info states, sorted by own-decision depth, and its sequences.

    I info states, S sequences (the empty one included), A actions, O observation entries, L levels.
    Info states of one level are contiguous, and so are the sequences of one info state, in the
    order of its legal actions: whole levels are slices.

    Attributes:
        observation: the network's input at each info state, `[I, O]`; int8 where all of it is
            small whole numbers, else float32.
        legal: legal actions, bool `[I, A]`.
        parent: the sequence that leads to each info state, int32 `[I]`; 0 at level 0.
        first_sequence: info state i has sequences `first_sequence[i]:first_sequence[i + 1]`,
            int32 `[I + 1]`.
        info_state: the info state of each sequence, int32 `[S]`; -1 for sequence 0.
        action: the action of each sequence, int32 `[S]`; -1 for sequence 0.
        level_start: level l holds info states `level_start[l]:level_start[l + 1]`, int32 `[L + 1]`.
        names: OpenSpiel's string for each info state (of the first history seen in it).
        keys: what tells the info states apart, by the tree's `identity`.
    """

    observation: np.ndarray
    legal: np.ndarray
    parent: np.ndarray
    first_sequence: np.ndarray
    info_state: np.ndarray
    action: np.ndarray
    level_start: np.ndarray
    names: Sequence[str]
    keys: Sequence[Hashable]

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

    @property
    def previous_action(self) -> np.ndarray:
        """The player's own action before each info state, int32 `[I]`; -1 for none."""
        return self.action[self.parent]

    @property
    def parent_info_state(self) -> np.ndarray:
        """The player's own info state before each info state, int32 `[I]`; -1 for none."""
        return self.info_state[self.parent]

    @property
    def parent_sequence(self) -> np.ndarray:
        """The sequence that each sequence continues, int32 `[S]`; 0 for sequence 0."""
        return np.concatenate([[0], self.parent[self.info_state[1:]]]).astype(np.int32)

    def indistinct(self) -> int:
        """How many info states a policy that sees (observation, own previous action) at each own
        decision cannot tell from another one, whatever it remembers."""
        classes = np.zeros(self.num_info_states, np.int64)
        previous, before, distinct = self.previous_action, self.parent_info_state, 0
        for first, last in zip(self.level_start[:-1], self.level_start[1:], strict=True):
            above = np.where(before[first:last] < 0, -1, classes[before[first:last]])
            seen = np.column_stack(
                [
                    np.stack([above, previous[first:last]], axis=1).view(np.uint8),
                    np.ascontiguousarray(self.observation[first:last]).view(np.uint8),
                ]
            )
            # As one opaque item a row, rows sort by their bytes. (An observation of -0.0 and one
            # of 0.0 would differ, if there were any.)
            rows = seen.view(np.dtype((np.void, seen.shape[1])))[:, 0]
            kinds, classes[first:last] = np.unique(rows, return_inverse=True)
            distinct += len(kinds)
        return self.num_info_states - distinct


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class GameTree:
    """A game of perfect recall as arrays; made by `games.load`.

    P players, A actions, T terminals, D decisions, N outcomes. Chance is folded in: playing an
    action leads to one of several *outcomes*, each the next decision or a terminal. A *slot* is a
    (decision, legal action) pair, slot 0 the start of an episode.

    Attributes:
        name: what `games.load` was given.
        observation_kind: the tensor in `players[p].observation`, one of `games.OBSERVATIONS`.
        identity: what told the info states apart: `string`, `tensor` or `history`.
        num_histories: nodes of the tree, chance nodes and terminals included.
        max_length: the most decisions, of all players together, in one episode.
        players: each player's info states and sequences.
        chance: probability that chance plays its part of the way to a terminal, float64 `[T]`.
        returns: float64 `[T, P]`, in units of the game's payoff.
        sequence: each player's last sequence on the way to a terminal, int32 `[T, P]`.
        decision_player: seat to move, int32 `[D]`.
        decision_info_state: index into that player's info states, int32 `[D]`.
        first_slot: decision d's k-th legal action is slot `first_slot[d] + k`, int32 `[D]`.
        first_outcome: slot s has outcomes `first_outcome[s]:first_outcome[s + 1]`, int32.
        outcome_node: decision d as d, terminal z as D + z, int32 `[N]`.
        outcome_probability: float64 `[N]`; sums to 1 within a slot.
    """

    name: str
    observation_kind: str
    identity: str
    num_actions: int
    num_histories: int
    max_length: int
    players: tuple[PlayerTree, ...]
    chance: np.ndarray
    returns: np.ndarray
    sequence: np.ndarray
    decision_player: np.ndarray
    decision_info_state: np.ndarray
    first_slot: np.ndarray
    first_outcome: np.ndarray
    outcome_node: np.ndarray
    outcome_probability: np.ndarray

    @property
    def num_players(self) -> int:
        return len(self.players)

    @property
    def num_decisions(self) -> int:
        return len(self.decision_player)

    @property
    def num_terminals(self) -> int:
        return len(self.chance)

    @property
    def num_info_states(self) -> int:
        return sum(player.num_info_states for player in self.players)

    @property
    def observation_size(self) -> int:
        return self.players[0].observation.shape[1]

    @property
    def max_return(self) -> float:
        """The largest absolute return of any player at any terminal."""
        return float(np.abs(self.returns).max())

    @property
    def is_constant_sum(self) -> bool:
        """Whether the players' returns add up to the same number at every terminal."""
        total = self.returns.sum(axis=1)
        return bool(np.ptp(total) <= 1e-9 * max(1.0, self.max_return))

    def notes(self) -> list[str]:
        """What a user should know about how this tree was made; a sentence each."""
        notes = []
        if self.identity != "string":
            notes.append(
                f"{self.name}: OpenSpiel's information state strings are missing or break perfect "
                f"recall, so info states were told apart by the player's {self.identity}"
            )
        for seat, player in enumerate(self.players):
            merged = player.indistinct()
            if merged:
                notes.append(
                    f"{self.name}: with the {self.observation_kind} tensor, a recurrent policy of "
                    f"player {seat} cannot tell {merged} of its {player.num_info_states} info "
                    "states from another one"
                )
        return notes
