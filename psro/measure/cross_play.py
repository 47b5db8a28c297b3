"""Mixtures against each other by episodes, where no tree gives their exact returns. Its exact
sibling is `psro.measure.comparison`."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Mapping, Sequence

import jax
import numpy as np

from games.game import Game
from games.readers.openspiel import canonical
from psro.errors import SettingsError
from psro.measure.comparison import distinct_names
from psro.measure.mixtures import Estimate, Mixture, expected_returns, mixture_of, uniform_play
from psro.metagame.solving import solver_of
from psro.policies.jax_settings import own_settings
from psro.policies.policy import Params
from psro.runs.experiment import Experiment
from psro.runs.storage import ExperimentError
from psro.training.matches import Matches

EPISODES = 8_192
"""Episodes of each seating of two contenders."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CrossPlay:
    """N contenders in a game of P players, in units of its payoff.

    Attributes:
        names: the contenders' names.
        returns: mean return of contender i in seat p if contender j has all other seats, float64
            `[P, N, N]`, entry `[p, i, j]`.
        standard_error: of `returns`.
        average: `returns`, averaged over the seats of contender i, `[N, N]`.
        average_error: standard error of `average`.
        episodes: episodes behind each entry of `returns`.
        omitted: one sentence for each contender that is missing, or is only in part as trained.
    """

    names: tuple[str, ...]
    returns: np.ndarray
    standard_error: np.ndarray
    average: np.ndarray
    average_error: np.ndarray
    episodes: int
    omitted: tuple[str, ...] = ()


@own_settings()
def cross_play(
    game: Game,
    contenders: Mapping[str, Mixture],
    omitted: Sequence[str] = (),
    *,
    episodes: int = EPISODES,
    seed: int = 0,
) -> CrossPlay:
    """Each contender against each, in every seat. Contenders may have different networks.

    Args:
        game: the game.
        contenders: by their names.
        omitted: as in `CrossPlay`.
        episodes: of each seating.
        seed: of every random number.
    """
    table = _Table(game, list(contenders.values()), episodes, jax.random.key(seed))
    players, count = game.num_players, len(contenders)
    returns, error = np.empty((2, players, count, count))
    average, average_error = np.empty((2, count, count))
    played = 0
    for i, j in itertools.product(range(count), repeat=2):
        for p in range(players):
            estimate = table.play(tuple(i if q == p else j for q in range(players)))
            returns[p, i, j], error[p, i, j] = estimate.mean[p], estimate.standard_error[p]
            played = estimate.episodes
        average[i, j] = returns[:, i, j].mean()
        if i != j:  # episodes of their own for each seat
            average_error[i, j] = np.sqrt(np.square(error[:, i, j]).sum()) / players
        elif game.utility_sum is not None:
            average[i, i], average_error[i, i] = game.utility_sum / players, 0.0
        else:  # the same episodes for all seats, whose returns may depend on each other in any way
            average_error[i, i] = error[:, i, i].sum() / players
    return CrossPlay(
        names=tuple(contenders),
        returns=returns,
        standard_error=error,
        average=average,
        average_error=average_error,
        episodes=played,
        omitted=tuple(omitted),
    )


def mixtures(
    opened: Sequence[tuple[str | os.PathLike, Experiment]],
) -> tuple[dict[str, Mixture], list[str]]:
    """The runs' meta-strategies and uniform random play by name, for `cross_play` in the first
    run's game; and sentences for what is not as trained.

    Raises:
        ExperimentError: the runs are not of the same game, or see it in another way.
        SettingsError: a run's policies are tables.
    """
    (first, reference), *_ = opened
    contenders, omitted = {}, []
    for name, (path, run) in zip(distinct_names([path for path, _ in opened]), opened, strict=True):
        if canonical(run.config.game) != canonical(reference.config.game):
            raise ExperimentError(
                f"{path} is a run of {run.config.game} and {first} of {reference.config.game}: "
                "only runs of one game can play each other"
            )
        ways = [
            (one.config.observation, one.config.symmetric, one.setup.game.observation_size)
            for one in (run, reference)
        ]
        if ways[0] != ways[1]:
            raise ExperimentError(
                f"{path} and {first} see {run.config.game} in different ways (--observation or "
                "--symmetric), and by episodes only runs that see the same can play each other"
            )
        contenders[name] = mixture_of(run)
        if run.joint is not None:
            omitted.append(
                f"in {path}, players draw their policies together; here each player draws "
                "independently"
            )
    uniform = uniform_play(reference.setup.game, next(iter(contenders.values())).policy)
    omitted.append("no CFR+ and no equilibrium: these need a game that is enumerated")
    return contenders | {"uniform": uniform}, omitted


