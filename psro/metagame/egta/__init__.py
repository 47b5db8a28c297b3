"""Empirical game theory: `egta` turns logged matches into a payoff table with intervals, its
equilibria, ranks, and the cell to sample next (Wellman 2006, "Methods for empirical game-theoretic
analysis")."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from psro.metagame.egta.bootstrap import resampled, resamples
from psro.metagame.egta.empirical import (
    Cells,
    Empirical,
    RoleGame,
    cells_of,
    regret,
)
from psro.metagame.egta.log import SEATS, EgtaError, MatchLog, read_log
from psro.metagame.egta.restriction import game_of, in_all, restricted
from psro.metagame.egta.suggestions import Suggestion, suggestions
from psro.metagame.egta.supports import Mixed, near
from psro.metagame.solvers.alpha_rank import MAX_PROFILES, alpha_rank

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SEATS", "EgtaError", "EmpiricalEquilibrium", "EmpiricalGame", "MatchLog", "egta"]

LEVEL = 0.95
_QUANTILES = (50 * (1 - LEVEL), 50 * (1 + LEVEL))


@dataclasses.dataclass(frozen=True, kw_only=True)
class EmpiricalEquilibrium:
    """An equilibrium of the mean payoffs. Intervals are those of 95 % of the resamples in which it
    is found again, on its strategies or with one more or fewer; None if it never is.

    Attributes:
        mixed: each population's mixture, float64 `[K]` each.
        interval: the ends of each weight's interval, `[2, K]` each.
        payoffs: of every seat, `[P]`; one population's seats earn the same.
        payoff_interval: `[2, P]`.
        regret: the most that a seat gains by another strategy, in the mean payoffs.
        regret_bound: the same under resampled payoffs: 95 % of resamples are below it.
        found: the share of resamples in which it is found again.
        kept: the share in which it has the same strategies.
    """

    mixed: Mixed
    interval: tuple[np.ndarray, ...] | None
    payoffs: np.ndarray
    payoff_interval: np.ndarray | None
    regret: float
    regret_bound: float | None
    found: float
    kept: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class EmpiricalGame:
    """What logged matches tell.

    Attributes:
        log: the matches.
        cells: payoffs by cell.
        kept: the strategies of each population for which all cells have matches; equilibria are
            among these.
        equilibria: of the mean payoffs.
        method: how they were found, in words.
        resamples: how often matches were drawn again.
        alpha_rank: each population's strategies by the share of time that evolution stays at them;
            None for too many profiles.
        suggestions: the cells to sample next.
        notes: what a reader should know, a sentence each.
    """

    log: MatchLog
    cells: Cells
    kept: tuple[tuple[int, ...], ...]
    equilibria: tuple[EmpiricalEquilibrium, ...]
    method: str
    resamples: int
    alpha_rank: tuple[np.ndarray, ...] | None
    suggestions: tuple[Suggestion, ...]
    notes: tuple[str, ...]

    def cell_name(self, cell: int) -> str:
        """A cell in words: its profile, or how many seats play each strategy."""
        key, names = self.cells.key[cell], self.log.strategies
        if not self.log.symmetric:
            return ", ".join(own[k] for own, k in zip(names, key, strict=True))
        return ", ".join(
            f"{count} x {name}" if count > 1 else name
            for name, count in zip(names[0], key, strict=True)
            if count
        )

    def table(self) -> pd.DataFrame:
        """The payoff table: a row for each cell and each seat (or each strategy in it) with the
        number of matches, the mean, its standard error and its 95 % interval."""
        import pandas as pd

        half, rows = self.cells.half_interval(), []
        for cell, key in enumerate(self.cells.key):
            owners = (
                [(int(k), self.log.strategies[0][k]) for k in np.flatnonzero(key)]
                if self.log.symmetric
                else list(enumerate(self.log.players))
            )
            for place, owner in owners:
                mean = float(self.cells.mean[cell, place])
                rows.append(
                    {
                        "cell": self.cell_name(cell),
                        "of": owner,
                        "matches": int(self.cells.count[cell]),
                        "mean": mean,
                        "standard_error": float(self.cells.error[cell, place]),
                        "low": mean - float(half[cell, place]),
                        "high": mean + float(half[cell, place]),
                    }
                )
        return pd.DataFrame(rows)

    @property
    def populations(self) -> tuple[str, ...]:
        """Names of what has a mixture."""
        return ("every seat",) if self.log.symmetric else self.log.players


def egta(
    source: str | os.PathLike | pd.DataFrame,
    *,
    seats: str = "auto",
    strategies: Sequence[str] = (),
    payoffs: Sequence[str] = (),
    bootstrap: int = 200,
    seed: int = 0,
) -> EmpiricalGame:
    """The empirical game of logged matches.

    Args:
        source: a CSV file or a DataFrame; see `read_log` for it, `seats`, `strategies` and
            `payoffs`.
        bootstrap: how often matches are drawn again for intervals; 0 for none.
        seed: of the draws.

    Raises:
        EgtaError: the log cannot be read, or no game can be made of it.
    """
    _check(bootstrap, seed)
    log = read_log(source, seats=seats, strategies=strategies, payoffs=payoffs)
    cells = cells_of(log)
    part = restricted(log, cells)
    kept, chosen, game, span = part.kept, part.chosen, part.game, part.span
    mixtures, notes = part.mixtures, list(part.notes)
    number = resamples(cells, chosen, bootstrap)
    notes += _notes(cells, chosen, number, bootstrap)
    drawn = resampled(cells, chosen, number, np.random.default_rng(seed))
    tables = [game_of(log, kept, chosen, table, cells) for table in drawn]
    found = [_with_intervals(log, game, mixed, tables, span) for mixed in mixtures]
    whole = [in_all(log, one.mixed, kept) for one in found]
    ranks = _ranks(log, game)
    if ranks is None:
        notes.append(f"alpha-Rank is for up to {MAX_PROFILES:,} profiles, and here are more")
    return EmpiricalGame(
        log=log,
        cells=cells,
        kept=kept,
        equilibria=tuple(
            dataclasses.replace(
                one,
                mixed=mixed,
                interval=None
                if one.interval is None
                else tuple(in_all(log, one.interval, kept)),
            )
            for one, mixed in zip(found, whole, strict=True)
        ),
        method=part.method,
        resamples=number,
        alpha_rank=None if ranks is None else tuple(in_all(log, ranks, kept)),
        suggestions=tuple(
            suggestions(
                cells, whole, symmetric=log.symmetric, num_players=log.num_players
            )
        ),
        notes=tuple(notes),
    )  # fmt: skip


def _check(bootstrap: int, seed: int) -> None:
    """Raises EgtaError for numbers that are not valid."""
    if not 0 <= bootstrap <= 100_000:
        raise EgtaError(f"bootstrap = {bootstrap} must be between 0 and 100,000")
    if not 0 <= seed < 2**63:
        raise EgtaError(f"seed = {seed} must be at least 0")


def _notes(cells: Cells, chosen: np.ndarray, number: int, wanted: int) -> list[str]:
    """What a reader should know about resampling."""
    notes = []
    if number < wanted:
        notes.append(f"there are so many cells that matches are drawn again {number} times only")
    if number and (cells.count[chosen] == 1).any():
        notes.append(
            "cells with one match have no spread of their own; the pooled one stands for it in the "
            "intervals"
        )
    return notes


def _with_intervals(
    log: MatchLog, game: Empirical, mixed: Mixed, tables: Sequence[Empirical], span: float
) -> EmpiricalEquilibrium:
    """An equilibrium, followed through resampled payoffs."""
    again, kept, regrets = [], 0, []
    for table in tables:
        regrets.append(regret(table, mixed))
        other, same = near(table, mixed, span)
        if other is not None:
            again.append((other, table.payoffs_of(other)))
            kept += same
    interval = payoff_interval = None
    if again:
        interval = tuple(
            np.percentile([other[p] for other, _ in again], _QUANTILES, axis=0)
            for p in range(len(mixed))
        )
        payoff_interval = np.percentile([payoffs for _, payoffs in again], _QUANTILES, axis=0)
    return EmpiricalEquilibrium(
        mixed=mixed,
        interval=interval,
        payoffs=game.payoffs_of(mixed),
        payoff_interval=payoff_interval,
        regret=max(regret(game, mixed), 0.0),
        regret_bound=float(np.percentile(regrets, 100 * LEVEL)) if regrets else None,
        found=len(again) / len(tables) if tables else 0.0,
        kept=kept / len(tables) if tables else 0.0,
    )


def _ranks(log: MatchLog, game: Empirical) -> list[np.ndarray] | None:
    """Alpha-Rank's mass of each strategy; None for too many profiles."""
    if isinstance(game, RoleGame):
        if game.payoffs[0].size > MAX_PROFILES:
            return None
        joint = alpha_rank(game.payoffs)
        axes = range(joint.ndim)
        return [joint.sum(axis=tuple(q for q in axes if q != p)) for p in axes]
    (size,) = game.sizes
    if size**log.num_players > MAX_PROFILES:
        return None
    place = {tuple(key): number for number, key in enumerate(game.keys.tolist())}
    payoffs = np.zeros((log.num_players, *(size,) * log.num_players))
    for profile in np.ndindex(*payoffs.shape[1:]):
        cell = place[tuple(np.bincount(profile, minlength=size))]
        payoffs[(slice(None), *profile)] = game.table[cell, list(profile)]
    joint = alpha_rank(payoffs)
    return [joint.sum(axis=tuple(range(1, joint.ndim)))]
