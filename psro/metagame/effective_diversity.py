"""How many different policies a population holds, by what they earn."""

from __future__ import annotations

import numpy as np

from games.units import ALIKE, rounding


def cardinality_of(features: np.ndarray) -> float:
    """The expected size of a set drawn by the determinantal point process of kernel `L = M M'`:
    `tr(I - (L + I)^-1)`, for M `[K, N]` (Perez-Nieves et al. 2021, arXiv:2103.07927).

    It is the sum of `s / (1 + s)` over the eigenvalues s of L: below the rank of M, and near it
    where they are large.
    """
    eigenvalues = np.square(np.linalg.svd(features, compute_uv=False))
    return float((eigenvalues / (1 + eigenvalues)).sum())


def effective_diversity(payoffs: np.ndarray) -> np.ndarray:
    """Each player's expected cardinality, `[P]`, of payoffs `[P, K_0, ..., K_{P-1}]`.

    The rows of a player's M are its policies, the columns the others' profiles, the entries its
    payoffs, divided by their root mean square: the measure has no unit. A policy whose row repeats
    another's (to `units.ALIKE`) is left out, and so are repeated columns: with every copy kept,
    the kernel as published grows by a copy (by s / ((1 + s)(1 + 2s)) for eigenvalue s), and here it
    does not. Zero where every payoff is zero.
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
