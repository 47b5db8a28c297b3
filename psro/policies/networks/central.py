"""A value that sees what all players have seen: a central critic, for training alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

Seen = tuple[Any, jax.Array]
"""What a player saw at its latest decision, and what it did last."""


class CentralValue(nnx.Module):
    """Two layers: what the player sees beside the mean of what the others have seen, each read by
    an encoder; and a layer of both. Where others have not yet decided in this episode, they have
    seen zeros."""

    def __init__(self, encoder: Callable[[], Any], features: int, *, dtype: str, rngs: nnx.Rngs):
        self.own, self.other = encoder(), encoder()
        self.layer = nnx.Linear(2 * features, features, dtype=dtype, rngs=rngs)
        self.head = nnx.Linear(features, 1, dtype=dtype, rngs=rngs)

    def __call__(self, own: Seen, others: Seen) -> jax.Array:
        """Values `[...]`, float32. The others' arrays have one more axis, of players, after the
        batch: `[..., Q, *shape]`."""
        read = [self.own.encode(*own), self.other.encode(*others).mean(axis=-2)]
        x = nnx.relu(self.layer(jnp.concatenate(read, axis=-1)))
        return self.head(x)[..., 0].astype(jnp.float32)
