"""Policy-Space Response Oracles (Lanctot et al. 2017, arXiv:1711.00832, algorithm 1)."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from psro import exact
from psro.joint_gaps import CorrelatedGap
from psro.meta_game import MetaGame
from psro.meta_strategy import MEANINGS, MetaStrategy, gaps, over_seats, target
from psro.oracles import Jobs, Oracle
from psro.policy import Params
from psro.population import Population


class TrainingDiverged(ValueError):
    """A best response met a number that is not finite."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Record:
    """One iteration in numbers: payoffs in units of the game, tuples one entry a player.

    What is measured is this iteration's meta-strategy, the evaluation solver's where there is one,
    all exactly: `value`, `best_response_value`, `nash_conv` and `exploitability` (both of players
    who draw independently from its marginals), and where it is correlated `cce_gap` and, for the
    concept `ce`, `ce_gap`. `concept` is the equilibrium that it is measured as (nash, cce or ce),
    `distance` the gap of that concept, exploitability for nash, and `meaning` says what zero means.

    `achieved_value` is what the best response trained in this iteration gets against what it was
    trained against, the *previous* meta-strategy; `improvement` how much more that is than what the
    meta-strategy itself got there (not above zero: it is no better response), and `gap` what the
    exact best response gets more; all are None in iteration 0, which trains nothing. `meta_regret`
    is the most that a player could gain by switching to another policy of its population: the
    training solver's certificate. `support_size` counts weights above 1e-6, `decisions` and
    `episodes` are this iteration's (where seats share a population player 0's, who alone trains),
    and `seconds` is wall time by part.
    """

    iteration: int
    exploitability: float
    nash_conv: float
    cce_gap: float | None
    ce_gap: float | None
    concept: str
    meaning: str
    value: tuple[float, ...]
    best_response_value: tuple[float, ...]
    achieved_value: tuple[float, ...] | None
    improvement: tuple[float, ...] | None
    gap: tuple[float, ...] | None
    meta_regret: float
    support_size: tuple[int, ...]
    decisions: tuple[int, ...]
    episodes: tuple[int, ...]
    seconds: dict[str, float]

    @property
    def distance(self) -> float:
        return {"nash": self.exploitability, "cce": self.cce_gap, "ce": self.ce_gap}[self.concept]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Iteration:
    """What the caller saves to go on from here; `policies` are this iteration's, `[P, ...]`.
    Best responses train against `meta_strategy`; `evaluation` is what the record measures, and
    `correlated` the gains by its recommendations, where the two are one; else they are computed
    when they are needed."""

    record: Record
    policies: Params
    population: Population
    meta_game: MetaGame
    meta_strategy: MetaStrategy
    evaluation: MetaStrategy
    correlated: CorrelatedGap | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Solve:
    """A meta-solver and the equilibrium concept, one of `MEANINGS`, that it stands for."""

    solver: Callable[[np.ndarray], Sequence[np.ndarray] | np.ndarray]
    concept: str


