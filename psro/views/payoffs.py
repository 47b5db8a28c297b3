"""Payoffs between populations, as two-dimensional tables that can be drawn."""

from __future__ import annotations

from collections.abc import Sequence

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
    tables = {}
    for p, q in pairs:
        table = payoffs[p]
        for other in reversed(range(num_players)):
            if other not in (p, q):
                table = np.tensordot(table, strategies[other], axes=(other, 0))
        tables[p, q] = table if p < q else table.T
    return tables


def largest_payoff(tables: dict[tuple[int, int], np.ndarray]) -> float:
    """The end of a scale that has zero in its middle and room for all tables."""
    return max(1e-300, *(float(np.abs(table).max()) for table in tables.values()))
