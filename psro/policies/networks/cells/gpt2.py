"""The layers of GPT-2 (Radford et al. 2019, "Language models are unsupervised multitask learners"),
over a ring of keys and values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from psro.policies.networks.cells.transformer import Heads, Transformer

_SPREAD = 0.02
"""Standard deviation of the first parameters."""


class GPT2(Transformer):
    """Residual layers with the norm before each part, and learned positions:

        x = input + P[p mod W]                                  at step p of the episode
        x = x + W_o attention(norm(x))                          in every layer
        x = x + W_2 gelu(W_1 norm(x)), of width 4 H within
        output = norm(x)

    A position is a slot of the ring. So positions never run out, and the steps that are in the ring
    together all have different ones. Layers that add to x begin smaller, by 1 / sqrt(2 layers).
    There is one layer by default.
    """

    def __init__(
        self, in_features: int, hidden_features: int, *, dtype: str, rngs: nnx.Rngs, **settings: int
    ):
        super().__init__(in_features, hidden_features, dtype=dtype, rngs=rngs, **settings)
        random = nnx.initializers.normal(_SPREAD)
        self.positions = nnx.Param(random(rngs.params(), (self.window, hidden_features)))
        self.norm = nnx.LayerNorm(hidden_features, epsilon=1e-5, dtype=dtype, rngs=rngs)

    def _layer(self, *, dtype: str, rngs: nnx.Rngs) -> nnx.Module:
        return Layer(self.hidden_features, len(self.names), dtype=dtype, rngs=rngs)

    def _begin(self, x: jax.Array, steps: jax.Array) -> jax.Array:
        return x + jnp.take(self.positions[...], steps % self.window, axis=0)

    def _end(self, x: jax.Array) -> jax.Array:
        return self.norm(x).astype(jnp.float32)


class Layer(nnx.Module):
    """One layer, whose attention is given."""

    def __init__(self, features: int, num_layers: int, *, dtype: str, rngs: nnx.Rngs):
        settings: dict[str, Any] = {"dtype": dtype, "rngs": rngs}
        first = {"kernel_init": nnx.initializers.normal(_SPREAD), **settings}
        last = {
            "kernel_init": nnx.initializers.normal(_SPREAD / (2 * num_layers) ** 0.5),
            **settings,
        }
        self.first_norm = nnx.LayerNorm(features, epsilon=1e-5, **settings)
        self.heads = Heads(features, **first)
        self.leave = nnx.Linear(features, features, **last)
        self.second_norm = nnx.LayerNorm(features, epsilon=1e-5, **settings)
        self.widen = nnx.Linear(features, 4 * features, **first)
        self.narrow = nnx.Linear(4 * features, features, **last)

    def __call__(self, read: Callable[..., Any], x: jax.Array) -> tuple[Any, jax.Array]:
        query, key, value = self.heads(self.first_norm(x))
        ring, attended = read(query * query.shape[-1] ** -0.5, key, value)
        x = x + self.leave(attended).astype(jnp.float32)
        wide = nnx.gelu(self.widen(self.second_norm(x)))
        return ring, x + self.narrow(wide).astype(jnp.float32)
