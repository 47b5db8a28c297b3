"""A memory cell of one's own: the minimal gated unit (Zhou et al. 2016, arXiv:1603.09420), a GRU
with one gate instead of two."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx

import psro
from psro.oracles import DistillConfig
from psro.policies.networks import CELLS


class MinimalGatedUnit(nnx.Module):
    """Made and called as every cell in `CELLS`; H hidden units."""

    def __init__(
        self, in_features: int, hidden_features: int, *, dtype: str = "float32", rngs: nnx.Rngs
    ):
        both = in_features + hidden_features
        self.hidden_features = hidden_features
        self.gate = nnx.Linear(both, hidden_features, dtype=dtype, rngs=rngs)
        self.candidate = nnx.Linear(both, hidden_features, dtype=dtype, rngs=rngs)

    def initial_carry(self, batch_shape: tuple[int, ...]) -> jax.Array:
        """The carry `[..., H]` at the start of an episode."""
        return jnp.zeros((*batch_shape, self.hidden_features))

    def __call__(self, carry: jax.Array, features: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One step: the next carry, and what the heads see, both `[..., H]`."""
        gate = nnx.sigmoid(self.gate(jnp.concatenate([features, carry], axis=-1)))
        candidate = jnp.tanh(self.candidate(jnp.concatenate([features, gate * carry], axis=-1)))
        carry = (1 - gate) * carry + gate * candidate
        return carry, carry


CELLS["mgu"] = MinimalGatedUnit

if __name__ == "__main__":
    config = psro.RunConfig(
        cell="mgu", hidden_size=16, oracle="distill", distill=DistillConfig(steps=200), iterations=6
    )
    experiment = psro.run(config, out="experiments/own-cell")
    print(f"exploitability {experiment.exploitability():z.6f}")
