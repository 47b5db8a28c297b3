"""Base of the oracles that learn from their own fresh episodes (PPO, A2C, REINFORCE).

The weight of a stratum's decisions is 1 / (episodes that it finished in the rollout). `sampling`
gives the reason.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from games.game import Game
from games.levels import Level
from psro.oracles.decisions import Decisions
from psro.oracles.job import Losses, Sample
from psro.oracles.return_scale import ReturnScale, scaled
from psro.oracles.sampling import Sampled
from psro.oracles.settings import OnPolicyConfig
from psro.policies.policy import Params, Policy

Student = tuple[Params, optax.OptState, ReturnScale | None]
"""The network, the optimiser's state, and the scale of rewards if it follows the returns."""


class OnPolicy(Sampled):
    """An oracle without the method `_improve`, which learns from a rollout."""

    def __init__(self, game: Game, policy: Policy, config: OnPolicyConfig):
        super().__init__(game, policy, config, sequence_length=config.sequence_length)

    def _start(self, initial: Params) -> Student:
        scale = None
        if self._config.normalize_returns:
            scale = ReturnScale.start(self._config.num_envs)
        return initial, self._optimizer.init(initial), scale

    def _params(self, student: Student) -> Params:
        return student[0]

    def _learn(
        self, student: Student, sample: Sample, progress: jax.Array, key: jax.Array
    ) -> tuple[Student, Losses]:
        params, opt_state, scale = student
        if scale is not None:
            restarted = jnp.repeat(sample.restarted, self._config.num_envs // self._num_strata)
            scale, decisions = scaled(scale, sample.decisions, restarted, self._config.gamma)
            sample = dataclasses.replace(sample, decisions=decisions)
        batch = self._batch(sample)
        params, opt_state, losses = self._improve(params, opt_state, batch, progress, key)
        return (params, opt_state, scale), losses

    @abc.abstractmethod
    def _improve(
        self,
        params: Params,
        opt_state: optax.OptState,
        batch: Batch,
        progress: jax.Array,
        key: jax.Array,
    ) -> tuple[Params, optax.OptState, Losses]:
        """Gradient steps on one rollout, and the means of their losses. `progress` is the share of
        training done before it."""

    def _batch(self, sample: Sample) -> Batch:
        """A rollout, with advantages, value targets and weights, cut into sequences."""
        decisions = sample.decisions
        advantage, value_target = advantages(
            decisions,
            gamma=self._config.gamma,
            gae_lambda=self._config.gae_lambda,
        )
        weight = decision_weights(decisions.valid, sample.episodes.count, self._num_strata)
        if self._config.normalize_advantages:
            advantage = normalized(advantage, weight)
        batch = Batch(
            decisions=decisions,
            advantage=advantage,
            value_target=value_target,
            weight=weight,
            levels=sample.levels,
        )
        return batch.cut(self._sequence_length)

    def _unroll(self, params: Params, batch: Batch) -> Unrolled:
        """Runs the policy on a batch, L steps of N sequences, from the carries of the rollout."""
        seen = batch.decisions
        outputs, value = self._outputs(
            params, seen.observation, seen.last_action, seen.reset, seen.carry, batch.levels
        )
        if batch.levels is None:
            value = self._policy.value_of(
                params, value, seen.observation, seen.last_action, seen.others
            )
        choice = self._policy.distribution(outputs, seen.legal)
        return Unrolled(
            log_prob=choice.log_prob(seen.action),
            entropy=choice.entropy(),
            value=value,
            value_error=jnp.square(value - batch.value_target),
        )

    def _losses(self, batch: Batch, policy: jax.Array, now: Unrolled, error: jax.Array) -> Losses:
        """The parts of a loss, as weighted means over decisions.

        Args:
            policy: the loss of each decision's action, `[L, N]`.
            error: each decision's squared error of the value, `[L, N]`.
        """
        parts = {"policy": policy, "value": error, "entropy": now.entropy}
        return {name: (batch.weight * part).mean() for name, part in parts.items()}

    def _entropy_weight(self, progress: jax.Array) -> jax.Array:
        """The weight of the entropy bonus after this share of training."""
        config = self._config
        fallen = progress if config.anneal_entropy_weight else jnp.zeros_like(progress)
        return config.entropy_weight * (1 - fallen)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Unrolled:
    """For each decision, `[L, N]`: log-probability of the action taken, entropy, value, and squared
    error of the value."""

    log_prob: jax.Array
    entropy: jax.Array
    value: jax.Array
    value_error: jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Batch:
    """Decisions and what to learn from them: `[T, E]`, after `cut` `[L, C, E]` (C sequences of L
    steps per environment), after `take` `[L, N]`. `levels` are the learner's info states. They are
    present if the network runs over info states (the setting `tabulated`). `reference` is what else
    a learner of self-play compares each decision with, a PyTree with the axes of decisions."""

    decisions: Decisions
    advantage: jax.Array
    value_target: jax.Array
    weight: jax.Array
    levels: Sequence[Level] | None = None
    reference: Any = ()

    def cut(self, sequence_length: int) -> Batch:
        """Consecutive steps stay together: `[T, E] -> [C, L, E] -> [L, C, E]`."""

        def cut(leaf: jax.Array) -> jax.Array:
            return leaf.reshape(-1, sequence_length, *leaf.shape[1:]).swapaxes(0, 1)

        return self._map(cut, lambda leaf: leaf)

    def take(self, envs: jax.Array) -> Batch:
        """All sequences of some environments, as N = C * len(envs) columns."""

        def columns(leaf: jax.Array) -> jax.Array:
            leaf = leaf[:, :, envs]
            return leaf.reshape(leaf.shape[0], -1, *leaf.shape[3:])

        def rows(leaf: jax.Array) -> jax.Array:  # carries: [C, E, H]
            return leaf[:, envs].reshape(-1, *leaf.shape[2:])

        return self._map(columns, rows)

    def _map(self, of_steps, of_carries) -> Batch:
        carry, end = self.decisions.carry, self.decisions.next_value
        steps = dataclasses.replace(
            self,
            decisions=dataclasses.replace(self.decisions, carry=(), next_value=()),
            levels=None,
        )
        steps = jax.tree.map(of_steps, steps)
        return dataclasses.replace(
            steps,
            levels=self.levels,
            decisions=dataclasses.replace(
                steps.decisions, carry=jax.tree.map(of_carries, carry), next_value=end
            ),
        )


def advantages(
    decisions: Decisions, *, gamma: float, gae_lambda: float
) -> tuple[jax.Array, jax.Array]:
    """Generalised advantages and value targets (arXiv:1506.02438, eq. 16), `[T, E]`. An
    episode that ends after a step cuts the sum there. If a limit of length ended it, the value of
    what would have followed is unknown: the decision's own value stands for the rest."""

    def backwards(carry: tuple[jax.Array, jax.Array], step: tuple[jax.Array, ...]):
        advantage, next_value = carry
        reward, value, done, truncated = step
        error = reward + gamma * next_value * ~done - value
        error = jnp.where(truncated, 0.0, error)
        advantage = error + gamma * gae_lambda * advantage * ~done
        return (advantage, value), advantage

    last = (jnp.zeros_like(decisions.next_value), decisions.next_value)
    steps = (decisions.reward, decisions.value, decisions.done, decisions.truncated)
    _, advantage = jax.lax.scan(backwards, last, steps, reverse=True)
    return advantage, advantage + decisions.value


def clipped_surrogate(ratio: jax.Array, advantage: jax.Array, clip: float) -> jax.Array:
    """What a step may gain for each decision (arXiv:1707.06347, eq. 7)."""
    clipped = jnp.clip(ratio, 1 - clip, 1 + clip)
    return jnp.minimum(ratio * advantage, clipped * advantage)


def orders(key: jax.Array, epochs: int, num_minibatches: int, num_envs: int) -> jax.Array:
    """The environments of every minibatch, in a random order in each of the passes,
    `[epochs * num_minibatches, num_envs / num_minibatches]`."""
    keys = jax.random.split(key, epochs)
    order = jax.vmap(lambda key: jax.random.permutation(key, num_envs))(keys)
    return order.reshape(epochs * num_minibatches, -1)


def normalized(advantage: jax.Array, weight: jax.Array) -> jax.Array:
    """Advantages with mean 0 and standard deviation 1, both by the decisions' weights (mean 1)."""
    mean = (weight * advantage).mean()
    spread = jnp.sqrt((weight * jnp.square(advantage - mean)).mean())
    return (advantage - mean) / (spread + 1e-8)


def decision_weights(valid: jax.Array, episodes: jax.Array, num_strata: int) -> jax.Array:
    """Weights of decisions `[T, E]`, with mean 1: every stratum has weight by its episodes.

    Args:
        valid: `[T, E]`, False where it was not the learner's turn.
        episodes: episodes that each environment finished, `[E]`.
    """
    weight = valid * episode_weights(episodes, num_strata)[None]
    return weight / jnp.maximum(weight.mean(), 1e-12)


def episode_weights(episodes: jax.Array, num_strata: int) -> jax.Array:
    """1 / (episodes that each environment's stratum finished), `[E]`, from those of each
    environment, `[E]`."""
    finished = episodes.reshape(num_strata, -1).sum(axis=1)  # [S]
    return jnp.repeat(1.0 / jnp.maximum(finished, 1.0), len(episodes) // num_strata)
