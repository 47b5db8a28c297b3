"""The number of different policies in a population, by their payoffs."""

from __future__ import annotations

import numpy as np

from games.units import ALIKE, rounding


def cardinality_of(features: np.ndarray) -> float:
    """The expected size of a set drawn by the determinantal point process of kernel `L = M M'`:
    `tr(I - (L + I)^-1)`, for M `[K, N]` (Perez-Nieves et al. 2021, arXiv:2103.07927).

    It is the sum of `s / (1 + s)` over the eigenvalues s of L. So it is below the rank of M, and
    close to the rank if the eigenvalues are large.
    """
    eigenvalues = np.square(np.linalg.svd(features, compute_uv=False))
    return float((eigenvalues / (1 + eigenvalues)).sum())


def effective_diversity(payoffs: np.ndarray) -> np.ndarray:
    """Each player's expected cardinality, `[P]`, of payoffs `[P, K_0, ..., K_{P-1}]`.

    A player's M has a row for each of its policies, and a column for each profile of the others.
    Its entries are the player's payoffs, divided by their root mean square, so the measure has no
    unit. Rows and columns that repeat an earlier one (to `units.ALIKE`) are left out, so a copy of
    a policy changes nothing. (In the published measure, a copy adds s / ((1 + s)(1 + 2s)) for
    eigenvalue s.) Zero if every payoff is zero.
    """
    result = np.zeros(len(payoffs))
    for p, table in enumerate(payoffs):
        rows = np.moveaxis(table, p, 0).reshape(table.shape[p], -1)
        rows = _distinct(_distinct(rows).T).T
        scale = np.sqrt(np.mean(np.square(rows)))
        if scale > 0:
            result[p] = cardinality_of(rows / scale)
    return result


def _distinct(rows: np.ndarray) -> np.ndarray:
    """The rows `[K, N]` without those that repeat an earlier one."""
    tolerance = ALIKE * np.ptp(rows) + rounding(rows)
    kept = np.empty_like(rows)
    count = 0
    for row in rows:
        if not (np.abs(kept[:count] - row) <= tolerance).all(axis=1).any():
            kept[count] = row
            count += 1
    return kept[:count]
