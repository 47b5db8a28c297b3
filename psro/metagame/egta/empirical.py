"""Empirical games: what is known of a game's payoffs by its matches.

Both kinds have *cells*: what can be played, with the matches of it. In a game with roles a cell is
a profile. In a symmetric game it is how many seats play each strategy, and a match tells about
every strategy in it.

A *population* is what has a mixed strategy: each player, or all seats of a symmetric game together.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import scipy.stats

from psro.metagame.egta.log import EgtaError, MatchLog

MAX_CELLS = 200_000
"""Most cells of a game. All of them have to be played for its equilibria."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cells:
    """C cells, N payoffs in each: of every player, or of every strategy in a symmetric game.

    Attributes:
        key: the strategies of the players, or how many seats play each strategy, int `[C, N]`.
        count: matches, int `[C]`.
        mean: mean payoffs, float64 `[C, N]`; NaN where there are none.
        variance: of one match's payoff, `[C, N]`; NaN where there are fewer than two.
        matches: of each cell the payoffs `[n, N]`.
    """

    key: np.ndarray
    count: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    matches: list[np.ndarray]

    @property
    def error(self) -> np.ndarray:
        """Standard errors of the means, `[C, N]`."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.sqrt(self.variance / self.count[:, None])

    def half_interval(self) -> np.ndarray:
        """Half of the means' 95 % intervals, by Student's t, `[C, N]`; NaN where a cell has fewer
        than two matches."""
        quantile = scipy.stats.t.ppf(0.975, np.maximum(self.count - 1, 1))
        return self.error * quantile[:, None]


def cells_of(log: MatchLog) -> Cells:
    """The cells of a log. All possible ones are there, in order, those without matches too."""
    keys = _keys(log)
    place = {tuple(key): number for number, key in enumerate(keys.tolist())}
    values, own = _observed(log)
    at = np.array([place[tuple(key)] for key in own.tolist()])
    order = np.argsort(at, kind="stable")
    ends = np.searchsorted(at[order], np.arange(len(keys) + 1))
    matches = [values[order[a:b]] for a, b in itertools.pairwise(ends)]
    shape = (len(keys), values.shape[1])
    mean, variance = np.full(shape, np.nan), np.full(shape, np.nan)
    for number, payoffs in enumerate(matches):
        if len(payoffs):
            mean[number] = payoffs.mean(axis=0)
        if len(payoffs) > 1:
            variance[number] = payoffs.var(axis=0, ddof=1)
    return Cells(
        key=keys, count=np.diff(ends), mean=mean, variance=variance, matches=matches
    )  # fmt: skip


def _keys(log: MatchLog) -> np.ndarray:
    players, sizes = log.num_players, [len(own) for own in log.strategies]
    count = math.comb(players + sizes[0] - 1, players) if log.symmetric else math.prod(sizes)
    if count > MAX_CELLS:
        what = "mixtures of seats" if log.symmetric else "profiles"
        raise EgtaError(
            f"{log.source} has {count:,} {what} of strategies, more than {MAX_CELLS:,}; keep fewer "
            "strategies"
        )
    if not log.symmetric:
        return np.array(list(np.ndindex(*sizes))).reshape(count, players)
    keys = np.zeros((count, sizes[0]), int)
    for key, chosen in zip(
        keys, itertools.combinations_with_replacement(range(sizes[0]), players), strict=True
    ):
        np.add.at(key, list(chosen), 1)
    return keys


def _observed(log: MatchLog) -> tuple[np.ndarray, np.ndarray]:
    """The payoffs of each match, `[M, N]`, and its key, `[M, N]`. In a symmetric game a strategy's
    payoff is the mean of the seats that play it; it is NaN where none does."""
    if not log.symmetric:
        return log.payoffs, log.played
    size = len(log.strategies[0])
    sums, keys = np.zeros((2, len(log.played), size))
    rows = np.arange(len(log.played))
    for p in range(log.num_players):
        np.add.at(sums, (rows, log.played[:, p]), log.payoffs[:, p])
        np.add.at(keys, (rows, log.played[:, p]), 1)
    with np.errstate(invalid="ignore"):
        return sums / keys, keys.astype(int)


class Empirical(Protocol):
    """A game with known payoffs, in which populations mix.

    Attributes:
        sizes: the number of strategies of each population.
    """

    sizes: tuple[int, ...]

    def values(self, mixed: Sequence[np.ndarray]) -> list[np.ndarray]:
        """What each strategy of each population earns, `[K]` each, if all others mix."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class RoleGame:
    """Payoffs `[P, K_0, ..., K_{P-1}]` of players with roles."""

    payoffs: np.ndarray

    @property
    def sizes(self) -> tuple[int, ...]:
        return self.payoffs.shape[1:]

    def values(self, mixed: Sequence[np.ndarray]) -> list[np.ndarray]:
        result = []
        for p in range(len(self.payoffs)):
            table = self.payoffs[p]
            for q in reversed(range(len(mixed))):
                if q != p:
                    table = np.tensordot(table, mixed[q], axes=(q, 0))
            result.append(table)
        return result

    def payoffs_of(self, mixed: Sequence[np.ndarray]) -> np.ndarray:
        """Each player's expected payoff."""
        values = self.values(mixed)
        return np.array([own @ value for own, value in zip(mixed, values, strict=True)])


@dataclasses.dataclass(frozen=True, kw_only=True)
class SymmetricGame:
    """Payoffs `[C, K]` of each of K strategies where the seats of `keys [C, K]` play.

    Attributes:
        keys: how many seats play each strategy.
        table: payoffs; those of strategies that no seat plays are not used.
        num_players: seats.
    """

    keys: np.ndarray
    table: np.ndarray
    num_players: int

    @property
    def sizes(self) -> tuple[int, ...]:
        return (self.keys.shape[1],)

    @functools.cached_property
    def _others(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """For each cell and strategy in it: how many others play what, `[X, K]`; the logarithm of
        how many orders they have, `[X]`; and the place in the table, `[2, X]`."""
        cell, own = np.nonzero(self.keys)
        others = self.keys[cell].copy()
        others[np.arange(len(cell)), own] -= 1
        orders = scipy.special.gammaln(self.num_players) - scipy.special.gammaln(others + 1).sum(
            axis=1
        )
        return others, orders, np.stack([cell, own])

    def weights(self, mixed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The probability of the others of each cell and strategy in it, `[X]`, and the place of
        both in the table, `[2, X]`."""
        others, orders, at = self._others
        with np.errstate(divide="ignore"):
            logs = np.log(np.maximum(mixed, 0.0))
        terms = np.where(others > 0, others * np.where(others > 0, logs, 0.0), 0.0)
        return np.exp(orders + terms.sum(axis=1)), at

    def values(self, mixed: Sequence[np.ndarray]) -> list[np.ndarray]:
        chances, at = self.weights(mixed[0])
        return [np.bincount(at[1], chances * self.table[tuple(at)], self.keys.shape[1])]

    def payoffs_of(self, mixed: Sequence[np.ndarray]) -> np.ndarray:
        """Every seat's expected payoff, which is the same."""
        return np.full(self.num_players, mixed[0] @ self.values(mixed)[0])


def regret(game: Empirical, mixed: Sequence[np.ndarray]) -> float:
    """The most that one player can gain by another strategy."""
    values = game.values(mixed)
    return max(
        float(value.max() - own @ value) for own, value in zip(mixed, values, strict=True)
    )  # fmt: skip
