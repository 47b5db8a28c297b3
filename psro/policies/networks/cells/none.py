"""No memory: a feed-forward network."""

from __future__ import annotations

import jax
from flax import nnx


class NoMemory(nnx.Module):
    """The heads get what the encoder says: `y = x`. The carry is empty.

    If the input has another width than the heads expect, y is a linear layer with a rectifier.
    """

    parallel_from = 1

    def __init__(self, in_features: int, hidden_features: int, *, dtype: str, rngs: nnx.Rngs):
        self.fit = None
        if in_features != hidden_features:
            self.fit = nnx.Linear(in_features, hidden_features, dtype=dtype, rngs=rngs)

    def initial_carry(self, batch_shape: tuple[int, ...]) -> tuple[()]:
        return ()

    def __call__(self, carry: tuple[()], x: jax.Array) -> tuple[tuple[()], jax.Array]:
        return (), x if self.fit is None else nnx.relu(self.fit(x))

    def scan(self, carry: tuple[()], x: jax.Array, reset: jax.Array) -> tuple[tuple[()], jax.Array]:
        """All steps at once: no step depends on another. Faster at any length."""
        return self(carry, x)
