"""The exact best response, cloned into a network (policy distillation, arXiv:1511.06295)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

import jax
import jax.numpy as jnp

from psro.levels import action_values
from psro.oracles.training import Yardstick
from psro.oracles.whole_tree import WholeTree, WholeTreeConfig
from psro.policy import Params, log_probabilities


@dataclasses.dataclass(frozen=True, kw_only=True)
class DistillConfig(WholeTreeConfig):
    """Cloning of the exact best response."""

    name: ClassVar[str] = "distill"


class Distill(WholeTree):
    """The oracle: `Distill(game, policy, config)(key, jobs)`.

    Cross entropy with the best response's action, an info state counting by the square root of what
    the worst choice there would cost: zero where opponents or the best response itself never lead.
    (By the cost itself, info states that are rarely met would hardly be learned.)
    """

    def _aims(self, yardstick: Yardstick) -> Sequence[jax.Array]:
        """Weight of each action `[W, A]`: zero but for the best one."""
        values, states = action_values(yardstick.levels, yardstick.returns)
        aims, plan = [], jnp.ones_like(values[0])  # of the best response
        for level, q, v in zip(yardstick.levels, values, states, strict=True):
            own = plan[level.parent, level.last_action] if aims else plan[:, 0]
            best = jnp.where(level.legal, q, -jnp.inf).argmax(axis=1)
            plan = own[:, None] * jax.nn.one_hot(best, q.shape[1])
            stake = v - jnp.where(level.legal, q, jnp.inf).min(axis=1)
            stake = jnp.where(level.legal.any(axis=1), stake, 0.0)
            aims.append(plan * jnp.sqrt(stake)[:, None])
        total = sum(each.sum() for each in aims)
        return [each / jnp.maximum(total, 1e-12) for each in aims]

    def _loss(self, params: Params, yardstick: Yardstick, aims: Sequence[jax.Array]) -> jax.Array:
        logits, _ = self._policy.tabulate(params, yardstick.levels)
        return -sum(
            (aim * log_probabilities(each, level.legal)).sum()
            for aim, each, level in zip(aims, logits, yardstick.levels, strict=True)
        )