def between_members(
    run: Experiment,
    earlier: Sequence[int],
    later: Sequence[int],
    *,
    episodes: int = EPISODES,
    seed: int = 0,
) -> CrossPlay:
    """Two parts of a run's populations against each other, each with the meta-strategy of its own
    meta-game, in every seat.

    Args:
        run: the run.
        earlier: numbers of policies, of every player.
        later: numbers of other policies, or partly the same.
        episodes: as in `cross_play`.
        seed: as in `cross_play`.
    """
    solve = solver_of(run.config.measuring_solver or run.config.meta_solver)
    contenders = {}
    for name, members in (("earlier", earlier), ("later", later)):
        if not len(members):
            raise SettingsError(f"the {name} policies are none")
        strategy = solve(run.meta_game.take(members))
        weights = [np.zeros(run.meta_game.size) for _ in strategy.marginals]
        for own, given in zip(weights, strategy.marginals, strict=True):
            own[list(members)] = given
        whole = dataclasses.replace(strategy, marginals=tuple(weights), joint=None)
        contenders[name] = mixture_of(run, whole)
    return cross_play(run.setup.game, contenders, episodes=episodes, seed=seed)


class _Table:
    """Plays contenders in seats, each seating once. Those of one network share a stack of policies,
    so that a seating of networks is compiled once."""

    def __init__(self, game: Game, contenders: Sequence[Mixture], episodes: int, key: jax.Array):
        self._game, self._contenders, self._episodes, self._key = game, contenders, episodes, key
        self._stacks: dict[tuple, list[Mixture]] = {}
        self._place: list[tuple[tuple, int]] = []  # of each contender: its stack, its first policy
        for mixture in contenders:
            stack = self._stacks.setdefault(mixture.policy.architecture, [])
            self._place.append((mixture.policy.architecture, sum(len(m.weights[0]) for m in stack)))
            stack.append(mixture)
        self._seats: dict[tuple, Params] = {}
        self._matches: dict[tuple, Matches] = {}
        self._played: dict[tuple, Estimate] = {}

    def play(self, seating: tuple[int, ...]) -> Estimate:
        """What the contenders of these numbers earn, one for each seat."""
        if seating not in self._played:
            self._played[seating] = self._play(seating)
        return self._played[seating]

    def _play(self, seating: tuple[int, ...]) -> Estimate:
        networks = tuple(self._place[number][0] for number in seating)
        if networks not in self._matches:
            policies = [self._contenders[number].policy for number in seating]
            self._matches[networks] = Matches(self._game, policies)
        key = self._key
        for number in seating:
            key = jax.random.fold_in(key, number)
        return expected_returns(
            self._matches[networks],
            [self._seat(network, p) for p, network in enumerate(networks)],
            [self._weights(number, p) for p, number in enumerate(seating)],
            episodes=self._episodes,
            key=key,
        )

    def _seat(self, network: tuple, player: int) -> Params:
        """A player's policies of all contenders of a network, leaves `[K, ...]`."""
        if (network, player) not in self._seats:
            own = [mixture.seat(player) for mixture in self._stacks[network]]
            self._seats[network, player] = jax.tree.map(
                lambda *leaves: np.concatenate(leaves), *own
            )
        return self._seats[network, player]

    def _weights(self, number: int, player: int) -> np.ndarray:
        """A contender's probabilities of these policies, `[K]`."""
        network, first = self._place[number]
        weights = np.zeros(sum(len(mixture.weights[0]) for mixture in self._stacks[network]))
        own = self._contenders[number].weights[player]
        weights[first : first + len(own)] = own
        return weights
