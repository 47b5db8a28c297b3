"""The vertices of a polytope in integers, by the double description method.

Motzkin, Raiffa, Thompson and Thrall 1953; Fukuda and Prodon 1996, "Double description method
revisited". Degenerate polytopes need nothing extra: vertices are told apart by the inequalities
that they satisfy with equality.
"""

from __future__ import annotations

import math

import numpy as np

from psro.errors import PsroError

MAX_VERTICES = 20_000
"""Where a polytope has more on the way, the method would take minutes."""

MAX_INEQUALITIES = 62
"""They are bits of an integer."""


class TooManyVertices(PsroError):
    """An enumeration that would take too long; one sentence says so."""


def best_response_vertices(payoffs: np.ndarray) -> tuple[list[tuple[int, ...]], np.ndarray]:
    """The vertices of `{x >= 0 : x @ payoffs <= 1}` other than 0, for positive integers `[n, m]`.

    Returns:
        weights: each vertex as n integers, without a common factor, in proportion to x.
        labels: each vertex's labels as bits, int64 `[V]`. Bit i < n is set where `x_i = 0`, and bit
            n + j where column j has the largest payoff, `x @ payoffs[:, j] = 1`.

    Raises:
        TooManyVertices: more than `MAX_VERTICES`, or than `MAX_INEQUALITIES` rows and columns.
    """
    size, num_columns = payoffs.shape
    if size + num_columns > MAX_INEQUALITIES:
        raise TooManyVertices(
            f"all equilibria are enumerated up to {MAX_INEQUALITIES} strategies of both players "
            f"together, and there are {size + num_columns}"
        )
    # Homogeneous, (x, t): x_i >= 0, t >= 0, and t >= x @ payoffs[:, j]. The last row, t >= 0, has
    # the bit n + m; it is redundant in the end.
    rays = [tuple(int(i == k) for i in range(size + 1)) for k in range(size + 1)]
    at_zero = [sum(1 << i for i in range(size) if i != k) for k in range(size + 1)]
    last = 1 << (size + num_columns)
    at_zero = [bits | (last if k < size else 0) for k, bits in enumerate(at_zero)]
    for column in range(num_columns):
        inequality = [-int(entry) for entry in payoffs[:, column]] + [1]
        rays, at_zero = _cut(rays, at_zero, inequality, 1 << (size + column))
        if len(rays) > MAX_VERTICES:
            raise TooManyVertices(
                f"all equilibria of {size} x {num_columns} strategies are not enumerated: a "
                f"polytope has more than {MAX_VERTICES:,} vertices"
            )
    kept = [k for k, ray in enumerate(rays) if any(ray[:-1])]
    labels = np.array([at_zero[k] & ~last for k in kept], np.int64)
    return [_reduced(rays[k][:-1]) for k in kept], labels


def _cut(
    rays: list[tuple[int, ...]], at_zero: list[int], inequality: list[int], bit: int
) -> tuple[list[tuple[int, ...]], list[int]]:
    """The extreme rays of a cone after one more `inequality`, that is at least 0, with the bits of
    the inequalities that are 0 there."""
    values = [sum(map(int.__mul__, inequality, ray)) for ray in rays]
    above = [k for k, value in enumerate(values) if value > 0]
    below = [k for k, value in enumerate(values) if value < 0]
    kept = [k for k, value in enumerate(values) if value >= 0]
    new_rays = [rays[k] for k in kept]
    new_bits = [at_zero[k] | (bit if values[k] == 0 else 0) for k in kept]
    masks, least = np.array(at_zero, np.int64), len(inequality) - 2
    for i in above:
        common = masks[below] & masks[i]
        for place in np.flatnonzero(np.bitwise_count(common) >= least).tolist():
            shared, j = common[place], below[place]
            # Two rays are adjacent if no third one has all that is 0 at both.
            if np.count_nonzero((masks & shared) == shared) == 2:
                new_rays.append(
                    _reduced(
                        values[i] * b - values[j] * a for a, b in zip(rays[i], rays[j], strict=True)
                    )
                )
                new_bits.append(int(shared) | bit)
    return new_rays, new_bits


def _reduced(numbers) -> tuple[int, ...]:
    """Integers without their common factor."""
    numbers = tuple(numbers)
    common = math.gcd(*numbers)
    return numbers if common <= 1 else tuple(number // common for number in numbers)
