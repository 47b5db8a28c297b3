"""The exact best response, cloned into a network (policy distillation, arXiv:1511.06295)."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from games.levels import action_values
from psro.oracles.distill_on_form import DistillOnForm
from psro.oracles.training import Yardstick, log_policy
from psro.oracles.whole_tree import WholeTree, emphasis
from psro.policies.policy import Params


class Distill(WholeTree):
    """The oracle, in a game that is enumerated: `Distill(game, policy, config)(jobs)`.

    The loss is the cross entropy with the best response's action. The weight of an info state is
    the square root of what the worst action there would cost. It is zero where the opponents or the
    best response itself never lead.
    """

    on_form = DistillOnForm

    def _aims(self, yardstick: Yardstick) -> Sequence[jax.Array]:
        """Weight of each action `[W, A]`: zero for all actions but the best one."""
        values, _ = action_values(yardstick.levels, yardstick.returns)
        aims, plan = [], jnp.ones_like(values[0])  # of the best response
        for level, q in zip(yardstick.levels, values, strict=True):
            own = plan[level.parent, level.last_action] if aims else plan[:, 0]
            best = jnp.where(level.legal, q, -jnp.inf).argmax(axis=1)
            plan = own[:, None] * jax.nn.one_hot(best, q.shape[1])
            aims.append(plan * emphasis(level, q)[:, None])
        total = sum(aim.sum() for aim in aims)
        return [aim / jnp.maximum(total, 1e-12) for aim in aims]

    def _loss(self, params: Params, yardstick: Yardstick, aims: Sequence[jax.Array]) -> jax.Array:
        log_pi = log_policy(self._policy, params, yardstick.levels)
        return -sum(
            (aim * level_log_pi).sum() for aim, level_log_pi in zip(aims, log_pi, strict=True)
        )
