"""What random play shows of a game that does not say how much can be won."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from games.game import Game, State
from games.spaces import Box

_EPISODES = 16


def random_actions(game: Game, states: State, key: jax.Array) -> jax.Array:
    """A random action of the player to move in each of B states, `[B, ...]`; -1 where actions are
    numbers and the episode has ended."""
    space = game.action_space
    if isinstance(space, Box):
        shape = (*states.ended.shape, *space.shape)
        return jax.random.uniform(key, shape, minval=space.low, maxval=space.high)
    action = jax.random.categorical(key, jnp.where(states.legal, 0.0, -jnp.inf))
    return jnp.where(states.ended, -1, action)


def largest_return(game: Game) -> float:
    """The largest absolute return in some random episodes; 1 if nothing was ever paid. It is the
    same every time."""

    def step(carry, key):
        states, total = carry
        choose, play = jax.random.split(key)
        action = random_actions(game, states, choose)
        states = jax.vmap(game.step)(states, action, jax.random.split(play, _EPISODES))
        return (states, total + states.rewards), None

    @jax.jit
    def play(key):
        first, rest = jax.random.split(key)
        states = jax.vmap(game.init)(jax.random.split(first, _EPISODES))
        start = states, jnp.zeros((_EPISODES, game.num_players))
        (_, total), _ = jax.lax.scan(step, start, jax.random.split(rest, game.max_length))
        return jnp.abs(total).max()

    return float(play(jax.random.key(0))) or 1.0
