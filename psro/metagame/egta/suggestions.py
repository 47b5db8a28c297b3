"""Which cell to sample next.

One more match of a cell with n matches, whose payoffs have the variance s^2, reduces the variance
of a sum with the weight w on that cell's mean by `w^2 s^2 / (n (n + 1))` (Neyman's allocation, one
match at a time: Cochran 1977, section 5.5). The sums are the players' payoffs in an equilibrium,
and what a deviation from it earns where its 95 % interval does not rule out that it pays (as in
ResponseGraphUCB: Rowland et al. 2019, arXiv:1909.09849). Cells without a match that an equilibrium
or such a deviation plays come first: until they are sampled, the equilibrium is not confirmed
(Jordan, Vorobeychik and Wellman 2008, "Searching for approximate equilibria in empirical games").
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from psro.metagame.egta.bootstrap import pooled_deviation
from psro.metagame.egta.empirical import Cells, SymmetricGame

_QUANTILE = 1.96
_NEGLIGIBLE = 1e-6
"""Cells whose reduction is a smaller share of the largest finite one are left out."""
_LEAST_WEIGHT = 1e-3
"""Cells that are played with a smaller probability are not asked for because they are missing."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Suggestion:
    """A cell to sample.

    Attributes:
        cell: its number.
        reduction: by how much one match reduces a variance, see above; infinite for a cell without
            matches.
        weight: the largest weight w of the cell.
        equilibrium: the number of the equilibrium that needs it, from 0.
    """

    cell: int
    reduction: float
    weight: float
    equilibrium: int


def suggestions(
    cells: Cells,
    equilibria: Sequence[tuple[np.ndarray, ...]],
    *,
    symmetric: bool,
    num_players: int,
    most: int = 10,
) -> list[Suggestion]:
    """The cells to sample next, the most useful first.

    Args:
        cells: what is known.
        equilibria: mixtures over all strategies of each population.
        symmetric: whether cells are those of a symmetric game.
        num_players: seats.
        most: of them.
    """
    variance = np.where(np.isfinite(cells.variance), cells.variance, pooled_deviation(cells) ** 2)
    least = 1e-12 * max(float(np.nanmax(np.abs(cells.mean))), 1e-12) ** 2
    variance = np.maximum(variance, least)
    count = cells.count[:, None]
    with np.errstate(divide="ignore"):
        worth = np.where(count > 0, variance / (count * (count + 1.0)), np.inf)
    best: dict[int, Suggestion] = {}
    for number, mixed in enumerate(equilibria):
        weights = _weights(cells, mixed, symmetric, num_players)  # [C, N]
        largest = weights.max(axis=1)
        with np.errstate(invalid="ignore"):
            reduction = np.nansum(np.where(weights > 0, np.square(weights) * worth, 0.0), axis=1)
        reduction[(cells.count == 0) & (largest < _LEAST_WEIGHT)] = 0.0
        for cell in np.flatnonzero(reduction > 0):
            told = Suggestion(
                cell=int(cell), reduction=float(reduction[cell]), weight=float(largest[cell]),
                equilibrium=number,
            )  # fmt: skip
            known = best.get(told.cell)
            if known is None or (told.reduction, told.weight) > (known.reduction, known.weight):
                best[told.cell] = told
    most_finite = max((t.reduction for t in best.values() if np.isfinite(t.reduction)), default=0.0)
    best = {cell: t for cell, t in best.items() if t.reduction > _NEGLIGIBLE * most_finite}
    ordered = sorted(best.values(), key=lambda told: (-told.reduction, -told.weight, told.cell))
    return ordered[:most]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Deviations:
    """What a population's strategies earn against a profile, as far as it is known, `[K]` each.

    Attributes:
        gain: what each earns more than the population's mixture.
        spread: its standard error.
        unknown: whether a cell that it needs has no match.
    """

    gain: np.ndarray
    spread: np.ndarray
    unknown: np.ndarray

    @property
    def may_pay(self) -> np.ndarray:
        """Whether it is not ruled out that a strategy earns more than the mixture, 0 or 1."""
        return ((self.gain + _QUANTILE * self.spread >= 0) | self.unknown).astype(float)


def deviations(
    cells: Cells, mixed: Sequence[np.ndarray], *, symmetric: bool, num_players: int
) -> list[Deviations]:
    """Of each population."""
    return [
        _deviations(others, own, cells.mean[at], cells.error[at], mixed[p])
        for p, (others, own, at) in enumerate(_faced(cells, mixed, symmetric, num_players))
    ]


def _faced(
    cells: Cells, mixed: Sequence[np.ndarray], symmetric: bool, num_players: int
) -> list[tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]]:
    """For each population, X payoffs of cells that its strategies may meet: the probability of the
    others `[X]`, the own strategy `[X]`, and the places in the table, `[X]` each."""
    if symmetric:
        game = SymmetricGame(keys=cells.key, table=cells.mean, num_players=num_players)
        chances, at = game.weights(mixed[0])
        return [(chances, at[1], tuple(at))]
    chances = np.stack([own[cells.key[:, p]] for p, own in enumerate(mixed)], axis=1)  # [C, P]
    every = np.arange(len(cells.key))
    return [
        (
            np.delete(chances, p, axis=1).prod(axis=1),
            cells.key[:, p],
            (every, np.full_like(every, p)),
        )
        for p in range(num_players)
    ]


def _weights(
    cells: Cells, mixed: Sequence[np.ndarray], symmetric: bool, num_players: int
) -> np.ndarray:
    """The weight of each payoff of each cell, `[C, N]`."""
    weights = np.zeros(cells.mean.shape)
    known = deviations(cells, mixed, symmetric=symmetric, num_players=num_players)
    faced = _faced(cells, mixed, symmetric, num_players)
    for own_mixture, deviation, (others, own, at) in zip(mixed, known, faced, strict=True):
        weights[at] = others * np.maximum(own_mixture[own], deviation.may_pay[own])
    return weights


def _deviations(
    others: np.ndarray, own: np.ndarray, mean: np.ndarray, error: np.ndarray, mixed: np.ndarray
) -> Deviations:
    """All arguments are of X payoffs but `mixed [K]`, see `_faced`; with their means and errors."""
    played = others > 0
    value = np.bincount(own[played], others[played] * np.nan_to_num(mean[played]), len(mixed))
    variance = np.square(others * np.nan_to_num(error))
    missing = np.bincount(own[played], ~np.isfinite(mean[played]), len(mixed)) > 0
    return Deviations(
        gain=value - mixed @ value,
        spread=np.sqrt(np.bincount(own[played], variance[played], len(mixed))),
        unknown=missing,
    )
