"""What every expansion is given, asks for and gives back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Sequence

import numpy as np

from psro.metagame.meta_game import MetaGame
from psro.metagame.solvers.regret_minimisers import Update
from psro.metagame.strategy import MetaStrategy


@dataclasses.dataclass(frozen=True, kw_only=True)
class Situation:
    """Where a run stands when an iteration begins.

    Attributes:
        number: of the iteration, from 1.
        meta_game: of the policies so far, K a player.
        meta_strategy: what they are drawn from.
        solve: the training meta-solver.
        levels: how many best responses a player are trained side by side.
        rounds: into how many parts training is cut, between which opponents may move.
        minimise: how opponents move between rounds, one of `REGRET_MINIMISERS`.
        restricted_solver: how a restricted game is solved, one of `restricted_game.METHODS`.
        rng: this iteration's own random numbers.
    """

    number: int
    meta_game: MetaGame
    meta_strategy: MetaStrategy
    solve: Callable[[MetaGame], MetaStrategy]
    levels: int
    rounds: int
    minimise: Update
    rng: np.random.Generator
    restricted_solver: str = "auto"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Train:
    """Train best responses to `against`, one a player, as policy number `slot` of each: the next
    one, or one that is there already and is then trained further."""

    slot: int
    against: MetaStrategy


@dataclasses.dataclass(frozen=True, kw_only=True)
class Place:
    """Make the policies that follow `plans`, a realization plan `[S_p]` of each player, policy
    number `slot`, without training against anybody."""

    slot: int
    plans: Sequence[np.ndarray]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Expanded:
    """How an iteration ends.

    Attributes:
        keep: which of the policies that are new are kept, in this order, as the next ones; None for
            all, where they are.
        meta_strategy: what the expansion itself found, over the policies that there are then; None
            leaves it to the meta-solver.
    """

    keep: Sequence[int] | None = None
    meta_strategy: MetaStrategy | None = None


Steps = Generator[Sequence[Train | Place], MetaGame, Expanded]
"""An expansion at work: asks for policies, is sent the meta-game with them in it, asks again."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Expansion:
    """A way to expand populations.

    Attributes:
        function: from a situation to its steps. All steps that train ask for equally many levels in
            every iteration, so that they are compiled once.
        capacity: the most policies that a player has at once, from iterations and levels.
        uses: which of the settings `levels` and `rounds` it reads.
        num_players: how many players a game must have; None for any.
        zero_sum: for games whose returns add up to a constant only.
        symmetric: works where seats share one population.
        meta_strategy: finds the meta-strategy itself, which need be no equilibrium of the
            meta-game: the training solver is not asked.
    """

    function: Callable[[Situation], Steps]
    capacity: Callable[[int, int], int]
    uses: frozenset[str] = frozenset()
    num_players: int | None = None
    zero_sum: bool = False
    symmetric: bool = True
    meta_strategy: bool = False
