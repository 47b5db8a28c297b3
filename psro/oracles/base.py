"""What every oracle is given and gives back."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from psro.policies.policy import Params

IDLE = -1
"""The run of a job that is not to be trained; what comes of it means nothing."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Jobs:
    """J best responses that do not depend on each other. K is the populations' capacity, S_p and
    I_p are the numbers of player p's sequences and info states. They may be those of G runs
    (`train_together`), each with populations and a key of its own.

    Attributes:
        player: the seat that learns, int32 `[J]`.
        initial: the learner's first parameters, leaves `[J, ...]`.
        populations: every player's policies, leaves `[P, K, ...]`, those of several runs
            `[G, P, K, ...]`; what is unused has no weight.
        opponents: probability of every opponent profile, float `[J, K, ..., K]` with P - 1 axes
            of opponents, axis q for the one at seat (player + 1 + q) mod P.
        gains: what the learner's sequences earn against opponents drawn from `opponents`
            (`exact.gains`), with `bonus`, a float64 `[S_p]` for each job; None in a game that is no
            tree. With them a policy's value is exact: their product with its realization plan.
        reach: probability that chance and those opponents lead to each of the learner's info states
            (`exact.info_state_reach`), a float64 `[I_p]` for each job; None where `gains` is.
        mixture: for each job every player's realization plan `[S_p]` of its meta-strategy, where
            opponents draw their policies independently of each other; else None.
        bonus: what of `gains` the game does not pay, such as a reward for being different from the
            population, `[S_p]` for each job; None for nothing.
        run: whose job each is, int32 `[J]` below G, or `IDLE`; None where all are of one run.
    """

    player: jax.Array
    initial: Params
    populations: Params
    opponents: np.ndarray
    gains: Sequence[np.ndarray] | None = None
    reach: Sequence[np.ndarray] | None = None
    mixture: Sequence[Sequence[np.ndarray]] | None = None
    bonus: Sequence[np.ndarray] | None = None
    run: np.ndarray | None = None


def by_run(key: jax.Array, jobs: Jobs) -> tuple[jax.Array, Jobs]:
    """The same as jobs of several runs, G = 1 where they are of one: keys `[G]`, populations
    `[G, P, K, ...]`, and a `run` for each job."""
    if jobs.run is not None:
        return key, jobs
    return key[None], dataclasses.replace(
        jobs,
        populations=jax.tree.map(lambda leaf: leaf[None], jobs.populations),
        run=np.zeros(len(jobs.player), np.int32),
    )


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Results:
    """The best responses, one an entry of `[J]`.

    Attributes:
        params: leaves `[J, ...]`.
        decisions: own decisions that the learner took, int `[J]`; 0 where nothing is sampled.
        episodes: episodes that it finished, int `[J]`.
        diverged: training met a number that is not finite and stopped, bool `[J]`; `params` are
            the best finite ones.
        curve: value of the policy at every evaluation, `[J, N + 1]`, the first before training;
            NaN where training had ended. `params` have the highest of them.
    """

    params: Params
    decisions: np.ndarray
    episodes: np.ndarray
    diverged: np.ndarray
    curve: np.ndarray


class Oracle(Protocol):
    """A best-response method, set up for one game and network."""

    temperature: float
    """What the finished policy's logits were divided by; undone before it is trained further."""

    tabular: ClassVar[bool]
    """Its policies are tables (`TablePolicy`), not networks."""

    conditional: ClassVar[bool]
    """Its policies are one network that is told which one to be (`ConditionalPolicy`)."""

    def __call__(self, key: jax.Array, jobs: Jobs) -> Results:
        """Trains all jobs. Where they are of several runs (`Jobs.run`), which a conditional oracle
        does not take, the keys are `[G]`."""
        ...


def train_together(
    oracle: Oracle, requests: Sequence[tuple[jax.Array, Jobs]], room: int
) -> list[Results]:
    """What `oracle(key, jobs)` gives for each of G runs with the same settings, by one call for
    all, on a CPU bit for bit.

    Args:
        oracle: theirs.
        requests: key and jobs of each run.
        room: runs, at least G, that shapes allow for: with fewer nothing is compiled again, because
            jobs that end at once stand in for those that are missing.
    """
    if room == 1 or oracle.conditional:  # such a run's network learns from its own jobs alone
        return [oracle(key, jobs) for key, jobs in requests]
    keys, jobs = _end_to_end(requests, 0 if oracle.tabular else room - len(requests))
    results = oracle(keys, jobs)
    return [
        jax.tree.map(lambda leaf, run=run: np.asarray(leaf)[jobs.run == run], results)
        for run in range(len(requests))
    ]


def _end_to_end(requests: Sequence[tuple[jax.Array, Jobs]], idle: int) -> tuple[jax.Array, Jobs]:
    """Keys `[G]`, and all jobs as those of G runs, the last ones idle."""
    numbers = np.array([*range(len(requests)), *[IDLE] * idle], np.int32)
    requests = [*requests, *[requests[0]] * idle]
    keys, runs = zip(*requests, strict=True)

    def listed(name: str) -> list | None:
        parts = [getattr(jobs, name) for jobs in runs]
        return None if parts[0] is None else [each for part in parts for each in part]

    return jnp.stack(keys), Jobs(
        player=np.concatenate([jobs.player for jobs in runs]),
        initial=jax.tree.map(
            lambda *leaves: jnp.concatenate(leaves), *(jobs.initial for jobs in runs)
        ),
        populations=jax.tree.map(
            lambda *leaves: np.stack(leaves), *(jobs.populations for jobs in runs)
        ),
        opponents=np.concatenate([jobs.opponents for jobs in runs]),
        **{name: listed(name) for name in ("gains", "reach", "mixture", "bonus")},
        run=np.repeat(numbers, [len(jobs.player) for jobs in runs]),
    )
