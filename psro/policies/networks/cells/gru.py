"""Gated recurrent unit (Cho et al. 2014, arXiv:1406.1078)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx


class GRU(nnx.GRUCell):
    """Flax's cell. x is the input, h the output and the memory, σ the logistic function:

        r = σ(W_r x + b_r + R_r h)      z = σ(W_z x + b_z + R_z h)
        h' = (1 - z) tanh(W_n x + b_n + r R_n h) + z h

    The reset gate r acts after the product with R_n, as in cuDNN. The carry is h `[*batch, H]`. It
    begins with zeros.
    """

    def initial_carry(self, batch_shape: tuple[int, ...]) -> jax.Array:
        return jnp.zeros((*batch_shape, self.hidden_features))
