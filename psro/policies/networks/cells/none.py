"""No memory: a feed-forward network."""

from __future__ import annotations

import jax
from flax import nnx

from psro.policies.networks.cells.parts import Fit


class NoMemory(nnx.Module):
    """The heads get what the encoder says: `y = x`. The carry is empty.

    A linear layer comes first only if the heads expect another width.
    """

    parallel_from = 1

    def __init__(self, in_features: int, hidden_features: int, *, dtype: str, rngs: nnx.Rngs):
        self.fit = Fit(in_features, hidden_features, dtype=dtype, rngs=rngs)

    def initial_carry(self, batch_shape: tuple[int, ...]) -> tuple[()]:
        return ()

    def __call__(self, carry: tuple[()], x: jax.Array) -> tuple[tuple[()], jax.Array]:
        return (), self.fit(x)

    def scan(self, carry: tuple[()], x: jax.Array, reset: jax.Array) -> tuple[tuple[()], jax.Array]:
        """All steps at once: no step depends on another. Faster at any length."""
        return self(carry, x)
