"""All extreme equilibria of two players, and all pure ones of any number, in exact arithmetic.

The equilibria of two players are a union of polytopes, whose vertices are pairs of vertices of the
best-response polytopes that together carry all labels (Mangasarian 1964; Avis, Rosenberg, Savani
and von Stengel 2010, "Enumeration of Nash equilibria for two-player games", algorithm 4.4).
"""

from __future__ import annotations

import dataclasses

import numpy as np

from psro.exact.rational.numbers import fractions, integers, normalised
from psro.exact.rational.vertices import best_response_vertices


@dataclasses.dataclass(frozen=True, kw_only=True)
class Profile:
    """An equilibrium in fractions.

    Attributes:
        strategies: each player's probabilities, `[K_p]` of fractions.
        component: of two players' equilibria, the number of the connected set that it belongs to,
            from 0; None where that is not known.
    """

    strategies: tuple[np.ndarray, ...]
    component: int | None = None


def positive(table: np.ndarray) -> np.ndarray:
    """One player's payoffs `[...]`, fractions, in units that change no equilibrium: positive
    integers."""
    whole = integers(table)
    return whole - (min(whole.ravel().tolist()) - 1)


def extreme_equilibria(payoffs: np.ndarray) -> list[Profile]:
    """All extreme equilibria of payoffs `[2, K_0, K_1]`, fractions. Every equilibrium is a mixture
    of those of one component, but mixtures are equilibria only within a maximal Nash subset.

    Raises:
        TooManyVertices: the enumeration would take too long.
    """
    row, column = positive(payoffs[0]), positive(payoffs[1])
    size = row.shape[0]
    xs, x_labels = best_response_vertices(column)
    ys, y_labels = best_response_vertices(np.ascontiguousarray(row.T))
    # Of y, a label below K_1 is a column that is not played: it follows the K_0 rows.
    columns = (y_labels & ((1 << row.shape[1]) - 1)) << size
    y_labels = (y_labels >> row.shape[1]) | columns
    full = (1 << sum(row.shape)) - 1
    pairs = [
        (i, j)
        for i, labels in enumerate(x_labels.tolist())
        for j in np.flatnonzero((y_labels | labels) == full).tolist()
    ]
    components = _components(pairs)
    return [
        Profile(strategies=(normalised(xs[i]), normalised(ys[j])), component=components[("x", i)])
        for i, j in pairs
    ]


def _components(pairs: list[tuple[int, int]]) -> dict[tuple[str, int], int]:
    """The number of the connected set of each vertex in a pair. Two equilibria with a strategy in
    common are joined by equilibria."""
    leader: dict[tuple[str, int], tuple[str, int]] = {}

    def find(node):
        while leader.setdefault(node, node) != node:
            leader[node] = node = leader[leader[node]]
        return node

    for i, j in pairs:
        leader[find(("y", j))] = find(("x", i))
    numbers: dict[tuple[str, int], int] = {}
    return {node: numbers.setdefault(find(node), len(numbers)) for node in list(leader)}


def pure_equilibria(payoffs: np.ndarray) -> list[tuple[int, ...]]:
    """Every profile of payoffs `[P, K_0, ..., K_{P-1}]` (fractions, integers or floats) in which no
    player gains by deviating, as the number of each player's strategy."""
    stable = np.ones(payoffs.shape[1:], bool)
    for p, table in enumerate(payoffs):
        stable &= (table == table.max(axis=p, keepdims=True)).astype(bool)
    return [tuple(profile) for profile in np.argwhere(stable).tolist()]


def pure_profile(profile: tuple[int, ...], sizes: tuple[int, ...]) -> Profile:
    """A pure profile as probabilities."""
    return Profile(
        strategies=tuple(fractions(np.eye(size)[k]) for k, size in zip(profile, sizes, strict=True))
    )


def expected(payoffs: np.ndarray, strategies: tuple[np.ndarray, ...]) -> list:
    """What each player's strategies earn against the others, `[K_p]` for each player, exactly."""
    earned = []
    for p, table in enumerate(payoffs):
        for q in reversed(range(len(strategies))):
            if q != p:
                table = np.tensordot(table, strategies[q], axes=(q, 0))
        earned.append(table)
    return earned


def regret(payoffs: np.ndarray, strategies: tuple[np.ndarray, ...]):
    """The largest gain of a player by a pure deviation, exactly: 0 is a certificate."""
    return max(
        max(own.tolist()) - own @ strategy
        for own, strategy in zip(expected(payoffs, strategies), strategies, strict=True)
    )
