"""One best response of a sampled oracle (`psro.oracles.sampling`): what it is given, its state, and
what it learns from."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax

from games.levels import Level
from psro.oracles.decisions import Decisions, Episodes, Turn
from psro.oracles.rollout import Actors
from psro.oracles.training import Yardstick
from psro.policies.policy import Params

Losses = dict[str, jax.Array]
"""The losses of a method by name, for people: of a step, or means over many, `[]` each."""


def mean_losses(losses: Losses) -> Losses:
    """The means of losses `[N]` of many steps."""
    return {name: loss.mean() for name, loss in losses.items()}


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Learner:
    """The state of a job between two updates.

    Attributes:
        student: the method's own state.
        actors: the state of the environments.
        profile: every stratum's profile, an index into the flat opponent profiles, int `[S]`.
        decisions: own decisions so far.
        episodes: finished episodes so far.
    """

    student: Any
    actors: Actors
    profile: jax.Array
    decisions: jax.Array
    episodes: jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Sample:
    """One rollout.

    Attributes:
        decisions: the learner's decisions, `[T, E]`; rewards in units of the game's largest return.
        episodes: the episodes that ended, `[E]`.
        next: the decision after the last, `[E]`.
        restarted: which strata met a new profile and began new episodes for it, bool `[S]`.
        levels: the learner's info states, if the network runs over info states.
    """

    decisions: Decisions
    episodes: Episodes
    next: Turn
    restarted: jax.Array
    levels: Sequence[Level] | None = None


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """The input of one job; leaves `[J, ...]` for all jobs.

    Attributes:
        player: the learner's seat.
        key: data of the job's random key.
        initial: the first parameters, of all networks.
        group: the group of `Populations` that the opponents come from.
        cumulative: cumulative probabilities of the opponents' profiles, `[K ** Q]`.
        yardstick: what the exact value needs; None in a game that is not enumerated as a tree.
        mixture: with `tabulated`, the opponents as tables, leaves `[Q, 1, R, ...]`; otherwise None.
        bonus: with `tabulated`, what actions earn in addition to returns, `[R, A]`. None means no
            bonus.
    """

    player: jax.Array
    key: jax.Array
    initial: Params
    group: jax.Array
    cumulative: jax.Array
    yardstick: Yardstick | None
    mixture: Params | None
    bonus: jax.Array | None


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Setting:
    """The input that all jobs share: policies, leaves `[G, P, K, ...]`, the game's constants, and
    the scale of rewards, 1 / the game's largest return."""

    populations: Params
    constants: Any
    scale: jax.Array
