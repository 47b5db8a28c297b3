"""What every oracle is given and gives back."""

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
    """What opponents are drawn from.

    Attributes:
        params: the policies of G groups of players, one group a run, leaves `[G, P, K, ...]`. K is
            their capacity; what is unused has no weight.
        group: the group that each job's opponents come from, int32 `[J]`.
    """

    params: Params
    group: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExactView:
    """What a game that is enumerated tells of J jobs, one entry a job. S_p and I_p are the numbers
    of player p's sequences and info states.

    Attributes:
        gains: what the learner's sequences earn against opponents drawn from `Jobs.opponents`
            (`exact.gains`), with `bonus`, float64 `[S_p]`. A policy's value is their product with
            its realization plan.
        reach: probability that chance and those opponents lead to each of the learner's info states
            (`exact.info_state_reach`), float64 `[I_p]`.
        mixture: every player's realization plan `[S_q]` of its meta-strategy; None where opponents
            do not draw their policies independently of each other.
        bonus: what of `gains` the game does not pay, such as a reward for being different from the
            population, float64 `[S_p]`; None for nothing.
    """

    gains: Sequence[np.ndarray]
    reach: Sequence[np.ndarray]
    mixture: Sequence[Sequence[np.ndarray]] | None
    bonus: Sequence[np.ndarray] | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Jobs:
    """J best responses that do not depend on each other.

    Attributes:
        player: the seat that learns, int32 `[J]`.
        key: random keys `[J]`. All jobs of one run's request have the same key, and an oracle folds
            the seat in: where one call trains several best responses of a seat, they meet the same
            random numbers.
        initial: the learner's first parameters, leaves `[J, ...]`.
        populations: every player's policies.
        opponents: probability of every opponent profile, float `[J, K, ..., K]` with P - 1 axes
            of opponents, axis q for the one at seat (player + 1 + q) mod P.
        exact: what is known exactly; None in a game that is no tree.
    """

    player: np.ndarray
    key: jax.Array
    initial: Params
    populations: Populations
    opponents: np.ndarray
    exact: ExactView | None

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

    tabular: ClassVar[bool]
    """Its policies are tables (`TablePolicy`), not networks."""

    conditional: ClassVar[bool]
    """Its policies are one network that is told which one to be (`ConditionalPolicy`)."""

    def __call__(self, jobs: Jobs) -> Results:
        """Trains all jobs. What comes of a job does not depend on which other jobs there are, on a
        CPU bit for bit; jobs of a conditional oracle share a network with those of their group."""
        ...
