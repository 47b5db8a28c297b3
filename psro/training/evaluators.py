"""Evaluators: all that the loop asks about policies.

`ExactEvaluator` answers from an enumerated game, `psro.training.sampled.SampledEvaluator` from
episodes. The loop, its records and its expansions are the same for both.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Protocol

import jax
import numpy as np

from games.tree import GameTree
from games.units import without_rounding
from psro.metagame.exact_meta_game import ExactMetaGame
from psro.metagame.form_meta_game import FormMetaGame
from psro.metagame.gaps import Gaps, gaps_of
from psro.metagame.joint_gaps import CorrelatedGap
from psro.metagame.meta_game import MetaGame
from psro.metagame.strategy import MetaStrategy, over_seats
from psro.metagame.target import Target, target_of
from psro.policies.policy import Params
from psro.policies.population import Population
from psro.training.matches import Call

Solve = Callable[[Any], MetaStrategy]
KnownMetaGame = ExactMetaGame | FormMetaGame
"""A meta-game whose policies are known exactly."""
Lap = Callable[[str], None]
"""Notes that a part of an iteration has ended; see `Timer.lap`."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of training, `[P]` each; see `Record`. None stands for what is not known."""

    achieved_value: np.ndarray
    improvement: np.ndarray
    gap: np.ndarray | None = None
    improvement_error: np.ndarray | None = None
    nash_conv_bound: float | None = None
    nash_conv_bound_error: float | None = None


class Elsewhere(Protocol):
    """Does what evaluators ask of policies, in other processes. The results are the same."""

    def play(self, params: Params, calls: Sequence[Call]) -> Sequence[tuple[np.ndarray, ...]]:
        """`Matches.play`."""
        ...

    def on_form(self, step: str, calls: Sequence[Mapping[str, Any]]) -> Iterable[Any]:
        """The results of a method of `psro.training.on_form.FormSteps`, one of each call."""
        ...


class Evaluator(Protocol):
    """Measures policies, their meta-game and its meta-strategies.

    Attributes:
        kind: of its figures, `exact` or `sampled`.
        finishes_in: the part of an iteration's `seconds` to which `finished` belongs.
        measures_in: the part to which outcomes and gaps belong.
    """

    kind: ClassVar[str]
    finishes_in: ClassVar[str]
    measures_in: ClassVar[str]

    def elsewhere(self, workers: Elsewhere) -> Evaluator:
        """The same evaluator, most of whose work is done by others."""
        ...

    def empty(self) -> MetaGame:
        """The meta-game without policies."""
        ...

    def finished(
        self,
        population: Population,
        policies: dict[int, Params],
        targets: dict[int, Target],
        key: jax.Array,
    ) -> dict[int, Params]:
        """New policies by number, leaves `[P, ...]`, as they are to be kept.

        Args:
            population: the policies so far.
            policies: the new ones, as training returned them.
            targets: those that each was trained against.
            key: of the training.
        """
        ...

    def put(
        self,
        meta_game: MetaGame,
        population: Population,
        slots: Sequence[int],
        key: jax.Array,
        lap: Lap,
    ) -> MetaGame:
        """The meta-game with the population's policies at the numbers `slots`, which are new to it
        or have changed."""
        ...

    def refine(
        self,
        meta_game: MetaGame,
        population: Population,
        solve: Solve,
        key: jax.Array,
        lap: Lap,
    ) -> tuple[MetaGame, MetaStrategy]:
        """The same meta-game, known well enough for its meta-strategy, and that one."""
        ...

    def target(
        self, meta_game: MetaGame, strategy: MetaStrategy, concept: str, capacity: int,
        correlated: CorrelatedGap | None,
    ) -> Target:  # fmt: skip
        """The opponents of the next best responses; see `target_of`."""
        ...

    def outcome(
        self,
        meta_game: MetaGame,
        strategy: MetaStrategy,
        target: Target,
        slot: int,
        measured: MetaStrategy | None,
    ) -> Outcome:
        """What best responses achieved, which are policy number `slot` of the meta-game, against
        the target of a meta-strategy. `measured` is the meta-strategy that the last record
        measures; None if its policies have changed since."""
        ...

    def gaps(self, meta_game: MetaGame, strategy: MetaStrategy, concept: str) -> Gaps:
        """The distance of a meta-strategy from an equilibrium, as far as it is known."""
        ...


class FromExactPolicies:
    """What evaluators share whose meta-games know their policies exactly."""

    kind: ClassVar[str] = "exact"
    measures_in: ClassVar[str] = "exact"

    def refine(
        self,
        meta_game: KnownMetaGame,
        population: Population,
        solve: Solve,
        key: jax.Array,
        lap: Lap,
    ) -> tuple[KnownMetaGame, MetaStrategy]:
        strategy = solve(meta_game)
        lap("meta_solver")
        return meta_game, strategy

    def outcome(
        self,
        meta_game: KnownMetaGame,
        strategy: MetaStrategy,
        target: Target,
        slot: int,
        measured: MetaStrategy | None,
    ) -> Outcome:
        achieved = np.array(
            [meta_game.worth(p, gains, slot) for p, gains in enumerate(target.exact.gains)]
        )
        rounding, best = meta_game.rounding, target.exact.best_response_value
        return Outcome(
            achieved_value=achieved,
            improvement=without_rounding(achieved - target.value, rounding),
            gap=without_rounding(best - achieved, rounding),
        )

    def gaps(self, meta_game: KnownMetaGame, strategy: MetaStrategy, concept: str) -> Gaps:
        return gaps_of(meta_game, strategy, concept)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExactEvaluator(FromExactPolicies):
    """Answers exactly, from the plans of the policies in an enumerated game.

    Attributes:
        tree: the game.
        tabulate: returns behaviours `[S_p]` of one policy for each player, leaves `[P, ...]`.
        symmetric: payoffs are averaged over seatings.
    """

    finishes_in: ClassVar[str] = "oracle"
    tree: GameTree
    tabulate: Callable[[Params], Sequence[np.ndarray]]
    symmetric: bool = False

    def elsewhere(self, workers: Elsewhere) -> ExactEvaluator:
        return self  # it takes no time

    def empty(self) -> ExactMetaGame:
        return ExactMetaGame.empty(self.tree)

    def finished(
        self,
        population: Population,
        policies: dict[int, Params],
        targets: dict[int, Target],
        key: jax.Array,
    ) -> dict[int, Params]:
        return policies  # training has measured them exactly, as they are

    def put(
        self,
        meta_game: ExactMetaGame,
        population: Population,
        slots: Sequence[int],
        key: jax.Array,
        lap: Lap,
    ) -> ExactMetaGame:
        behaviours = [self.tabulate(population.policies(slot)) for slot in slots]
        lap("tabulate")
        meta_game = meta_game.put(slots, behaviours)
        if self.symmetric:
            meta_game = dataclasses.replace(meta_game, payoffs=over_seats(meta_game.payoffs))
        lap("payoffs")
        return meta_game

    def target(
        self,
        meta_game: ExactMetaGame,
        strategy: MetaStrategy,
        concept: str,
        capacity: int,
        correlated: CorrelatedGap | None,
    ) -> Target:
        return target_of(meta_game, strategy, concept, capacity, correlated)
