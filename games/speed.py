"""How fast a game is played, by a short measurement."""

from __future__ import annotations

import time
from typing import Any

import jax
import jax.numpy as jnp

from games.game import Game
from games.random_play import random_actions

_ENVIRONMENTS, _STEPS = 256, 16
_SECONDS = 0.3
"""Processor seconds that a measurement takes at least, compiling not counted."""


def seconds_per_decision(game: Game) -> float:
    """Processor seconds of one decision of random play, observations included: what the rules cost
    by themselves, without any network."""

    def step(states: Any, key: jax.Array) -> tuple[Any, jax.Array]:
        choose, play, begin = jax.random.split(key, 3)
        actions = random_actions(game, states, choose)
        states = jax.vmap(game.step)(states, actions, jax.random.split(play, _ENVIRONMENTS))
        ended = states.ended
        keys = jax.random.split(begin, _ENVIRONMENTS)
        if hasattr(game, "renew"):  # plays only what begins
            states = jax.vmap(game.renew)(states, ended, keys)
        else:
            fresh = jax.vmap(game.init)(keys)
            states = jax.tree.map(
                lambda new, old: jnp.where(
                    ended.reshape(ended.shape + (1,) * (old.ndim - 1)), new, old
                ),
                fresh,
                states,
            )
        seen = jax.tree.leaves(jax.vmap(game.observe)(states))
        return states, sum(leaf.sum().astype(jnp.float32) for leaf in seen)

    @jax.jit
    def play(states: Any, key: jax.Array) -> tuple[Any, jax.Array]:
        states, seen = jax.lax.scan(step, states, jax.random.split(key, _STEPS))
        return states, seen.sum()

    keys = jax.random.split(jax.random.key(0), _ENVIRONMENTS)
    states = jax.jit(jax.vmap(game.init))(keys)
    states, _ = jax.block_until_ready(play(states, jax.random.key(1)))  # compiles
    started, calls = time.process_time(), 0
    while (spent := time.process_time() - started) < _SECONDS:
        states, _ = jax.block_until_ready(play(states, jax.random.key(2 + calls)))
        calls += 1
    return spent / (calls * _STEPS * _ENVIRONMENTS)
