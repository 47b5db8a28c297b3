"""The players' own info states of a board game in the dark, made once."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

import numpy as np

from games.errors import GameError
from games.info_states import InfoStates, memory
from games.walked import existing, kernels, layout
from games.walked.counting import num_histories
from games.walked.kernels import GAIN, PLAN, TRIED, Board, Room, Tables
from games.walked.rules import HiddenBoard
from games.walked.waits import load, take, unload

FIRST_SIZE = 1 << 14
"""Sequences for which there is room at first. Where it does not do, there is four times as much."""
_BYTES = 60
"""Of a sequence, while its walked form is made."""
_SLOW_CELLS = 6
"""Larger boards need compiled code."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class BoardInfoStates(InfoStates):
    """`InfoStates` of a player who sees its own tries and how they ended. The last try before an
    info state is its parent sequence; the other tries are those before its ancestors.

    Attributes:
        rules: of the game.
        player: whose they are.
        bumped: whether the last try before each info state was a bump, bool `[I]`.
        observation: the tensor that policies see, one of `games.OBSERVATIONS`.
    """

    rules: HiddenBoard
    player: int
    bumped: np.ndarray
    observation: str

    @property
    def observation_size(self) -> int:
        order = self.rules.num_cells**2 if self._shows_order else 0
        return self.rules.view_size + order

    @property
    def _shows_order(self) -> bool:
        return self.observation == "information_state"

    def observe(self, rows: Any) -> np.ndarray:
        """OpenSpiel's tensors, float32 `[len(rows), O]`: the view, which is all of an observation,
        and in an information state then the cells tried in their order."""
        state = np.arange(self.num_info_states, dtype=np.int32)[rows]
        tensor = np.zeros((len(state), self.observation_size), np.float32)
        tensor[:, self.rules.entries[0]] = 1.0
        row = np.arange(len(state))
        tries = np.searchsorted(self.level_start, state, side="right") - 1
        while True:
            tries -= 1
            deep = tries >= 0
            row, state, tries = row[deep], state[deep], tries[deep]
            if not len(row):
                return tensor
            cell = self.action[self.parent[state]].astype(np.int64)
            owner = np.where(self.bumped[state], 1 - self.player, self.player)
            tensor[row, self.rules.entries[0, cell]] = 0.0
            tensor[row, self.rules.entries[1 + owner, cell]] = 1.0
            if self._shows_order:
                tensor[row, self.rules.view_size + tries * self.rules.num_cells + cell] = 1.0
            state = self.info_state[self.parent[state]]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class OwnTrees:
    """Both players' info states, in the order of `games.walked.layout`, player 0's first.

    S sequences of both players.

    Attributes:
        num_histories: nodes of the game's tree.
        num_numbers: N, the size of `Tables.numbers`.
        follows: whether an info state follows each sequence whose try is a mark, or a bump, bool
            `[S, 2]`.
    """

    num_histories: int
    num_numbers: int
    follows: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Layout:
    """Both players' own trees as a walk reads them.

    Attributes:
        tables: what it reads, and where it adds.
        states: the words of info states, int64 `[I]`.
        places: of each info state, its first sequence among both players' of `InfoStates`, player
            0's first, int32 `[I]`.
        empty: each player's empty sequence among these.
    """

    tables: Tables
    states: np.ndarray
    places: np.ndarray
    empty: tuple[int, int]

    def load(self, board: Board, plans: np.ndarray) -> None:
        """Writes the `plans [S]` of both players one after the other, and zeros as gains."""
        numbers = self.tables.numbers
        for empty, place in zip(self.tables.empty, self.empty, strict=True):
            numbers[empty + PLAN], numbers[empty + GAIN] = plans[place], 0.0
        load(board, self.tables, self.states, self.places, plans)

    def add_gains(self, board: Board, gains: np.ndarray) -> None:
        """Writes gains `[N]` that stand at the places of what the plans weigh."""
        for empty in self.tables.empty:
            self.tables.numbers[empty + GAIN] += gains[empty + PLAN]
        take(board, self.tables, self.states, gains)

    def unload(self, board: Board, num_sequences: int) -> np.ndarray:
        """The gains of both players one after the other, `[S]`."""
        gains = np.empty(num_sequences)
        for empty, place in zip(self.tables.empty, self.empty, strict=True):
            gains[place] = self.tables.numbers[empty + GAIN]
        unload(board, self.tables, self.states, self.places, gains)
        return gains


