"""Values that see what all players have seen: a central critic, for training alone."""

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
    seen zeros.

    Args:
        encoder: makes an encoder of what one player saw and did.
        features: units of each layer, and of an encoder.
        num_actions: actions whose values are wanted, too.
    """

    def __init__(
        self,
        encoder: Callable[[], Any],
        features: int,
        num_actions: int,
        *,
        dtype: str,
        rngs: nnx.Rngs,
    ):
        self.own, self.other = encoder(), encoder()
        self.layer = nnx.Linear(2 * features, features, dtype=dtype, rngs=rngs)
        self.head = nnx.Linear(features, 1 + num_actions, dtype=dtype, rngs=rngs)

    def __call__(self, own: Seen, others: Seen) -> tuple[jax.Array, jax.Array]:
        """The value `[...]` and the values of actions `[..., num_actions]`, float32. The others'
        arrays have one more axis, of players, after the batch: `[..., Q, *shape]`."""
        read = [self.own.encode(*own), self.other.encode(*others).mean(axis=-2)]
        x = nnx.relu(self.layer(jnp.concatenate(read, axis=-1)))
        values = self.head(x).astype(jnp.float32)
        return values[..., 0], values[..., 1:]
