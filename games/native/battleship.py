"""Battleship: two players hide their ships on a board each, and shoot at the other's in turn."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from games.errors import GameError
from games.game import Game, State
from games.native import bits

HIT, SUNK = 1, 2
"""Bits of a shot's outcome; bit 0 says water."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class BattleshipState(State):
    """Sets of cells are packed by `games.native.bits`, C words each.

    Attributes:
        moves: placements and shots so far, of both players, int32 `[]`.
        fleet: the cells of each player's ships; none of those to come, uint32 `[2, S, C]`.
        shots: the cells that each player has shot at, uint32 `[2, C]`.
        sight: each player's tensor, packed alike, uint32 `[2, W]`.
    """

    moves: jax.Array
    fleet: jax.Array
    shots: jax.Array
    sight: jax.Array


class Battleship(Game[BattleshipState]):
    """OpenSpiel's `battleship`. In turn the players place their ships, across or down, so that the
    rest still fit, and then shoot `num_shots` times each; the game ends when a fleet has sunk. A
    player gets the values of the ships it sank, and loses `loss_multiplier` times its own.

    Actions are shots at each cell, then placements across by a ship's first cell, then down. There
    is no observation tensor. The information state shows whether the game has ended, the observer,
    the player to move, the own placements and all shots in their order. A placement is a direction,
    a row and a column; a shot is a player, a row, a column and, of the observer's own, an outcome.
    """

    num_players = 2

    def __init__(self, name: str, parameters: dict[str, Any], observation: str):
        if observation != "information_state":
            raise GameError(
                f"{name!r} provides no {observation} tensor; it provides information_state"
            )
        self.name = name
        self._height, self._width = parameters["board_height"], parameters["board_width"]
        self._sizes = [int(size) for size in _listed(parameters["ship_sizes"])]
        self._values = np.array([float(v) for v in _listed(parameters["ship_values"])], np.float32)
        self._repeats = parameters["allow_repeated_shots"]
        self._num_shots = parameters["num_shots"]
        self._loss = parameters["loss_multiplier"]
        ships, total = len(self._sizes), float(self._values.sum())
        self._cells = self._height * self._width
        self._placements = 2 * ships  # of both players
        self.num_actions = 3 * self._cells
        self.max_length = 2 * (ships + self._num_shots)
        self.max_return = total * max(1.0, self._loss, 1.0 - self._loss)
        self._placement_size = 2 + self._height + self._width
        self._shot_size = 2 + self._height + self._width + 3
        self._first_shot = 5 + ships * self._placement_size
        self.observation_size = self._first_shot + 2 * self._num_shots * self._shot_size
        self._start = np.stack([bits.packed([1 + p, 3 + p], self.observation_size) for p in (0, 1)])
        self._inside = np.stack([self._fitting(size) for size in self._sizes])  # [S, 2, C]
        self._check_space()

    def init(self, key: jax.Array) -> BattleshipState:
        del key
        words = self._inside.shape[2]
        fleet = jnp.zeros((2, len(self._sizes), words), jnp.uint32)
        shots = jnp.zeros((2, words), jnp.uint32)
        return BattleshipState(
            player=jnp.int32(0),
            legal=self._legal(jnp.int32(0), fleet[0], shots[0]),
            terminal=jnp.bool_(False),
            truncated=jnp.bool_(False),
            rewards=jnp.zeros(2),
            moves=jnp.int32(0),
            fleet=fleet,
            shots=shots,
            sight=jnp.asarray(self._start),
        )

    def step(self, state: BattleshipState, action: jax.Array, key: jax.Array) -> BattleshipState:
        del key
        player, moves = state.player, state.moves
        plays = (state.legal & (jnp.arange(self.num_actions) == action)).any()
        shoots = plays & (moves >= self._placements)
        own = jnp.arange(2) == player
        is_next = jnp.arange(len(self._sizes)) == moves // 2  # never while shooting
        places = plays & own[:, None, None] & is_next[:, None]
        fleet = state.fleet | jnp.where(places, self._ship(moves // 2, action), 0)
        cell = action % self._cells
        shot = bits.one(cell, fleet.shape[2])
        shots = state.shots | jnp.where(shoots & own[:, None], shot, 0)
        sunk = ((fleet & ~shots[::-1, None]) == 0).all(axis=2) & (moves >= self._placements)
        target = bits.row(fleet, 1 - player)
        struck = ((target & shot) != 0).any(axis=1)  # [S]
        sinks = (struck & bits.row(sunk, 1 - player)).any()
        outcome = jnp.where(sinks, SUNK, jnp.where(struck.any(), HIT, 0))
        seen = self._seen(moves, player, action, outcome)
        moves = moves + plays
        terminal = state.terminal | sunk.all(axis=1).any() | (moves == self.max_length)
        player = jnp.where(terminal, 0, moves % 2)
        return BattleshipState(
            player=player,
            legal=self._legal(moves, bits.row(fleet, player), bits.row(shots, player)) & ~terminal,
            terminal=terminal,
            truncated=state.truncated,
            rewards=jnp.where(plays & terminal, self._returns(sunk), 0.0),
            moves=moves,
            fleet=fleet,
            shots=shots,
            sight=jnp.where(plays, state.sight | seen, state.sight),
        )

    def observe(self, state: BattleshipState) -> jax.Array:
        words = jnp.where(state.terminal, 0, bits.row(state.sight, state.player))
        return bits.unpacked(words, self.observation_size).astype(jnp.float32)

    def chance(self, state: BattleshipState) -> jax.Array:
        """There is no chance, int32 `[0]`."""
        del state
        return jnp.zeros(0, jnp.int32)

    def _returns(self, sunk: jax.Array) -> jax.Array:
        """By which of each player's ships have sunk (bool `[2, S]`), float32 `[2]`."""
        lost = jnp.where(sunk, jnp.asarray(self._values)[None], 0.0).sum(axis=1)
        return lost[::-1] - self._loss * lost

    def _seen(
        self, moves: jax.Array, player: jax.Array, action: jax.Array, outcome: jax.Array
    ) -> jax.Array:
        """What a move adds to both players' tensors, uint32 `[2, W]`."""
        one, size = jnp.uint32(1), self._start.shape[1]
        cell = action % self._cells
        row = (cell // self._width).astype(jnp.uint32)
        column = (cell % self._width).astype(jnp.uint32)
        where = one << row | one << column + self._height
        down = (action >= 2 * self._cells).astype(jnp.uint32)
        placement = one << down | where << 2
        shot = one << player.astype(jnp.uint32) | where << 2
        told = one << (self._shot_size - 3 + outcome).astype(jnp.uint32)
        shoots = moves >= self._placements
        place = jnp.where(
            shoots,
            self._first_shot + (moves - self._placements) * self._shot_size,
            5 + moves // 2 * self._placement_size,
        )
        own = bits.record(jnp.where(shoots, shot | told, placement), place, size)
        other = bits.record(jnp.where(shoots, shot, 0), place, size)
        return jnp.where(jnp.arange(2)[:, None] == player, own[None], other[None])

    def _ship(self, ship: jax.Array, action: jax.Array) -> jax.Array:
        """The cells of a ship placed by an action, uint32 `[C]`."""
        words = self._inside.shape[2]
        first = action % self._cells
        size = jnp.asarray(np.array(self._sizes))[jnp.minimum(ship, len(self._sizes) - 1)]
        distance = jnp.where(action >= 2 * self._cells, self._width, 1)
        cells = jnp.zeros(words, jnp.uint32)
        for place in range(max(self._sizes)):
            cells |= jnp.where(place < size, bits.one(first + place * distance, words), 0)
        return cells

    def _legal(self, moves: jax.Array, fleet: jax.Array, shots: jax.Array) -> jax.Array:
        """What the player to move may do, with its own fleet and shots, bool `[A]`."""
        shoots = moves >= self._placements
        free = ~functools.reduce(jnp.bitwise_or, fleet)
        across, down = jnp.zeros_like(free), jnp.zeros_like(free)
        all_across = all_down = jnp.full_like(free, 2**32 - 1)
        for size in range(1, max(self._sizes) + 1):
            all_across &= bits.dropped(free, size - 1)
            all_down &= bits.dropped(free, (size - 1) * self._width)
            for ship in np.flatnonzero(np.array(self._sizes) == size):
                is_next = moves // 2 == ship
                across |= jnp.where(is_next, all_across & self._inside[ship, 0], 0)
                down |= jnp.where(is_next, all_down & self._inside[ship, 1], 0)
        fire = jnp.full_like(free, 2**32 - 1) if self._repeats else ~shots
        sets = jnp.stack([jnp.where(shoots, fire, 0), across, down])  # [3, C]
        entries = jax.vmap(lambda words: bits.unpacked(words, self._cells))(sets)
        return entries.reshape(-1).astype(bool)

    def _fitting(self, size: int) -> np.ndarray:
        """The first cells of a ship inside the board, across and down, uint32 `[2, C]`. A ship of
        one cell lies across."""
        across, down = (
            [row * self._width + column for row in range(rows) for column in range(columns)]
            for rows, columns in (
                (self._height, self._width - size + 1),
                (self._height - size + 1 if size > 1 else 0, self._width),
            )
        )
        return np.stack([bits.packed(cells, self._cells) for cells in (across, down)])

    def _check_space(self) -> None:
        """Raises `GameError` unless every ship fits however those before it lie.

        As many ships of its size fit on the empty board side by side, each before it cannot bar
        more of those than it has cells.
        """
        before = 0
        for size in self._sizes:
            rows = self._height * (self._width // size)
            columns = self._width * (self._height // size)
            if before and before >= max(rows, columns):
                raise GameError(
                    f"{self.name!r}: ships of {before} cells could bar every place for the next, of "
                    f"{size}; the native game needs a larger board"
                )
            before += size


def _listed(text: str) -> list[str]:
    """The parts of OpenSpiel's `"[2;3;3]"`."""
    return text.strip().removeprefix("[").removesuffix("]").split(";")
