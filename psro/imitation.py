"""Policies that follow given realization plans: exactly as tables, fitted as networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import numpy as np
import optax

from games.tree import GameTree
from psro.levels import Level, by_level, levels
from psro.policy import Params, Policy, TablePolicy, log_probabilities, stack

_STEPS = 1000
_LEARNING_RATE = 2e-2


def imitate_by_table(policy: TablePolicy, tree: GameTree):
    """`(fresh, plans) -> params` for tables, leaves `[P, ...]`."""

    def imitate(fresh: Params, plans: Sequence[np.ndarray]) -> Params:
        return stack([policy.from_plan(tree, p, plan) for p, plan in enumerate(plans)])

    return imitate


def imitate_by_network(
    policy: Policy, tree: GameTree
) -> Callable[[Params, Sequence[np.ndarray]], Params]:
    """`(fresh, plans) -> params` for networks, leaves `[P, ...]`: cross entropy with the plans'
    behaviour at every info state, each counting by how likely the player itself goes there (policy
    distillation, arXiv:1511.06295), by Adam whose step falls to zero along a half cosine."""
    everywhere = levels(tree)
    optimizer = optax.flatten(optax.adam(optax.cosine_decay_schedule(_LEARNING_RATE, _STEPS)))

    def fit(params: Params, levels: Sequence[Level], wanted: Sequence[jax.Array]) -> Params:
        def loss(params: Params) -> jax.Array:
            logits, _ = policy.tabulate(params, levels)
            return -sum(
                (plan * log_probabilities(each, level.legal)).sum()
                for plan, each, level in zip(wanted, logits, levels, strict=True)
            )

        def step(carry, _):
            params, state = carry
            change, state = optimizer.update(jax.grad(loss)(params), state, params)
            return (optax.apply_updates(params, change), state), None

        (params, _), _ = jax.lax.scan(step, (params, optimizer.init(params)), length=_STEPS)
        return params

    fit_all = jax.jit(jax.vmap(fit))

    def imitate(fresh: Params, plans: Sequence[np.ndarray]) -> Params:
        wanted = [by_level(tree, p, plan) for p, plan in enumerate(plans)]
        total = [max(sum(float(each.sum()) for each in rows), 1e-12) for rows in wanted]
        by_depth = [
            np.stack([rows / all_of for rows, all_of in zip(each, total, strict=True)])
            for each in zip(*wanted, strict=True)
        ]
        return fit_all(fresh, everywhere, by_depth)

    return imitate
