"""Pgx's games, which are written in JAX (Koyamada et al. 2023, arXiv:2303.17503).

Pgx draws which of its players begins. Here, in a game for two, seat 0 begins, as in OpenSpiel.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp

from games.errors import GameError
from games.game import Game, State
from games.hosted.keys import raw
from games.hosted.names import imported, unknown
from games.spaces import Box

_RETURNS = {"backgammon": 3.0, "kuhn_poker": 2.0, "leduc_holdem": 13.0, "sparrow_mahjong": 2.0}
"""The largest returns that are not 1."""
_LENGTHS = {
    "animal_shogi": 256,
    "chess": 512,
    "connect_four": 42,
    "gardner_chess": 256,
    "go_19x19": 722,
    "go_9x9": 162,
    "hex": 122,
    "kuhn_poker": 3,
    "leduc_holdem": 8,
    "othello": 120,
    "shogi": 512,
    "tic_tac_toe": 9,
}
"""The most decisions in an episode, by the rules or by Pgx's own limit; the others may go on."""


def pgx_game(name: str, environment: str, parameters: dict[str, Any], horizon: int) -> PgxGame:
    """See `games.hosted.environment`."""
    pgx = imported(name, "pgx")
    if environment not in pgx.available_envs():
        unknown(name, environment, pgx.available_envs())
    if parameters:
        raise GameError(f"Pgx's games have no parameters, and {name!r} has {list(parameters)[0]!r}")
    env = pgx.make(environment)
    if env.num_players < 2:
        raise GameError(f"{name!r} has {env.num_players} player; a population needs opponents")
    longest = min(horizon, _LENGTHS.get(environment, horizon))
    return PgxGame(name, env, _RETURNS.get(environment, 1.0), longest)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class PgxState(State):
    """Pgx's own state; which of its players is seat 0, and decisions so far, int32 `[]`."""

    inner: Any
    first: jax.Array
    count: jax.Array


class PgxGame(Game[PgxState]):
    """Plays a `pgx.Env` for at most `max_length` decisions."""

    def __init__(self, name: str, env: Any, max_return: float, max_length: int):
        self.name = name
        self.num_players = env.num_players
        state = jax.eval_shape(lambda: env.init(jax.random.key_data(jax.random.key(0))))
        self.num_actions = state.legal_action_mask.size
        self.observation_size = math.prod(state.observation.shape)
        self.observation_space = Box(state.observation.shape)
        self.max_length = max_length
        self.max_return = max_return
        self._env = env

    def init(self, key: jax.Array) -> PgxState:
        inner = self._env.init(raw(key))
        first = (
            inner.current_player if self.num_players == 2 else jnp.zeros_like(inner.current_player)
        )
        return self._state(inner, first, jnp.int32(0), jnp.zeros(self.num_players))

    def step(self, state: PgxState, action: jax.Array, key: jax.Array) -> PgxState:
        follows = (state.legal & (jnp.arange(self.num_actions) == action)).any()
        played = self._env.step(state.inner, jnp.where(follows, action, 0), raw(key))
        inner = jax.tree.map(lambda new, old: jnp.where(follows, new, old), played, state.inner)
        rewards = jnp.where(follows, jnp.roll(played.rewards, -state.first), 0.0)
        return self._state(inner, state.first, state.count + follows, rewards)

    def observe(self, state: PgxState) -> jax.Array:
        return jnp.where(state.ended, 0.0, state.inner.observation.astype(jnp.float32))

    def _state(
        self, inner: Any, first: jax.Array, count: jax.Array, rewards: jax.Array
    ) -> PgxState:
        terminal = inner.terminated
        truncated = ~terminal & (inner.truncated | (count >= self.max_length))
        ended = terminal | truncated
        player = (inner.current_player - first) % self.num_players
        return PgxState(
            player=jnp.where(ended, 0, player),
            legal=inner.legal_action_mask & ~ended,  # Pgx's is all True at the end
            terminal=terminal,
            truncated=truncated,
            rewards=rewards.astype(jnp.float32),
            inner=inner,
            first=first,
            count=count,
        )
