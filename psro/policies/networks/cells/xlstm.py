"""Residual blocks of an mLSTM and an sLSTM: xLSTM[1:1] (Beck et al. 2024, arXiv:2405.04517)."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from psro.policies.networks.cells import mlstm, slstm
from psro.policies.networks.cells.parts import Fit, along, flat, in_heads, num_heads, restarted

_TAPS = 4
"""Width of the causal convolutions."""

Carry = dict[str, dict[str, Any]]


class XLSTM(nnx.Module):
    """An mLSTM block, then an sLSTM block, then a layer norm (section 2.4 of the paper and its
    figures 9 and 10). `Matrix` and `Scalar` are the blocks.

    The carry has each block's memory (see `mlstm` and `slstm`), and its last three inputs of the
    convolution, which begin with zeros. `scan` runs the mLSTM in its parallel form. The sLSTM has
    none: its recurrence runs step by step, and all else at once.
    """

    parallel_from = 2

    def __init__(self, in_features: int, hidden_features: int, *, dtype: str, rngs: nnx.Rngs):
        self.fit = Fit(in_features, hidden_features, dtype=dtype, rngs=rngs)
        self.matrix = Matrix(hidden_features, dtype=dtype, rngs=rngs)
        self.scalar = Scalar(hidden_features, dtype=dtype, rngs=rngs)
        self.norm = _norm(hidden_features, dtype, rngs)

    def initial_carry(self, batch_shape: tuple[int, ...]) -> Carry:
        return {
            "matrix": self.matrix.initial_carry(batch_shape),
            "scalar": self.scalar.initial_carry(batch_shape),
        }

    def __call__(self, carry: Carry, x: jax.Array) -> tuple[Carry, jax.Array]:
        reset = jnp.zeros((1, *x.shape[:-1]), bool)
        carry, y = self.scan(carry, x[None], reset)
        return carry, y[0]

    def scan(self, carry: Carry, x: jax.Array, reset: jax.Array) -> tuple[Carry, jax.Array]:
        matrix, x = self.matrix(carry["matrix"], self.fit(x), reset)
        scalar, x = self.scalar(carry["scalar"], x, reset)
        return {"matrix": matrix, "scalar": scalar}, self.norm(x).astype(jnp.float32)


class Matrix(nnx.Module):
    """The mLSTM block, with the memory between two projections (figure 10):

        a, b = W x̂                  x̂ = norm(x), each of width 2 H
        c = silu(conv(a))
        h = headnorm(mLSTM(q = W_q c, k = W_k c, v = W_v a))
        x' = x + W_down ((h + s ⊙ c) ⊙ silu(b))

    q, k and v are linear within blocks of 4 features. The gates see q, k and v.
    """

    def __init__(self, features: int, *, dtype: str, rngs: nnx.Rngs):
        inner = 2 * features
        self.heads = num_heads(inner)
        self.width = inner // self.heads
        self.norm = _norm(features, dtype, rngs)
        self.up = _up(features, 2 * inner, dtype, rngs)
        self.conv = Convolution(inner, rngs=rngs)
        self.dtype = dtype
        blocks, size = (inner // 4, 4) if inner % 4 == 0 else (1, inner)
        self.blocks = blocks
        self.into = nnx.Param(_small(features)(rngs.params(), (3, blocks, size, size)))
        self.gates = mlstm.Gates(3 * inner, self.heads, dtype=dtype, rngs=rngs)
        self.scale = nnx.Param(jnp.ones(inner))
        self.skip = nnx.Param(jnp.ones(inner))
        self.down = _down(inner, features, dtype, rngs)

    def initial_carry(self, batch_shape: tuple[int, ...]) -> dict[str, Any]:
        return {
            "seen": self.conv.initial_carry(batch_shape),
            "memory": mlstm.blank(batch_shape, self.heads, self.width),
        }

    def __call__(
        self, carry: dict[str, Any], x: jax.Array, reset: jax.Array
    ) -> tuple[dict[str, Any], jax.Array]:
        entered, gate = jnp.split(self.up(self.norm(x)).astype(jnp.float32), 2, axis=-1)
        seen, mixed = self.conv(carry["seen"], entered, reset)
        mixed = nnx.silu(mixed)
        query, key = self._within_blocks(self.into[...][:2], jnp.stack([mixed, mixed]))
        (value,) = self._within_blocks(self.into[...][2:], entered[None])
        gates = self.gates(jnp.concatenate([query, key, value], axis=-1))
        query, key, value = (in_heads(part, self.heads) for part in (query, key, value))
        memory, read = mlstm.scan(
            carry["memory"], reset, query, key / self.width**0.5, value, *gates
        )
        read = flat(_standard(read))
        read = read * along(self.scale[...], read) + mixed * along(self.skip[...], mixed)
        x = x + self.down(read * nnx.silu(gate)).astype(jnp.float32)
        return {"seen": seen, "memory": memory}, x

    def _within_blocks(self, kernels: jax.Array, x: jax.Array) -> jax.Array:
        parts = in_heads(x, self.blocks).astype(self.dtype)
        mixed = jnp.einsum("k...bi,kbij->k...bj", parts, kernels.astype(self.dtype))
        return flat(mixed).astype(jnp.float32)


class Scalar(nnx.Module):
    """The sLSTM block, with a gated layer after the memory (figure 9):

        x' = x + headnorm(sLSTM(z, o from x̂; i, f from silu(conv(x̂))))         x̂ = norm(x)
        x'' = x' + W_down (gelu(W_1 norm(x')) ⊙ W_2 norm(x'))                      of width 4/3 H

    The inputs of the gates are linear within heads.
    """

    def __init__(self, features: int, *, dtype: str, rngs: nnx.Rngs):
        self.heads = num_heads(features)
        self.features = features
        self.dtype = dtype
        width = features // self.heads
        wide = -(-4 * features // 3)
        self.norm = _norm(features, dtype, rngs)
        self.conv = Convolution(features, rngs=rngs)
        self.into = nnx.Param(_small(features)(rngs.params(), (4, self.heads, width, width)))
        self.memory = slstm.Recurrence(features, dtype=dtype)
        self.scale = nnx.Param(jnp.ones(features))
        self.second_norm = _norm(features, dtype, rngs)
        self.up = _up(features, 2 * wide, dtype, rngs)
        self.down = _down(wide, features, dtype, rngs)

    def initial_carry(self, batch_shape: tuple[int, ...]) -> dict[str, Any]:
        return {
            "seen": self.conv.initial_carry(batch_shape),
            "memory": slstm.blank((*batch_shape, self.features)),
        }

    def __call__(
        self, carry: dict[str, Any], x: jax.Array, reset: jax.Array
    ) -> tuple[dict[str, Any], jax.Array]:
        entered = self.norm(x).astype(jnp.float32)
        seen, mixed = self.conv(carry["seen"], entered, reset)
        mixed = nnx.silu(mixed)
        inputs = jnp.stack([entered, mixed, mixed, entered])  # z, i, f, o
        parts = in_heads(inputs, self.heads).astype(self.dtype)
        gates = jnp.einsum("k...bi,kbij->k...bj", parts, self.into[...].astype(self.dtype))
        gates = jnp.concatenate([*flat(gates).astype(jnp.float32)], axis=-1)

        def step(memory: slstm.Memory, inputs: tuple[jax.Array, jax.Array]):
            gates, reset = inputs
            memory = restarted(slstm.blank((self.features,)), memory, reset)
            memory = self.memory(memory, gates)
            return memory, memory["h"]

        if len(gates) == 1:
            memory, h = step(carry["memory"], (gates[0], reset[0]))
            h = h[None]
        else:
            memory, h = jax.lax.scan(step, carry["memory"], (gates, reset))
        read = flat(_standard(in_heads(h, self.heads)))
        x = x + read * along(self.scale[...], read)
        first, second = jnp.split(self.up(self.second_norm(x)), 2, axis=-1)
        x = x + self.down(nnx.gelu(first) * second).astype(jnp.float32)
        return {"seen": seen, "memory": memory}, x


class Convolution(nnx.Module):
    """A causal convolution of each feature with itself, over the last four steps of the episode."""

    def __init__(self, features: int, *, rngs: nnx.Rngs):
        bound = 1 / _TAPS**0.5
        self.kernel = nnx.Param(
            jax.random.uniform(rngs.params(), (_TAPS, features), minval=-bound, maxval=bound)
        )
        self.bias = nnx.Param(jnp.zeros(features))
        self.features = features

    def initial_carry(self, batch_shape: tuple[int, ...]) -> jax.Array:
        """The inputs before, oldest first, `[*batch_shape, 3, features]`."""
        return jnp.zeros((*batch_shape, _TAPS - 1, self.features))

    def __call__(
        self, seen: jax.Array, x: jax.Array, reset: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """The last inputs after the steps, and y `[T, *batch, features]`."""
        length = len(x)
        x = jnp.concatenate([jnp.moveaxis(seen, -2, 0), x])  # [T + 3, *batch, features]
        begun = jnp.cumsum(reset, axis=0)
        episode = jnp.concatenate([jnp.zeros((_TAPS - 1, *begun.shape[1:]), begun.dtype), begun])
        now = episode[_TAPS - 1 :]
        kernel, y = self.kernel[...], jnp.zeros_like(x[_TAPS - 1 :])
        y += along(self.bias[...], y)
        for tap in range(_TAPS):
            same = (episode[tap : tap + length] == now)[..., None]
            y += jnp.where(same, x[tap : tap + length] * along(kernel[tap], y), 0)
        same = (episode[length:] == now[-1:])[..., None]
        return jnp.moveaxis(jnp.where(same, x[length:], 0), 0, -2), y


def _small(features: int) -> jax.nn.initializers.Initializer:
    return nnx.initializers.normal((2 / (5 * features)) ** 0.5)


def _up(features: int, wide: int, dtype: str, rngs: nnx.Rngs) -> nnx.Linear:
    """Into a block."""
    return nnx.Linear(
        features, wide, kernel_init=_small(features), use_bias=False, dtype=dtype, rngs=rngs
    )


def _down(wide: int, features: int, dtype: str, rngs: nnx.Rngs) -> nnx.Linear:
    """Out of a block."""
    return nnx.Linear(
        wide,
        features,
        kernel_init=nnx.initializers.normal(1 / features**0.5),  # 2 / blocks / sqrt(H)
        use_bias=False,
        dtype=dtype,
        rngs=rngs,
    )


def _norm(features: int, dtype: str, rngs: nnx.Rngs) -> nnx.LayerNorm:
    return nnx.LayerNorm(features, use_bias=False, dtype=dtype, rngs=rngs)


def _standard(x: jax.Array) -> jax.Array:
    """Every head `[..., d]` with mean 0 and variance 1."""
    mean = x.mean(axis=-1, keepdims=True)
    variance = jnp.square(x - mean).mean(axis=-1, keepdims=True)
    return (x - mean) * jax.lax.rsqrt(variance + 1e-5)
