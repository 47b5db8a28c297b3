"""Iterated elimination of dominated strategies, in exact arithmetic.

A strategy is strictly dominated if a mixed one earns more against everything. What remains is
rationalizable (Bernheim 1984, Pearce 1984); for more than two players, with beliefs in which the
others' strategies may be correlated.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from psro.exact.rational.matrix_game import minimax


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dominated:
    """A strategy that was eliminated.

    Attributes:
        player, strategy: which.
        by: the mixed strategy that dominates it, fractions `[K_p]`.
    """

    player: int
    strategy: int
    by: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True)
class Elimination:
    """What is left.

    Attributes:
        rounds: the strategies that were eliminated in each round, all players' together.
        left: numbers of each player's remaining strategies.
    """

    rounds: list[list[Dominated]]
    left: list[list[int]]


def eliminated(payoffs: np.ndarray) -> Elimination:
    """Eliminates all strictly dominated strategies of payoffs `[P, K_0, ..., K_{P-1}]`, fractions,
    round by round, until there are none. (The order does not matter.)"""
    left = [list(range(size)) for size in payoffs.shape[1:]]
    rounds = []
    while True:
        found = [
            dominated
            for p, table in enumerate(payoffs)
            for dominated in _dominated(p, table[np.ix_(*left)], left[p], payoffs.shape[1 + p])
        ]
        if not found:
            return Elimination(rounds=rounds, left=left)
        rounds.append(found)
        gone = {(dominated.player, dominated.strategy) for dominated in found}
        left = [[k for k in own if (p, k) not in gone] for p, own in enumerate(left)]


def _dominated(player: int, table: np.ndarray, left: list[int], size: int) -> list[Dominated]:
    """A player's dominated strategies, given one player's payoffs over the strategies that are
    left."""
    own = np.moveaxis(table, player, 0).reshape(len(left), -1)
    found = []
    for k, strategy in enumerate(left):
        gains = own - own[k]
        if len(left) == 1 or any(max(column) <= 0 for column in gains.T.tolist()):
            continue  # against this column it is a best response
        solved = minimax(gains)
        if solved.value > 0:
            by = np.array([0] * size, object)
            by[left] = solved.row
            found.append(Dominated(player=player, strategy=strategy, by=by))
    return found
