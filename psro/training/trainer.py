"""Carries out what an expansion asks for: initial parameters, the oracle, tabulating, payoffs."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from games.units import without_rounding
from psro import exact
from psro.errors import PsroError
from psro.metagame.joint_gaps import CorrelatedGap
from psro.metagame.meta_game import MetaGame
from psro.metagame.strategy import MetaStrategy, over_seats
from psro.metagame.target import Target, target_of
from psro.oracles import Jobs, Oracle, Results
from psro.policies.policy import Params
from psro.policies.population import Population
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
class Outcome:
    """What training came to, `[P]` each; see `loop.Record`."""

    achieved_value: np.ndarray
    improvement: np.ndarray
    gap: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True)
class State:
    """The populations, and what an iteration did to them.

    Attributes:
        population: every player's policies.
        meta_game: the same policies as plans, and their payoffs.
        policies: those that were added or trained further, leaves `[P, ...]`, by their number.
        end: how the expansion ended.
        outcome: of the first best response that was trained last; None where none was.
        decisions: the learners' own decisions, `[P]`.
        episodes: those that they finished, `[P]`.
    """

    population: Population
    meta_game: MetaGame
    policies: dict[int, Params]
    end: Expanded
    outcome: Outcome | None
    decisions: np.ndarray
    episodes: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trainer:
    """How a run makes policies.

    Attributes:
        fresh: untrained parameters for every player, leaves `[P, ...]`, from a key.
        initial: what new best responses start from: fresh parameters, the populations and the
            meta-strategies to parameters, leaves `[P, ...]`.
        further: from finished parameters to what they are trained further from.
        imitate: parameters of policies that follow given plans `[S_p]`, from fresh ones.
        oracle: trains all best responses at once.
        tabulate: behaviours `[S_p]` of one policy a player, leaves `[P, ...]`.
        concept: the equilibrium that meta-strategies stand for, one of `MEANINGS`.
        objective: what best responses maximise besides their returns; None for nothing.
        symmetric: all seats share one population, and player 0 alone trains; the meta-game is of a
            `games.symmetric_view`. Every seat's best response is the same there, so sitting at 0
            is, in expectation, drawing a seat.
    """

    fresh: Callable[[jax.Array], Params]
    initial: Callable[[Params, Population, Sequence[np.ndarray]], Params]
    further: Callable[[Params], Params]
    imitate: Callable[[Params, Sequence[np.ndarray]], Params]
    oracle: Oracle
    tabulate: Callable[[Params], Sequence[np.ndarray]]
    concept: str
    objective: Objective | None = None
    symmetric: bool = False

    def begin(self, key: jax.Array, meta_game: MetaGame, capacity: int, timer: Timer) -> State:
        """Untrained policies, in an empty meta-game and populations of a capacity."""
        policies = self._for_all_seats(self.fresh(key), meta_game.tree.num_players)
        timer.lap("oracle")
        behaviours = self.tabulate(policies)
        timer.lap("tabulate")
        meta_game = self._over_seats(meta_game.add(behaviours))
        timer.lap("payoffs")
        nothing = np.zeros(meta_game.tree.num_players, int)
        return State(
            population=Population.empty(policies, capacity).add(policies),
            meta_game=meta_game,
            policies={0: policies},
            end=Expanded(),
            outcome=None,
            decisions=nothing,
            episodes=nothing,
        )

    def expand(
        self,
        steps: Steps,
        population: Population,
        meta_game: MetaGame,
        meta_strategy: MetaStrategy,
        *,
        correlated: CorrelatedGap | None,
        number: int,
        keys: tuple[jax.Array, jax.Array],
        timer: Timer,
    ) -> State:
        """Does what an expansion's steps ask for, until they end.

        Args:
            steps: not yet begun.
            population: every player's policies before.
            meta_game: the same policies.
            meta_strategy: over them.
            correlated: the gains by its recommendations, where they are known.
            number: of the iteration, for messages.
            keys: of fresh parameters and of the oracle.
            timer: is told what took how long.

        Raises:
            TrainingDiverged: a best response met a number that is not finite.
        """
        old, size, seats = population, population.size, meta_game.tree.num_players
        policies: dict[int, Params] = {}
        outcome = None
        decisions, episodes = np.zeros((2, seats), int)
        part, request = 0, next(steps)

        def start(slot: int) -> Params:
            if slot in policies:
                return self.further(policies[slot])
            if slot < size:
                return self.further(old.policies(slot))
            return self.initial(self._fresh(keys[0], slot - size), old, meta_strategy.marginals)

        while True:
            levels = [each for each in request if isinstance(each, Train)]
            new = {
                each.slot: self.imitate(self._fresh(keys[0], max(each.slot - size, 0)), each.plans)
                for each in request
                if isinstance(each, Place)
            }
            if levels:
                against = [each.against.padded(meta_game.size) for each in levels]
                targets = [
                    target_of(
                        meta_game,
                        a,
                        self.concept,
                        population.capacity,
                        correlated if each.against is meta_strategy else None,
                    )
                    for a, each in zip(against, levels, strict=True)
                ]
                results = self._train(
                    jax.random.fold_in(keys[1], part) if part else keys[1],
                    [start(each.slot) for each in levels],
                    population,
                    targets,
                    [self._bonus(meta_game, *each) for each in zip(against, targets, strict=True)],
                )
                if results.diverged.any():
                    player = int(np.argmax(results.diverged.any(axis=0)))
                    raise TrainingDiverged(
                        f"the best response of player {player} diverged in iteration {number}: "
                        "training met a number that is not finite"
                    )
                for level, each in enumerate(levels):
                    new[each.slot] = self._for_all_seats(
                        jax.tree.map(lambda leaf, level=level: leaf[level], results.params), seats
                    )
                decisions[: results.decisions.shape[1]] += results.decisions.sum(axis=0)
                episodes[: results.episodes.shape[1]] += results.episodes.sum(axis=0)
                part += 1
            timer.lap("oracle")
            behaviours = {slot: self.tabulate(each) for slot, each in sorted(new.items())}
            timer.lap("tabulate")
            if levels:
                outcome = _outcome(meta_game, targets[0], behaviours[levels[0].slot])
                timer.lap("exact")
            meta_game = self._over_seats(meta_game.put(list(behaviours), list(behaviours.values())))
            for slot in behaviours:
                population = population.put(slot, new[slot])
            policies |= new
            timer.lap("payoffs")
            try:
                request = steps.send(meta_game)
            except StopIteration as stop:
                end = stop.value
                break
        if end.keep is not None:
            policies = {size + n: policies[slot] for n, slot in enumerate(end.keep)}
            meta_game, population = meta_game.take([*range(size), *end.keep]), old
            for slot, each in policies.items():
                population = population.put(slot, each)
        return State(
            population=population,
            meta_game=meta_game,
            policies=dict(sorted(policies.items())),
            end=end,
            outcome=outcome,
            decisions=decisions,
            episodes=episodes,
        )

    def _train(
        self,
        key: jax.Array,
        starts: Sequence[Params],
        population: Population,
        targets: Sequence[Target],
        bonuses: Sequence[Sequence[np.ndarray] | None],
    ) -> Results:
        """All levels in one call; what results has `[levels, learners, ...]`."""
        learners = 1 if self.symmetric else len(targets[0].value)
        jobs = Jobs(
            player=np.tile(np.arange(learners, dtype=np.int32), len(targets)),
            initial=jax.tree.map(
                lambda *leaves: jnp.concatenate([leaf[:learners] for leaf in leaves]), *starts
            ),
            populations=population.params,
            opponents=np.concatenate([each.opponents[:learners] for each in targets]),
            gains=[
                gain if bonus is None else gain + bonus[p]
                for each, bonus in zip(targets, bonuses, strict=True)
                for p, gain in enumerate(each.gains[:learners])
            ],
            reach=[reach for each in targets for reach in each.reach[:learners]],
            mixture=None
            if targets[0].mixture is None
            else [each.mixture for each in targets for _ in range(learners)],
            bonus=None
            if bonuses[0] is None
            else [each for bonus in bonuses for each in bonus[:learners]],
        )
        results = self.oracle(key, jobs)

        def by_level(leaf):
            return leaf.reshape(len(targets), learners, *leaf.shape[1:])

        return Results(
            params=jax.tree.map(by_level, jax.block_until_ready(results.params)),
            **{
                field.name: by_level(np.asarray(getattr(results, field.name)))
                for field in dataclasses.fields(Results)
                if field.name != "params"
            },
        )

    def _bonus(
        self, meta_game: MetaGame, against: MetaStrategy, target: Target
    ) -> Sequence[np.ndarray] | None:
        return None if self.objective is None else self.objective(meta_game, against, target)

    def _fresh(self, key: jax.Array, level: int) -> Params:
        return self.fresh(jax.random.fold_in(key, level) if level else key)

    def _for_all_seats(self, params: Params, seats: int) -> Params:
        if not self.symmetric:
            return params
        return jax.tree.map(lambda leaf: jnp.repeat(leaf[:1], seats, axis=0), params)

    def _over_seats(self, meta_game: MetaGame) -> MetaGame:
        if not self.symmetric:
            return meta_game
        return dataclasses.replace(meta_game, payoffs=over_seats(meta_game.payoffs))


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
