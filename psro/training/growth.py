"""An iteration under way: its random keys, its wall time, and what it has made so far."""

from __future__ import annotations

import dataclasses
import time

import jax
import numpy as np

from psro.errors import PsroError
from psro.metagame.meta_game import MetaGame
from psro.oracles import Results
from psro.policies.policy import Params
from psro.policies.population import Population
from psro.training.evaluators import Outcome
from psro.variants.expansions import Expanded

_MEASURE = 0xFFFFFFFF
"""No iteration has this number."""


class Timer:
    """Wall seconds by part."""

    def __init__(self):
        self.seconds: dict[str, float] = {}
        self._since = time.perf_counter()

    def lap(self, part: str) -> None:
        now = time.perf_counter()
        self.seconds[part] = self.seconds.get(part, 0.0) + now - self._since
        self._since = now


@dataclasses.dataclass(frozen=True, kw_only=True)
class Keys:
    """The random keys of an iteration, `[]` each: for fresh parameters, for best responses, and for
    episodes that measure. The last one is the same in all iterations of a run."""

    fresh: jax.Array
    oracle: jax.Array
    measure: jax.Array

    @classmethod
    def of(cls, run_key: jax.Array, iteration: int) -> Keys:
        key = jax.random.fold_in(run_key, iteration)
        return cls(
            fresh=jax.random.fold_in(key, 0),
            oracle=jax.random.fold_in(key, 1),
            measure=jax.random.fold_in(run_key, _MEASURE),
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Growth:
    """The populations, and what an iteration has done to them so far.

    Attributes:
        population: every player's policies.
        meta_game: their payoffs.
        policies: policies that were added or trained further, leaves `[P, ...]`, by their number.
        decisions: the learners' own decisions, `[P]`.
        episodes: the learners' finished episodes, `[P]`.
        outcome: result of the first best response in its last training; None if there is none.
        end: how the expansion ended.
    """

    population: Population
    meta_game: MetaGame
    policies: dict[int, Params]
    decisions: np.ndarray
    episodes: np.ndarray
    outcome: Outcome | None = None
    end: Expanded = Expanded()

    def counted(self, results: Results, requests: int = 1) -> Growth:
        """With the decisions and episodes of results counted, whose jobs are those of a number of
        requests, one after another."""
        seats = len(self.decisions)

        def added(before: np.ndarray, now: np.ndarray) -> np.ndarray:
            total = np.asarray(now).reshape(requests, -1).sum(axis=0)
            return before + np.pad(total, (0, seats - len(total)))

        return dataclasses.replace(
            self,
            decisions=added(self.decisions, results.decisions),
            episodes=added(self.episodes, results.episodes),
        )


class TrainingDiverged(PsroError):
    """A best response met a number that is not finite."""
