"""Block GRU: the sequence model of DreamerV3 (Hafner et al. 2023, arXiv:2301.04104)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx

from psro.policies.networks.cells.parts import along, flat, in_heads, num_heads


class BlockGRU(nnx.Module):
    """A gated recurrent unit whose large matrices are block-diagonal. x is the input, h the output
    and the memory, σ the logistic function, and B a matrix for each block of h:

        s = silu(norm(W_x x + W_h h + b))           mixes all blocks
        k = silu(norm(B_1 [h, s] + b_1))            within a block; each sees the whole of s
        r, n, z = B_2 k + b_2
        h' = (1 - σ(z - 1)) h + σ(z - 1) tanh(σ(r) n)

    The 1 in the update gate favours what is remembered. `norm` is the root mean square over all
    features. As in the authors' code, the reset gate acts on the candidate, not on h. Their code
    projects x and h apart and concatenates them; here the projections are added.

    The carry is h `[*batch, H]`. It begins with zeros.
    """

    def __init__(self, in_features: int, hidden_features: int, *, dtype: str, rngs: nnx.Rngs):
        self.hidden_features = hidden_features
        self.blocks = num_heads(hidden_features)
        width = hidden_features // self.blocks
        self.mix = nnx.Linear(
            in_features + hidden_features, hidden_features, dtype=dtype, rngs=rngs
        )
        self.mix_norm = nnx.RMSNorm(hidden_features, rngs=rngs)
        self.inner = BlockLinear(
            self.blocks, width + hidden_features, width, dtype=dtype, rngs=rngs
        )
        self.inner_norm = nnx.RMSNorm(hidden_features, rngs=rngs)
        self.gates = BlockLinear(self.blocks, width, 3 * width, dtype=dtype, rngs=rngs)

    def initial_carry(self, batch_shape: tuple[int, ...]) -> jax.Array:
        return jnp.zeros((*batch_shape, self.hidden_features))

    def __call__(self, h: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        mixed = self.mix(jnp.concatenate([x, h], axis=-1)).astype(jnp.float32)
        mixed = nnx.silu(self.mix_norm(mixed))[..., None, :]
        mixed = jnp.broadcast_to(mixed, (*h.shape[:-1], self.blocks, h.shape[-1]))
        inner = self.inner(jnp.concatenate([in_heads(h, self.blocks), mixed], axis=-1))
        inner = nnx.silu(self.inner_norm(flat(inner)))
        gates = self.gates(in_heads(inner, self.blocks))
        reset, candidate, update = (flat(gate) for gate in jnp.split(gates, 3, axis=-1))
        update = nnx.sigmoid(update - 1)
        h = (1 - update) * h + update * jnp.tanh(nnx.sigmoid(reset) * candidate)
        return h, h


class BlockLinear(nnx.Module):
    """One linear layer for each block: `[..., blocks, in]` to `[..., blocks, out]`, float32."""

    def __init__(self, blocks: int, enter: int, leave: int, *, dtype: str, rngs: nnx.Rngs):
        self.dtype = dtype
        initial = jax.nn.initializers.lecun_normal(batch_axis=(0,))
        self.kernel = nnx.Param(initial(rngs.params(), (blocks, enter, leave)))
        self.bias = nnx.Param(jnp.zeros((blocks, leave)))

    def __call__(self, x: jax.Array) -> jax.Array:
        kernel = self.kernel[...].astype(self.dtype)
        y = jnp.einsum("...nd,nde->...ne", x.astype(self.dtype), kernel).astype(jnp.float32)
        return y + along(self.bias[...], y)
