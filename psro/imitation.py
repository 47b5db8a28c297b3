"""Policies that follow given realization plans: exactly as tables, fitted as networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import numpy as np
import optax

from games.tree import GameTree
from psro import exact
from psro.levels import by_level, levels
from psro.policy import Params, Policy, TablePolicy, log_probabilities, stack

Imitate = Callable[[Params, Sequence[np.ndarray]], Params]
"""From fresh parameters of every player, leaves `[P, ...]`, and the plans `[S_p]` to follow, to
parameters that do."""

_STEPS = 2000
_LEARNING_RATE = 1e-2
_MAX_GRADIENT_NORM = 1.0


def imitate_by_table(policy: TablePolicy, tree: GameTree) -> Imitate:
    """Exact but for float32."""

    def imitate(fresh: Params, plans: Sequence[np.ndarray]) -> Params:
        return stack([policy.from_plan(tree, p, plan) for p, plan in enumerate(plans)])

    return imitate


def imitate_by_network(policy: Policy, tree: GameTree) -> Imitate:
    """Cross entropy with the plans' action probabilities on the whole tree (policy distillation,
    arXiv:1511.06295). An info state counts by the probability that the player itself and chance
    play their parts of the way to it: the opponents, which a NashConv is about, may play anything.
    """
    everywhere = levels(tree)
    optimizer = optax.flatten(
        optax.chain(
            optax.clip_by_global_norm(_MAX_GRADIENT_NORM),
            optax.adam(optax.cosine_decay_schedule(_LEARNING_RATE, _STEPS)),
        )
    )

    def fit(params: Params, levels, wanted: Sequence[jax.Array]) -> Params:
        def loss(params: Params) -> jax.Array:
            logits, _ = policy.tabulate(params, levels)
            return -sum(
                (target * log_probabilities(each, level.legal)).sum()
                for target, each, level in zip(wanted, logits, levels, strict=True)
            )

        def step(learner, _):
            params, state = learner
            change, state = optimizer.update(jax.grad(loss)(params), state, params)
            return (optax.apply_updates(params, change), state), None

        return jax.lax.scan(step, (params, optimizer.init(params)), length=_STEPS)[0][0]

    fit_all = jax.jit(jax.vmap(fit))

    def imitate(fresh: Params, plans: Sequence[np.ndarray]) -> Params:
        wanted = []
        for p, (player, plan) in enumerate(zip(tree.players, plans, strict=True)):
            chance = exact.info_state_reach(tree, p, tree.chance)
            weight = np.append(0.0, plan[1:] * chance[player.info_state[1:]])
            wanted.append(by_level(tree, p, weight / weight.sum()))
        return fit_all(fresh, everywhere, [np.stack(each) for each in zip(*wanted, strict=True)])

    return imitate
