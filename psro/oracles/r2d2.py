"""Recurrent Q-learning with prioritised replay as a best response (R2D2; Kapturowski et al. 2019,
"Recurrent experience replay in distributed reinforcement learning").

It is `dqn`, with stored carries, burn-in, double Q-learning and a target network, and moreover:

**Priorities.** A sequence is replayed in proportion to p^alpha, with

    p = eta max |error| + (1 - eta) mean |error|     over the decisions that are trained on

A new sequence has the largest priority so far (Schaul et al. 2015, arXiv:1511.05952). The error of
a decision depends on the opponents' profile: sequences against opponents that surprise the learner
are replayed more often, which makes those opponents more likely than they are. So the weight of a
sequence is divided by the (probability of its replay)^beta. By default beta = 1: then the objective
is the return per episode, as without priorities. (R2D2 has beta = 0.6, for one environment.)

**Burn-in.** No gradient flows into the decisions that only warm up a stored carry.

**Value rescaling**, if it is switched on (Pohlen et al. 2018, arXiv:1805.11593):

    Q learns h(G), G is computed from h^-1(Q'),     h(x) = sign(x) (sqrt(|x| + 1) - 1) + e x

It is an oracle of its own because its replay buffer is another one, with a tree of priorities: a
run with `dqn` remains what it was.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import flashbax
import jax
import jax.numpy as jnp
from flashbax.buffers.prioritised_trajectory_buffer import PrioritisedTrajectoryBufferState

from games.levels import Level
from psro.oracles.dqn import DQN
from psro.oracles.sequences import Sequences, time_first
from psro.policies.policy import Params

_SLOPE = 1e-3
"""e of the rescaling."""
_LEAST_PRIORITY = 1e-6


class R2D2(DQN):
    """The oracle: `R2D2(game, policy, config)(jobs)`."""

    def _make_buffer(self) -> Any:
        return flashbax.make_prioritised_item_buffer(
            max_length=self._config.num_kept,
            min_length=1,
            sample_batch_size=self._config.num_sequences,
            add_batches=True,
            priority_exponent=self._config.priority_exponent,
            device=jax.default_backend(),
        )

    def _sample(
        self, replay: PrioritisedTrajectoryBufferState[Sequences], key: jax.Array
    ) -> tuple[Sequences, jax.Array]:
        """A batch by priorities, with weights that make up for them, and where they are, `[N]`."""
        with jax.numpy_rank_promotion("allow"):  # flashbax needs it
            sampled = self._buffer.sample(replay, key)
        batch = time_first(sampled.experience)
        rarity = jnp.maximum(sampled.probabilities, 1e-12) ** -self._config.importance_exponent
        return dataclasses.replace(batch, weight=batch.weight * rarity), sampled.indices

    def _reordered(
        self,
        replay: PrioritisedTrajectoryBufferState[Sequences],
        indices: jax.Array,
        error: jax.Array,
    ) -> PrioritisedTrajectoryBufferState[Sequences]:
        share = self._config.largest_error_share
        mean = error.sum(axis=0) / jnp.maximum((error > 0).sum(axis=0), 1)
        priority = share * error.max(axis=0) + (1 - share) * mean + _LEAST_PRIORITY
        with jax.numpy_rank_promotion("allow"):
            return self._buffer.set_priorities(replay, indices, priority)

    def _q_values(
        self, params: Params, batch: Sequences, levels: Sequence[Level] | None
    ) -> jax.Array:
        return self._warmed_outputs(self._policy, params, batch, batch.carry, levels)

    def _goal(self, online: jax.Array, target: jax.Array, batch: Sequences) -> jax.Array:
        if not self._config.value_rescaling:
            return super()._goal(online, target, batch)
        return rescaled(super()._goal(online, unscaled(target), batch))


def rescaled(value: jax.Array) -> jax.Array:
    """h of the module's docstring."""
    return jnp.sign(value) * (jnp.sqrt(jnp.abs(value) + 1) - 1) + _SLOPE * value


def unscaled(value: jax.Array) -> jax.Array:
    """The inverse of `rescaled` (arXiv:1805.11593, proposition A.2).

    With u = sqrt(|x| + 1), h(x) = y is e u^2 + u = |y| + 1 + e, and |x| = u^2 - 1.
    """
    right = jnp.abs(value) + 1 + _SLOPE
    root = 2 * right / (1 + jnp.sqrt(1 + 4 * _SLOPE * right))  # no difference of close numbers
    return jnp.sign(value) * (jnp.square(root) - 1)
