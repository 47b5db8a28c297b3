"""The input and the output of every oracle."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from psro.policies.policy import Params


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Populations:
    """The policies that opponents are drawn from.

    Attributes:
        params: the policies of G groups of players, one group per run, leaves `[G, P, K, ...]`.
            K is their capacity. Unused entries have no weight.
        group: the group that each job's opponents come from, int32 `[J]`.
    """

    params: Params
    group: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExactView:
    """Exact quantities of J jobs in an enumerated game, one entry per job. S_p and I_p are the
    numbers of player p's sequences and info states.

    Attributes:
        gains: what the learner's sequences earn against opponents drawn from `Jobs.opponents`
            (`exact.gains`), with `bonus`, float64 `[S_p]`. A policy's value is the inner product
            of the gains and its realization plan.
        reach: probability that chance and those opponents lead to each of the learner's info states
            (`exact.info_state_reach`), float64 `[I_p]`; None where the game is not enumerated.
        mixture: every player's realization plan `[S_q]` of its meta-strategy; None where opponents
            do not draw their policies independently of each other.
        bonus: the part of `gains` that the game does not pay, float64 `[S_p]`. An example is a
            reward for being different from the population. None means no bonus.
    """

    gains: Sequence[np.ndarray]
    reach: Sequence[np.ndarray] | None
    mixture: Sequence[Sequence[np.ndarray]] | None
    bonus: Sequence[np.ndarray] | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Jobs:
    """J best responses that do not depend on each other.

    Attributes:
        player: the seat that learns, int32 `[J]`.
        key: random keys `[J]`. All jobs of one run's request have the same key. An oracle folds the
            seat into the key. So several best responses of one seat in one call get the same
            random numbers.
        initial: the learner's first parameters, leaves `[J, ...]`.
        populations: every player's policies.
        opponents: probability of every opponent profile, float `[J, K, ..., K]` with P - 1 axes
            of opponents, axis q for the one at seat (player + 1 + q) mod P.
        exact: exact quantities of the jobs; None in a game that is not enumerated as a tree.
        progress: with self-play, the share of its schedules before and after this training,
            float32 `[J, 2]`; None for best responses. All learners of a run then train together,
            against each other, and populations and opponents are not used.
    """

    player: np.ndarray
    key: jax.Array
    initial: Params
    populations: Populations
    opponents: np.ndarray
    exact: ExactView | None
    progress: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.player)

    @classmethod
    def of_one_run(
        cls,
        key: jax.Array,
        *,
        player: np.ndarray,
        initial: Params,
        populations: Params,
        opponents: np.ndarray,
        exact: ExactView | None = None,
    ) -> Jobs:
        """Jobs with one key `[]` and one group of populations, leaves `[P, K, ...]`."""
        return cls(
            player=np.asarray(player, np.int32),
            key=jnp.broadcast_to(key, len(player)),
            initial=initial,
            populations=Populations(
                params=jax.tree.map(lambda leaf: leaf[None], populations),
                group=np.zeros(len(player), np.int32),
            ),
            opponents=opponents,
            exact=exact,
        )

    @classmethod
    def of_self_play(
        cls, key: jax.Array, initial: Params, *, players: int, begin: float, end: float
    ) -> Jobs:
        """The players of one run, who learn together: from the parameters of each network, leaves
        `[L, N, ...]`, in the part of the schedules from `begin` to `end`."""
        learners = len(jax.tree.leaves(initial)[0])
        jobs = cls.of_one_run(
            key,
            player=np.arange(learners),
            initial=initial,
            populations=(),
            opponents=np.ones((learners,) + (1,) * (players - 1)),
        )
        progress = np.broadcast_to(np.array([begin, end], np.float32), (learners, 2))
        return dataclasses.replace(jobs, progress=progress)

    @classmethod
    def alone(cls, key: jax.Array, initial: Params) -> Jobs:
        """A job in a game for one player, from parameters without a leading axis."""
        return cls.of_one_run(
            key,
            player=np.zeros(1, np.int32),
            initial=jax.tree.map(lambda leaf: leaf[None], initial),
            populations=(),
            opponents=np.ones(1),
        )


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Results:
    """The best responses, one per entry of `[J]`.

    Attributes:
        params: leaves `[J, ...]`.
        decisions: own decisions that the learner took, int `[J]`; 0 where nothing is sampled.
        episodes: episodes that the learner finished, int `[J]`.
        diverged: training met a number that is not finite and stopped, bool `[J]`. Then `params`
            are the best finite ones.
        curve: value of the policy at every evaluation, `[J, N + 1]`, the first before training;
            NaN after the end of training. `params` have the highest value of the curve.
    """

    params: Params
    decisions: np.ndarray
    episodes: np.ndarray
    diverged: np.ndarray
    curve: np.ndarray


class Oracle(Protocol):
    """A best-response method, set up for one game and network."""

    tabular: ClassVar[bool]
    """The policies are tables (`TablePolicy`), not networks."""

    conditional: ClassVar[bool]
    """All policies are one network. An extra input says which policy to play
    (`ConditionalPolicy`)."""

    enumerated: ClassVar[bool] = False
    """It needs a game that is enumerated, and `Jobs.exact`."""

    on_form: ClassVar[type[Oracle] | None] = None
    """The oracle that takes its place where only the players' own info states are known
    (`games.form.Form`); None where it needs more."""

    world_model: ClassVar[bool] = False
    """Its policies' networks are models of the world (`DreamerPolicy`)."""

    def __call__(self, jobs: Jobs) -> Results:
        """Trains all jobs. The result of a job does not depend on the other jobs; on a CPU it is
        the same bit for bit. Exception: in a conditional oracle, jobs of a group share a
        network."""
        ...
