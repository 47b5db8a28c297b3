"""Policies that follow given realization plans. Tables are exact; networks are fitted."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.scipy.special import xlogy

from games.levels import Level, by_level, levels
from games.tree import GameTree
from psro import exact
from psro.policies.distributions import log_probabilities
from psro.policies.policy import Params, Policy, TablePolicy, stack

Imitate = Callable[[Params, Sequence[np.ndarray]], Params]
"""Takes fresh parameters of every player, leaves `[P, ...]`, and plans `[S_p]`. Returns parameters
of policies that follow the plans."""

_TOLERANCE = 3e-6
"""A fit ends when its loss, a Kullback-Leibler divergence, is at most this. Then NashConv differs
from the plans' NashConv by a few thousandths of the game's largest return. A difference below 1e-6
is only rounding."""

_CHECK = 100
"""Steps between two checks of the loss."""

_STEPS = 600
"""Most steps of a fit. If a fit ends earlier, its learning rate has not fallen to zero."""

_LEARNING_RATE = 3e-2
_MAX_GRADIENT_NORM = 1.0
_SQUARES_DECAY = 0.95
"""Adam's second decay rate. Gradients are exact and need no long average. With the usual 0.999 a
fit takes twice as many steps."""

_FEWEST_ROWS = 1024
"""Levels up to this width are not cut. Another shape takes about 5 CPU seconds to compile, and a
whole small fit takes less."""


def imitate_by_table(policy: TablePolicy, tree: GameTree) -> Imitate:
    """Exact up to float32's rounding."""

    def imitate(fresh: Params, plans: Sequence[np.ndarray]) -> Params:
        return stack([policy.from_plan(tree, p, plan) for p, plan in enumerate(plans)])

    return imitate


def imitate_by_network(policy: Policy, tree: GameTree) -> Imitate:
    """Minimises the Kullback-Leibler divergence from the plans' action probabilities, on the whole
    tree (policy distillation, arXiv:1511.06295, eq. 1). The weight of an info state is the
    probability that the player and chance lead to it. Opponents do not matter, because NashConv
    lets them play anything. Where the weight is zero, nothing is computed.
    """
    everywhere = levels(tree)
    optimizer = optax.flatten(
        optax.chain(
            optax.clip_by_global_norm(_MAX_GRADIENT_NORM),
            optax.adam(optax.cosine_decay_schedule(_LEARNING_RATE, _STEPS), b2=_SQUARES_DECAY),
        )
    )

    def fit(params: Params, levels: Sequence[Level], wanted: Sequence[jax.Array]) -> Params:
        def loss(params: Params) -> jax.Array:
            logits, _ = policy.tabulate(params, levels)
            divergence = 0.0
            for target, level_logits, level in zip(wanted, logits, levels, strict=True):
                weight = target.sum(axis=1, keepdims=True)  # [W, 1]
                divergence += (xlogy(target, target) - xlogy(target, weight)).sum()
                divergence -= (target * log_probabilities(level_logits, level.legal)).sum()
            return divergence

        def step(learner, _):
            params, state = learner
            change, state = optimizer.update(jax.grad(loss)(params), state, params)
            return (optax.apply_updates(params, change), state), None

        def some(progress):
            learner, number, _ = progress
            learner = jax.lax.scan(step, learner, length=_CHECK)[0]
            return learner, number + _CHECK, loss(learner[0])

        def going_on(progress):
            _, number, divergence = progress
            return (number < _STEPS) & (divergence > _TOLERANCE)

        start = (params, optimizer.init(params)), jnp.int32(0), jnp.float32(jnp.inf)
        return jax.lax.while_loop(going_on, some, start)[0][0]

    fit_all = jax.jit(jax.vmap(fit))

    def imitate(fresh: Params, plans: Sequence[np.ndarray]) -> Params:
        wanted = []
        for p, (player, plan) in enumerate(zip(tree.players, plans, strict=True)):
            chance = exact.info_state_reach(tree, p, tree.chance)
            wanted.append(
                by_level(tree, p, np.append(0.0, plan[1:] * chance[player.info_state[1:]]))
            )
        wanted = [np.stack(level_arrays) for level_arrays in zip(*wanted, strict=True)]
        return fit_all(fresh, *_reached(everywhere, wanted))

    return imitate


def _reached(
    everywhere: Sequence[Level], wanted: Sequence[np.ndarray]
) -> tuple[list[Level], list[np.ndarray]]:
    """The rows of levels and weights, `[P, W, ...]` and `[P, W, A]`, that have weight. Other rows
    are added until every level keeps the same share of its rows. The share is a power of a quarter,
    because each share is compiled once."""
    counts = [(target.sum(axis=2) > 0).sum(axis=1).max() for target in wanted]
    widths = [target.shape[1] for target in wanted]
    share = 1.0
    while True:
        smaller = [_cut(width, share / 4) for width in widths]
        if smaller == [_cut(width, share) for width in widths] or any(
            count > width for count, width in zip(counts, smaller, strict=True)
        ):
            break
        share /= 4
    if share == 1:
        return list(everywhere), list(wanted)
    some, targets, place = [], [], None
    for level, target in zip(everywhere, wanted, strict=True):
        empty = target.sum(axis=2) <= 0  # [P, W]
        order = np.argsort(empty, axis=1, kind="stable")[:, : _cut(target.shape[1], share)]

        def rows(leaf, order=order):
            return np.stack(
                [player_rows[which] for player_rows, which in zip(leaf, order, strict=True)]
            )

        level, targets = jax.tree.map(rows, level), [*targets, rows(target)]
        if place is not None:  # the parent of a row with weight has weight
            level = dataclasses.replace(level, parent=np.take_along_axis(place, level.parent, 1))
        some.append(level)
        place = np.zeros(empty.shape, np.int32)
        np.put_along_axis(place, order, np.arange(order.shape[1], dtype=np.int32)[None], axis=1)
    return some, targets


def _cut(width: int, share: float) -> int:
    return min(width, max(_FEWEST_ROWS, int(np.ceil(width * share))))
