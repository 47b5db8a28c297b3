"""The players' own info states of a board game in the dark, made once."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from games.errors import GameError
from games.info_states import InfoStates, memory
from games.walked import kernels
from games.walked.kernels import MOST_CELLS, PLACED, Board, Room, Tables
from games.walked.rules import HiddenBoard

FIRST_SIZE = 1 << 12
"""Info states for which there is room at first; it doubles where it does not do."""
_BYTES = 48
"""Of an info state with its two or so sequences, while they are made."""
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
    """

    rules: HiddenBoard
    player: int
    bumped: np.ndarray

    @property
    def observation_size(self) -> int:
        return self.rules.view_size + self.rules.num_cells**2

    def observe(self, rows: Any) -> np.ndarray:
        """OpenSpiel's information state tensors, float32 `[len(rows), O]`: the view, then the cells
        tried in their order."""
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
            tensor[row, self.rules.view_size + tries * self.rules.num_cells + cell] = 1.0
            state = self.info_state[self.parent[state]]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class OwnTrees:
    """Both players' info states, numbered together: player 0's first.

    Attributes:
        num_histories: nodes of the game's tree.
        sizes: info states and sequences of each player, `((I_0, I_1), (S_0, S_1))`.
        states, child, parent: as in `kernels.Tables`, the info states of each player sorted by the
            number of its tries.
    """

    num_histories: int
    sizes: tuple[tuple[int, int], tuple[int, int]]
    states: np.ndarray
    child: np.ndarray
    parent: np.ndarray

    def tables(self) -> Tables:
        """What a walk reads."""
        nothing = np.zeros(0, np.int32)
        counts, empty = np.zeros(2, np.int64), np.array([0, self.sizes[1][0]])
        return Tables(self.states, self.child, nothing, nothing, counts, empty)

    def players(self, rules: HiddenBoard) -> tuple[BoardInfoStates, BoardInfoStates]:
        """Each player's part, numbered from 0."""
        (own, _), (sequences, _) = self.sizes
        return (
            self._player(rules, 0, slice(0, own), 0),
            self._player(rules, 1, slice(own, None), sequences),
        )

    def _player(self, rules: HiddenBoard, player: int, part: slice, shift: int) -> BoardInfoStates:
        states, num_sequences = self.states[part], self.sizes[1][player]
        untried = rules.open_cells & ~states & ((1 << MOST_CELLS) - 1)
        first = np.append((states >> MOST_CELLS) - shift, num_sequences).astype(np.int32)
        legal = np.diff(first)
        owner = np.repeat(np.arange(len(states), dtype=np.int32), legal)
        order = np.arange(1, num_sequences, dtype=np.int32) - first[owner]
        level = rules.num_open - legal
        parent = self.parent[part]
        numbers = np.arange(part.start, part.start + len(states), dtype=np.int32)
        return BoardInfoStates(
            num_actions=rules.num_cells,
            parent=parent - np.int32(shift),
            first_sequence=first,
            info_state=np.concatenate([[-1], owner]).astype(np.int32),
            action=np.concatenate([[-1], _bits(rules.num_cells)[untried[owner], order]]).astype(
                np.int8
            ),
            level_start=np.searchsorted(level, np.arange(level[-1] + 2)).astype(np.int32),
            rules=rules,
            player=player,
            bumped=self.child[PLACED, parent] != numbers,
        )


def board_of(rules: HiddenBoard) -> Board:
    size = [word.bit_count() for word in range(1 << rules.num_cells)]
    return Board(rules.open_cells, rules.passes, rules.wins, np.array(size, np.int32))


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
    places, depth = 4 * cells * longest, 2 * cells + 1
    return Room(
        np.zeros(places, np.int32),
        np.zeros(places, np.int64),
        np.zeros((depth, kernels.FIELDS), np.int64),
        np.zeros((depth, 2)),
    )


def openings(rules: HiddenBoard) -> list[tuple[int, int]]:
    """The parts of a walk: the first two cells that are marked, as bits; 0 for a bump."""
    bits = [1 << cell for cell in range(rules.num_cells) if rules.open_cells >> cell & 1]
    return [
        (bit, other)
        for bit in bits
        for other in ([*bits, 0] if rules.passes else bits)
        if other != bit
    ]


