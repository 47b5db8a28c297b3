"""What a rollout returns. Axes: T steps, E environments (see `psro.oracles.rollout`)."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from psro.policies.networks.cells.cell import Carry


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Turn:
    """The input of the learner's decision, `[E]`. The fields are those of `Decisions`."""

    observation: Any
    last_action: jax.Array
    reset: jax.Array
    legal: jax.Array
    valid: jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Decisions:
    """The learner's decisions in a rollout, `[T, E]`, with all that it needs to learn from them.

    `observation` (a PyTree), `last_action` and `reset` are exactly the inputs of the decision.
    `action` is what the policy's distribution sampled: of a box, the value before tanh.
    `others` is what the other players saw at their latest decisions in this episode, and did,
    leaves `[T, E, Q, ...]`, if the critic is central, otherwise empty.
    `reward` is the sum of the learner's rewards until its next decision or the end of the episode
    (`done`). `carry` is the carry *before* the first step of every sequence, leaves
    `[T / sequence_length, E, H]`. Where `valid` is False nothing was decided; such a step has no
    weight.

    Where a limit of length ended the episode (`truncated`), the error of the step's value is zero.
    In a game that `may_truncate`, if the learner was next to move, this step is one more than the
    episode's decisions: it has the final observation, its `value` is that of what would have
    followed, and it is not `valid`. The decision before it is neither `done` nor `truncated`, so it
    bootstraps from that value like any other. Otherwise (it was another player's turn, or the
    game does not show it) nobody knows what would have followed, and this step is the last
    decision.
    """

    observation: Any
    last_action: jax.Array
    reset: jax.Array
    legal: jax.Array
    action: jax.Array
    log_prob: jax.Array
    value: jax.Array
    reward: jax.Array
    done: jax.Array
    truncated: jax.Array
    valid: jax.Array
    carry: Carry
    others: Any = ()
    next_value: jax.Array
    """Value of the decision after the last, `[E]`. It replaces the return after the rollout."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Episodes:
    """Episodes that ended, by environment: their number and the sum of the learner's returns,
    `[E]`.

    If profiles are equally likely, the mean return *per episode* is the mean over strata of each
    stratum's own mean. A mean over all episodes would give profiles with short episodes too much
    weight.
    """

    count: jax.Array
    total_return: jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """What followed a decision of the learner before its next one, `[E]`. The fields are those of
    `Decisions`."""

    reward: jax.Array
    done: jax.Array
    truncated: jax.Array


def returns_of_strata(episodes: Episodes, num_strata: int) -> tuple[jax.Array, jax.Array]:
    """The sum over strata of the learner's mean return per episode, and the number of strata that
    finished an episode. All strata have the same weight; one that finished none has no return."""
    count = episodes.count.reshape(num_strata, -1).sum(axis=1)
    total = episodes.total_return.reshape(num_strata, -1).sum(axis=1)
    return (total / jnp.maximum(count, 1.0)).sum(), (count > 0).sum()
