"""The inputs, requests and results of expansions."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Sequence

import numpy as np

from psro.metagame.meta_game import MetaGame
from psro.metagame.solvers.regret_minimisers import Update
from psro.metagame.strategy import MetaStrategy


@dataclasses.dataclass(frozen=True, kw_only=True)
class Situation:
    """The state of a run at the start of an iteration.

    Attributes:
        number: the iteration's number, from 1.
        meta_game: the meta-game of all policies, K for each player.
        meta_strategy: the meta-strategy over these policies.
        solve: the training meta-solver.
        levels: the number of best responses that each player trains at once.
        rounds: the number of parts of training; opponents may move between them.
        minimise: the rule by which opponents move between rounds, one of `REGRET_MINIMISERS`.
        restricted_solver: the solver of restricted games, one of `restricted_game.METHODS`.
        rng: this iteration's own random numbers.
        networks: the number of policies that one `SelfPlay` makes for each player.
        horizon: the number of iterations over which the schedules of self-play run.
        span: the difference between the game's largest and least return, or 1 if there is none.
        begun: the number of each player's policies before the first iteration.
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
    networks: int = 1
    horizon: int = 1
    span: float = 1.0
    begun: int = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Train:
    """Train one best response to `against` for each player, as its policy number `slot`. This is
    the next number, or an existing policy, which is then trained further."""

    slot: int
    against: MetaStrategy


@dataclasses.dataclass(frozen=True, kw_only=True)
class Place:
    """Set policy number `slot` of each player to follow `plans`, one realization plan `[S_p]` for
    each player, without training by an oracle."""

    slot: int
    plans: Sequence[np.ndarray]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SelfPlay:
    """Train one policy of each player, all together, each against the others' current policies.

    Attributes:
        slot: the number of the policy to play. If the learner keeps more networks than this one
            (`Situation.networks`), they become the policies after it.
        start: the numbers of the policies whose parameters they start from, one for each network;
            the last one stands for those that are missing. Empty for untrained parameters.
        begin, end: the share of the schedules before and after this training, from 0 to 1.
    """

    slot: int
    start: Sequence[int]
    begin: float
    end: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Expanded:
    """The result of an iteration.

    Attributes:
        keep: the new policies to keep, in this order, as the next ones; None keeps all of them at
            their numbers.
        meta_strategy: the expansion's own meta-strategy over the kept policies; None to use the
            meta-solver.
    """

    keep: Sequence[int] | None = None
    meta_strategy: MetaStrategy | None = None


Request = Train | Place | SelfPlay
Steps = Generator[Sequence[Request], MetaGame, Expanded]
"""A running expansion: it yields requests for policies, and gets the meta-game with them."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Expansion:
    """A way to expand populations.

    Attributes:
        function: from a situation to its steps. All steps that train must train the same number of
            policies in every iteration, so that they are compiled once.
        capacity: the largest number of policies of a player, from iterations and levels.
        uses: which of the settings `levels`, `rounds` and `self_play` it reads.
        self_play_share: the part of the iterations that self-play takes by default, if it is used.
        best_responses: whether it trains best responses, by the oracle.
        num_players: the number of players that it needs; None for any number.
        zero_sum: whether it needs returns that add up to a constant.
        exact: whether it needs the policies' plans in an enumerated game.
        on_form: whether it also works where only the players' own info states are known, if it is
            `exact` and policies are tables.
        symmetric: whether it works if seats share one population.
        meta_strategy: whether it finds the meta-strategy itself, instead of the training solver.
            The result may not be an equilibrium of the meta-game.
    """

    function: Callable[[Situation], Steps]
    capacity: Callable[[int, int], int]
    uses: frozenset[str] = frozenset()
    self_play_share: float = 1.0
    best_responses: bool = True
    num_players: int | None = None
    zero_sum: bool = False
    exact: bool = False
    on_form: bool = False
    symmetric: bool = True
    meta_strategy: bool = False
