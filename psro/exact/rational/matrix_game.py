"""Zero-sum matrix games by the simplex method in exact arithmetic."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import numpy as np

from psro.exact.rational.enumeration import positive
from psro.exact.rational.numbers import normalised
from psro.exact.rational.pivoting import Dictionary


@dataclasses.dataclass(frozen=True, kw_only=True)
class Minimax:
    """The value to the row player, and a strategy of each player that guarantees it, in
    fractions."""

    value: Fraction
    row: np.ndarray
    column: np.ndarray


def minimax(payoffs: np.ndarray) -> Minimax:
    """The solution of the row player's payoffs `[n, m]`, fractions.

    Maximises the sum of y over `{y >= 0 : B y <= 1}`, where B is the matrix in positive units; the
    dual solution is the row player's (von Neumann 1928; Dantzig 1951).
    """
    matrix = positive(payoffs)
    n, m = matrix.shape
    # Rows: n slacks, then the objective, sum(y) - objective = 0. Columns: y.
    entries = np.concatenate([matrix, np.full((1, m), -1, object)])
    right = np.array([1] * n + [0], object)
    table = Dictionary(entries, right)
    while True:
        costs = table.entries[n].tolist()
        column = min(range(m), key=costs.__getitem__)
        if costs[column] >= 0:
            break
        row = table.leaving(column, range(n))
        table.pivot(row, column)
    values = table.values(n + 1 + m)
    duals = [0] * n
    for variable, cost in zip(table.nonbasic, table.entries[n].tolist(), strict=True):
        if variable < n:
            duals[variable] = cost
    row, column = normalised(duals), normalised(values[n + 1 :])
    return Minimax(value=min((row @ payoffs).tolist()), row=row, column=column)