def psro(
    *,
    key: jax.Array,
    iterations: int,
    fresh: Callable[[jax.Array], Params],
    initial: Callable[[Params, Population, Sequence[np.ndarray]], Params],
    oracle: Oracle,
    tabulate: Callable[[Params], Sequence[np.ndarray]],
    training: Solve,
    evaluation: Solve,
    meta_game: MetaGame,
    capacity: int,
    symmetric: bool = False,
    last: Iteration | None = None,
) -> Iterator[Iteration]:
    """Yields iteration 0 (untrained policies) to `iterations`, or those after `last`.

    Every random number is keyed by its iteration, so going on from `last` gives what going on
    without a stop would have given, bit for bit.

    Args:
        key: the run's key.
        iterations: number of the last iteration.
        fresh: untrained parameters for every player, leaves `[P, ...]`, from a key.
        initial: what best responses start from: fresh parameters, the populations and the
            meta-strategies to parameters, leaves `[P, ...]`.
        oracle: trains every player's best response at once.
        tabulate: behaviours `[S_p]` of one policy a player, leaves `[P, ...]`.
        training: from payoffs to the meta-strategy that best responses train against.
        evaluation: from payoffs to the one that is measured; `training` where that is the same.
        meta_game: an empty one of the game.
        capacity: the populations' first capacity.
        symmetric: all seats share one population and one strategy over it, and player 0 alone
            trains; `meta_game` is of a `games.symmetric_view`. Every seat's best response is the
            same there, so sitting at 0 is, in expectation, drawing a seat.
        last: the iteration to go on from.

    Raises:
        TrainingDiverged: a best response met a number that is not finite.
        MetaSolverError: the meta-solver cannot solve this meta-game.
    """
    tree, num_players = meta_game.tree, meta_game.tree.num_players
    learners = 1 if symmetric else num_players

    def learners_of(params: Params) -> Params:
        return jax.tree.map(lambda leaf: leaf[:1], params) if symmetric else params

    def for_all_seats(params: Params) -> Params:
        if not symmetric:
            return params
        return jax.tree.map(lambda leaf: jnp.repeat(leaf[:1], num_players, axis=0), params)

    for number in range(0 if last is None else last.record.iteration + 1, iterations + 1):
        timer = _Timer()
        policies = for_all_seats(fresh(jax.random.fold_in(jax.random.fold_in(key, number), 0)))
        results = achieved = improvement = gap = None
        if last is None:
            population = Population.empty(policies, capacity)
        else:
            population, meta_game = last.population, last.meta_game
            against = target(
                meta_game,
                last.meta_strategy,
                training.concept,
                population.capacity,
                last.correlated,
            )
            jobs = Jobs(
                player=np.arange(learners, dtype=np.int32),
                initial=learners_of(initial(policies, population, last.meta_strategy.marginals)),
                populations=population.params,
                opponents=against.opponents[:learners],
                gains=against.gains[:learners],
                reach=against.reach[:learners],
                mixture=against.mixture,
            )
            results = oracle(jax.random.fold_in(jax.random.fold_in(key, number), 1), jobs)
            policies = for_all_seats(jax.block_until_ready(results.params))
            if results.diverged.any():
                raise TrainingDiverged(
                    f"the best response of player {int(np.argmax(results.diverged))} diverged in "
                    f"iteration {number}: training met a number that is not finite"
                )
        timer.lap("oracle")
        behaviours = tabulate(policies)
        timer.lap("tabulate")
        if last is not None:
            achieved = np.array(
                [
                    gain @ exact.realization_plan(player, behaviour)
                    for gain, player, behaviour in zip(
                        against.gains, tree.players, behaviours, strict=True
                    )
                ]
            )
            improvement = achieved - against.value
            gap = against.best_response_value - achieved
        timer.lap("exact")
        population, meta_game = population.add(policies), meta_game.add(behaviours)
        if symmetric:
            meta_game = dataclasses.replace(meta_game, payoffs=over_seats(meta_game.payoffs))
        timer.lap("payoffs")

        def solved(by: Solve, payoffs: np.ndarray = meta_game.payoffs) -> MetaStrategy:
            strategy = MetaStrategy.of(by.solver(payoffs))
            return strategy.shared(payoffs) if symmetric else strategy

        meta_strategy = solved(training)
        measured = meta_strategy if evaluation == training else solved(evaluation)
        timer.lap("meta_solver")
        found = gaps(meta_game, measured, evaluation.concept)
        timer.lap("exact")
        last = Iteration(
            record=Record(
                iteration=number,
                exploitability=found.exploitability,
                nash_conv=found.nash_conv,
                cce_gap=found.cce_gap,
                ce_gap=found.ce_gap,
                concept=evaluation.concept,
                meaning=MEANINGS[evaluation.concept],
                value=tuple(found.value.tolist()),
                best_response_value=tuple(found.best_response_value.tolist()),
                achieved_value=None if achieved is None else tuple(achieved.tolist()),
                improvement=None if improvement is None else tuple(improvement.tolist()),
                gap=None if gap is None else tuple(gap.tolist()),
                meta_regret=meta_strategy.regret(meta_game.payoffs, training.concept),
                support_size=measured.support_size,
                decisions=_counts(results.decisions if results else [], num_players),
                episodes=_counts(results.episodes if results else [], num_players),
                seconds=timer.seconds,
            ),
            policies=policies,
            population=population,
            meta_game=meta_game,
            meta_strategy=meta_strategy,
            evaluation=measured,
            correlated=found.correlated if measured is meta_strategy else None,
        )
        yield last


def _counts(of_jobs: Sequence[int], num_players: int) -> tuple[int, ...]:
    """One number a player, 0 for those who did not train."""
    counts = np.zeros(num_players, int)
    counts[: len(of_jobs)] = of_jobs
    return tuple(counts.tolist())


class _Timer:
    """Wall seconds by part."""

    def __init__(self):
        self.seconds: dict[str, float] = {}
        self._since = time.perf_counter()

    def lap(self, part: str) -> None:
        now = time.perf_counter()
        self.seconds[part] = self.seconds.get(part, 0.0) + now - self._since
        self._since = now


def why_ended(
    records: Sequence[Record], *, iterations: int, tolerance: float, patience: int
) -> str | None:
    """`converged`, `no oracle improves`, `budget`, or None: not ended. From the records alone, so
    that a run that goes on from its folder ends where it would have ended.

    Args:
        records: of a run so far.
        iterations: its budget.
        tolerance: a `distance` that is converged, an improvement that is none; 0 for never.
        patience: iterations in a row without any improvement that end a run.
    """
    if not records:
        return None
    if records[-1].distance <= tolerance > 0:
        return "converged"
    latest = [record.improvement for record in records[1:]][-patience:]
    if len(latest) == patience and all(max(each) <= tolerance for each in latest) and tolerance:
        return "no oracle improves"
    return "budget" if records[-1].iteration >= iterations else None
