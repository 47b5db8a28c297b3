"""What the cells `gtrxl` and `gpt2` share."""

from __future__ import annotations

import abc
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from psro.policies.networks.cells import attention
from psro.policies.networks.cells.parts import Fit, in_heads, num_heads, steps_within

CHUNK = 16
"""Steps that a parallel pass takes at once, or W if that is less."""

Carry = dict[str, Any]


class Transformer(nnx.Module, abc.ABC):
    """Layers of attention over rings of keys and values.

    The carry is a ring for each layer, `keys` and `values` `[*batch, W, H]`, and the number of
    steps so far, int32 `[*batch]`. `scan` takes 16 steps at once. Gradients go through the keys and
    values of the sequence, and not further back.
    """

    parallel_from = 2

    def __init__(
        self,
        in_features: int,
        hidden_features: int,
        *,
        window: int = attention.WINDOW,
        num_layers: int = 1,
        dtype: str,
        rngs: nnx.Rngs,
    ):
        self.hidden_features, self.window = hidden_features, window
        self.names = tuple(f"layer_{number}" for number in range(num_layers))
        self.fit = Fit(in_features, hidden_features, dtype=dtype, rngs=rngs)
        for name in self.names:
            setattr(self, name, self._layer(dtype=dtype, rngs=rngs))

    @abc.abstractmethod
    def _layer(self, *, dtype: str, rngs: nnx.Rngs) -> nnx.Module:
        """A new layer, called as `layer(read, x)`, where `read(query, key, value, distances)` reads
        from the layer's ring."""

    def _begin(self, x: jax.Array, steps: jax.Array) -> jax.Array:
        """The input of the first layer."""
        return x

    def _end(self, x: jax.Array) -> jax.Array:
        """The output, from that of the last layer."""
        return x

    def initial_carry(self, batch_shape: tuple[int, ...]) -> Carry:
        ring = attention.blank(batch_shape, self.window, self.hidden_features)
        return {"steps": jnp.zeros(batch_shape, jnp.int32)} | dict.fromkeys(self.names, ring)

    def __call__(self, carry: Carry, x: jax.Array) -> tuple[Carry, jax.Array]:
        def read(name: str, *arguments: jax.Array):
            return attention.step(carry[name], carry["steps"], *arguments)

        rings, y = self._through(read, x, carry["steps"])
        return rings | {"steps": carry["steps"] + 1}, y

    def scan(self, carry: Carry, x: jax.Array, reset: jax.Array) -> tuple[Carry, jax.Array]:
        size = min(CHUNK, self.window)
        whole = len(x) // size * size
        outputs = []
        if whole:
            chunks = (leaf[:whole].reshape(-1, size, *leaf.shape[1:]) for leaf in (x, reset))
            carry, y = jax.lax.scan(
                lambda carry, chunk: self._at_once(carry, *chunk), carry, (*chunks,)
            )
            outputs.append(y.reshape(whole, *y.shape[2:]))
        if whole < len(x):
            carry, y = self._at_once(carry, x[whole:], reset[whole:])
            outputs.append(y)
        return carry, jnp.concatenate(outputs)

    def _at_once(self, carry: Carry, x: jax.Array, reset: jax.Array) -> tuple[Carry, jax.Array]:
        """At most W steps."""
        steps = steps_within(carry["steps"], reset)

        def read(name: str, *arguments: jax.Array):
            return attention.scan(carry[name], steps, reset, *arguments)

        rings, y = self._through(read, x, steps)
        return rings | {"steps": steps[-1] + 1}, y

    def _through(self, read: Any, x: jax.Array, steps: jax.Array) -> tuple[Carry, jax.Array]:
        """Every layer's next ring, and the output `[..., H]`."""
        rings, x = {}, self._begin(self.fit(x), steps)
        for name in self.names:
            rings[name], x = getattr(self, name)(
                lambda *arguments, name=name: read(name, *arguments), x
            )
        return rings, self._end(x)


class Heads(nnx.Module):
    """Queries `[..., heads, d]`, keys and values `[..., H]`, float32, in one product."""

    def __init__(self, features: int, *, dtype: str, rngs: nnx.Rngs, **settings: Any):
        self.heads = num_heads(features)
        self.enter = nnx.Linear(features, 3 * features, dtype=dtype, rngs=rngs, **settings)

    def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        query, key, value = jnp.split(self.enter(x).astype(jnp.float32), 3, axis=-1)
        return in_heads(query, self.heads), key, value
