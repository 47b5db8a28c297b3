"""Board games in the dark: a player sees its own marks, and an opponent's where it bumped into one.

Phantom tic-tac-toe and dark hex differ in their boards and in the layout of their tensors. What
they share is here: turns, what the players see, and the order of what they tried.
"""

from __future__ import annotations

import abc
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from games.errors import GameError
from games.game import Game, State
from games.native import bits

OBSTYPES = ("reveal-nothing", "reveal-numturns")


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class BoardState(State):
    """`board` is the rules' own; `sight` is each player's tensor of zeros and ones, packed by
    `games.native.bits`, uint32 `[2, W]`."""

    board: jax.Array
    sight: jax.Array


class HiddenBoard(Game[BoardState], abc.ABC):
    """Two players mark cells in turn. A player may try any cell that it has not tried yet; if the
    opponent's mark is there it sees the mark. Then it tries again, or the turn passes.

    A tensor begins with the view: each cell is empty, player 0's or player 1's. An information
    state goes on with the tries in their order: a player's own, or all of them where the number of
    turns is revealed, the opponent's as unknown. An observation goes on with the number of turns
    where it is revealed.

    Args:
        name: the game's string.
        observation: one of `games.OBSERVATIONS`.
        obstype: one of `OBSTYPES`.
        passes: whether the turn passes when a player bumps into a mark.
        entries: where the view has its ones, `[3, cells]`: empty, player 0's mark, player 1's.
        view_size: entries of the view.
        turn_entries: entries of the number of turns, where they are revealed.
    """

    num_players = 2
    max_return = 1.0

    def __init__(
        self,
        name: str,
        observation: str,
        *,
        obstype: str,
        passes: bool,
        entries: np.ndarray,
        view_size: int,
        turn_entries: int,
    ):
        if obstype not in OBSTYPES:
            raise GameError(f"{name!r}: obstype {obstype!r} must be {' or '.join(OBSTYPES)}")
        cells = entries.shape[1]
        self.name = name
        self.num_actions = cells
        self.max_length = 2 * cells - 1
        self._passes = passes
        self._entries = entries.astype(np.int32)
        self._view_size = view_size
        self._shows_all_tries = obstype == "reveal-numturns"
        self._shows_order = observation == "information_state"
        self._shows_count = self._shows_all_tries and not self._shows_order
        self._try_size = cells + 2 if self._shows_all_tries else cells
        order_size = self._try_size * (self.max_length if self._shows_all_tries else cells)
        self.observation_size = (
            view_size
            + (order_size if self._shows_order else 0)
            + (turn_entries if self._shows_count else 0)
        )
        no_turns = [view_size] if self._shows_count else []
        self._start = bits.packed([*entries[0], *no_turns], self.observation_size)
        self._empty = bits.packed(entries[0], self.observation_size)

    @abc.abstractmethod
    def start(self) -> jax.Array:
        """The empty board."""

    @abc.abstractmethod
    def is_marked(self, board: jax.Array, cell: jax.Array) -> jax.Array:
        """Whether a player's mark is in the cell, bool `[]`."""

    @abc.abstractmethod
    def mark(self, board: jax.Array, player: jax.Array, cell: jax.Array) -> jax.Array:
        """The board with the player's mark in an empty cell."""

    @abc.abstractmethod
    def result(self, board: jax.Array, player: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Whether the player who moved last has won, and whether the game is over, bool `[]`."""

    def init(self, key: jax.Array) -> BoardState:
        del key
        return BoardState(
            player=jnp.int32(0),
            legal=jnp.ones(self.num_actions, bool),
            terminal=jnp.bool_(False),
            truncated=jnp.bool_(False),
            rewards=jnp.zeros(2),
            board=self.start(),
            sight=jnp.tile(self._start, (2, 1)),
        )

    def step(self, state: BoardState, action: jax.Array, key: jax.Array) -> BoardState:
        del key
        player = state.player
        plays = (state.legal & (jnp.arange(self.num_actions) == action)).any()
        bumps = self.is_marked(state.board, action)
        board = jnp.where(plays & ~bumps, self.mark(state.board, player, action), state.board)
        won, over = self.result(board, player)
        seen = self._seen(state.sight, player, action, player ^ bumps)
        sight = jnp.where(plays, state.sight ^ seen, state.sight)
        stays = bumps & (not self._passes)
        ends = plays & over
        terminal = state.terminal | ends
        mover = jnp.where(plays & ~stays, 1 - player, player) * ~terminal
        return BoardState(
            player=mover,
            legal=self._untried(sight, mover) & ~terminal,
            terminal=terminal,
            truncated=state.truncated,
            rewards=jnp.where(ends & won, jnp.where(jnp.arange(2) == player, 1.0, -1.0), 0.0),
            board=board,
            sight=sight,
        )

    def observe(self, state: BoardState) -> jax.Array:
        words = jnp.where(state.terminal, 0, _row(state.sight, state.player))
        return bits.unpacked(words, self.observation_size).astype(jnp.float32)

    def chance(self, state: BoardState) -> jax.Array:
        """There is no chance, int32 `[0]`."""
        del state
        return jnp.zeros(0, jnp.int32)

    def _untried(self, sight: jax.Array, player: jax.Array) -> jax.Array:
        """The cells that the player has not tried, bool `[cells]`."""
        entries = bits.unpacked(_row(sight, player), self._view_size)
        return entries[self._entries[0]].astype(bool)

    def _seen(
        self, sight: jax.Array, player: jax.Array, action: jax.Array, owner: jax.Array
    ) -> jax.Array:
        """What changes in both players' tensors when the player tries a cell and finds the owner's
        mark there, uint32 `[2, W]`."""
        size = sight.shape[1]
        empty, first, second = jnp.asarray(self._entries)[:, action]
        own = bits.one(empty, size) | bits.one(jnp.where(owner == 0, first, second), size)
        other = jnp.zeros_like(own)
        if self._shows_count or self._shows_order:
            tries = self.num_actions - jax.lax.population_count(sight & self._empty[None]).sum(
                axis=1, dtype=jnp.int32
            )
            turns = tries.sum() if self._shows_all_tries else _row(tries, player)
        if self._shows_count:
            counts = bits.one(self._view_size + turns, size)
            counts |= bits.one(self._view_size + turns + 1, size)
            own, other = own | counts, other | counts
        elif self._shows_order:
            place = self._view_size + turns * self._try_size
            if self._shows_all_tries:
                mover = jnp.where(player == 1, bits.one(place, size), 0)
                own |= mover | bits.one(place + 1 + action, size)
                other |= mover | bits.one(place + 1 + self.num_actions, size)
            else:
                own |= bits.one(place + action, size)
        return jnp.where(jnp.arange(2)[:, None] == player, own[None], other[None])


def _row(table: jax.Array, player: jax.Array) -> jax.Array:
    """The player's row of two."""
    return jnp.where(player == 0, table[0], table[1])
