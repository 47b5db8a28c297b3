"""POPGym's multi-armed bandit: arms with a chance of payment that is new in every episode."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from games.solo import Moved, Solo
from games.spaces import Discrete


class MultiarmedBandit(Solo):
    """Shows whether the last pull paid; without its own last action it would mean nothing."""

    def __init__(self, name: str, *, arms: int, length: int):
        super().__init__(
            name,
            observation_space=Discrete(2),
            action_space=Discrete(arms),
            max_length=length,
            max_return=1.0,
        )

    def _begin(self, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        return jax.random.uniform(key, (self.num_actions,)), jnp.int32(0)

    def _go(self, inner: jax.Array, action: jax.Array, key: jax.Array) -> Moved:
        pays = jax.random.uniform(key) < inner[action]
        return Moved(
            inner=inner,
            observation=pays.astype(jnp.int32),
            reward=jnp.where(pays, 1.0, -1.0) / self.max_length,
            terminal=jnp.bool_(False),
            truncated=jnp.bool_(False),  # the base cuts off after `length` pulls
        )
