"""Dictionaries of linear systems in integers, for simplex methods without rounding.

Edmonds' integer pivoting: all entries keep the common denominator `determinant`, which divides
every new entry (von Stengel 2007, "Equilibrium computation for two-player games", section 3.5).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class Dictionary:
    """n equations `determinant * basic + entries @ nonbasic = right`, in integers.

    Attributes:
        entries: an array of objects `[n, m]`.
        right: an array of objects `[n]`.
        basic: the number of the variable of each row.
        nonbasic: the number of the variable of each column.
        determinant: positive.
    """

    def __init__(self, entries: np.ndarray, right: np.ndarray):
        """At the beginning, variables 0 to n - 1 are basic and the m others are not."""
        n, m = entries.shape
        self._table = np.concatenate([entries, right[:, None]], axis=1)
        self.basic, self.nonbasic = list(range(n)), list(range(n, n + m))
        self._first = tuple(self.basic)
        self.determinant = 1

    @property
    def entries(self) -> np.ndarray:
        return self._table[:, :-1]

    @property
    def right(self) -> np.ndarray:
        return self._table[:, -1]

    def pivot(self, row: int, column: int) -> None:
        """Exchanges the variables of a row and a column. The entry there must not be 0."""
        table, old = self._table, self.determinant
        pivot, own, above = table[row, column], table[row].copy(), table[:, column].copy()
        table *= pivot
        table -= np.multiply.outer(above, own)
        if old != 1:
            table //= old
        table[:, column] = -above
        table[row] = own
        table[row, column] = old
        self.determinant = pivot
        if pivot < 0:
            table *= -1
            self.determinant = -pivot
        self.basic[row], self.nonbasic[column] = self.nonbasic[column], self.basic[row]

    def leaving(self, column: int, rows: Sequence[int]) -> int | None:
        """The row, among `rows`, of the variable that becomes 0 first as that of the column grows;
        None if none does. Ties are broken lexicographically, so that no method cycles."""
        entering = self._table[:, column]
        rows = [row for row in rows if entering[row] > 0]
        if len(rows) > 1:
            rows = self._least(rows, self.right, entering)
        place = {variable: k for k, variable in enumerate(self.nonbasic)}
        for variable in self._first:
            if len(rows) < 2:
                break
            if variable in place:
                rows = self._least(rows, self._table[:, place[variable]], entering)
            elif self.basic.index(variable) in rows:  # its column is a unit vector
                rows.remove(self.basic.index(variable))
        return rows[0] if rows else None

    @staticmethod
    def _least(rows: list[int], above: np.ndarray, below: np.ndarray) -> list[int]:
        """The rows with the smallest ratio of two columns; `below` is positive."""
        best = rows[:1]
        for row in rows[1:]:
            difference = above[row] * below[best[0]] - above[best[0]] * below[row]
            if difference < 0:
                best = [row]
            elif difference == 0:
                best.append(row)
        return best

    def values(self, count: int) -> list[int]:
        """`determinant` times the values of variables 0 to `count` - 1, nonbasic ones being 0."""
        values = [0] * count
        for variable, value in zip(self.basic, self.right.tolist(), strict=True):
            if variable < count:
                values[variable] = value
        return values
