"""Policies that share a network, and differ in an input of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from games.levels import Level
from games.spaces import Box, Space
from psro.policies.networks import RecurrentNetwork
from psro.policies.networks.cells.cell import Carry
from psro.policies.policy import Params, Policy


class ConditionalPolicy(Policy):
    """A `Policy` whose parameters are a `network` and a `condition [C]`. The network gets the
    condition with every observation. Many policies share the network and differ in the
    condition."""

    def __init__(self, *, observation_space: Space, condition_size: int, **settings: Any):
        seen = (observation_space, Box((condition_size,)))
        super().__init__(observation_space=seen, **settings)
        self.settings |= {
            "observation_space": observation_space,
            "condition_size": condition_size,
        }
        self._condition_size = condition_size

    def init(self, key: jax.Array) -> Params:
        return {
            "network": self._init_network(key),
            "condition": jnp.zeros(self._condition_size, jnp.float32),
            "temperature": jnp.ones((), jnp.float32),
        }

    def _network(self, params: Params) -> RecurrentNetwork:
        return super()._network(params["network"])

    def __call__(
        self, params: Params, observation: Any, last_action: jax.Array, carry: Carry
    ) -> tuple[jax.Array, jax.Array, Carry]:
        seen = self._beside(params, observation, last_action)
        return super().__call__(params, seen, last_action, carry)

    def unroll_on(
        self,
        params: Params,
        observation: Any,
        last_action: jax.Array,
        reset: jax.Array,
        carry: Carry,
    ) -> tuple[jax.Array, jax.Array, Carry]:
        seen = self._beside(params, observation, last_action)
        return super().unroll_on(params, seen, last_action, reset, carry)

    def tabulate(
        self, params: Params, levels: Sequence[Level]
    ) -> tuple[list[jax.Array], list[jax.Array]]:
        levels = [
            dataclasses.replace(
                level, observation=self._beside(params, level.observation, level.last_action)
            )
            for level in levels
        ]
        return super().tabulate(params, levels)

    def _beside(self, params: Params, observation: Any, last_action: jax.Array) -> tuple[Any, Any]:
        """The observation, and the condition beside it for each of the same decisions."""
        condition = params["condition"]
        batch = last_action.shape[: last_action.ndim - len(self.action_space.shape)]
        return observation, jnp.broadcast_to(condition, (*batch, condition.shape[-1]))
