"""What a soft actor-critic needs of its two critics: over actions that are numbers, which are all
summed over (Christodoulou 2019, arXiv:1910.07207), and over a box, where one action is sampled
(Haarnoja et al. 2018, arXiv:1812.05905).

Both critics' outputs have leaves `[2, L, N, ...]`, and their parameters `[2, ...]`.
"""

from __future__ import annotations

from typing import Protocol

import jax
import jax.numpy as jnp

from games.spaces import Discrete
from psro.errors import SettingsError
from psro.oracles.off_policy_settings import SACConfig
from psro.policies.critic import Critic
from psro.policies.distributions import Distribution, MaskedCategorical, TanhNormal
from psro.policies.policy import Params, Policy


class SoftValues(Protocol):
    critic: Policy
    """A critic's network."""

    def taken(
        self, critics: Params, outputs: jax.Array, choice: Distribution, action: jax.Array
    ) -> jax.Array:
        """Both critics' values of the actions that were taken, `[2, L, N]`."""

    def cost(
        self,
        critics: Params,
        outputs: jax.Array,
        choice: Distribution,
        alpha: jax.Array,
        key: jax.Array,
    ) -> jax.Array:
        """The mean of alpha log pi - min Q over the actions of `choice`, `[L, N]`, or an unbiased
        sample of it. Differentiable in `choice`."""

    def wanted(self, choice: Distribution, share: jax.Array) -> jax.Array:
        """The entropy that is a share of the largest, `[L, N]`."""


class ValuesOfNumbers:
    """A critic is a network of the policy's kind. Its outputs are the values of all actions."""

    def __init__(self, policy: Policy):
        self.critic = policy

    def taken(
        self, critics: Params, outputs: jax.Array, choice: MaskedCategorical, action: jax.Array
    ) -> jax.Array:
        return jnp.take_along_axis(outputs, action[None, ..., None], axis=-1)[..., 0]

    def cost(
        self,
        critics: Params,
        outputs: jax.Array,
        choice: MaskedCategorical,
        alpha: jax.Array,
        key: jax.Array,
    ) -> jax.Array:
        each = jnp.exp(choice.log_pi) * (alpha * choice.log_pi - outputs.min(axis=0))
        return jnp.where(choice.legal, each, 0.0).sum(axis=-1)

    def wanted(self, choice: MaskedCategorical, share: jax.Array) -> jax.Array:
        """A share of log(number of legal actions)."""
        return share * jnp.log(choice.legal.sum(axis=-1))


class ValuesInBoxes:
    """A critic reads the action that the game gets, beside its memory."""

    def __init__(self, policy: Policy):
        self.critic = Critic.beside(policy)

    def taken(
        self, critics: Params, outputs: jax.Array, choice: TanhNormal, action: jax.Array
    ) -> jax.Array:
        both = jax.vmap(self.critic.value, in_axes=(0, 0, None))
        return both(critics, outputs, choice.played(action))

    def cost(
        self,
        critics: Params,
        outputs: jax.Array,
        choice: TanhNormal,
        alpha: jax.Array,
        key: jax.Array,
    ) -> jax.Array:
        action = choice.sample(key)
        value = self.taken(critics, outputs, choice, action).min(axis=0)
        return alpha * choice.log_prob(action) - value

    def wanted(self, choice: TanhNormal, share: jax.Array) -> jax.Array:
        """The entropy of an action each of whose entries is spread evenly over this share of its
        range. (The usual target of -1 for an entry from -1 to 1 is a share of 0.18.)"""
        space = choice.space
        spread = jnp.log(share * (space.high - space.low))
        return jnp.broadcast_to(space.size * spread, choice.mean.shape[:-1])


def soft_values(policy: Policy, config: SACConfig) -> SoftValues:
    """What fits the policy's actions."""
    if isinstance(policy.action_space, Discrete):
        return ValuesOfNumbers(policy)
    if not min(config.target_entropy, config.last_target_entropy):
        raise SettingsError(
            f"{config.name}.target_entropy and {config.name}.last_target_entropy must be above 0 "
            "where actions are real numbers"
        )
    return ValuesInBoxes(policy)
