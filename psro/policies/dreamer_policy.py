"""The policy of a player with a world model."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from games.spaces import Box
from psro.policies.distributions import Distribution
from psro.policies.networks.encoders import centred
from psro.policies.networks.settings import NetworkConfig
from psro.policies.networks.world_model import WorldModel
from psro.policies.policy import Params, Policy


class DreamerPolicy(Policy):
    """A `Policy` whose network is a `WorldModel`. Its parameters are those of the whole model, so
    that a best response can start from an earlier one. To act it needs the encoder, the RSSM and
    the actor."""

    def __init__(self, *, latents: int, classes: int, **settings: Any):
        self._latents = {"latents": latents, "classes": classes}
        super().__init__(**settings)
        self.settings |= self._latents

    def network_type(self, *, network: NetworkConfig, **settings: Any) -> WorldModel:
        """A fresh world model. It has layers of its own: `network` is not used."""
        return WorldModel(**settings, **self._latents)

    def model(self, params: Params) -> WorldModel:
        """The network with its parameters."""
        return self._network(params)

    def choice(self, model: WorldModel, state: jax.Array, legal: jax.Array | None) -> Distribution:
        """What the actor does in states `[..., S]`, at temperature 1."""
        outputs, _ = self._heads(model, {"temperature": jnp.float32(1)}, state)
        return self.distribution(outputs, legal)

    def vector(self, action: jax.Array) -> jax.Array:
        """An action as a distribution samples it, as the model gets it: `[..., A]`."""
        space = self.action_space
        if isinstance(space, Box):
            outputs = jnp.zeros((*action.shape[:-1], self.num_outputs))
            action = self.distribution(outputs, None).played(action)
        return centred(space, action)
