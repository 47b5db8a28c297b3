"""Nash equilibria of two-player general-sum meta-games, through nashpy.

Nashpy's `lemke_howson` follows a path until it ends. In floating point some paths never end: every
second one in random 30 x 30 games. So its tableaux are pivoted here, a limited number of times.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator

import numpy as np
import scipy

from psro.metagame.solvers.fictitious_play import fictitious_play
from psro.metagame.solvers.regret import regrets
from psro.metagame.solvers.regret_matching import regret_matching
from psro.metagame.solvers.replicator import replicator

CUTS = (1e-12, 1e-9, 1e-7, 1e-5)
"""To make strategies exact on their supports, weights below each of these are tried as zeros."""

MAX_VERTEX_ENUMERATION = 12
"""Vertices are enumerated if no player has more policies than this. Their number is exponential."""

_PATH_PIVOTS = 10
"""The most pivots along one path, per policy. Random games need about one."""

_PIVOTS = 10_000
"""The most pivots along all paths together. They take some seconds in a large game."""


def bimatrix(payoffs: np.ndarray, *, tolerance: float) -> list[np.ndarray]:
    """An equilibrium of payoffs `[2, K_0, K_1]`, or the strategies with the least regret if none is
    found.

    The candidates are the pure equilibria and the ends of the paths of Lemke and Howson (1964) from
    every label. The equilibrium with the largest sum of payoffs is taken. If sums are equal, the
    sum of entropies decides, then the order. If no candidate is an equilibrium, vertices are
    enumerated. If that fails too, simple dynamics give more candidates.

    Args:
        payoffs: `[2, K_0, K_1]`, each player's within [0, 1].
        tolerance: the largest regret of an equilibrium.
    """
    closest, least = [], np.inf
    for solutions in (_pure(payoffs), _lemke_howson(payoffs)), (_vertices(payoffs),):
        equilibria = []
        for solution in itertools.chain(*solutions):
            for candidate in _exact(payoffs, solution):
                regret = float(regrets(payoffs, candidate).max())
                if regret < least:
                    closest, least = candidate, regret
                if regret <= tolerance:
                    equilibria.append(candidate)
                    break
        if equilibria:
            return max(equilibria, key=lambda candidate: rank(payoffs, candidate))
    dynamics = (solver(payoffs) for solver in (replicator, regret_matching, fictitious_play))
    candidates = itertools.chain([closest] if closest else [], dynamics)
    return min(candidates, key=lambda candidate: regrets(payoffs, candidate).max())


def rank(payoffs: np.ndarray, strategies: list[np.ndarray]) -> tuple[float, float]:
    """The sum of payoffs, each in its player's span, and the sum of entropies. Both are rounded,
    because equal equilibria differ by rounding errors."""
    row, column = strategies
    entropy = sum(-(x[x > 0] @ np.log(x[x > 0])) for x in strategies)
    return round(float(row @ payoffs.sum(axis=0) @ column), 9), round(float(entropy), 6)


def _exact(payoffs: np.ndarray, solution: list[np.ndarray]) -> Iterator[list[np.ndarray]]:
    yield solution
    for cut in CUTS:
        yield polished(payoffs, solution, cut)


def _pure(payoffs: np.ndarray) -> Iterator[list[np.ndarray]]:
    row, column = payoffs
    best = (row == row.max(axis=0)) & (column == column.max(axis=1, keepdims=True))
    for i, j in np.argwhere(best):
        yield [np.eye(row.shape[0])[i], np.eye(row.shape[1])[j]]


def _lemke_howson(payoffs: np.ndarray) -> Iterator[list[np.ndarray]]:
    """The ends of the paths from every label (Nisan et al. 2007, "Algorithmic Game Theory",
    algorithm 3.6). Pivots are lexicographic, so ties cannot make a path cycle in exact
    arithmetic."""
    # Imported here, because nashpy loads networkx, which takes half a second.
    from nashpy.linalg import create_col_tableau, create_row_tableau

    row, column = payoffs + 1  # nashpy needs positive payoffs
    num_labels, left = sum(row.shape), _PIVOTS
    for label in range(num_labels):
        tableaux = create_col_tableau(row, True), create_row_tableau(column, True)
        first = int(label in tableaux[1].non_basic_variables)
        entering = label
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                for pivot in range(min(left, _PATH_PIVOTS * num_labels)):
                    left -= 1
                    entering = tableaux[(first + pivot) % 2].pivot_and_drop_label(entering)
                    basic = [tableau.non_basic_variables for tableau in tableaux]
                    if basic[0] | basic[1] == tableaux[0].labels:
                        x = tableaux[1].to_strategy(basic[0])
                        y = tableaux[0].to_strategy(basic[1])
                        break
                else:
                    continue
            except (ValueError, KeyError):  # a number overflowed, or a tableau has one row only
                continue
        if (len(x), len(y)) == row.shape and np.isfinite(x).all() and np.isfinite(y).all():
            yield [distribution(x), distribution(y)]


def _vertices(payoffs: np.ndarray) -> Iterator[list[np.ndarray]]:
    """Pairs of vertices of the best-response polytopes that together carry all labels."""
    if max(payoffs.shape) > MAX_VERTEX_ENUMERATION:
        return
    import nashpy  # imported here, as in `_lemke_howson`

    try:
        for solution in nashpy.Game(*(payoffs + 1)).vertex_enumeration():
            yield [distribution(weights) for weights in solution]
    except scipy.spatial.QhullError:  # a polytope has one dimension, or is flat
        return


def polished(payoffs: np.ndarray, solution: list[np.ndarray], cut: float) -> list[np.ndarray]:
    """Strategies on the supports above `cut` against which the other player is indifferent between
    the policies of its support.

    Args:
        payoffs: `[2, K_0, K_1]`, of order one.
        solution: nearly an equilibrium, `[K_0]` and `[K_1]`.
        cut: weights up to this count as zero.
    """
    rows, columns = (np.flatnonzero(weights > cut) for weights in solution)
    row, column = (table[np.ix_(rows, columns)] for table in payoffs)
    strategies = []
    for matrix, support, size in (
        (column.T, rows, len(solution[0])),  # x: all columns of the support pay the same
        (row, columns, len(solution[1])),
    ):
        value = np.full((len(matrix), 1), -1.0)
        system = np.vstack([np.hstack([matrix, value]), np.append(np.ones(matrix.shape[1]), 0.0)])
        weights, *_ = np.linalg.lstsq(system, np.append(np.zeros(len(matrix)), 1.0), rcond=None)
        strategy = np.zeros(size)
        strategy[support] = weights[:-1]
        strategies.append(distribution(strategy))
    return strategies


def distribution(weights: np.ndarray) -> np.ndarray:
    """Weights scaled to a sum of 1, negative ones set to zero."""
    positive = np.maximum(weights, 0.0)
    return positive / max(positive.sum(), 1e-300)
