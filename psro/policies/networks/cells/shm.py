"""Stable Hadamard memory (SHM; Le et al. 2024, arXiv:2410.10132)."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from flax import nnx

from psro.policies.networks.cells.parts import linear_recurrence, on_cpu, steps_within

_CALIBRATIONS = 128
"""Rows of θ: L in the paper."""

Carry = dict[str, jax.Array]


class SHM(nnx.Module):
    """A matrix that is written by outer products, and calibrated elementwise before each write.

    With u = norm(x), and k, q, v, v_c linear in u (section 3 of the paper, and its code):

        C_t = 1 + tanh(θ_t ⊗ v_c)                      θ_t = θ[l_t], one of L trained rows
        M_t = M_{t-1} ⊙ C_t + η (v ⊗ k̂)             η = σ(w u)
        y_t = W (M_t q̂)                                k̂ = relu(k) / Σ relu(k), and q̂ alike

    The product of many C_t stays bounded because l_t is random (proposition 5). Here l_t is a hash
    of the step's number within the episode: it looks random, and depends on the history alone. So
    acting, training and tabulating use the same rows. (The paper's code rounds a uniform number
    below one down, so that it always uses the first row.)

    The carry is M `[*batch, H, H]`, which begins with zeros, and the number of steps so far,
    int32 `[*batch]`. Training stores several such matrices for each decision.
    """

    parallel_from = math.inf
    """On a CPU, `scan` is 0.6 times as fast as steps at every length, because the matrices of all
    steps go through memory (H = 32, 4,096 decisions, with gradients)."""

    def __init__(self, in_features: int, hidden_features: int, *, dtype: str, rngs: nnx.Rngs):
        self.hidden_features = hidden_features
        self.norm = nnx.LayerNorm(in_features, dtype=dtype, rngs=rngs)
        # k, q, v, v_c in one product.
        self.enter = nnx.Linear(
            in_features, 4 * hidden_features, use_bias=False, dtype=dtype, rngs=rngs
        )
        self.write = nnx.Linear(in_features, 1, use_bias=False, dtype=dtype, rngs=rngs)
        self.calibrations = nnx.Param(
            nnx.initializers.xavier_uniform()(rngs.params(), (_CALIBRATIONS, hidden_features))
        )
        self.leave = nnx.Linear(hidden_features, hidden_features, dtype=dtype, rngs=rngs)

    def initial_carry(self, batch_shape: tuple[int, ...]) -> Carry:
        shape = (*batch_shape, self.hidden_features, self.hidden_features)
        return {"matrix": jnp.zeros(shape), "steps": jnp.zeros(batch_shape, jnp.int32)}

    def __call__(self, carry: Carry, x: jax.Array) -> tuple[Carry, jax.Array]:
        calibrated, written, query = self._enter(x, carry["steps"])
        matrix = carry["matrix"] * calibrated + written
        return {"matrix": matrix, "steps": carry["steps"] + 1}, self._output(matrix, query)

    def scan(self, carry: Carry, x: jax.Array, reset: jax.Array) -> tuple[Carry, jax.Array]:
        steps = steps_within(carry["steps"], reset)
        calibrated, written, query = self._enter(x, steps)
        matrices = linear_recurrence(calibrated, written, carry["matrix"], reset, not on_cpu())
        carry = {"matrix": matrices[-1], "steps": steps[-1] + 1}
        return carry, self._output(matrices, query)

    def _enter(self, x: jax.Array, steps: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """C and what is written, `[..., H, H]`, and q̂ `[..., H]`."""
        u = self.norm(x)
        key, query, value, calibration = jnp.split(self.enter(u).astype(jnp.float32), 4, axis=-1)
        strength = nnx.sigmoid(self.write(u).astype(jnp.float32))  # [..., 1]
        row = jnp.take(self.calibrations[...], scattered(steps) % _CALIBRATIONS, axis=0)  # [..., H]
        calibrated = 1 + jnp.tanh(row[..., :, None] * calibration[..., None, :])
        written = (strength * value)[..., :, None] * _shares(key)[..., None, :]
        return calibrated, written, _shares(query)

    def _output(self, matrix: jax.Array, query: jax.Array) -> jax.Array:
        read = (matrix * query[..., None, :]).sum(axis=-1)
        return self.leave(read).astype(jnp.float32)


def _shares(x: jax.Array) -> jax.Array:
    positive = nnx.relu(x)
    return positive / (positive.sum(axis=-1, keepdims=True) + 1e-5)


def scattered(steps: jax.Array) -> jax.Array:
    """A hash of whole numbers, uint32: the last mixing steps of MurmurHash3 (Appleby 2011)."""
    bits = steps.astype(jnp.uint32)
    bits = (bits ^ (bits >> 16)) * jnp.uint32(0x85EBCA6B)
    bits = (bits ^ (bits >> 13)) * jnp.uint32(0xC2B2AE35)
    return bits ^ (bits >> 16)
