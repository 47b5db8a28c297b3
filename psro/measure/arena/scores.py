"""What an arena's matrix says of its entrants: ratings, Nash averaging, alpha-Rank."""

from __future__ import annotations

import dataclasses

import numpy as np

from games.units import without_rounding
from psro.errors import PsroError
from psro.measure.arena.round_robin import Returns
from psro.metagame import ratings
from psro.metagame.solvers import META_SOLVERS

QUANTILE = 1.96
"""Standard errors on each side of a 95 % interval."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scores:
    """Scores of N entrants.

    Attributes:
        rating: the mean payoff against all entrants, less the mean of all: the Elo-like rating
            that fits the matrix best (`psro.metagame.ratings`), `[N]`; they add up to 0.
        rating_error: its standard error, `[N]`.
        explained: the share of the matrix's variance that ratings explain; the rest is cyclic.
        nash_weight: Nash averaging: the weight in the equilibrium of maximum entropy between the
            entrants, `[N]`; None where there is none.
        nash_skill: the payoff against that equilibrium, `[N]`.
        beats: whether entrant j beats entrant i, bool `[N, N]`, entry `[i, j]`: it earns more than
            i does when they meet, by more than a 95 % interval. None for more than two players.
        alpha_rank: the share of time that evolution spends at each entrant, `[N]`. Entrants of
            which neither beats the other are a tie. None for more than two players.
        omitted: one sentence for each score that is missing.
    """

    rating: np.ndarray
    rating_error: np.ndarray
    explained: float
    nash_weight: np.ndarray | None
    nash_skill: np.ndarray | None
    beats: np.ndarray | None
    alpha_rank: np.ndarray | None
    omitted: tuple[str, ...]


def scores(returns: Returns) -> Scores:
    """Scores from the matrix that is averaged over seats."""
    table, error, omitted = returns.average, returns.average_error, []
    both = np.stack([table, table.T])  # entrant i is the row player's policy, or the column's
    rated = ratings.elo_like(both)
    count, num_players = len(table), len(returns.mean)
    nash_weight = nash_skill = beats = alpha_rank = None
    if num_players != 2:
        why = "two players, and this game has"
        omitted.append(f"Nash averaging and alpha-Rank are for {why} {num_players}")
    else:
        try:
            average = ratings.nash_average(both)
            nash_weight, nash_skill = average.strategies[0], average.ratings[0]
        except PsroError as error_of_nash:
            omitted.append(f"no Nash averaging: {error_of_nash}")
        beats, tied = _beats(returns)
        alpha_rank = META_SOLVERS["alpha_rank_single"](np.stack([tied, tied.T]))[0]
    return Scores(
        rating=rated.ratings[0],
        rating_error=np.sqrt(np.square(error).sum(axis=1)) / count,
        explained=float(rated.explained[0]),
        nash_weight=nash_weight,
        nash_skill=nash_skill,
        beats=beats,
        alpha_rank=alpha_rank,
        omitted=tuple(omitted),
    )


def _beats(returns: Returns) -> tuple[np.ndarray, np.ndarray]:
    """Who beats whom, and the matrix with ties where nobody does, `[N, N]` both."""
    table = returns.average
    lead = table.T - table  # [i, j]: what j earns more than i when they meet
    lead = without_rounding(lead, 1e-12 * max(1.0, float(np.abs(table).max())))
    error = returns.average_error + returns.average_error.T  # at most: they share episodes
    beats = lead > QUANTILE * error
    decided = beats | beats.T
    return beats, np.where(decided, table, (table + table.T) / 2)