def lay_out(
    rules: HiddenBoard, trees: OwnTrees, observation: str
) -> tuple[Layout, tuple[BoardInfoStates, BoardInfoStates]]:
    """What a walk reads, and each player's own info states, of which policies see `observation`.

    Raises:
        ValueError: the trees are of no board of this size.
    """
    board, follows, counts = board_of(rules), trees.follows, np.zeros(3, np.int64)
    numbers, num_states = np.zeros(trees.num_numbers), int(np.count_nonzero(follows))
    tables = Tables(numbers, numbers.view(np.int32), np.zeros(2, np.int64))
    states, parent = np.zeros(num_states, np.int64), np.zeros(num_states, np.int32)
    rank, bumped = np.zeros(num_states, np.int8), np.zeros(num_states, bool)
    frames, ends = np.zeros((rules.num_cells + 2, 6), np.int64), [(0, 0)]
    for player in range(2):
        tables.empty[player] = counts[layout.NUMBERS]
        empty = int(counts[layout.SEQUENCES])
        counts[layout.SEQUENCES] += 1
        if (
            empty >= len(follows)
            or counts[layout.NUMBERS] + board.stride[0] > len(numbers)
            or not layout.lay_out(
                board, follows, empty, tables, states, parent, rank, bumped, counts, frames
            )
        ):
            raise ValueError("the info states are of another board")
        ends.append((int(counts[layout.STATES]), int(counts[layout.SEQUENCES])))
    if ends[2] != (num_states, len(follows)) or not 0 < ends[1][0] < num_states:
        raise ValueError("the info states are of another board")
    players, places = [], np.zeros(num_states, np.int32)
    for player, ((first, start), (last, _)) in enumerate(itertools.pairwise(ends)):
        part = slice(first, last)
        arrays = _sorted(
            rules, states[part], parent[part] - first, rank[part], bumped[part], places[part]
        )
        places[part] += start
        players.append(
            BoardInfoStates(
                **arrays, num_actions=rules.num_cells, rules=rules, player=player,
                observation=observation,
            )
        )  # fmt: skip
    empty = (0, ends[1][1])
    return Layout(tables=tables, states=states, places=places, empty=empty), tuple(players)


def _sorted(
    rules: HiddenBoard,
    words: np.ndarray,
    parent: np.ndarray,
    rank: np.ndarray,
    bumped: np.ndarray,
    places: np.ndarray,
) -> dict[str, np.ndarray]:
    """Arrays of a player's `BoardInfoStates`, sorted by the number of tries, otherwise in the order
    of `words [I]`. Writes the `places [I]` of their first sequences. `parent` and `rank` tell the
    sequence before each; negative parents are of the first info states."""
    tried = (words & TRIED).astype(np.uint16)
    level = np.bitwise_count(tried)
    legal = rules.num_open - level.astype(np.int32)
    numbers = np.argsort(level, kind="stable")
    level_start = np.append(0, np.cumsum(np.bincount(level))).astype(np.int32)
    first_sequence = np.append(1, 1 + np.cumsum(legal[numbers])).astype(np.int32)
    places[numbers] = first_sequence[:-1]
    before = np.where(parent < 0, 0, places[np.maximum(parent, 0)] + rank)
    actions = _bits(rules.num_cells)[rules.open_cells & ~tried[numbers]]  # [I, n]
    return dict(
        parent=before[numbers].astype(np.int32),
        first_sequence=first_sequence,
        info_state=np.repeat(
            np.arange(-1, len(words), dtype=np.int32), np.append(1, legal[numbers])
        ),
        action=np.append(np.int8(-1), actions[actions >= 0]),
        level_start=level_start,
        bumped=bumped[numbers],
    )


