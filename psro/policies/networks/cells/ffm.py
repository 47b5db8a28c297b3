"""Fast and forgetful memory (FFM; Morad et al. 2023, arXiv:2310.04128)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from psro.policies.networks.cells.parts import along, linear_recurrence, on_cpu

_CONTEXTS = 4
"""Frequencies for each trace: c in the paper."""
_LONGEST, _LEFT = 1024, 0.01
"""At the start of training, the slowest trace has `_LEFT` of its value after `_LONGEST` steps."""


class FFM(nnx.Module):
    """Traces of gated inputs that decay and turn, without learned gates on the memory.

    With m = H traces, each in c contexts (eq. 4 to 9 of the paper):

        x̃_n = ℓ1(x_n) ⊙ σ(ℓ2(x_n))                      [m]
        γ_jk = exp(-|α_j|) exp(-i ω_k)                     [m, c]
        S_n = γ ⊙ S_{n-1} + x̃_n 1ᵀ                       [m, c]
        z_n = ℓ3(Re S_n, Im S_n)                           [H]
        y_n = norm(z_n) ⊙ σ(ℓ4(x_n)) + ℓ5(x_n) ⊙ (1 - σ(ℓ4(x_n)))

    The norm has no parameters. The paper's code sums `γ^-t x` and overflows double precision after
    1,024 steps. Here the recurrence itself is computed, in any length.

    The carry is S, complex64 `[*batch, m, c]`. It begins with zeros.
    """

    parallel_from = 256
    """On a CPU, `scan` does the products at once and the recurrence by steps: 0.8 times as fast as
    steps on sequences of 64, and 1.4 times on 512 (H = 32, 4,096 decisions, with gradients)."""

    def __init__(self, in_features: int, hidden_features: int, *, dtype: str, rngs: nnx.Rngs):
        self.shape = hidden_features, _CONTEXTS
        # ℓ1, ℓ2, ℓ4 and ℓ5 in one product.
        self.enter = nnx.Linear(in_features, 4 * hidden_features, dtype=dtype, rngs=rngs)
        self.mix = nnx.Linear(
            2 * _CONTEXTS * hidden_features, hidden_features, dtype=dtype, rngs=rngs
        )
        self.norm = nnx.LayerNorm(
            hidden_features, use_scale=False, use_bias=False, dtype=dtype, rngs=rngs
        )
        fastest = np.log(np.finfo(np.float64).max) / _LONGEST
        slowest = -np.log(_LEFT) / _LONGEST
        self.decay = nnx.Param(jnp.linspace(fastest, slowest, hidden_features))
        self.frequency = nnx.Param(2 * np.pi / jnp.linspace(1, _LONGEST, _CONTEXTS))

    def initial_carry(self, batch_shape: tuple[int, ...]) -> jax.Array:
        return jnp.zeros((*batch_shape, *self.shape), jnp.complex64)

    def __call__(self, carry: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        traced, rest = self._enter(x)
        carry = self._turn(carry) * carry + traced
        return carry, self._output(carry, *rest)

    def scan(self, carry: jax.Array, x: jax.Array, reset: jax.Array) -> tuple[jax.Array, jax.Array]:
        traced, rest = self._enter(x)
        states = linear_recurrence(self._turn(traced), traced, carry, reset, not on_cpu())
        return states[-1], self._output(states, *rest)

    def _turn(self, state: jax.Array) -> jax.Array:
        """γ in the shape of the state."""
        real = jnp.broadcast_to(-jnp.abs(self.decay[...])[:, None], self.shape)
        imaginary = jnp.broadcast_to(-self.frequency[...], self.shape)
        return along(jnp.exp(jax.lax.complex(real, imaginary)), state)

    def _enter(self, x: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        """x̃ in every context, complex `[..., m, c]`; and ℓ4, ℓ5, `[..., H]`."""
        value, gate, *rest = jnp.split(self.enter(x).astype(jnp.float32), 4, axis=-1)
        traced = (value * nnx.sigmoid(gate)).astype(jnp.complex64)[..., None]
        return jnp.broadcast_to(traced, (*x.shape[:-1], *self.shape)), rest

    def _output(self, state: jax.Array, gate: jax.Array, through: jax.Array) -> jax.Array:
        parts = jnp.concatenate([state.real, state.imag], axis=-1)
        mixed = self.norm(self.mix(parts.reshape(*parts.shape[:-2], -1))).astype(jnp.float32)
        gate = nnx.sigmoid(gate)
        return mixed * gate + through * (1 - gate)
