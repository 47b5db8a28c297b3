"""Two trunks side by side, of the policy and of the value: their features lie side by side, and
their carries are a pair."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from psro.policies.networks.cells.cell import Carry, Cell, initial_carry


class BothEncoders(nnx.Module):
    def __init__(self, policy: nnx.Module, value: nnx.Module):
        self.policy, self.value = policy, value

    def encode(self, observation: Any, last_action: jax.Array) -> jax.Array:
        """Features `[..., 2 H]`."""
        pair = [own.encode(observation, last_action) for own in (self.policy, self.value)]
        return jnp.concatenate(pair, axis=-1)


class BothCells(nnx.Module):
    """A cell of two cells of one kind, with H features each."""

    def __init__(self, policy: Cell, value: Cell, hidden_features: int):
        self.policy, self.value, self.hidden_features = policy, value, hidden_features
        self.parallel_from = getattr(policy, "parallel_from", float("inf"))

    def initial_carry(self, batch_shape: tuple[int, ...]) -> Carry:
        pair = self.policy, self.value
        return tuple(initial_carry(own, self.hidden_features, batch_shape) for own in pair)

    def __call__(self, carry: Carry, x: jax.Array) -> tuple[Carry, jax.Array]:
        features = jnp.split(x, 2, axis=-1)
        return _joined(self.policy(carry[0], features[0]), self.value(carry[1], features[1]))

    def scan(self, carry: Carry, x: jax.Array, reset: jax.Array) -> tuple[Carry, jax.Array]:
        features = jnp.split(x, 2, axis=-1)
        return _joined(
            self.policy.scan(carry[0], features[0], reset),
            self.value.scan(carry[1], features[1], reset),
        )


def _joined(policy: tuple[Carry, jax.Array], value: tuple[Carry, jax.Array]):
    return (policy[0], value[0]), jnp.concatenate([policy[1], value[1]], axis=-1)
