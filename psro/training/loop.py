"""Policy-Space Response Oracles (Lanctot et al. 2017, arXiv:1711.00832, algorithm 1)."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Generator, Sequence

import jax
import numpy as np

from psro.metagame.gaps import MEANINGS, Gaps
from psro.metagame.meta_game import MetaGame
from psro.metagame.solving import MetaGameSolver
from psro.metagame.strategy import MetaStrategy
from psro.oracles import Results
from psro.policies.policy import Params
from psro.training.evaluators import Evaluator
from psro.training.executors import Ask
from psro.training.growth import Growth, Keys, Timer
from psro.training.record import Iteration, Record
from psro.training.trainer import Trainer
from psro.variants.expansions import Expansion, Situation


@dataclasses.dataclass(frozen=True, kw_only=True)
class Method:
    """What a run does in every iteration.

    Attributes:
        trainer: makes policies.
        training: the meta-solver whose meta-strategy best responses train against.
        evaluation: the meta-solver whose meta-strategy is measured; None for the same.
        expansion: what an iteration adds to the populations.
        levels: `Situation.levels` for it.
        rounds: `Situation.rounds` for it.
        minimise: `Situation.minimise` for it.
        restricted_solver: `Situation.restricted_solver` for it.
        horizon: `Situation.horizon` for it.
        span: `Situation.span` for it.
        begun: `Situation.begun` for it.
    """

    trainer: Trainer
    training: MetaGameSolver
    evaluation: MetaGameSolver | None
    expansion: Expansion
    levels: int
    rounds: int
    minimise: Callable
    restricted_solver: str
    horizon: int
    span: float
    begun: int = 1

    def measured_by(self, evaluator: Evaluator) -> Method:
        """The same method with another evaluator."""
        return dataclasses.replace(
            self, trainer=dataclasses.replace(self.trainer, evaluator=evaluator)
        )

    def solve(self, by: MetaGameSolver, meta_game: MetaGame) -> MetaStrategy:
        strategy = by(meta_game)
        return strategy.shared(meta_game.payoffs) if self.trainer.symmetric else strategy

    def situation(self, last: Iteration, number: int, key: jax.Array) -> Situation:
        """Where iteration `number` begins; `key` is that of its own random numbers."""
        return Situation(
            number=number,
            meta_game=last.meta_game,
            meta_strategy=last.meta_strategy,
            solve=lambda meta_game: self.solve(self.training, meta_game),
            levels=self.levels,
            rounds=self.rounds,
            minimise=self.minimise,
            restricted_solver=self.restricted_solver,
            networks=self.trainer.networks,
            horizon=self.horizon,
            span=self.span,
            begun=self.begun,
            rng=np.random.default_rng(jax.device_get(jax.random.key_data(key))),
        )


def psro(
    method: Method,
    *,
    key: jax.Array,
    iterations: int,
    capacity: int,
    last: Iteration | None = None,
    start: Sequence[Params] | None = None,
) -> Generator[Ask | Iteration, Results | None, None]:
    """Yields the iterations from 0 (the first policies), or from the one after `last`, up to
    `iterations`. In between it yields requests for training, and the caller sends their results.

    Every random number is keyed by its iteration. So a run that continues from `last` equals a run
    without a stop, bit for bit.

    Args:
        method: the run's method.
        key: the run's key.
        iterations: number of the last iteration.
        capacity: the populations' first capacity.
        last: the iteration to continue from.
        start: the policies of iteration 0, leaves `[P, ...]`; by default an untrained one.

    Raises:
        TrainingDiverged: a best response met a number that is not finite.
        MetaSolverError: the meta-solver cannot solve this meta-game.
    """
    trainer = method.trainer
    for number in range(0 if last is None else last.record.iteration + 1, iterations + 1):
        timer, keys = Timer(), Keys.of(key, number)
        if last is None:
            growth = trainer.begin(keys, capacity, timer, start)
        else:
            steps = method.expansion.function(method.situation(last, number, keys.oracle))
            growth = yield from trainer.expand(steps, last, number=number, keys=keys, timer=timer)
        meta_strategy = growth.end.meta_strategy
        if meta_strategy is None:
            solve = functools.partial(method.solve, method.training)
            growth, meta_strategy = trainer.solved(growth, solve, keys, timer)
        evaluation = meta_strategy
        if method.evaluation:
            evaluation = method.solve(method.evaluation, growth.meta_game)
        timer.lap("meta_solver")
        concept = (method.evaluation or method.training).concept
        measured = trainer.evaluator.gaps(growth.meta_game, evaluation, concept)
        timer.lap(trainer.evaluator.measures_in)
        regret = meta_strategy.regret(growth.meta_game.payoffs, method.training.concept)
        last = Iteration(
            record=_record(
                number, growth, evaluation, measured, concept, regret, trainer.evaluator.kind, timer
            ),
            policies=growth.policies,
            population=growth.population,
            meta_game=growth.meta_game,
            meta_strategy=meta_strategy,
            evaluation=evaluation,
            correlated=measured.correlated if evaluation is meta_strategy else None,
        )
        yield last


def _record(
    number: int,
    growth: Growth,
    evaluation: MetaStrategy,
    measured: Gaps,
    concept: str,
    regret: float,
    kind: str,
    timer: Timer,
) -> Record:
    outcome = vars(growth.outcome) if growth.outcome else {}
    return Record(
        iteration=number,
        kind=kind,
        exploitability=measured.exploitability,
        nash_conv=measured.nash_conv,
        cce_gap=measured.cce_gap,
        ce_gap=measured.ce_gap,
        concept=concept,
        meaning=MEANINGS[concept],
        value=tuple(measured.value.tolist()),
        value_error=_numbers(measured.value_error),
        best_response_value=_numbers(measured.best_response_value),
        **{
            name: _numbers(outcome.get(name))
            for name in ("achieved_value", "improvement", "improvement_error", "gap")
        },
        nash_conv_bound=outcome.get("nash_conv_bound"),
        nash_conv_bound_error=outcome.get("nash_conv_bound_error"),
        meta_regret=regret,
        size=growth.meta_game.size,
        support_size=evaluation.support_size,
        decisions=tuple(growth.decisions.tolist()),
        episodes=tuple(growth.episodes.tolist()),
        payoff_episodes=growth.meta_game.total_episodes,
        seconds=timer.seconds,
    )


def _numbers(array: np.ndarray | None) -> tuple[float, ...] | None:
    return None if array is None else tuple(array.tolist())
