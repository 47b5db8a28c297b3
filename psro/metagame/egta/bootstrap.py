"""Resampled payoffs, and what equilibria do under them (Efron and Tibshirani 1993, chapter 13).

Matches are drawn again with replacement within each cell. Deviations of the mean are scaled by
`sqrt(n / (n - 1))`, because resampled means of n matches spread too little by that factor. A cell
with a single match gets normal noise of the pooled spread. Means of more than `MANY` matches are
drawn from their normal limit.
"""

from __future__ import annotations

import numpy as np

from psro.metagame.egta.empirical import Cells

MANY = 1_000
MOST_NUMBERS = 20_000_000
"""Most resampled payoffs together."""
LEAST = 20
"""Fewest resamples that quantiles are made of."""


def resamples(cells: Cells, chosen: np.ndarray, wanted: int) -> int:
    """The number of resamples: `wanted`, or fewer if there are very many cells."""
    room = MOST_NUMBERS // max(len(chosen) * cells.mean.shape[1], 1)
    return min(wanted, max(room, LEAST))


def resampled(
    cells: Cells, chosen: np.ndarray, number: int, rng: np.random.Generator
) -> np.ndarray:
    """Means of resampled matches of the cells `chosen [X]`, float64 `[B, X, N]`. Payoffs that a
    cell does not have stay NaN."""
    pooled = pooled_deviation(cells)
    result = np.empty((number, len(chosen), cells.mean.shape[1]))
    for place, cell in enumerate(chosen):
        payoffs, mean = cells.matches[cell], cells.mean[cell]
        count = len(payoffs)
        if count == 1:
            result[:, place] = mean + rng.normal(size=(number, len(mean))) * pooled
            continue
        centred = payoffs - mean
        if count > MANY:
            noise = _normal(np.nan_to_num(centred), number, rng)
        else:
            drawn = rng.multinomial(count, np.full(count, 1 / count), size=number)
            noise = drawn @ np.nan_to_num(centred) / count * np.sqrt(count / (count - 1))
        result[:, place] = mean + noise
    return result


def pooled_deviation(cells: Cells) -> float:
    """The standard deviation of one match's payoffs within cells, over all of them; 0 if no cell
    has two matches."""
    known = (cells.count > 1)[:, None] & np.isfinite(cells.variance)
    freedom = np.broadcast_to((cells.count - 1)[:, None], known.shape)[known]
    if not freedom.sum():
        return 0.0
    return float(np.sqrt((cells.variance[known] * freedom).sum() / freedom.sum()))


def _normal(centred: np.ndarray, number: int, rng: np.random.Generator) -> np.ndarray:
    """Errors of the mean of n matches `[B, N]` from their normal limit."""
    count = len(centred)
    covariance = centred.T @ centred / (count - 1) / count
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    return rng.normal(size=(number, len(values))) @ root.T
