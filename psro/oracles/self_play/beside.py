"""A second network that sees what a policy sees."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from games.game import Game
from psro.oracles.decisions import Decisions
from psro.oracles.on_policy import Batch
from psro.oracles.rollout import Rollout
from psro.oracles.self_play.actor_critic import A, ActorCritic
from psro.oracles.self_play.learner import Networks
from psro.policies.distributions import Distribution
from psro.policies.networks.cells.cell import Carry
from psro.policies.policy import Params, Policy


class Beside:
    """Acts as a policy. Another set of parameters of the same network gets the same decisions and
    remembers them too, so that it can be compared with the policy at each of them. Parameters and
    carries are pairs. Outputs are both networks', one after the other."""

    def __init__(self, policy: Policy):
        self._policy = policy
        self.central = policy.central

    def initial_carry(self, batch_shape: tuple[int, ...] = ()) -> tuple[Carry, Carry]:
        return (self._policy.initial_carry(batch_shape),) * 2

    def no_action(self, batch_shape: tuple[int, ...] = ()) -> jax.Array:
        return self._policy.no_action(batch_shape)

    def forget(self, carry: tuple[Carry, Carry], where: jax.Array) -> tuple[Carry, Carry]:
        return tuple(self._policy.forget(part, where) for part in carry)

    def __call__(
        self,
        params: tuple[Params, Params],
        observation: jax.Array,
        last_action: jax.Array,
        carry: tuple[Carry, Carry],
    ) -> tuple[jax.Array, jax.Array, tuple[Carry, Carry]]:
        """Outputs `[..., 2 * num_outputs]`, the policy's value, and both carries."""
        outputs, value, after = self._policy(params[0], observation, last_action, carry[0])
        others, _, seen = self._policy(params[1], observation, last_action, carry[1])
        return jnp.concatenate([outputs, others], axis=-1), value, (after, seen)

    def value_of(self, params: tuple[Params, Params], value: jax.Array, *seen: Any) -> jax.Array:
        """The policy's."""
        return self._policy.value_of(params[0], value, *seen)

    def distribution(self, outputs: jax.Array, legal: jax.Array | None) -> Distribution:
        """The policy's."""
        return self.both(outputs, legal)[0]

    def both(
        self, outputs: jax.Array, legal: jax.Array | None
    ) -> tuple[Distribution, Distribution]:
        """The policy's distribution, and the other network's."""
        own, other = jnp.split(outputs, 2, axis=-1)
        return self._policy.distribution(own, legal), self._policy.distribution(other, legal)


class Compared(ActorCritic[A]):
    """A learner whose policy is compared with a second network at each of its decisions."""

    def _make_rollout(self, game: Game) -> Rollout:
        return self._rollout_of(game, Beside(self._policy)).against(self._policy)

    def _acting(self, networks: Networks) -> Networks:
        return networks

    def _own_carry(self, carry: tuple[Carry, Carry]) -> Carry:
        return carry[0]

    def _batch(self, networks: Networks, decisions: Decisions, episodes: jax.Array) -> Batch:
        """With the outputs of the policy that acted, and of the second network, as reference."""
        outputs = self._outputs(networks, decisions)
        decisions = dataclasses.replace(decisions, carry=decisions.carry[0])
        return self._against(decisions, episodes, outputs)

    def _outputs(self, networks: Networks, decisions: Decisions) -> tuple[jax.Array, jax.Array]:
        """Both networks' outputs at decisions, `[T, E, ...]`."""
        return tuple(
            self._policy.unroll(
                network, decisions.observation, decisions.last_action, decisions.reset,
                jax.tree.map(lambda leaf: leaf[0], carry),
            )[0]
            for network, carry in zip(networks, decisions.carry, strict=True)
        )  # fmt: skip

    def _against(
        self, decisions: Decisions, episodes: jax.Array, outputs: tuple[jax.Array, jax.Array]
    ) -> Batch:
        """The batch from decisions and both networks' outputs at them, `[T, E, ...]`."""
        return self._weighted(decisions, episodes, outputs)


def following(average: Params, policy: Params, rate: jax.Array | float) -> Params:
    """A moving average of weights after its next step towards the policy's."""
    return jax.tree.map(lambda old, new: old + rate * (new - old), average, policy)
