"""Simplified state space layer (S5; Smith et al. 2023, arXiv:2208.04933)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from psro.policies.networks.cells.parts import Fit, along, linear_recurrence, on_cpu

_SHORTEST, _LONGEST = 0.001, 0.1
"""Between these the step sizes begin, uniform in their logarithm (appendix B.1.3)."""


class S5(nnx.Module):
    """A diagonal linear system with complex states, in a residual block.

    In continuous time `x'(t) = Λ x(t) + B u(t)`. A zero-order hold over the step sizes Δ makes it
    discrete (eq. 6 of the paper's appendix), elementwise because Λ is diagonal:

        Λ̄ = exp(Λ Δ)        B̄ = Λ⁻¹ (Λ̄ - 1) B
        u_k = norm(input_k)
        x_k = Λ̄ x_{k-1} + B̄ u_k
        y_k = 2 Re(C x_k) + D u_k
        output_k = input_k + g ⊙ σ(W g)      with g = gelu(y_k)

    Λ begins as eigenvalues of the normal part of the HiPPO-LegS matrix (section 3.2 and appendix
    B.1). States come in conjugate pairs, and one of each pair is kept: P = H / 2 rounded up. The
    real part of Λ stays below zero, so that no state grows. Parameters are pairs of real numbers.

    The carry is x, complex64 `[*batch, P]`. It begins with zeros.
    """

    parallel_from = 64
    """On a CPU, `scan` does the products at once and the recurrence by steps: 0.9 times as fast as
    steps on sequences of 8, and 2.4 times on 512 (H = 32, 4,096 decisions, with gradients)."""

    def __init__(self, in_features: int, hidden_features: int, *, dtype: str, rngs: nnx.Rngs):
        self.num_states = -(-hidden_features // 2)
        eigenvalues, vectors = hippo(2 * self.num_states)
        key = rngs.params()
        keys = jax.random.split(key, 4)
        random = nnx.initializers.lecun_normal()
        into = vectors.conj().T @ random(keys[0], (2 * self.num_states, hidden_features))
        out = random(keys[1], (2 * self.num_states, hidden_features)).T @ vectors
        span = np.log(_LONGEST) - np.log(_SHORTEST)
        self.fit = Fit(in_features, hidden_features, dtype=dtype, rngs=rngs)
        self.norm = nnx.LayerNorm(hidden_features, dtype=dtype, rngs=rngs)
        self.decay = nnx.Param(jnp.full(self.num_states, -eigenvalues.real[0], jnp.float32))
        self.frequency = nnx.Param(jnp.asarray(eigenvalues.imag, jnp.float32))
        self.log_step = nnx.Param(
            jax.random.uniform(keys[2], (self.num_states,)) * span + np.log(_SHORTEST)
        )
        self.into = nnx.Linear(
            hidden_features, 2 * self.num_states, use_bias=False, dtype=dtype, rngs=rngs
        )
        self.into.kernel.set_value(jnp.concatenate([into.real, into.imag]).T)
        self.out = nnx.Linear(
            2 * self.num_states, hidden_features, use_bias=False, dtype=dtype, rngs=rngs
        )
        self.out.kernel.set_value(jnp.concatenate([out.real, -out.imag], axis=1).T)
        self.through = nnx.Param(jax.random.normal(keys[3], (hidden_features,)))
        self.gate = nnx.Linear(hidden_features, hidden_features, dtype=dtype, rngs=rngs)

    def initial_carry(self, batch_shape: tuple[int, ...]) -> jax.Array:
        return jnp.zeros((*batch_shape, self.num_states), jnp.complex64)

    def __call__(self, carry: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        x = self.fit(x)
        u = self.norm(x)
        decay, change = self._discrete(u)
        carry = decay * carry + change
        return carry, self._output(x, u, carry)

    def scan(self, carry: jax.Array, x: jax.Array, reset: jax.Array) -> tuple[jax.Array, jax.Array]:
        x = self.fit(x)
        u = self.norm(x)
        states = linear_recurrence(*self._discrete(u), carry, reset, not on_cpu())
        return states[-1], self._output(x, u, states)

    def _discrete(self, u: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Λ̄ and B̄ u, complex `[..., P]`."""
        eigenvalue = jax.lax.complex(jnp.minimum(-self.decay[...], -1e-4), self.frequency[...])
        decay = jnp.exp(eigenvalue * jnp.exp(self.log_step[...]))
        real, imaginary = jnp.split(self.into(u).astype(jnp.float32), 2, axis=-1)
        change = jax.lax.complex(real, imaginary)
        return along(decay, change), along((decay - 1) / eigenvalue, change) * change

    def _output(self, x: jax.Array, u: jax.Array, states: jax.Array) -> jax.Array:
        read = self.out(jnp.concatenate([states.real, states.imag], axis=-1))
        y = nnx.gelu(2 * read.astype(jnp.float32) + along(self.through[...], x) * u)
        return x + (y * nnx.sigmoid(self.gate(y))).astype(jnp.float32)


def hippo(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Half of the eigenvalues, `[size / 2]`, and eigenvectors, `[size, size / 2]`, of the normal
    part of the HiPPO-LegS matrix (eq. 8 of S5's paper, after Gu et al. 2020, arXiv:2008.07669): one
    of each conjugate pair. All have the same real part, -1/2."""
    n = np.arange(size)
    root = np.sqrt(1 + 2 * n)
    matrix = -(np.tril(np.outer(root, root)) - np.diag(n))
    normal = matrix + np.outer(root, root) / 2  # A + P P^T, with P_n = sqrt(n + 1/2)
    real = np.mean(np.diagonal(normal))
    imaginary, vectors = np.linalg.eigh(-1j * (normal - real * np.eye(size)))
    half = size // 2
    return real + 1j * imaginary[:half], vectors[:, :half].astype(np.complex64)
