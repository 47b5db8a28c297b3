"""Battleship: two players hide their ships on a board each, and shoot at the other's in turn."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from games.errors import GameError
from games.game import Game, State
from games.native import bits
from games.native.fleets import may_bar

WATER, HIT, SUNK = range(3)
"""Outcomes of a shot; HIT where a part of the ship is left."""


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
        player, moves, own = state.player, state.moves, jnp.arange(2) == state.player
        plays = (state.legal & (jnp.arange(self.num_actions) == action)).any()
        shoots = plays & (moves >= self._placements)
        is_next = jnp.arange(len(self._sizes)) == moves // 2  # never while shooting
        places = plays & own[:, None, None] & is_next[None, :, None]
        ship = self._ship(moves // 2, action)[None, None]
        fleet = state.fleet | jnp.where(places, ship, 0)
        shot = self._cell(action % self._cells)
        shots = state.shots | jnp.where(shoots & own[:, None], jnp.stack(shot)[None], 0)
        target = _words(bits.row(state.fleet, 1 - player))
        fired = _words(bits.row(shots, player))
        struck = [_any(_both(ship, shot)) for ship in target]
        left = [_any(_less(ship, fired)) for ship in target]  # after the shot
        hits = functools.reduce(jnp.logical_or, struck)
        stays = functools.reduce(jnp.logical_or, _both(struck, left))
        outcome = jnp.where(hits, jnp.where(stays, HIT, SUNK), WATER)
        seen = self._seen(moves, player, action, outcome)
        moves = moves + plays
        wins = shoots & ~jnp.stack(left).any()
        ends = wins | (plays & (moves == self.max_length))
        terminal = state.terminal | ends
        player = jnp.where(terminal, 0, moves % 2)
        return BattleshipState(
            player=player,
            legal=self._legal(moves, bits.row(fleet, player), bits.row(shots, player)) & ~terminal,
            terminal=terminal,
            truncated=state.truncated,
            rewards=jnp.where(ends, self._returns(fleet, shots), 0.0),
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

    def _returns(self, fleet: jax.Array, shots: jax.Array) -> jax.Array:
        """float32 `[2]`."""
        damage = []  # of the fleet of each player
        for own in range(2):
            fired = _words(shots[1 - own])
            left = [_any(_less(ship, fired)) for ship in _words(fleet[own])]
            damage.append(sum(jnp.where(a, 0.0, v) for a, v in _pairs(left, self._values)))
        first, second = damage
        return jnp.stack([second - self._loss * first, first - self._loss * second])

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

    def _cell(self, cell: jax.Array) -> list[jax.Array]:
        """The set of a cell, by words."""
        word, bit = cell // bits.WIDTH, jnp.uint32(1) << (cell % bits.WIDTH).astype(jnp.uint32)
        return [jnp.where(word == i, bit, jnp.uint32(0)) for i in range(self._inside.shape[2])]

    def _ship(self, ship: jax.Array, action: jax.Array) -> jax.Array:
        """The cells of a ship placed by an action, uint32 `[C]`."""
        first, down = action % self._cells, action >= 2 * self._cells
        size = jnp.int32(0)
        for number, length in enumerate(self._sizes):
            size = jnp.where(ship == number, length, size)
        distance = jnp.where(down, self._width, 1)
        cells = self._cell(first)
        for place in range(1, max(self._sizes)):
            cell = self._cell(jnp.where(place < size, first + place * distance, first))
            cells = _either(cells, cell)
        return jnp.stack(cells)

    def _legal(self, moves: jax.Array, fleet: jax.Array, shots: jax.Array) -> jax.Array:
        """What the player to move may do, with its own fleet and shots, bool `[A]`."""
        cells = range(self._inside.shape[2])
        free = [~functools.reduce(jnp.bitwise_or, fleet[:, word]) for word in cells]
        none, all_cells = jnp.uint32(0), bits.packed(range(self._cells), self._cells)
        across, down = [none] * len(cells), [none] * len(cells)
        all_across, all_down = free, free
        for size in range(1, max(self._sizes) + 1):
            if size > 1:
                all_across = _both(all_across, bits.moved(free, 1 - size, len(cells)))
                all_down = _both(all_down, bits.moved(free, (1 - size) * self._width, len(cells)))
            for ship in np.flatnonzero(np.array(self._sizes) == size):
                is_next = moves // 2 == ship
                fits_across = _both(all_across, self._inside[ship, 0])
                fits_down = _both(all_down, self._inside[ship, 1])
                across = [jnp.where(is_next, *pair) for pair in _pairs(fits_across, across)]
                down = [jnp.where(is_next, *pair) for pair in _pairs(fits_down, down)]
        shoots = moves >= self._placements
        fire = [jnp.where(shoots, word, none) for word in all_cells]
        if not self._repeats:
            fire = _both(fire, ~shots)
        size = -(-self.num_actions // bits.WIDTH)
        legal = [none] * size
        for part, actions in enumerate((fire, across, down)):
            actions = bits.moved(actions, part * self._cells, size)
            legal = _either(legal, actions)
        return bits.unpacked(jnp.stack(legal), self.num_actions).astype(bool)

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
        """Raises `GameError` unless every ship fits however those before it lie."""
        for number, size in enumerate(self._sizes):
            before = self._sizes[:number]
            if before and may_bar(self._height, self._width, before, size):
                raise GameError(
                    f"{self.name!r}: the first {number} ships may bar every place for the next; "
                    "the native game needs a larger board"
                )


def _words(table: jax.Array) -> list:
    """The words of a set, or of each of several sets, as scalars."""
    return list(table) if table.ndim == 1 else [list(row) for row in table]


_pairs = functools.partial(zip, strict=True)


def _both(one: Iterable, other: Iterable) -> list[jax.Array]:
    """What two sets share, by words."""
    return [some & more for some, more in _pairs(one, other)]


def _either(one: Iterable, other: Iterable) -> list[jax.Array]:
    """What is in one set or the other, by words."""
    return [some | more for some, more in _pairs(one, other)]


def _less(one: Iterable, other: Iterable) -> list[jax.Array]:
    """What is in one set and not in the other, by words."""
    return [some & ~more for some, more in _pairs(one, other)]


def _any(words: Iterable) -> jax.Array:
    """Whether a set has a member, bool `[]`."""
    return functools.reduce(jnp.bitwise_or, words) != 0


def _listed(text: str) -> list[str]:
    """The parts of OpenSpiel's `"[2;3;3]"`."""
    return text.strip().removeprefix("[").removesuffix("]").split(";")
