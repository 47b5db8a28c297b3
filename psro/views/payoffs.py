"""Payoffs between populations, as two-dimensional tables that can be drawn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from games import units


def is_constant_sum(payoffs: np.ndarray) -> bool:
    """Whether these are two players' payoffs `[2, K, K]` that add up to a constant."""
    return len(payoffs) == 2 and units.is_constant_sum(payoffs)


def payoff_tables(
    payoffs: np.ndarray, strategies: Sequence[np.ndarray]
) -> dict[tuple[int, int], np.ndarray]:
    """The payoffs of each player's policies (rows) against another's (columns), by (player, other).

    The remaining players draw from their `strategies`, `[K_p]` each. `payoffs` are `[P, K_0, ...,
    K_{P-1}]`. If two players' payoffs add up to a constant, only the first of the two tables is
    returned; the second follows from it.
    """
    num_players = len(payoffs)
    pairs = [(p, q) for p in range(num_players) for q in range(num_players) if p != q]
    if is_constant_sum(payoffs):
        pairs = pairs[:1]
    return {(p, q): _table(payoffs[p], p, q, strategies) for p, q in pairs}


def error_tables(
    errors: np.ndarray,
    strategies: Sequence[np.ndarray],
    tables: Iterable[tuple[int, int]],
) -> dict[tuple[int, int], np.ndarray]:
    """The standard errors of sampled `payoff_tables`, from those of the payoffs. `tables` are the
    pairs of players."""
    squares = [np.square(weights) for weights in strategies]
    return {(p, q): np.sqrt(_table(np.square(errors[p]), p, q, squares)) for p, q in tables}


def _table(
    values: np.ndarray, player: int, other: int, weights: Sequence[np.ndarray]
) -> np.ndarray:
    """Values of profiles `[K_0, ..., K_{P-1}]` as rows of one player and columns of another, summed
    over the remaining players with their weights."""
    for remaining in reversed(range(values.ndim)):
        if remaining not in (player, other):
            values = np.tensordot(values, weights[remaining], axes=(remaining, 0))
    return values if player < other else values.T


def largest_payoff(tables: dict[tuple[int, int], np.ndarray]) -> float:
    """The end of a scale that has zero in its middle and room for all tables."""
    return max(1e-300, *(float(np.abs(table).max()) for table in tables.values()))
