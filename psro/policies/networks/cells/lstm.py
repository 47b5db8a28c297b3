"""Long short-term memory (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al.
2000)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx


class LSTM(nnx.OptimizedLSTMCell):
    """Flax's cell. x is the input, h the output, c the memory, σ the logistic function:

        i = σ(W_i x + R_i h + b_i)      f = σ(W_f x + R_f h + b_f)      o = σ(W_o x + R_o h + b_o)
        c' = f c + i tanh(W_g x + R_g h + b_g)
        h' = o tanh(c')

    The carry is (c, h), `[*batch, H]` each. It begins with zeros.
    """

    def initial_carry(self, batch_shape: tuple[int, ...]) -> tuple[jax.Array, jax.Array]:
        zeros = jnp.zeros((*batch_shape, self.hidden_features))
        return zeros, zeros
