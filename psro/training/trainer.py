"""Carries out the steps of an expansion: initial parameters, requests for best responses,
tabulation, payoffs."""

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
"""Returns what best responses maximise in addition to their returns: a reward for each sequence,
`[S_p]` of every player. It takes the meta-game, the meta-strategy that they train against, and the
target."""


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
    """The random keys of an iteration, `[]` each: for fresh parameters and for best responses."""

    fresh: jax.Array
    oracle: jax.Array

    @classmethod
    def of(cls, key: jax.Array) -> Keys:
        return cls(fresh=jax.random.fold_in(key, 0), oracle=jax.random.fold_in(key, 1))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of training, `[P]` each; see `Record`."""

    achieved_value: np.ndarray
    improvement: np.ndarray
    gap: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True)
class Growth:
    """The populations, and what an iteration has done to them so far.

    Attributes:
        population: every player's policies.
        meta_game: the same policies as plans, and their payoffs.
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trainer:
    """How a run makes policies.

    Attributes:
        fresh: untrained parameters for every player, leaves `[P, ...]`, from a key.
        initial: returns the first parameters of new best responses, leaves `[P, ...]`. It takes
            fresh parameters, the populations and the meta-strategies.
        imitate: returns parameters of policies that follow given plans `[S_p]`, from fresh ones.
        tabulate: returns behaviours `[S_p]` of one policy per player, leaves `[P, ...]`.
        concept: the equilibrium that meta-strategies approximate, one of `MEANINGS`.
        objective: what best responses maximise in addition to their returns; None for nothing.
        symmetric: all seats share one population, and player 0 alone trains. The meta-game is that
            of a `games.symmetric_view`. There every seat has the same best response. So training
            at seat 0 equals, in expectation, training at a random seat.
    """

    fresh: Callable[[jax.Array], Params]
    initial: Callable[[Params, Population, Sequence[np.ndarray]], Params]
    imitate: Callable[[Params, Sequence[np.ndarray]], Params]
    tabulate: Callable[[Params], Sequence[np.ndarray]]
    concept: str
    objective: Objective | None = None
    symmetric: bool = False

    def begin(self, key: jax.Array, meta_game: MetaGame, capacity: int, timer: Timer) -> Growth:
        """Adds untrained policies to an empty meta-game and to empty populations."""
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
        """Carries out an expansion's steps until they end.

        Args:
            steps: the steps, not yet begun.
            last: the previous iteration.
            number: number of this iteration, for messages.
            keys: random keys of this iteration.
            timer: collects the wall time of each part.

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
        """A request with one job for each learner of each of `trains`, in this order."""
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
        """The parameters from which policy number `slot` is trained, leaves `[P, ...]`. If the
        policy exists already, they are its own."""
        if slot in growth.policies:
            return growth.policies[slot]
        if slot < last.population.size:
            return last.population.policies(slot)
        fresh = self._new(keys, slot, last.population.size)
        return jax.device_get(self.initial(fresh, last.population, last.meta_strategy.marginals))

    def _trained(
        self, growth: Growth, trains: Sequence[Train], results: Results
    ) -> tuple[Growth, dict[int, Params]]:
        """`growth` with decisions and episodes counted, and the trained policies by number."""
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
        """Adds these policies by number. `targets` are the targets that `trains` trained
        against."""
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
        """Untrained parameters for a new policy of populations of this size."""
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
    """Keeps the new policies that the expansion chose at its end, and numbers them again."""
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
