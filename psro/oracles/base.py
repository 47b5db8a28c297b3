"""What every oracle is given and gives back."""

from __future__ import annotations

import dataclasses
from typing import Protocol

import jax
import numpy as np

from psro.policy import Params


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Jobs:
    """J best responses that do not depend on each other. K is the populations' capacity.

    Attributes:
        player: the seat that learns, int32 `[J]`.
        initial: the learner's first parameters, leaves `[J, ...]`.
        populations: every player's policies, leaves `[P, K, ...]`; what is unused has no weight.
        opponents: probability of every opponent profile, float `[J, K, ..., K]` with P - 1 axes
            of opponents, axis q for the one at seat (player + 1 + q) mod P.
    """

    player: jax.Array
    initial: Params
    populations: Params
    opponents: jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class Results:
    """The best responses, one an entry of `[J]`.

    Attributes:
        params: leaves `[J, ...]`.
        decisions: own decisions that the learner took, int `[J]`.
        episodes: episodes that it finished, int `[J]`.
        diverged: training met a number that is not finite and stopped, bool `[J]`; `params` are
            the last finite ones.
        metrics: what the method measured of itself at the end, each float `[J]`.
    """

    params: Params
    decisions: np.ndarray
    episodes: np.ndarray
    diverged: np.ndarray
    metrics: dict[str, np.ndarray]


class Oracle(Protocol):
    """A best-response method, set up for one game and network."""

    def __call__(self, key: jax.Array, jobs: Jobs) -> Results: ...
