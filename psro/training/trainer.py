"""Carries out the steps of an expansion: initial parameters, requests for best responses, and
their measurement by an evaluator."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Iterable, Sequence

import jax
import numpy as np

from psro.metagame.meta_game import MetaGame
from psro.metagame.strategy import MetaStrategy
from psro.metagame.target import Target
from psro.oracles import ExactView, Jobs, Results
from psro.policies.guests import is_guest
from psro.policies.policy import Params
from psro.policies.population import Population
from psro.training.evaluators import Evaluator, Solve
from psro.training.executors import Ask
from psro.training.growth import Growth, Keys, Timer, TrainingDiverged
from psro.training.record import Iteration
from psro.variants.expansions import Expanded, Place, Request, SelfPlay, Steps, Train

Objective = Callable[[MetaGame, MetaStrategy, Target], Sequence[np.ndarray]]
"""Returns what best responses maximise in addition to their returns: a reward for each sequence,
`[S_p]` of every player. It takes the meta-game, the meta-strategy that they train against, and the
target."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trainer:
    """How a run makes policies.

    Attributes:
        fresh: untrained parameters for every player, leaves `[P, ...]`, from a key.
        initial: returns the first parameters of new best responses, leaves `[P, ...]`. It takes
            fresh parameters, the populations and the meta-strategies.
        imitate: returns parameters of policies that follow given plans `[S_p]`, from fresh ones;
            None where games are sampled.
        evaluator: measures policies.
        concept: the equilibrium that meta-strategies approximate, one of `MEANINGS`.
        objective: what best responses maximise in addition to their returns; None for nothing.
        symmetric: all seats share one population, and player 0 alone trains. The meta-game is that
            of a `games.symmetric_view`. There every seat has the same best response. So training
            at seat 0 equals, in expectation, training at a random seat.
        networks: the number of policies that one `SelfPlay` makes for each player.
    """

    fresh: Callable[[jax.Array], Params]
    initial: Callable[[Params, Population, Sequence[np.ndarray]], Params]
    imitate: Callable[[Params, Sequence[np.ndarray]], Params] | None
    evaluator: Evaluator
    concept: str
    objective: Objective | None = None
    symmetric: bool = False
    networks: int = 1

    def begin(
        self, keys: Keys, capacity: int, timer: Timer, start: Sequence[Params] | None = None
    ) -> Growth:
        """Begins populations with the policies `start`, leaves `[P, ...]`; by default with an
        untrained one."""
        empty = self.evaluator.empty()
        if start is None:
            start = [self._for_all_seats(self._fresh(keys.fresh, 0), empty.num_players)]
        population = Population.empty(capacity)
        for policies in start:
            population = population.add(policies)
        timer.lap("oracle")
        nothing = np.zeros(empty.num_players, int)
        return Growth(
            population=population,
            meta_game=self.evaluator.put(
                empty, population, range(len(start)), keys.measure, timer.lap
            ),
            policies=dict(enumerate(start)),
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
            TrainingDiverged: training met a number that is not finite.
        """
        nothing = np.zeros(last.meta_game.num_players, int)
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
                timer.lap("oracle")
                trained = self.evaluator.finished(
                    growth.population,
                    trained,
                    {train.slot: goal for train, goal in zip(trains, targets, strict=True)},
                    key,
                )
                timer.lap(self.evaluator.finishes_in)
                new, part = new | trained, part + 1
            for play in (step for step in request if isinstance(step, SelfPlay)):
                key = jax.random.fold_in(keys.oracle, part) if part else keys.oracle
                results = yield self._ask_all(key, play, last, growth, keys)
                _check_finite(results, number, 1, what="self-play")
                growth, new = growth.counted(results), new | self._played(play, results, growth)
                part += 1
            timer.lap("oracle")
            growth = self._added(growth, new, trains, targets, keys, timer, last)
            try:
                request = steps.send(growth.meta_game)
            except StopIteration as stop:
                return _kept(last, growth, stop.value)

    def _placed(self, request: Sequence[Request], last: Iteration, keys: Keys) -> dict[int, Params]:
        """Policies that follow plans, by number."""
        return {
            step.slot: jax.device_get(
                self.imitate(self._new(keys, step.slot, last.population.size), step.plans)
            )
            for step in request
            if isinstance(step, Place)
        }

    def _target(self, last: Iteration, growth: Growth, train: Train) -> Target:
        return self.evaluator.target(
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
    ) -> ExactView | None:
        exact = [goal.exact for goal in targets if goal.exact is not None]
        if not exact:
            return None
        bonuses = None
        if self.objective is not None:
            bonuses = [
                bonus
                for train, goal in zip(trains, targets, strict=True)
                for bonus in self.objective(meta_game, train.against.padded(meta_game.size), goal)[
                    :learners
                ]
            ]
        gains = [gain for goal in exact for gain in goal.gains[:learners]]
        if bonuses is not None:
            gains = [gain + bonus for gain, bonus in zip(gains, bonuses, strict=True)]
        independent = exact[0].mixture is not None
        return ExactView(
            gains=gains,
            reach=None
            if exact[0].reach is None
            else [reach for goal in exact for reach in goal.reach[:learners]],
            mixture=[goal.mixture for goal in exact for _ in range(learners)]
            if independent
            else None,
            bonus=bonuses,
        )

    def _start(self, slot: int, last: Iteration, growth: Growth, keys: Keys) -> Params:
        """The parameters from which policy number `slot` is trained, leaves `[P, ...]`. If the
        policy exists already, they are its own."""
        existing = self._existing(slot, last, growth)
        if existing is not None:
            return existing
        fresh = self._new(keys, slot, last.population.size)
        return jax.device_get(self.initial(fresh, last.population, last.meta_strategy.marginals))

    def _existing(self, slot: int, last: Iteration, growth: Growth) -> Params | None:
        """The parameters of policy number `slot`, leaves `[P, ...]`; None if there is none yet, or
        it is a guest, whose network is not trained."""
        if slot in growth.policies:
            return growth.policies[slot]
        if slot >= last.population.size or is_guest(last.population.policies(slot)):
            return None
        return last.population.policies(slot)

    def _trained(
        self, growth: Growth, trains: Sequence[Train], results: Results
    ) -> tuple[Growth, dict[int, Params]]:
        """`growth` with decisions and episodes counted, and the trained policies by number."""
        seats, learners = len(growth.decisions), len(results.decisions) // len(trains)
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
        return growth.counted(results, len(trains)), policies

    def _ask_all(
        self, key: jax.Array, play: SelfPlay, last: Iteration, growth: Growth, keys: Keys
    ) -> Ask:
        """A request with one job for each player, who learn together."""
        players = len(growth.decisions)
        learners = 1 if self.symmetric else players
        if play.start:
            chosen = [play.start[min(n, len(play.start) - 1)] for n in range(self.networks)]
            starts = [self._existing(slot, last, growth) for slot in chosen]
            fresh = self._new(keys, play.slot, last.population.size)
            starts = [fresh if start is None else start for start in starts]
        else:
            starts = [self._new(keys, play.slot, last.population.size)] * self.networks
        initial = jax.tree.map(
            lambda *leaves: np.stack([leaf[:learners] for leaf in leaves], axis=1), *starts
        )
        jobs = Jobs.of_self_play(key, initial, players=players, begin=play.begin, end=play.end)
        return Ask(key=key, jobs=jobs)

    def _played(self, play: SelfPlay, results: Results, growth: Growth) -> dict[int, Params]:
        """The policies of self-play by number."""
        return {
            play.slot + n: self._for_all_seats(
                jax.tree.map(lambda leaf, n=n: np.asarray(leaf)[:, n], results.params),
                len(growth.decisions),
            )
            for n in range(self.networks)
        }

    def _added(
        self,
        growth: Growth,
        new: dict[int, Params],
        trains: Sequence[Train],
        targets: Sequence[Target],
        keys: Keys,
        timer: Timer,
        last: Iteration,
    ) -> Growth:
        """Adds these policies by number. `targets` are the targets that `trains` trained
        against."""
        outcome, population, slots = growth.outcome, growth.population, sorted(new)
        for slot in slots:
            population = population.put(slot, new[slot])
        meta_game = self.evaluator.put(growth.meta_game, population, slots, keys.measure, timer.lap)
        if trains:
            against = trains[0].against.padded(growth.meta_game.size)
            outcome = self.evaluator.outcome(
                meta_game,
                against,
                targets[0],
                trains[0].slot,
                _unchanged(last.evaluation, growth.policies | new),
            )
            timer.lap(self.evaluator.measures_in)
        return dataclasses.replace(
            growth,
            population=population,
            meta_game=meta_game,
            policies=growth.policies | new,
            outcome=outcome,
        )

    def solved(
        self, growth: Growth, solve: Solve, keys: Keys, timer: Timer
    ) -> tuple[Growth, MetaStrategy]:
        """The meta-strategy, and the meta-game known well enough for it."""
        meta_game, strategy = self.evaluator.refine(
            growth.meta_game, growth.population, solve, keys.measure, timer.lap
        )
        return dataclasses.replace(growth, meta_game=meta_game), strategy

    def _new(self, keys: Keys, slot: int, size: int) -> Params:
        """Untrained parameters for a new policy of populations of this size."""
        return self._fresh(keys.fresh, max(slot - size, 0))

    def _fresh(self, key: jax.Array, number: int) -> Params:
        return jax.device_get(self.fresh(jax.random.fold_in(key, number) if number else key))

    def _for_all_seats(self, params: Params, seats: int) -> Params:
        if not self.symmetric:
            return params
        return jax.tree.map(lambda leaf: np.broadcast_to(leaf[0], (seats, *leaf.shape[1:])), params)


def _unchanged(strategy: MetaStrategy, policies: Iterable[int]) -> MetaStrategy | None:
    """A meta-strategy; None if it plays one of these policies, which have changed since."""
    changed = [slot for slot in policies if slot < len(strategy.marginals[0])]
    return None if any(weights[changed].any() for weights in strategy.marginals) else strategy


def _check_finite(
    results: Results, number: int, trains: int, what: str = "the best response"
) -> None:
    diverged = np.asarray(results.diverged).reshape(trains, -1).any(axis=0)
    if diverged.any():
        raise TrainingDiverged(
            f"{what} of player {int(np.argmax(diverged))} diverged in iteration "
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
