"""What random play shows of a game that does not say how much can be won."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from games.game import Game, State
from games.spaces import Box

_EPISODES = 16


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


def random_actions(game: Game, states: State, key: jax.Array) -> jax.Array:
    """A random legal action, or one between the bounds, in each of the states `[E]`; none where
    the episode has ended."""
    space, ended = game.action_space, states.ended
    if isinstance(space, Box):
        actions = jax.random.uniform(
            key, (*ended.shape, *space.shape), minval=space.low, maxval=space.high
        )
        return jnp.where(ended.reshape(*ended.shape, *(1,) * len(space.shape)), jnp.nan, actions)
    actions = jax.random.categorical(key, jnp.where(states.legal, 0.0, -jnp.inf))
    return jnp.where(ended, -1, actions)
