"""The network of every policy, in Flax NNX. Batch axes lead; H hidden units, A actions."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from games.spaces import Box, Discrete, Space
from psro.errors import SettingsError
from psro.policies.networks import DTYPES
from psro.policies.networks.cells import CELLS
from psro.policies.networks.cells.cell import Carry, initial_carry
from psro.policies.networks.central import CentralValue, Seen
from psro.policies.networks.encoders import DeepEncoder, LinearEncoder
from psro.policies.networks.heads import num_outputs
from psro.policies.networks.normaliser import Normaliser
from psro.policies.networks.separate import BothCells, BothEncoders
from psro.policies.networks.settings import NetworkConfig


def check_known(cell: str, dtype: str) -> None:
    """Raises SettingsError if networks know no such cell, or cannot compute with such numbers."""
    if cell not in CELLS:
        raise SettingsError(f"unknown cell {cell!r}; known: {', '.join(CELLS)}")
    if dtype not in DTYPES:
        raise SettingsError(f"unknown dtype {dtype!r}; known: {', '.join(DTYPES)}")


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
        network: NetworkConfig,
        rngs: nnx.Rngs,
    ):
        check_known(cell, dtype)
        self.action_space = action_space
        self.hidden_size = hidden_size
        self.separate = network.separate
        self.normalises = network.normalize_observations
        if self.normalises:
            self.normaliser = Normaliser(observation_space)
        made = {"dtype": dtype, "rngs": rngs}
        # Orthogonal matrices are what "orthogonal" asks for; else Flax's own start.
        root = {"kernel_init": nnx.initializers.orthogonal(math.sqrt(2))}
        start = root if network.orthogonal else {}

        def encoder(features: int = hidden_size) -> LinearEncoder | DeepEncoder:
            spaces = observation_space, action_space
            if network.encoder == "linear" and not network.layer_norm:
                return LinearEncoder(*spaces, features, **made, **start)
            return DeepEncoder(*spaces, features, config=network, **made, **start)

        def trunk() -> tuple[nnx.Module, nnx.Module]:
            return encoder(), CELLS[cell](hidden_size, hidden_size, **made)

        self.encoder, self.cell = trunk()
        if network.separate:
            of_value = trunk()
            self.encoder = BothEncoders(self.encoder, of_value[0])
            self.cell = BothCells(self.cell, of_value[1], hidden_size)
        self.make_heads(network.orthogonal, **made)
        self.central = network.critic != "own"
        if self.central:
            numbers = action_space.num if isinstance(action_space, Discrete) else 0
            self.central_value = CentralValue(
                lambda: encoder(network.width), network.width, numbers, **made
            )

    def make_heads(self, orthogonal: bool, **made: Any) -> None:
        small = nnx.initializers.orthogonal if orthogonal else nnx.initializers.normal
        outputs = num_outputs(self.action_space)
        self.policy_head = nnx.Linear(self.hidden_size, outputs, kernel_init=small(0.01), **made)
        start = {"kernel_init": nnx.initializers.orthogonal(1.0)} if orthogonal else {}
        self.value_head = nnx.Linear(self.hidden_size, 1, **made, **start)

    def initial_carry(self, batch_shape: tuple[int, ...]) -> Carry:
        """The cell's own at the start of an episode, leaves `[*batch_shape, ...]`."""
        return initial_carry(self.cell, self.hidden_size, batch_shape)

    def encode(self, observation: Any, last_action: jax.Array) -> jax.Array:
        """Features `[..., H]` of what a player sees and what it did last (-1 for nothing); with
        separate trunks `[..., 2 H]`, as the memory."""
        if self.normalises:
            observation = self.normaliser(observation)
        return self.encoder.encode(observation, last_action)

    def remember(self, features: jax.Array, carry: Carry) -> tuple[jax.Array, Carry]:
        """One step of the cell: memory `[..., H]` (or `[..., 2 H]`) and the next carry."""
        carry, memory = self.cell(carry, features)
        return memory, carry

    def judge(self, own: Seen, others: Seen) -> tuple[jax.Array, jax.Array]:
        """The central critic's values, and those of actions (see `CentralValue`)."""
        if self.normalises:
            own, others = ((self.normaliser(seen), done) for seen, done in (own, others))
        return self.central_value(own, others)

    def heads(self, memory: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Outputs `[..., num_outputs]` (illegal actions not yet masked) and value `[...]`,
        float32."""
        own, of_value = jnp.split(memory, 2, axis=-1) if self.separate else (memory, memory)
        logits, value = self.policy_head(own), self.value_head(of_value)[..., 0]
        return logits.astype(jnp.float32), value.astype(jnp.float32)
