"""Oshi-Zumo: two players bid coins to push a wrestler off the other's end of the field."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from games.errors import GameError
from games.game import Game, State


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class OshiZumoState(State):
    """`coins` is what each player has, int32 `[2]`; `position` the wrestler's, from 0 to 2N + 2,
    `rounds` those that are over, `bid` player 0's in this round, int32 `[]`."""

    coins: jax.Array
    position: jax.Array
    rounds: jax.Array
    bid: jax.Array


class OshiZumo(Game[OshiZumoState]):
    """OpenSpiel's `oshi_zumo` by turns: both bid at least `min_bid` of their coins, or all they
    have, player 1 without seeing player 0's bid, and lose them. The higher bid pushes the wrestler
    one place towards the other's end; `size` places lie between the middle and an end.

    Who pushes it off wins 1. When no coins are left, or after `horizon` rounds, the half that the
    wrestler stands in decides; in `alesia` that is a draw.

    There is no information state tensor. An observation shows the player to move, the observer, the
    coins of both and the position.
    """

    num_players = 2
    max_return = 1.0

    def __init__(self, name: str, parameters: dict[str, Any], observation: str):
        if observation != "observation":
            raise GameError(f"{name!r} provides no {observation} tensor; it provides observation")
        coins, size, horizon = (parameters[key] for key in ("coins", "size", "horizon"))
        if coins < 1 or size < 0 or horizon < 1:
            raise GameError(
                f"{name!r}: coins = {coins} and horizon = {horizon} must be at least 1, "
                f"size = {size} at least 0"
            )
        self.name = name
        self._coins = coins
        self._size = size
        self._horizon = horizon
        self._min_bid = parameters["min_bid"]
        self._alesia = parameters["alesia"]
        self.num_actions = coins + 1
        rounds = min(horizon, -(-coins // self._min_bid)) if self._min_bid else horizon
        self.max_length = 2 * rounds
        self.observation_size = 4 + 2 * (coins + 1) + 2 * size + 3

    def init(self, key: jax.Array) -> OshiZumoState:
        del key
        return OshiZumoState(
            player=jnp.int32(0),
            legal=self._legal(jnp.int32(self._coins)),
            terminal=jnp.bool_(False),
            truncated=jnp.bool_(False),
            rewards=jnp.zeros(2),
            coins=jnp.full(2, self._coins),
            position=jnp.int32(self._size + 1),
            rounds=jnp.int32(0),
            bid=jnp.int32(0),
        )

    def step(self, state: OshiZumoState, action: jax.Array, key: jax.Array) -> OshiZumoState:
        del key
        plays = (state.legal & (jnp.arange(self.num_actions) == action)).any()
        over = plays & (state.player == 1)  # the round
        push = jnp.where(over, jnp.sign(state.bid - action), 0)
        position = state.position + push
        coins = state.coins - jnp.where(over, jnp.stack([state.bid, action]), 0)
        rounds = state.rounds + over
        middle = self._size + 1
        off = (position == 0) | (position == 2 * middle)
        ends = over & (off | (coins == 0).all() | (rounds >= self._horizon))
        terminal = state.terminal | ends
        player = jnp.where(terminal, 0, state.player ^ plays)
        won = jnp.where(self._alesia & ~off, 0, jnp.sign(position - middle))
        return OshiZumoState(
            player=player,
            legal=self._legal(jnp.where(player == 0, coins[0], coins[1])) & ~terminal,
            terminal=terminal,
            truncated=state.truncated,
            rewards=jnp.where(ends, won * jnp.array([1.0, -1.0]), 0.0),
            coins=coins,
            position=position,
            rounds=rounds,
            bid=jnp.where(plays & ~over, action, state.bid),
        )

    def observe(self, state: OshiZumoState) -> jax.Array:
        entries, coins = jnp.arange(self.observation_size), self._coins + 1
        shown = (entries == state.player) | (entries == 2 + state.player)
        for place in (state.coins[0], coins + state.coins[1], 2 * coins + state.position):
            shown |= entries == 4 + place
        return (shown & ~state.terminal).astype(jnp.float32)

    def chance(self, state: OshiZumoState) -> jax.Array:
        """There is no chance, int32 `[0]`."""
        del state
        return jnp.zeros(0, jnp.int32)

    def _legal(self, coins: jax.Array) -> jax.Array:
        """What a player with so many coins may bid, bool `[A]`."""
        bids = jnp.arange(self.num_actions)
        return (bids >= jnp.minimum(self._min_bid, coins)) & (bids <= coins)
