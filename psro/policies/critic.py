"""Values of actions that are a box: networks as policies have them, that read an action beside the
memory."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from psro.policies.networks import RecurrentNetwork
from psro.policies.networks.encoders import centred
from psro.policies.policy import Params, Policy


class CriticNetwork(RecurrentNetwork):
    """Encoder, cell, and a value of the memory with an action. The value starts near zero."""

    def make_heads(self, orthogonal: bool, **made: Any) -> None:
        inputs = self.hidden_size + self.action_space.size
        self.action_layer = nnx.Linear(inputs, self.hidden_size, **made)
        small = nnx.initializers.orthogonal if orthogonal else nnx.initializers.normal
        self.value_head = nnx.Linear(self.hidden_size, 1, kernel_init=small(0.01), **made)

    def value(self, memory: jax.Array, action: jax.Array) -> jax.Array:
        """Values `[...]`, float32, of actions as the game gets them."""
        action = centred(self.action_space, action).astype(memory.dtype)
        x = nnx.relu(self.action_layer(jnp.concatenate([memory, action], axis=-1)))
        return self.value_head(x)[..., 0].astype(jnp.float32)


class Critic(Policy):
    """A `CriticNetwork` without its parameters. Its outputs are the memory, `[..., H]`."""

    network_type = CriticNetwork

    @classmethod
    def beside(cls, policy: Policy) -> Critic:
        """A critic with the settings of a policy's network, in one trunk."""
        network = policy.settings["network"]
        return cls(**policy.settings | {"network": dataclasses.replace(network, separate=False)})

    def value(self, params: Params, memory: jax.Array, action: jax.Array) -> jax.Array:
        """Values `[...]` of actions as the game gets them, `[..., *shape]`, after a memory."""
        return self._network(params).value(memory, action)

    def _heads(
        self, network: CriticNetwork, params: Params, memory: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        return memory, jnp.zeros(memory.shape[:-1])
