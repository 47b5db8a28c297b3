"""Carries out what an expansion asks for: initial parameters, requests for best responses,
tabulating, payoffs."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Generator, Sequence

import jax
import numpy as np

from games.units import without_rounding
from psro import exact
from psro.errors import PsroError
from psro.metagame.meta_game import MetaGame
from psro.metagame.strategy import MetaStrategy, over_seats
from psro.metagame.target import Target, target_of
from psro.oracles import ExactView, Jobs, Results
from psro.policies.policy import Params
from psro.policies.population import Population
from psro.training.executors import Ask
from psro.training.record import Iteration
from psro.variants.expansions import Expanded, Place, Steps, Train


class TrainingDiverged(PsroError):
    """A best response met a number that is not finite."""


Objective = Callable[[MetaGame, MetaStrategy, Target], Sequence[np.ndarray]]
"""What best responses maximise besides their returns, as if sequences earned it: `[S_p]` of every
player, from the meta-game, the meta-strategy that they train against, and its target."""


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
    """The random keys of an iteration, `[]` each: of fresh parameters and of best responses."""

    fresh: jax.Array
    oracle: jax.Array

    @classmethod
    def of(cls, key: jax.Array) -> Keys:
        return cls(fresh=jax.random.fold_in(key, 0), oracle=jax.random.fold_in(key, 1))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """What training came to, `[P]` each; see `Record`."""

    achieved_value: np.ndarray
    improvement: np.ndarray
    gap: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True)
class Growth:
    """The populations, and what an iteration has done to them so far.

    Attributes:
        population: every player's policies.
        meta_game: the same policies as plans, and their payoffs.
        policies: those that were added or trained further, leaves `[P, ...]`, by their number.
        decisions: the learners' own decisions, `[P]`.
        episodes: those that they finished, `[P]`.
        outcome: of the first best response that was trained last; None where none was.
        end: how the expansion ended.
    """

    population: Population
    meta_game: MetaGame
    policies: dict[int, Params]
    decisions: np.ndarray
    episodes: np.ndarray
    outcome: Outcome | None = None
    end: Expanded = Expanded()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trainer:
    """How a run makes policies.

    Attributes:
        fresh: untrained parameters for every player, leaves `[P, ...]`, from a key.
        initial: what new best responses start from: fresh parameters, the populations and the
            meta-strategies to parameters, leaves `[P, ...]`.
        imitate: parameters of policies that follow given plans `[S_p]`, from fresh ones.
        tabulate: behaviours `[S_p]` of one policy a player, leaves `[P, ...]`.
        concept: the equilibrium that meta-strategies stand for, one of `MEANINGS`.
        objective: what best responses maximise besides their returns; None for nothing.
        symmetric: all seats share one population, and player 0 alone trains; the meta-game is of a
            `games.symmetric_view`. Every seat's best response is the same there, so sitting at 0
            is, in expectation, drawing a seat.
    """

    fresh: Callable[[jax.Array], Params]
    initial: Callable[[Params, Population, Sequence[np.ndarray]], Params]
    imitate: Callable[[Params, Sequence[np.ndarray]], Params]
    tabulate: Callable[[Params], Sequence[np.ndarray]]
    concept: str
    objective: Objective | None = None
    symmetric: bool = False

    def begin(self, key: jax.Array, meta_game: MetaGame, capacity: int, timer: Timer) -> Growth:
        """Untrained policies, in an empty meta-game and populations of a capacity."""
        policies = self._for_all_seats(self._fresh(key, 0), meta_game.tree.num_players)
        timer.lap("oracle")
        behaviours = self.tabulate(policies)
        timer.lap("tabulate")
        meta_game = self._over_seats(meta_game.add(behaviours))
        timer.lap("payoffs")
        nothing = np.zeros(meta_game.tree.num_players, int)
        return Growth(
            population=Population.empty(capacity).add(policies),
            meta_game=meta_game,
            policies={0: policies},
            decisions=nothing,
            episodes=nothing,
        )

    def expand(
        self, steps: Steps, last: Iteration, *, number: int, keys: Keys, timer: Timer
    ) -> Generator[Ask, Results, Growth]:
        """Does what an expansion's steps ask for, until they end.

        Args:
            steps: not yet begun.
            last: the iteration before.
            number: of this iteration, for messages.
            keys: its random keys.
            timer: is told what took how long.

        Raises:
            TrainingDiverged: a best response met a number that is not finite.
        """
        nothing = np.zeros(last.meta_game.tree.num_players, int)
        growth = Growth(
            population=last.population,
            meta_game=last.meta_game,
            policies={},
            decisions=nothing,
            episodes=nothing,
        )
        part, request = 0, next(steps)
        while True:
            trains = [step for step in request if isinstance(step, Train)]
            new = self._placed(request, last, keys)
            targets = [self._target(last, growth, train) for train in trains]
            if trains:
                key = jax.random.fold_in(keys.oracle, part) if part else keys.oracle
                results = yield self._ask(key, trains, targets, last, growth, keys)
                _check_finite(results, number, len(trains))
                growth, trained = self._trained(growth, trains, results)
                new, part = new | trained, part + 1
            timer.lap("oracle")
            growth = self._added(growth, new, trains, targets, timer)
            try:
                request = steps.send(growth.meta_game)
            except StopIteration as stop:
                return _kept(last, growth, stop.value)

    def _placed(
        self, request: Sequence[Train | Place], last: Iteration, keys: Keys
    ) -> dict[int, Params]:
        """Policies that follow plans, by number."""
        return {
            step.slot: jax.device_get(
                self.imitate(self._new(keys, step.slot, last.population.size), step.plans)
            )
            for step in request
            if isinstance(step, Place)
        }

    def _target(self, last: Iteration, growth: Growth, train: Train) -> Target:
        return target_of(
            growth.meta_game,
            train.against.padded(growth.meta_game.size),
            self.concept,
            growth.population.capacity,
            last.correlated if train.against is last.meta_strategy else None,
        )

    def _ask(
        self,
        key: jax.Array,
        trains: Sequence[Train],
        targets: Sequence[Target],
        last: Iteration,
        growth: Growth,
        keys: Keys,
    ) -> Ask:
        """One job for each learner of each of `trains`, in this order."""
        learners = 1 if self.symmetric else len(targets[0].value)
        starts = [self._start(train.slot, last, growth, keys) for train in trains]
        jobs = Jobs.of_one_run(
            key,
            player=np.tile(np.arange(learners), len(trains)),
            initial=jax.tree.map(
                lambda *leaves: np.concatenate([leaf[:learners] for leaf in leaves]), *starts
            ),
            populations=growth.population.params,
            opponents=np.concatenate([goal.opponents[:learners] for goal in targets]),
            exact=self._view(growth.meta_game, trains, targets, learners),
        )
        return Ask(key=key, jobs=jobs)

    def _view(
        self,
        meta_game: MetaGame,
        trains: Sequence[Train],
        targets: Sequence[Target],
        learners: int,
    ) -> ExactView:
        bonuses = None
        if self.objective is not None:
            bonuses = [
                bonus
                for train, goal in zip(trains, targets, strict=True)
                for bonus in self.objective(meta_game, train.against.padded(meta_game.size), goal)[
                    :learners
                ]
            ]
        gains = [gain for goal in targets for gain in goal.gains[:learners]]
        if bonuses is not None:
            gains = [gain + bonus for gain, bonus in zip(gains, bonuses, strict=True)]
        independent = targets[0].mixture is not None
        return ExactView(
            gains=gains,
            reach=[reach for goal in targets for reach in goal.reach[:learners]],
            mixture=[goal.mixture for goal in targets for _ in range(learners)]
            if independent
            else None,
            bonus=bonuses,
        )

    def _start(self, slot: int, last: Iteration, growth: Growth, keys: Keys) -> Params:
        """What policies of a number are trained from, leaves `[P, ...]`: themselves, where they are
        there already."""
        if slot in growth.policies:
            return growth.policies[slot]
        if slot < last.population.size:
            return last.population.policies(slot)
        fresh = self._new(keys, slot, last.population.size)
        return jax.device_get(self.initial(fresh, last.population, last.meta_strategy.marginals))

    def _trained(
        self, growth: Growth, trains: Sequence[Train], results: Results
    ) -> tuple[Growth, dict[int, Params]]:
        """What was trained, by number, and its decisions and episodes counted."""
        seats, learners = len(growth.decisions), len(results.decisions) // len(trains)

        def counted(before: np.ndarray, now: np.ndarray) -> np.ndarray:
            total = np.asarray(now).reshape(len(trains), learners).sum(axis=0)
            return before + np.pad(total, (0, seats - learners))

        policies = {
            train.slot: self._for_all_seats(
                jax.tree.map(
                    lambda leaf, first=first: np.asarray(leaf)[first : first + learners],
                    results.params,
                ),
                seats,
            )
            for train, first in zip(trains, range(0, len(results.decisions), learners), strict=True)
        }
        growth = dataclasses.replace(
            growth,
            decisions=counted(growth.decisions, results.decisions),
            episodes=counted(growth.episodes, results.episodes),
        )
        return growth, policies

    def _added(
        self,
        growth: Growth,
        new: dict[int, Params],
        trains: Sequence[Train],
        targets: Sequence[Target],
        timer: Timer,
    ) -> Growth:
        """With these policies, by number; `targets` are what `trains` were trained against."""
        behaviours = {slot: self.tabulate(policies) for slot, policies in sorted(new.items())}
        timer.lap("tabulate")
        outcome, population = growth.outcome, growth.population
        if trains:
            outcome = _outcome(growth.meta_game, targets[0], behaviours[trains[0].slot])
            timer.lap("exact")
        meta_game = growth.meta_game.put(list(behaviours), list(behaviours.values()))
        for slot in behaviours:
            population = population.put(slot, new[slot])
        growth = dataclasses.replace(
            growth,
            population=population,
            meta_game=self._over_seats(meta_game),
            policies=growth.policies | new,
            outcome=outcome,
        )
        timer.lap("payoffs")
        return growth

    def _new(self, keys: Keys, slot: int, size: int) -> Params:
        """Untrained parameters for a policy that joins populations of a size."""
        return self._fresh(keys.fresh, max(slot - size, 0))

    def _fresh(self, key: jax.Array, number: int) -> Params:
        return jax.device_get(self.fresh(jax.random.fold_in(key, number) if number else key))

    def _for_all_seats(self, params: Params, seats: int) -> Params:
        if not self.symmetric:
            return params
        return jax.tree.map(lambda leaf: np.broadcast_to(leaf[0], (seats, *leaf.shape[1:])), params)

    def _over_seats(self, meta_game: MetaGame) -> MetaGame:
        if not self.symmetric:
            return meta_game
        return dataclasses.replace(meta_game, payoffs=over_seats(meta_game.payoffs))


def _check_finite(results: Results, number: int, trains: int) -> None:
    diverged = np.asarray(results.diverged).reshape(trains, -1).any(axis=0)
    if diverged.any():
        raise TrainingDiverged(
            f"the best response of player {int(np.argmax(diverged))} diverged in iteration "
            f"{number}: training met a number that is not finite"
        )


def _kept(last: Iteration, growth: Growth, end: Expanded) -> Growth:
    """At an expansion's end: the new policies that it keeps, numbered anew."""
    population, meta_game, policies = growth.population, growth.meta_game, growth.policies
    if end.keep is not None:
        size = last.population.size
        policies = {size + n: policies[slot] for n, slot in enumerate(end.keep)}
        meta_game, population = meta_game.take([*range(size), *end.keep]), last.population
        for slot, kept in policies.items():
            population = population.put(slot, kept)
    return dataclasses.replace(
        growth,
        population=population,
        meta_game=meta_game,
        policies=dict(sorted(policies.items())),
        end=end,
    )


def _outcome(meta_game: MetaGame, against: Target, behaviours: Sequence[np.ndarray]) -> Outcome:
    achieved = np.array(
        [
            gain @ exact.realization_plan(player, behaviour)
            for gain, player, behaviour in zip(
                against.gains, meta_game.tree.players, behaviours, strict=True
            )
        ]
    )
    rounding = meta_game.tree.rounding
    return Outcome(
        achieved_value=achieved,
        improvement=without_rounding(achieved - against.value, rounding),
        gap=without_rounding(against.best_response_value - achieved, rounding),
    )
