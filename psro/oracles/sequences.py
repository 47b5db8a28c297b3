"""Sequences of a rollout as items: what replay keeps, and what losses are taken over.

A rollout's decisions in one environment are one sequence, with the carry at its start and the
decision after its last.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from psro.oracles.decisions import Turn
from psro.oracles.job import Sample
from psro.policies.networks.cells.cell import Carry


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Sequences:
    """N replayed sequences of L own decisions, `[L, N]`, and the decision after the last.

    In the buffer an item is one sequence without the axis N: `[L, ...]`.

    Attributes:
        turn: the input of each decision, `[L + 1, N]`.
        action, log_prob: the action taken, and its log-probability when it was taken, `[L, N]`.
        reward, done, truncated: the outcome; see `Decisions`.
        carry: the carry at the first decision, leaves `[N, H]`.
        weight: own decisions per episode of the stratum, `[N]`.
    """

    turn: Turn
    action: jax.Array
    log_prob: jax.Array
    reward: jax.Array
    done: jax.Array
    truncated: jax.Array
    carry: Carry
    weight: jax.Array


def trained_on(turn: Turn, burn_in: int) -> jax.Array:
    """Which decisions of sequences are trained on, `[L, N]`: those after the warm-up, and those
    whose episode began within the sequence."""
    begun = jnp.cumsum(turn.reset[:-1], axis=0) > 0
    late = jnp.arange(len(begun)) >= burn_in
    return turn.valid[:-1] & (begun | late[:, None])


def decisions_per_episode(decided: jax.Array, finished: jax.Array, num_envs: int) -> jax.Array:
    """Own decisions per episode of each stratum, `[S]`: the weight of its sequences.

    Args:
        decided: own decisions since the stratum met its profile.
        finished: episodes since then.
        num_envs: environments of a stratum. Each is in the middle of an episode on average, and
            counts as half an episode. Otherwise long episodes would seem even longer.
    """
    return decided / (finished + 0.5 * num_envs)


def sequences(sample: Sample, weight: jax.Array) -> Sequences:
    """A rollout as items of the buffer, one per environment, leaves `[E, L, ...]`.

    At the last observation of an episode that was cut off, a game may say that nothing is legal.
    Play would have gone on: everything is taken as legal, so that such a step has a value.
    """
    seen = sample.decisions
    turn = jax.tree.map(
        lambda steps, last: jnp.concatenate([steps, last[None]]).swapaxes(0, 1),
        Turn(**{field.name: getattr(seen, field.name) for field in dataclasses.fields(Turn)}),
        sample.next,
    )
    if turn.legal is not None:
        nothing = ~turn.legal.any(axis=-1, keepdims=True)
        turn = dataclasses.replace(turn, legal=turn.legal | nothing)
    return Sequences(
        turn=turn,
        action=seen.action.swapaxes(0, 1),
        log_prob=seen.log_prob.T,
        reward=seen.reward.T,
        done=seen.done.T,
        truncated=seen.truncated.T,
        carry=jax.tree.map(lambda leaf: leaf[0], seen.carry),
        weight=weight,
    )


def time_first(items: Sequences) -> Sequences:
    """Items `[N, L, ...]` as `[L, N, ...]`. Carries and weights have no time axis."""
    steps = dataclasses.replace(items, carry=(), weight=())
    steps = jax.tree.map(lambda leaf: leaf.swapaxes(0, 1), steps)
    return dataclasses.replace(steps, carry=items.carry, weight=items.weight)