def board_of(rules: HiddenBoard) -> Board:
    size = np.bitwise_count(np.arange(1 << rules.num_cells)).astype(np.int32)
    waits = np.maximum(size - 1, 0) if rules.passes else 0 * size
    stride = kernels.WAITS + kernels.ROW * waits
    return Board(rules.open_cells, rules.passes, rules.wins, size, stride)


def room_of(rules: HiddenBoard) -> Room:
    """Room for the longest lists. A player with m marks has bumped into b of the other's k in at
    most `k!/(k-b)! C(m+b, b)` ways."""
    cells = rules.num_open
    longest = max(
        sum(math.perm(k, b) * math.comb(m + b, b) for b in range(k + 1))
        for k in range((cells + 1) // 2 + 1)
        for m in ([k, k - 1, k + 1] if not rules.passes else range(cells - k + 1))
        if m >= 0
    )
    depth = 2 * cells + 1
    return Room(
        np.zeros(4 * cells * longest, np.int64),
        np.zeros((depth, kernels.FIELDS), np.int64),
        np.zeros((depth, 2)),
        np.zeros((2, 4, cells + 2)),
    )


def openings(rules: HiddenBoard) -> list[list[tuple[int, int]]]:
    """The parts of a walk: the first two cells that are marked, as bits; 0 for a bump. They come in
    rounds. The parts of a round have no sequences in common but the empty ones, which earn nothing
    in them: players begin in them with different cells."""
    bits = [1 << cell for cell in range(rules.num_cells) if rules.open_cells >> cell & 1]
    rounds = [
        [(bit, bits[(place + turn) % len(bits)]) for place, bit in enumerate(bits)]
        for turn in range(1, len(bits))
    ]
    return [[(bit, 0) for bit in bits], *rounds] if rules.passes else rounds


def own_trees(rules: HiddenBoard) -> OwnTrees:
    """Makes them.

    Raises:
        GameError: they do not fit into memory, or the board is large and numba is not installed.
    """
    if rules.num_open > _SLOW_CELLS and not kernels.COMPILED:
        raise GameError(f"walking through {rules.name!r} takes numba: pip install numba")
    board, families, size = board_of(rules), existing.families_of(rules), FIRST_SIZE
    while True:
        follows, counts = np.zeros((size, 2), bool), np.zeros(2, np.int64)
        if all(_note(board, families, player, follows, counts) for player in range(2)):
            num_sequences, num_numbers = map(int, counts)
            return OwnTrees(
                num_histories=num_histories(rules), num_numbers=num_numbers,
                follows=follows[:num_sequences].copy(),
            )  # fmt: skip
        if size * _BYTES > memory():
            raise GameError(
                f"the sequences of {rules.name!r}, more than {size:,}, do not fit into "
                f"{memory() / 2**30:.0f} GiB of memory"
            )
        size *= 4


def _note(
    board: Board,
    families: existing.Families,
    player: int,
    follows: np.ndarray,
    counts: np.ndarray,
) -> bool:
    """Notes a player's info states. False if there is too little room."""
    empty = int(counts[existing.SEQUENCES])
    if empty == len(follows):
        return False
    counts[existing.SEQUENCES] += 1
    return existing.note(board, families, player, empty, follows, counts)


def _bits(cells: int) -> np.ndarray:
    """The cells of a word, in order, int8 `[2^n, n]`; -1 after the last."""
    table = np.full((1 << cells, cells), -1, np.int8)
    for word in range(1 << cells):
        bits = [cell for cell in range(cells) if word >> cell & 1]
        table[word, : len(bits)] = bits
    return table
