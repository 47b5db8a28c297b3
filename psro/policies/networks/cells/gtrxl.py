"""Gated transformer-XL (GTrXL; Parisotto et al. 2019, arXiv:1910.06764)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from psro.policies.networks.cells.parts import along, in_heads
from psro.policies.networks.cells.transformer import Heads, Transformer

_BIAS = 2.0
"""b_g: at the start, gates let their input through (section 3.2)."""


class GTrXL(Transformer):
    """Attention with relative positions, and gates instead of residual connections.

    Every layer (section 3.1, "identity map reordering", and section 3.2):

        Y = g(E, relu(A))        A = attention(norm(E))
        E' = g'(Y, relu(B))      B = W_2 relu(W_1 norm(Y)), of width 4 H within

    with gates g of the GRU's kind:

        r = σ(W_r y + U_r x)     z = σ(W_z y + U_z x - b_g)
        g(x, y) = (1 - z) ⊙ x + z ⊙ tanh(W_h y + U_h (r ⊙ x))

    The match of a query q with a key k at distance n is that of Transformer-XL (Dai et al. 2019,
    arXiv:1901.02860, section 3.3), where R_n are sines and cosines of n:

        ((q + u)ᵀ k + (q + v)ᵀ W_R R_n) / sqrt(d)

    Memory is a sliding window, not segments: see `attention`. There is one layer by default.
    """

    def _layer(self, *, dtype: str, rngs: nnx.Rngs) -> nnx.Module:
        return Layer(self.hidden_features, self.window, dtype=dtype, rngs=rngs)


class Layer(nnx.Module):
    """One layer, whose attention is given."""

    def __init__(self, features: int, window: int, *, dtype: str, rngs: nnx.Rngs):
        settings: dict[str, Any] = {"dtype": dtype, "rngs": rngs}
        self.features, self.window = features, window
        self.first_norm = nnx.LayerNorm(features, **settings)
        self.heads = Heads(features, use_bias=False, **settings)
        heads = self.heads.heads
        self.of_content = nnx.Param(jnp.zeros((heads, features // heads)))  # u
        self.of_distance = nnx.Param(jnp.zeros((heads, features // heads)))  # v
        self.distances = nnx.Linear(features, features, use_bias=False, **settings)
        self.leave = nnx.Linear(features, features, use_bias=False, **settings)
        self.first_gate = Gate(features, **settings)
        self.second_norm = nnx.LayerNorm(features, **settings)
        self.widen = nnx.Linear(features, 4 * features, **settings)
        self.narrow = nnx.Linear(4 * features, features, **settings)
        self.second_gate = Gate(features, **settings)

    def __call__(self, read: Callable[..., Any], x: jax.Array) -> tuple[Any, jax.Array]:
        query, key, value = self.heads(self.first_norm(x))
        scale = query.shape[-1] ** -0.5
        content = (query + along(self.of_content[...], query)) * scale
        distance = (query + along(self.of_distance[...], query)) * scale
        rows = self.distances(sinusoids(self.window, self.features)).astype(jnp.float32)
        added = jnp.einsum("...nd,wnd->...nw", distance, in_heads(rows, self.heads.heads))
        ring, attended = read(content, key, value, added)
        x = self.first_gate(x, nnx.relu(self.leave(attended)))
        wide = nnx.relu(self.widen(self.second_norm(x)))
        return ring, self.second_gate(x, nnx.relu(self.narrow(wide)))


class Gate(nnx.Module):
    """g(x, y), float32 `[..., H]`."""

    def __init__(self, features: int, *, dtype: str, rngs: nnx.Rngs):
        settings: dict[str, Any] = {"use_bias": False, "dtype": dtype, "rngs": rngs}
        self.of_y = nnx.Linear(features, 3 * features, **settings)  # W_r, W_z, W_h
        self.of_x = nnx.Linear(features, 2 * features, **settings)  # U_r, U_z
        self.of_kept = nnx.Linear(features, features, **settings)  # U_h
        self.bias = nnx.Param(jnp.full(features, _BIAS))

    def __call__(self, x: jax.Array, y: jax.Array) -> jax.Array:
        y_r, y_z, y_h = jnp.split(self.of_y(y).astype(jnp.float32), 3, axis=-1)
        x_r, x_z = jnp.split(self.of_x(x).astype(jnp.float32), 2, axis=-1)
        r = nnx.sigmoid(y_r + x_r)
        z = nnx.sigmoid(y_z + x_z - along(self.bias[...], x_z))
        h = jnp.tanh(y_h + self.of_kept(r * x).astype(jnp.float32))
        return (1 - z) * x + z * h


def sinusoids(length: int, features: int) -> np.ndarray:
    """Sines and cosines of the distances 0 to `length` - 1, float32 `[length, features]` (Vaswani
    et al. 2017, arXiv:1706.03762, section 3.5)."""
    half = -(-features // 2)
    angle = np.outer(np.arange(length), 10_000.0 ** -(np.arange(half) / half))
    return np.concatenate([np.sin(angle), np.cos(angle)], axis=1)[:, :features].astype(np.float32)
