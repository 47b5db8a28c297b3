"""Policy-Space Response Oracles (Lanctot et al. 2017, arXiv:1711.00832, algorithm 1)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import jax
import numpy as np

from psro.metagame.gaps import MEANINGS, gaps_of
from psro.metagame.joint_gaps import CorrelatedGap
from psro.metagame.meta_game import MetaGame
from psro.metagame.solving import MetaGameSolver
from psro.metagame.strategy import MetaStrategy
from psro.policies.policy import Params
from psro.policies.population import Population
from psro.training.trainer import Timer, Trainer
from psro.variants.expansions import Expansion, Situation


@dataclasses.dataclass(frozen=True, kw_only=True)
class Record:
    """One iteration in numbers: payoffs in units of the game, tuples one entry a player.

    What is measured is this iteration's meta-strategy, the evaluation solver's where there is one,
    all exactly: `value`, `best_response_value`, `nash_conv` and `exploitability` (both of players
    who draw independently from its marginals), and where it is correlated `cce_gap` and, for the
    concept `ce`, `ce_gap`. `concept` is the equilibrium that it is measured as (nash, cce or ce),
    `distance` the gap of that concept, exploitability for nash, and `meaning` says what zero means.

    `achieved_value` is what the best response trained in this iteration (the first, where there are
    several, as it was trained last) gets against what it was trained against, for a plain expansion
    the *previous* meta-strategy; `improvement` how much more that is than what the player's own
    part of that gets there (not above zero: it is no better response), and `gap` what the exact
    best response gets more; all are None in iteration 0, which trains nothing. `meta_regret` is the
    most that a player could gain by switching to another policy of its population: the training
    solver's certificate. `size` is how many policies a player has. `support_size` counts weights
    above 1e-6, `decisions` and `episodes` are this iteration's (where seats share a population
    player 0's, who alone trains), and `seconds` is wall time by part.
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
    size: int
    support_size: tuple[int, ...]
    decisions: tuple[int, ...]
    episodes: tuple[int, ...]
    seconds: dict[str, float]

    @property
    def distance(self) -> float:
        return {"nash": self.exploitability, "cce": self.cce_gap, "ce": self.ce_gap}[self.concept]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Iteration:
    """What the caller saves to go on from here; `policies` are this iteration's, leaves `[P, ...]`
    by their number in the populations. Best responses train against `meta_strategy`; `evaluation`
    is what the record measures, and `correlated` the gains by its recommendations, where the two
    are one; else they are computed when they are needed."""

    record: Record
    policies: dict[int, Params]
    population: Population
    meta_game: MetaGame
    meta_strategy: MetaStrategy
    evaluation: MetaStrategy
    correlated: CorrelatedGap | None = None


def psro(
    *,
    key: jax.Array,
    iterations: int,
    trainer: Trainer,
    training: MetaGameSolver,
    evaluation: MetaGameSolver | None,
    expansion: Expansion,
    levels: int,
    rounds: int,
    minimise: Callable,
    restricted_solver: str,
    meta_game: MetaGame,
    capacity: int,
    last: Iteration | None = None,
) -> Iterator[Iteration]:
    """Yields iteration 0 (untrained policies) to `iterations`, or those after `last`.

    Every random number is keyed by its iteration, so going on from `last` gives what going on
    without a stop would have given, bit for bit.

    Args:
        key: the run's key.
        iterations: number of the last iteration.
        trainer: makes policies.
        training: finds the meta-strategy that best responses train against.
        evaluation: finds the one that is measured; None for the same.
        expansion: what an iteration adds to the populations.
        levels: `Situation.levels` for it.
        rounds: `Situation.rounds` for it.
        minimise: `Situation.minimise` for it.
        restricted_solver: `Situation.restricted_solver` for it.
        meta_game: an empty one of the game.
        capacity: the populations' first capacity.
        last: the iteration to go on from.

    Raises:
        TrainingDiverged: a best response met a number that is not finite.
        MetaSolverError: the meta-solver cannot solve this meta-game.
    """

    def solved(by: MetaGameSolver, meta_game: MetaGame) -> MetaStrategy:
        strategy = by(meta_game)
        return strategy.shared(meta_game.payoffs) if trainer.symmetric else strategy

    for number in range(0 if last is None else last.record.iteration + 1, iterations + 1):
        timer = Timer()
        fresh, oracle = (jax.random.fold_in(jax.random.fold_in(key, number), n) for n in (0, 1))
        if last is None:
            state = trainer.begin(fresh, meta_game, capacity, timer)
        else:
            situation = Situation(
                number=number,
                meta_game=last.meta_game,
                meta_strategy=last.meta_strategy,
                solve=lambda meta_game: solved(training, meta_game),
                levels=levels,
                rounds=rounds,
                minimise=minimise,
                restricted_solver=restricted_solver,
                rng=np.random.default_rng(np.asarray(jax.random.key_data(oracle))),
            )
            state = trainer.expand(
                expansion.function(situation),
                last.population,
                last.meta_game,
                last.meta_strategy,
                correlated=last.correlated,
                number=number,
                keys=(fresh, oracle),
                timer=timer,
            )
        meta_strategy = state.end.meta_strategy or solved(training, state.meta_game)
        measured = solved(evaluation, state.meta_game) if evaluation else meta_strategy
        timer.lap("meta_solver")
        concept = (evaluation or training).concept
        gaps = gaps_of(state.meta_game, measured, concept)
        timer.lap("exact")
        outcome = vars(state.outcome) if state.outcome else {}
        last = Iteration(
            record=Record(
                iteration=number,
                exploitability=gaps.exploitability,
                nash_conv=gaps.nash_conv,
                cce_gap=gaps.cce_gap,
                ce_gap=gaps.ce_gap,
                concept=concept,
                meaning=MEANINGS[concept],
                value=tuple(gaps.value.tolist()),
                best_response_value=tuple(gaps.best_response_value.tolist()),
                **{
                    name: tuple(outcome[name].tolist()) if outcome else None
                    for name in ("achieved_value", "improvement", "gap")
                },
                meta_regret=meta_strategy.regret(state.meta_game.payoffs, training.concept),
                size=state.meta_game.size,
                support_size=measured.support_size,
                decisions=tuple(state.decisions.tolist()),
                episodes=tuple(state.episodes.tolist()),
                seconds=timer.seconds,
            ),
            policies=state.policies,
            population=state.population,
            meta_game=state.meta_game,
            meta_strategy=meta_strategy,
            evaluation=measured,
            correlated=gaps.correlated if measured is meta_strategy else None,
        )
        yield last


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
