"""Each entrant against each: exactly where both are tables, by episodes elsewhere.

Episode d of every pairing has the same luck: the k-th draw of chance is made with the same number
from 0 to 1. Each pair meets in all seats with it, as in duplicate bridge, so that the mean over
seats has much less variance than its parts. Pairs that share nobody play side by side.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
from collections.abc import Callable, Generator, Iterator, Sequence

import numpy as np

from games.units import without_rounding
from psro import exact
from psro.measure import comparison
from psro.measure.arena.entrants import Entrant
from psro.measure.arena.forfeits import Forfeit, returns_of_forfeit
from psro.measure.arena.positions import ArenaGame, drawn
from psro.measure.arena.process import Guest
from psro.measure.arena.seats import GuestSeat, Start
from psro.measure.arena.together import Task, play_together, waves

Progress = Callable[[int, int], None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Returns:
    """What N entrants earn in a game of P players, in units of its payoff.

    Attributes:
        mean: of entrant i in seat p if entrant j has all other seats, float64 `[P, N, N]`, entry
            `[p, i, j]`.
        error: its standard error; 0 where it is exact.
        average: `mean`, averaged over the seats of entrant i, `[N, N]`.
        average_error: its standard error.
        exact: whether the entries of a pair are exact, bool `[N, N]`.
        measured: NashConv and its parts of each entrant in all seats; None for one without a table.
        forfeits: of each entrant, how often by kind.
        words: of each entrant, its first forfeit of each kind, in words.
        episodes: of each seating that is not exact.
        played: all episodes.
    """

    mean: np.ndarray
    error: np.ndarray
    average: np.ndarray
    average_error: np.ndarray
    exact: np.ndarray
    measured: tuple[exact.Exploitability | None, ...]
    forfeits: tuple[collections.Counter[str], ...]
    words: tuple[dict[str, str], ...]
    episodes: int
    played: int


class _Moments:
    """Means and variances of arrays that come one by one (Welford 1962)."""

    def __init__(self, shape: tuple[int, ...]):
        self.count, self.mean, self._squares = 0, np.zeros(shape), np.zeros(shape)

    def add(self, values: np.ndarray) -> None:
        self.count += 1
        away = values - self.mean
        self.mean += away / self.count
        self._squares += away * (values - self.mean)

    @property
    def error(self) -> np.ndarray:
        """The standard error of the mean."""
        return np.sqrt(self._squares / max(self.count - 1, 1) / max(self.count, 1))


class RoundRobin:
    """Plays the pairings of an arena.

    Args:
        game: the game.
        entrants: who plays, at least one.
        seed: of every random number.
    """

    def __init__(self, game: ArenaGame, entrants: Sequence[Entrant], seed: int):
        self._game, self._entrants, self._seed = game, entrants, seed
        self._episode = 0
        self.forfeits = tuple(collections.Counter() for _ in entrants)
        self.words: tuple[dict[str, str], ...] = tuple({} for _ in entrants)
        tables = np.array([entrant.plans is not None for entrant in entrants])
        self.exact = tables[:, None] & tables[None]

    def play(self, episodes: int, progress: Progress | None = None) -> Returns:
        """All pairings; `episodes` of each seating that is not exact."""
        players, count = self._game.num_players, len(self._entrants)
        mean, error = np.zeros((2, players, count, count))
        average, average_error = np.zeros((2, count, count))
        measured = self._measure(mean, average)
        if not self.exact.all():
            by_seat, over_seats = _Moments(mean.shape), _Moments(average.shape)
            for deal in range(episodes):
                earned = self._round(deal)
                by_seat.add(earned)
                over_seats.add(earned.mean(axis=0))
                if progress is not None:
                    progress(deal + 1, episodes)
            for whole, sampled in (
                (mean, by_seat.mean), (error, by_seat.error),
                (average, over_seats.mean), (average_error, over_seats.error),
            ):  # fmt: skip
                whole[..., ~self.exact] = sampled[..., ~self.exact]
        return Returns(
            mean=mean,
            error=error,
            average=average,
            average_error=average_error,
            exact=self.exact,
            measured=measured,
            forfeits=self.forfeits,
            words=self.words,
            episodes=0 if self.exact.all() else episodes,
            played=self._episode,
        )

    def _measure(
        self, mean: np.ndarray, average: np.ndarray
    ) -> tuple[exact.Exploitability | None, ...]:
        """Writes what tables earn against each other, and returns how exploitable they are."""
        measured: list[exact.Exploitability | None] = [None] * len(self._entrants)
        tables = [i for i, entrant in enumerate(self._entrants) if entrant.plans is not None]
        if tables:
            compared = comparison.compare(
                self._game.form, {str(i): self._entrants[i].plans for i in tables}
            )
            mean[:, *np.ix_(tables, tables)] = compared.returns
            average[np.ix_(tables, tables)] = without_rounding(
                compared.average, self._game.form.rounding
            )
            for i, one in zip(tables, compared.measured, strict=True):
                measured[i] = one
        return tuple(measured)

    def _round(self, deal: int) -> np.ndarray:
        """The returns `[P, N, N]` of one episode of each seating that is not exact."""
        players, count = self._game.num_players, len(self._entrants)
        earned, luck = np.zeros((players, count, count)), _Luck(self._seed, deal)
        for wave in waves(count):
            play_together(
                self._meet(i, j, deal, luck, earned) for i, j in wave if not self.exact[i, j]
            )
        return earned

    def _meet(self, i: int, j: int, deal: int, luck: _Luck, earned: np.ndarray) -> Task:
        """Plays all seatings of two entrants, and writes what they earn."""
        players = self._game.num_players
        if i == j:
            earned[:, i, i] = yield from self._play([i] * players, deal, luck)
            return
        for own, other in ((i, j), (j, i)):
            if players == 2:
                both = yield from self._play([own, other], deal, luck)
                earned[0, own, other], earned[1, other, own] = both
                continue
            for p in range(players):
                seating = [own if q == p else other for q in range(players)]
                all_returns = yield from self._play(seating, deal, luck)
                earned[p, own, other] = all_returns[p]

    def _play(
        self, seating: Sequence[int], deal: int, luck: _Luck
    ) -> Generator[Guest, None, np.ndarray]:
        """Every player's return, `[P]`, of one episode; yields agents that it waits for."""
        game, self._episode = self._game, self._episode + 1
        seats = [self._entrants[number].seats[p] for p, number in enumerate(seating)]
        position, draws, player = game.begin(luck.seed), luck.draws(), 0
        try:
            for player, seat in enumerate(seats):
                seeds = (self._seed, deal, player, *seating)
                seat.begin(Start(episode=self._episode, seeds=seeds))
            while position.player is not None:
                player = position.player
                if player < 0:
                    position = position.after(drawn(position.chance, next(draws)))
                    continue
                if isinstance(seats[player], GuestSeat):
                    yield seats[player].ask(position)
                position = position.after(seats[player].act(position))
        except Forfeit as forfeit:
            self._note(seating[player], forfeit)
            return returns_of_forfeit(
                player, game.num_players, game.lowest, game.highest, game.total
            )
        return position.returns

    def _note(self, number: int, forfeit: Forfeit) -> None:
        self.forfeits[number][forfeit.kind] += 1
        self.words[number].setdefault(forfeit.kind, forfeit.words)


class _Luck:
    """The draws of chance that all episodes of one number share."""

    def __init__(self, seed: int, deal: int):
        self._rng = np.random.default_rng([seed, deal])
        self.seed = int(self._rng.integers(1 << 31))
        self._drawn = self._rng.random(16).tolist()

    def draws(self) -> Iterator[float]:
        for k in itertools.count():
            if k >= len(self._drawn):
                self._drawn += self._rng.random(len(self._drawn)).tolist()
            yield self._drawn[k]