def own_trees(rules: HiddenBoard) -> OwnTrees:
    """Makes them, by one walk.

    Raises:
        GameError: they do not fit into memory, or the board is large and numba is not installed.
    """
    if rules.num_open > _SLOW_CELLS and not kernels.COMPILED:
        raise GameError(f"walking through {rules.name!r} takes numba: pip install numba")
    board, room, size = board_of(rules), room_of(rules), FIRST_SIZE
    tables = _enlarged(None, size)
    nothing = np.zeros(tables.child.shape[1])
    first_turns = 1 if rules.passes else 2  # decisions of player 1 after each first mark
    histories = 1 + rules.num_open * first_turns
    for opening in openings(rules):
        while True:
            below = kernels.walk(board, tables, opening, (0.0, 0.0, 0.0), nothing, nothing, room)
            if below >= 0:
                break
            size *= 2
            if size * _BYTES > memory():
                raise GameError(
                    f"the info states of {rules.name!r}, more than {size // 2:,}, do not fit into "
                    f"{memory() / 2**30:.0f} GiB of memory"
                )
            tables = _enlarged(tables, size)
            nothing = np.zeros(tables.child.shape[1])
        histories += below
    return _sorted(tables, rules, int(histories))


def _enlarged(tables: Tables | None, size: int) -> Tables:
    """Tables for `size` info states and three times as many sequences, with the old content."""
    states, parent = np.zeros(size, np.int64), np.zeros(size, np.int32)
    child, owner = np.full((2, 3 * size), -1, np.int32), np.full(3 * size, -1, np.int32)
    counts, empty = np.array([0, 2]), np.array([0, 1])
    if tables is not None:
        counts = tables.counts
        states[: len(tables.states)], parent[: len(tables.parent)] = tables.states, tables.parent
        owner[: len(tables.owner)] = tables.owner
        child[:, : tables.child.shape[1]] = tables.child
    return Tables(states, child, parent, owner, counts, empty)


def _sorted(tables: Tables, rules: HiddenBoard, histories: int) -> OwnTrees:
    """The info states sorted by player and number of tries; siblings stay side by side."""
    num_states, num_sequences = tables.counts
    states, parent = tables.states[:num_states], tables.parent[:num_states]
    owner, child = tables.owner[:num_sequences], tables.child[:, :num_sequences]
    old_first, tried = states >> MOST_CELLS, states & ((1 << MOST_CELLS) - 1)
    legal = np.diff(np.append(old_first, num_sequences)).astype(np.int32)
    player = np.empty(num_states, np.int8)
    level = (rules.num_open - legal).astype(np.int8)
    for tries in range(level.max() + 1):
        states_here = np.flatnonzero(level == tries)
        before = parent[states_here]
        player[states_here] = before if tries == 0 else player[owner[before]]
    order = np.argsort(player * np.int8(32) + level, kind="stable").astype(np.int32)
    own = int((player == 0).sum())
    new_state = np.empty(num_states + 1, np.int32)
    new_state[order], new_state[-1] = np.arange(num_states), -1
    legal = legal[order]
    first = np.concatenate([[0], np.cumsum(legal)[:-1]]) + 1
    first[own:] += 1
    old_sequence = np.empty(num_sequences, np.int32)
    start = int(legal[:own].sum()) + 1  # player 1's empty sequence
    old_sequence[[0, start]] = 0, 1
    place = np.repeat(first - old_first[order], legal)
    numbers = np.concatenate([np.arange(1, start), np.arange(start + 1, num_sequences)])
    old_sequence[numbers] = numbers - place
    new_sequence = np.empty(num_sequences, np.int32)
    new_sequence[old_sequence] = np.arange(num_sequences, dtype=np.int32)
    return OwnTrees(
        num_histories=histories,
        sizes=((own, int(num_states) - own), (start, int(num_sequences) - start)),
        states=first << MOST_CELLS | tried[order],
        child=np.stack([new_state[row[old_sequence]] for row in child]),
        parent=new_sequence[parent[order]],
    )


def _bits(cells: int) -> np.ndarray:
    """The cells of a word, in order, int8 `[2^n, n]`; -1 after the last."""
    table = np.full((1 << cells, cells), -1, np.int8)
    for word in range(1 << cells):
        bits = [cell for cell in range(cells) if word >> cell & 1]
        table[word, : len(bits)] = bits
    return table
