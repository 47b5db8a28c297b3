"""One learner alone, in a game for one player: it trains in stretches, each with an evaluation.

The code is that of best responses (`psro.oracles.sampling`): a job of the only seat, without
opponents. Between two stretches its whole state is on the host, so that it can be saved.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from games.game import Game
from psro.errors import PsroError
from psro.oracles import Jobs
from psro.oracles.job import Learner
from psro.oracles.sampling import Sampled
from psro.policies.jax_settings import own_settings
from psro.policies.policy import Params, Policy
from psro.training.evaluation_record import Evaluation
from psro.training.matches import Matches

_FRESH, _TRAIN, _EVALUATE = range(3)
"""What the keys of a run are folded with."""


class LearningDiverged(PsroError):
    """A learner met a number that is not finite."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stretch:
    """The state that the caller saves to continue from here: the learner's, and the finished policy
    of the best evaluation so far, leaves `[...]` on the host."""

    record: Evaluation
    learner: Learner
    best: Params
    best_return: float


class Alone:
    """A learner in a game for one player. Learners that differ in their seed share one, and so all
    compiled code.

    Args:
        game: the game.
        policy: the learner's network.
        oracle: the method.
        episodes: episodes of an evaluation.
    """

    def __init__(self, game: Game, policy: Policy, oracle: Sampled, *, episodes: int):
        self._policy, self._oracle = policy, oracle
        self._matches = Matches(game, policy, episodes=episodes, at_once=1)
        self._init = jax.jit(lambda own, shared: oracle.init(_only(own), shared))
        self._train = jax.jit(
            lambda learner, number, own, shared: oracle.train(learner, number, _only(own), shared)
        )
        self._finished = jax.jit(oracle.finished)

    @own_settings()
    def shapes(self) -> tuple[Learner, Params]:
        """The shapes and types of a `Stretch`'s learner and policy."""
        learner = jax.eval_shape(lambda: self._init(*self._job(jax.random.key(0))))
        return learner, jax.eval_shape(self._oracle.finished, learner)

    def train(self, seed: int, evaluations: int, last: Stretch | None) -> Iterator[Stretch]:
        """Yields the state before training, or the one after `last`, and then one after every
        stretch, up to `evaluations`. A learner that continues from `last` equals one without a
        stop, bit for bit.

        Raises:
            LearningDiverged: the learner met a number that is not finite.
        """
        with own_settings():
            key = jax.random.key(seed)
            job = self._job(key)
        for number in range(0 if last is None else last.record.evaluation + 1, evaluations + 1):
            with own_settings():
                last = self._stretch(number, key, job, last)
            yield last

    @own_settings()
    def evaluate(self, params: Params, key: jax.Array, episodes: int) -> tuple[float, float]:
        """The mean return of at least so many fresh episodes, and its standard error."""
        matches = max(1, -(-episodes // self._matches.episodes))
        population = jax.tree.map(lambda leaf: np.asarray(leaf)[None, None], params)  # [P, K]
        played = self._matches(
            population, np.zeros((matches, 1), np.int32), jax.random.split(key, matches)
        )
        count = played.returns.size
        error = np.sqrt(self._matches.squares(played.returns)[0] / (count * (count - 1)))
        return float(played.returns.mean()), float(error)

    def _stretch(self, number: int, key: jax.Array, job: Any, last: Stretch | None) -> Stretch:
        since, cpu_since = time.perf_counter(), time.process_time()
        training_return, losses = None, {}
        if last is None:
            learner = self._init(*job)
        else:
            learner, *told = self._train(last.learner, jnp.int32(number - 1), *job)
            training_return, losses = jax.tree.map(float, told)
        params = jax.device_get(self._finished(learner))
        if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params)):
            raise LearningDiverged(f"evaluation {number} met a number that is not finite")
        trained = time.perf_counter()
        key = jax.random.fold_in(jax.random.fold_in(key, _EVALUATE), number)
        mean, error = self.evaluate(params, key, self._matches.episodes)
        better = last is None or mean > last.best_return
        return Stretch(
            record=Evaluation(
                evaluation=number,
                decisions=int(learner.decisions),
                episodes=int(learner.episodes),
                mean_return=mean,
                return_standard_error=error,
                training_return=training_return,
                best=number if better else last.record.best,
                seconds={"train": trained - since, "evaluate": time.perf_counter() - trained},
                cpu_seconds=time.process_time() - cpu_since,
                losses={name: loss for name, loss in losses.items() if np.isfinite(loss)},
            ),
            learner=jax.device_get(learner),
            best=params if better else last.best,
            best_return=mean if better else last.best_return,
        )

    def _job(self, key: jax.Array) -> Any:
        """The inputs of the oracle's functions for one run."""
        initial = self._policy.init_many(jax.random.fold_in(key, _FRESH)[None])
        return self._oracle.inputs(Jobs.alone(jax.random.fold_in(key, _TRAIN), _only(initial)))


def _only(jobs: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf[0], jobs)
