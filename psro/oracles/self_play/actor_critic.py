"""Base of the learners of self-play that learn from advantages (PPO, MMD, R-NaD)."""

from __future__ import annotations

import abc
import dataclasses
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import optax

from psro.oracles.decisions import Decisions
from psro.oracles.job import Losses, mean_losses
from psro.oracles.on_policy import Batch, advantages, decision_weights, normalized, orders
from psro.oracles.rollout import Rollout
from psro.oracles.self_play.learner import Networks, Progress, SelfPlay, State
from psro.oracles.self_play_settings import ActorCriticConfig
from psro.policies.observed import observed
from psro.policies.policy import Params

A = TypeVar("A", bound=ActorCriticConfig)


class ActorCritic(SelfPlay[A]):
    """A learner without its method: `_loss`."""

    def _update(
        self, state: State, key: jax.Array, progress: Progress, rollout: Rollout, scale: jax.Array
    ) -> tuple[State, Losses]:
        play_key, learn_key = jax.random.split(key)
        exploration = self._exploration(progress)
        state, decisions, episodes = self._play(state, play_key, exploration, rollout)
        decisions = dataclasses.replace(decisions, reward=decisions.reward * scale)
        networks, student, losses = jax.vmap(self._learn, in_axes=(0, 0, 0, 0, 0, None))(
            state.networks,
            state.student,
            by_learner(decisions, self._learners),
            episodes.count.reshape(self._learners, -1),
            self._keys(learn_key),
            progress,
        )
        return dataclasses.replace(state, networks=networks, student=student), mean_losses(losses)

    def _learn(
        self,
        networks: Networks,
        opt_state: optax.OptState,
        decisions: Decisions,
        episodes: jax.Array,
        key: jax.Array,
        progress: Progress,
    ) -> tuple[Networks, optax.OptState, Losses]:
        """`epochs` passes of minibatch steps over the decisions `[T, E]` of one learner's rollouts,
        in which each environment finished `episodes [E]`."""
        config = self._config
        batch = self._batch(networks, decisions, episodes)

        def step(carry: tuple[Params, optax.OptState], envs: jax.Array):
            params, opt_state = carry
            gradient, losses = jax.grad(self._loss, has_aux=True)(
                params, batch.take(envs), progress
            )
            return self._step(params, opt_state, gradient, progress), losses

        order = orders(key, config.epochs, config.num_minibatches, len(episodes))
        (params, opt_state), losses = jax.lax.scan(step, (networks[0], opt_state), order)
        networks = self._after((params, *networks[1:]), progress)
        seen, counts = decisions.observation, decisions.valid
        networks = observed(self._policy, networks[0], networks, seen, counts)
        return networks, opt_state, mean_losses(losses)

    def _batch(self, networks: Networks, decisions: Decisions, episodes: jax.Array) -> Batch:
        """The decisions of one learner, with all that its networks learn from."""
        return self._weighted(decisions, episodes)

    def _weighted(
        self,
        decisions: Decisions,
        episodes: jax.Array,
        reference: Any = (),
        *,
        value_target: jax.Array | None = None,
    ) -> Batch:
        """Decisions `[T, E]`, with advantages, value targets (by default those of the advantages)
        and weights, cut into sequences."""
        advantage, usual_target = advantages(
            decisions, gamma=1.0, gae_lambda=self._config.gae_lambda
        )
        players = len(episodes) // self._config.num_envs
        weight = decision_weights(decisions.valid, episodes, players)
        if self._config.normalize_advantages:
            advantage = normalized(advantage, weight)
        batch = Batch(
            decisions=decisions,
            advantage=advantage,
            value_target=usual_target if value_target is None else value_target,
            weight=weight,
            reference=reference,
        )
        return batch.cut(self._config.sequence_length)

    def _exploration(self, progress: Progress) -> jax.Array | float:
        """The amount of exploration in rollouts."""
        return 0.0

    def _unroll(self, params: Params, seen: Decisions) -> tuple[jax.Array, jax.Array]:
        """The policy's outputs and values at L steps of N sequences, from the rollout's carries."""
        outputs, value = self._policy.unroll(
            params, seen.observation, seen.last_action, seen.reset, seen.carry
        )
        value = self._policy.value_of(
            params, value, seen.observation, seen.last_action, seen.others
        )
        return outputs, value

    @abc.abstractmethod
    def _loss(self, params: Params, batch: Batch, progress: Progress) -> tuple[jax.Array, Losses]:
        """The loss of a minibatch, L steps of N sequences, and its parts."""

    def _after(self, networks: Networks, progress: Progress) -> Networks:
        """The networks after the policy's update."""
        return networks


def by_learner(decisions: Decisions, learners: int) -> Decisions:
    """The decisions of L players, leaves `[L, T, E, ...]`, as those of M learners, leaves
    `[M, T, L / M * E, ...]`. The environments of a player stay together."""

    def merged(leaf: jax.Array, axis: int) -> jax.Array:
        parts = leaf.reshape(learners, -1, *leaf.shape[1:])  # [M, L / M, ...]
        parts = jnp.moveaxis(parts, 1, axis)  # before the axis of environments
        return parts.reshape(*parts.shape[:axis], -1, *parts.shape[axis + 2 :])

    steps = dataclasses.replace(decisions, next_value=())
    steps = jax.tree.map(lambda leaf: merged(leaf, 2), steps)
    return dataclasses.replace(steps, next_value=merged(decisions.next_value, 1))
