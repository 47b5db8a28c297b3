"""One equilibrium of a two-player game of perfect recall, in exact arithmetic, on its sequence
form.

Koller, Megiddo and von Stengel 1996, "Efficient computation of equilibria for extensive two-person
games": the equilibria are the solutions of a linear complementarity problem of the size of the
tree, and Lemke's algorithm (1965) finds one.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from games.info_states import InfoStates
from games.tree import GameTree
from psro.errors import PsroError
from psro.exact.rational.numbers import fractions, integers, integral_zeros, zeros
from psro.exact.rational.pivoting import Dictionary
from psro.exact.rational.strategic import chances

MAX_ROWS = 150
"""The most rows of the problem. Its integers grow: a random table of 50 x 50, with 110 rows, takes
up to three seconds, one of 100 x 100 some fourteen."""


class LemkeError(PsroError):
    """A game that this method does not solve; one sentence says why."""


def lemke_equilibrium(tree: GameTree) -> tuple[np.ndarray, np.ndarray]:
    """Both players' realization plans `[S_p]`, fractions, in an equilibrium.

    Raises:
        LemkeError: not two players, more than `MAX_ROWS` rows, or the path ended without a
            solution.
    """
    if tree.num_players != 2:
        raise LemkeError(
            f"Lemke's algorithm is for two players, and {tree.name} has {tree.num_players}"
        )
    rows = num_rows(tree)
    if rows > MAX_ROWS:
        raise LemkeError(
            f"{tree.name} is too large for exact arithmetic: its complementarity problem has "
            f"{rows:,} rows, and at most {MAX_ROWS} are solved"
        )
    own, other = (_constraints(player) for player in tree.players)
    row, column = _payoffs(tree)
    solution = _lemke(*_problem(row, column, own, other))
    if solution is None:
        raise LemkeError(f"Lemke's algorithm found no equilibrium of {tree.name}")
    x, y, _ = np.split(solution, np.cumsum(row.shape))
    return x, y


def num_rows(tree: GameTree) -> int:
    """The rows of the complementarity problem."""
    return sum(own.num_sequences + 2 * (own.num_info_states + 1) for own in tree.players)


def _constraints(player: InfoStates) -> np.ndarray:
    """The matrix E of `psro.exact.sequence_form`, dense, of integers."""
    matrix = integral_zeros((player.num_info_states + 1, player.num_sequences))
    matrix[0, 0] = 1
    matrix[player.info_state[1:] + 1, np.arange(1, player.num_sequences)] = 1
    for info_state, parent in enumerate(player.parent.tolist()):
        matrix[info_state + 1, parent] = -1
    return matrix


def _payoffs(tree: GameTree) -> list[np.ndarray]:
    """Both players' payoffs `[S_0, S_1]` as integers, in units in which all of them are negative:
    the method's proof needs that."""
    chance = np.array(chances(tree), object)
    shape = [player.num_sequences for player in tree.players]
    tables = []
    for p in range(2):
        paid = fractions(tree.terminal_returns[:, p])
        table = zeros(shape)
        shifted = chance * (paid - max(paid.tolist()) - 1)
        for (s0, s1), value in zip(tree.sequence.tolist(), shifted.tolist(), strict=True):
            table[s0, s1] += value
        tables.append(integers(table))
    return tables


def _problem(
    row: np.ndarray, column: np.ndarray, own: np.ndarray, other: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """M and b: find z >= 0 with `M z + b >= 0` and `z (M z + b) = 0`, for z = (x, y, p', p'', q',
    q''), where x and y are the plans and p' - p'' and q' - q'' the values of info states (equation
    3.2 of the paper)."""
    sizes = [*row.shape, len(own), len(own), len(other), len(other)]
    starts = np.concatenate([[0], np.cumsum(sizes)]).tolist()
    x, y, p, minus_p, q, minus_q = (
        slice(a, b) for a, b in zip(starts[:-1], starts[1:], strict=True)
    )
    matrix, right = integral_zeros((starts[-1], starts[-1])), integral_zeros((starts[-1],))
    matrix[x, y], matrix[y, x] = -row, -column.T
    for variables, values, minus_values, constraints in (
        (x, p, minus_p, own),
        (y, q, minus_q, other),
    ):
        matrix[variables, values], matrix[variables, minus_values] = constraints.T, -constraints.T
        matrix[values, variables], matrix[minus_values, variables] = -constraints, constraints
        right[values.start], right[minus_values.start] = 1, -1
    return matrix, right


def _lemke(matrix: np.ndarray, right: np.ndarray) -> np.ndarray | None:
    """A solution z of the problem, fractions; None if the path ends in a ray. All entries of the
    covering vector are 1."""
    size = len(right)
    # w - M z - z_0 = b. Variable k < n is w_k, n + k is z_k, and 2 n is z_0.
    table = Dictionary(
        np.concatenate([-matrix, np.full((size, 1), -1, object)], axis=1), right.copy()
    )
    least = min(right.tolist())
    row = max(k for k in range(size) if right[k] == least)  # the last, lexicographically
    column = size
    while True:
        left = table.basic[row]
        table.pivot(row, column)
        if left == 2 * size:
            values = table.values(2 * size)[size:]
            return np.array([Fraction(v, table.determinant) for v in values], object)
        column = table.nonbasic.index(left + size if left < size else left - size)
        row = table.leaving(column, range(size))
        if row is None:
            return None
        if 2 * size in table.basic and _may_leave(table, column, row, 2 * size):
            row = table.basic.index(2 * size)


def _may_leave(table: Dictionary, column: int, row: int, variable: int) -> bool:
    """Whether the variable reaches 0 no later than that of the row: then the path may end."""
    own = table.basic.index(variable)
    entering, right = table.entries[:, column], table.right
    return entering[own] > 0 and right[own] * entering[row] <= right[row] * entering[own]
