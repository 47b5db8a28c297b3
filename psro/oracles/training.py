"""Training of a network, shared by the oracles: exact evaluation, the best policy, stopping.

A job trains in stretches. After each stretch its policy is evaluated at the finished temperature.
The best policy seen is the best response. Training ends after the last evaluation, or earlier when
the policy does not improve for a while.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np

from games.levels import Level, action_values, by_level
from games.tree import GameTree
from psro import exact
from psro.oracles.base import ExactView
from psro.policies.distributions import log_probabilities
from psro.policies.policy import Params, Policy


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Training:
    """The state of a job between two evaluations.

    Attributes:
        learner: the method's own state.
        best: the best finished parameters so far.
        best_value: the value of `best`.
        stale: evaluations since `best` was found.
        done: evaluations so far.
        curve: value at each evaluation, `[evaluations + 1]`, the first before training; NaN after
            the end of training.
        diverged: the learner met a number that is not finite.
    """

    learner: Any
    best: Params
    best_value: jax.Array
    stale: jax.Array
    done: jax.Array
    curve: jax.Array
    diverged: jax.Array


def train(
    learner: Any,
    *,
    learn: Callable[[Any, jax.Array], tuple[Any, jax.Array]],
    finish: Callable[[Any], Params],
    value: Callable[[Params], jax.Array] | None,
    evaluations: int,
    patience: int,
    enough: jax.Array | float = jnp.inf,
) -> Training:
    """Trains one job. The caller jits and maps it.

    Args:
        learner: the learner's state before training.
        learn: trains up to the next evaluation. It takes the state and the number of evaluations
            so far, and returns the next state and the sampled mean return.
        finish: returns the parameters of the finished policy from a state.
        value: returns the value of finished parameters. None uses the sampled mean return instead.
        evaluations: most evaluations.
        patience: training ends after so many evaluations without a better policy.
        enough: training ends at this value.
    """

    def one_stretch(training: Training) -> Training:
        new, sampled = learn(training.learner, training.done)
        finished = finish(new)
        result = sampled if value is None else value(finished)
        finite = jnp.isfinite(jax.flatten_util.ravel_pytree(finished)[0]).all()
        better = finite & (result > training.best_value + 1e-6 * jnp.abs(result))  # not rounding
        done = training.done + 1
        return Training(
            learner=new,
            best=jax.tree.map(lambda n, old: jnp.where(better, n, old), finished, training.best),
            best_value=jnp.where(better, result, training.best_value),
            stale=jnp.where(better, 0, training.stale + 1),
            done=done,
            curve=training.curve.at[done].set(jnp.where(finite, result, jnp.nan)),
            diverged=~finite,
        )

    def going_on(training: Training) -> jax.Array:
        return (
            (training.done < evaluations)
            & (training.stale < patience)
            & (training.best_value < enough)
            & ~training.diverged
        )

    finished = finish(learner)
    first = jnp.float32(-jnp.inf if value is None else value(finished))
    start = Training(
        learner=learner,
        best=finished,
        best_value=first,
        stale=jnp.int32(0),
        done=jnp.int32(0),
        curve=jnp.full(evaluations + 1, jnp.nan, jnp.float32).at[0].set(first),
        diverged=jnp.bool_(False),
    )
    return jax.lax.while_loop(going_on, one_stretch, start)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Yardstick:
    """What the exact value of one learner needs; leaves `[J, ...]` from `yardstick`.

    Attributes:
        levels: the learner's info states.
        returns: the learner's returns by level, weighted by the opponents' reach, `[W, A]`.
        offset: what the learner gets in episodes in which it decides nothing, `[]`.
        reach: probability that the opponents lead to each info state, `[W]` per level.
        best: value of the exact best response, `[]`.
        scale: 1 / the game's largest return, `[]`.
    """

    levels: Sequence[Level]
    returns: Sequence[jax.Array]
    offset: jax.Array
    reach: Sequence[jax.Array]
    best: jax.Array
    scale: jax.Array


def yardstick(
    tree: GameTree, levels: Sequence[Level], players: np.ndarray, view: ExactView
) -> Yardstick:
    """The yardsticks of jobs with the learners `players [J]`, from the tree's `levels` and from the
    view's gains and reach."""
    players = np.asarray(players)
    returns, reaches, offset, best = [], [], [], []
    for p, gain, reach in zip(players, view.gains, view.reach, strict=True):
        player = tree.players[p]
        returns.append(by_level(tree, p, gain))
        offset.append(gain[0])
        best.append(exact.best_response_value(player, gain))
        reaches.append(
            [
                level.max(axis=1)
                for level in by_level(tree, p, np.append(0.0, reach[player.info_state[1:]]))
            ]
        )
    return Yardstick(
        levels=jax.tree.map(lambda leaf: leaf[players], levels),
        returns=[np.stack(level_arrays) for level_arrays in zip(*returns, strict=True)],
        offset=np.array(offset, np.float32),
        reach=[np.stack(level_arrays) for level_arrays in zip(*reaches, strict=True)],
        best=np.array(best, np.float32),
        scale=np.full(len(players), 1 / max(tree.max_return, 1e-9), np.float32),
    )


def log_policy(policy: Policy, params: Params, levels: Sequence[Level]) -> list[jax.Array]:
    """One player's log-probabilities, `[W, A]` per level."""
    logits, _ = policy.tabulate(params, levels)
    return [
        log_probabilities(level_logits, level.legal)
        for level_logits, level in zip(logits, levels, strict=True)
    ]


def expected_return(policy: Policy, params: Params, yardstick: Yardstick) -> jax.Array:
    """The expected return of a policy, float32: exact up to rounding."""
    pi = [jnp.exp(level_log_pi) for level_log_pi in log_policy(policy, params, yardstick.levels)]
    _, values = action_values(yardstick.levels, yardstick.returns, pi)
    return yardstick.offset + values[0].sum()
