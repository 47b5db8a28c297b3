"""The network of every policy, in Flax NNX. Batch axes lead; H hidden units, A actions."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from games.spaces import Box, Discrete, Space, size_of
from psro.errors import SettingsError
from psro.policies.networks import DTYPES
from psro.policies.networks.cells import CELLS
from psro.policies.networks.cells.cell import Carry, initial_carry
from psro.policies.networks.encoders import centred, flattened
from psro.policies.networks.heads import num_outputs


class RecurrentNetwork(nnx.Module):
    """Encoder, cell and two heads. Split in three so that a sequence scans the cell alone.

    The policy head starts near zero, so that an untrained policy is close to uniform.
    """

    def __init__(
        self,
        *,
        observation_space: Space,
        action_space: Box | Discrete,
        hidden_size: int,
        cell: str,
        dtype: str = "float32",
        rngs: nnx.Rngs,
    ):
        if cell not in CELLS:
            raise SettingsError(f"unknown cell {cell!r}; known: {', '.join(CELLS)}")
        if dtype not in DTYPES:
            raise SettingsError(f"unknown dtype {dtype!r}; known: {', '.join(DTYPES)}")
        self.observation_space = observation_space
        self.action_space = action_space
        self.hidden_size = hidden_size
        self.encoder = nnx.Linear(
            size_of((observation_space, action_space)), hidden_size, dtype=dtype, rngs=rngs
        )
        self.cell = CELLS[cell](hidden_size, hidden_size, dtype=dtype, rngs=rngs)
        self.policy_head = nnx.Linear(
            hidden_size,
            num_outputs(action_space),
            kernel_init=nnx.initializers.normal(0.01),
            dtype=dtype,
            rngs=rngs,
        )
        self.value_head = nnx.Linear(hidden_size, 1, dtype=dtype, rngs=rngs)

    def initial_carry(self, batch_shape: tuple[int, ...]) -> Carry:
        """The cell's own at the start of an episode, leaves `[*batch_shape, ...]`."""
        return initial_carry(self.cell, self.hidden_size, batch_shape)

    def encode(self, observation: Any, last_action: jax.Array) -> jax.Array:
        """Features `[..., H]` of what a player sees and what it did last (-1 for nothing)."""
        seen = flattened(self.observation_space, observation)
        last = centred(self.action_space, last_action)
        return nnx.relu(self.encoder(jnp.concatenate([seen, last], axis=-1)))

    def remember(self, features: jax.Array, carry: Carry) -> tuple[jax.Array, Carry]:
        """One step of the cell: memory `[..., H]` and the next carry."""
        carry, memory = self.cell(carry, features)
        return memory, carry

    def heads(self, memory: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Outputs `[..., num_outputs]` (illegal actions not yet masked) and value `[...]`,
        float32."""
        logits, value = self.policy_head(memory), self.value_head(memory)[..., 0]
        return logits.astype(jnp.float32), value.astype(jnp.float32)
