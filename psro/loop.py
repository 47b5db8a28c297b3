"""Policy-Space Response Oracles (Lanctot et al. 2017, arXiv:1711.00832, algorithm 1)."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence

import jax
import numpy as np

from psro import exact
from psro.meta_game import MetaGame
from psro.meta_solvers.regret import regrets
from psro.oracles import Jobs, Oracle
from psro.policy import Params
from psro.population import Population


class TrainingDiverged(ValueError):
    """A best response met a number that is not finite."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Record:
    """One iteration in numbers: payoffs in units of the game, tuples one entry a player.

    `value`, `best_response_value`, `nash_conv` and `exploitability` are of this iteration's
    meta-strategy, all exact. `achieved_value` is what the best response trained in this iteration
    gets against the *previous* meta-strategy, exactly, `improvement` how much more that is than
    what the meta-strategy itself got (not above zero: it is no better response), and `gap` what the
    exact best response gets more; all are None in iteration 0, which trains nothing. `meta_regret`
    is the most that a player could gain by switching to another policy of its population: the
    solver's certificate.
    `support_size` counts weights above 1e-6, `decisions` and `episodes` are this iteration's, and
    `seconds` is wall time by part.
    """

    iteration: int
    exploitability: float
    nash_conv: float
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Iteration:
    """What the caller saves to go on from here; `policies` are this iteration's, `[P, ...]`."""

    record: Record
    policies: Params
    population: Population
    meta_game: MetaGame
    meta_strategy: list[np.ndarray]


def psro(
    *,
    key: jax.Array,
    iterations: int,
    fresh: Callable[[jax.Array], Params],
    initial: Callable[[Params, Population, Sequence[np.ndarray]], Params],
    oracle: Oracle,
    tabulate: Callable[[Params], Sequence[np.ndarray]],
    meta_solver: Callable[[np.ndarray], list[np.ndarray]],
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
        fresh: untrained parameters for every player, leaves `[P, ...]`, from a key.
        initial: what best responses start from: fresh parameters, the populations and the
            meta-strategies to parameters, leaves `[P, ...]`.
        oracle: trains every player's best response at once.
        tabulate: behaviours `[S_p]` of one policy a player, leaves `[P, ...]`.
        meta_solver: payoffs to meta-strategies.
        meta_game: an empty one of the game.
        capacity: the populations' first capacity.
        last: the iteration to go on from.

    Raises:
        TrainingDiverged: a best response met a number that is not finite.
        MetaSolverError: the meta-solver cannot solve this meta-game.
    """
    tree, num_players = meta_game.tree, meta_game.tree.num_players
    for number in range(0 if last is None else last.record.iteration + 1, iterations + 1):
        timer = _Timer()
        policies = fresh(jax.random.fold_in(jax.random.fold_in(key, number), 0))
        results = achieved = improvement = gap = None
        if last is None:
            population = Population.empty(policies, capacity)
        else:
            population, meta_game = last.population, last.meta_game
            mixture = meta_game.mixture(last.meta_strategy)
            gains, reach = zip(
                *(exact.gains_and_reach(tree, p, mixture) for p in range(num_players)), strict=True
            )
            jobs = Jobs(
                player=np.arange(num_players, dtype=np.int32),
                initial=initial(policies, population, last.meta_strategy),
                populations=population.params,
                opponents=_opponents(last.meta_strategy, population.capacity),
                gains=gains,
                reach=reach,
                mixture=mixture,
            )
            results = oracle(jax.random.fold_in(jax.random.fold_in(key, number), 1), jobs)
            policies = jax.block_until_ready(results.params)
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
                    for gain, player, behaviour in zip(gains, tree.players, behaviours, strict=True)
                ]
            )
            improvement = achieved - np.asarray(last.record.value)
            gap = np.asarray(last.record.best_response_value) - achieved
        timer.lap("exact")
        population, meta_game = population.add(policies), meta_game.add(behaviours)
        timer.lap("payoffs")
        meta_strategy = meta_solver(meta_game.payoffs)
        timer.lap("meta_solver")
        measured = exact.exploitability(tree, meta_game.mixture(meta_strategy))
        timer.lap("exact")
        nothing = np.zeros(num_players, int)
        last = Iteration(
            record=Record(
                iteration=number,
                exploitability=measured.exploitability,
                nash_conv=measured.nash_conv,
                value=tuple(measured.value.tolist()),
                best_response_value=tuple(measured.best_response_value.tolist()),
                achieved_value=None if achieved is None else tuple(achieved.tolist()),
                improvement=None if improvement is None else tuple(improvement.tolist()),
                gap=None if gap is None else tuple(gap.tolist()),
                meta_regret=float(regrets(meta_game.payoffs, meta_strategy).max()),
                support_size=tuple(int((each > 1e-6).sum()) for each in meta_strategy),
                decisions=tuple((results.decisions if results else nothing).tolist()),
                episodes=tuple((results.episodes if results else nothing).tolist()),
                seconds=timer.seconds,
            ),
            policies=policies,
            population=population,
            meta_game=meta_game,
            meta_strategy=meta_strategy,
        )
        yield last


def _opponents(meta_strategy: Sequence[np.ndarray], capacity: int) -> np.ndarray:
    """Probabilities of every player's opponent profiles, float64 `[P, K, ..., K]`: the product of
    the others' strategies, in the order in which they sit after the player."""
    num_players = len(meta_strategy)
    padded = [np.pad(each, (0, capacity - len(each))) for each in meta_strategy]
    joint = []
    for p in range(num_players):
        product = np.ones(())
        for q in range(1, num_players):
            product = np.multiply.outer(product, padded[(p + q) % num_players])
        joint.append(product)
    return np.stack(joint)


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
        tolerance: an exploitability that is converged, an improvement that is none; 0 for never.
        patience: iterations in a row without any improvement that end a run.
    """
    if not records:
        return None
    if records[-1].exploitability <= tolerance > 0:
        return "converged"
    latest = [record.improvement for record in records[1:]][-patience:]
    if len(latest) == patience and all(max(each) <= tolerance for each in latest) and tolerance:
        return "no oracle improves"
    return "budget" if records[-1].iteration >= iterations else None
