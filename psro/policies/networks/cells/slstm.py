"""sLSTM: an LSTM with exponential gates (Beck et al. 2024, arXiv:2405.04517, section 2.2)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from psro.policies.networks.cells.parts import along, flat, in_heads, num_heads

Memory = dict[str, jax.Array]
"""c, n, h and m, `[*batch, H]` each."""


class SLSTM(nnx.Module):
    """An LSTM whose input gate is an exponential, with a normaliser n and a stabiliser m (eq. 8 to
    17 of the paper):

        z = tanh(W_z x + R_z h + b_z)      o = σ(W_o x + R_o h + b_o)
        ĩ = W_i x + R_i h + b_i            f = σ(W_f x + R_f h + b_f)
        m' = max(log f + m, ĩ)
        c' = exp(log f + m - m') c + exp(ĩ - m') z
        n' = exp(log f + m - m') n + exp(ĩ - m')
        h' = o c' / n'

    The matrices R mix within heads only. As in the authors' code, they begin as zeros, and the
    biases of the forget gates run from 5 to -7 within a head.

    The carry is c, n, h and m. It begins with zeros, and m = -inf. So n is at least 1 after any
    step.
    """

    def __init__(self, in_features: int, hidden_features: int, *, dtype: str, rngs: nnx.Rngs):
        self.hidden_features = hidden_features
        self.enter = nnx.Linear(
            in_features,
            4 * hidden_features,
            kernel_init=nnx.initializers.normal((2 / (5 * in_features)) ** 0.5),
            use_bias=False,
            dtype=dtype,
            rngs=rngs,
        )
        self.memory = Recurrence(hidden_features, dtype=dtype)

    def initial_carry(self, batch_shape: tuple[int, ...]) -> Memory:
        return blank((*batch_shape, self.hidden_features))

    def __call__(self, carry: Memory, x: jax.Array) -> tuple[Memory, jax.Array]:
        carry = self.memory(carry, self.enter(x).astype(jnp.float32))
        return carry, carry["h"]


class Recurrence(nnx.Module):
    """The recurrent half of the equations, from the input's part of z, ĩ, f and o, `[..., 4 H]`."""

    def __init__(self, features: int, *, dtype: str):
        self.dtype = dtype
        self.heads = num_heads(features)
        width = features // self.heads
        forget = 5 - 12 * np.linspace(0, 1, width) ** 0.3
        zeros = np.zeros(features)
        bias = np.concatenate([zeros, zeros, np.tile(forget, self.heads), zeros])
        self.kernel = nnx.Param(jnp.zeros((self.heads, width, 4 * width)))
        self.bias = nnx.Param(jnp.asarray(bias, jnp.float32))

    def __call__(self, memory: Memory, entered: jax.Array) -> Memory:
        """The next memory."""
        h = in_heads(memory["h"], self.heads).astype(self.dtype)
        kernel = self.kernel[...].astype(self.dtype)
        mixed = jnp.einsum("...nd,nde->...ne", h, kernel).astype(jnp.float32)
        mixed = jnp.concatenate([flat(part) for part in jnp.split(mixed, 4, axis=-1)], axis=-1)
        z, into, kept, out = jnp.split(entered + mixed + along(self.bias[...], mixed), 4, axis=-1)
        kept = nnx.log_sigmoid(kept) + memory["m"]
        m = jnp.maximum(kept, into)
        written, left = jnp.exp(into - m), jnp.exp(kept - m)
        c = left * memory["c"] + written * jnp.tanh(z)
        n = left * memory["n"] + written
        return {"c": c, "n": n, "h": nnx.sigmoid(out) * c / n, "m": m}


def blank(shape: tuple[int, ...]) -> Memory:
    """The memory at the start of an episode, `[*shape]` each."""
    zeros = jnp.zeros(shape)
    return {"c": zeros, "n": zeros, "h": zeros, "m": jnp.full(shape, -jnp.inf, jnp.float32)}
