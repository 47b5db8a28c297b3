"""The quadratic program of the Gini impurity, by its own interior-point method.

The method is Mehrotra's predictor-corrector (1992), as in Nocedal and Wright 2006, "Numerical
Optimization", section 16.6. The objective is the identity, so every Newton system reduces to one
equation per constraint. There are few constraints, so one dense product and one Cholesky factor are
enough. A general solver factorises a sparse system over all profiles, which is slow.
"""

from __future__ import annotations

import numpy as np
import scipy
import scipy.sparse as sparse

_MAX_STEPS = 60
"""The most steps. The method usually converges in 10 to 30. Without an interior it may not converge
at all."""

_ALMOST = 100
"""If rounding ends the method, a result within this many times the tolerance is accepted."""

_DENSE = 0.1
"""A matrix with more than this share of nonzero entries is multiplied as a dense one."""


def least_squares(gains: sparse.csr_array, *, tolerance: float) -> np.ndarray | None:
    """The d `[N]` with the least sum of squares. Its entries are at least 0 and add up to N, and no
    row of `gains @ d` is above 0. `tolerance` is for numbers of order one. None if no such d is
    found."""
    num_rows, num_profiles = gains.shape
    scale = np.sqrt(num_profiles)  # rows of an average over profiles become vectors of order one
    gains = scale * (gains.toarray() if gains.nnz > _DENSE * num_rows * num_profiles else gains)
    # Lagrangian |d|^2 / 2 + z (gains d + s) - w d - y (sum d - N), with s, z, w at least 0
    d, w = np.ones(num_profiles), np.ones(num_profiles)
    s, z, y = np.ones(num_rows), np.ones(num_rows), 0.0
    for _ in range(_MAX_STEPS):
        dual = d + gains.T @ z - y - w
        primal, total = gains @ d + s, d.sum() - num_profiles
        gap = (d @ w + s @ z) / (num_profiles + num_rows)
        infeasible = np.abs(primal).max(initial=0) / scale
        worst = max(np.abs(dual).max(), infeasible, abs(total) / num_profiles, gap)
        if worst <= tolerance:
            return d
        # Newton's step: D = 1 / (1 + w / d) eliminates d; the system that remains is for z and y
        shrink = d / (d + w)
        scaled = gains * shrink if isinstance(gains, np.ndarray) else gains.multiply(shrink).tocsr()
        inner = scaled @ gains.T
        system = np.empty((num_rows + 1, num_rows + 1))
        system[:-1, :-1] = inner if isinstance(inner, np.ndarray) else inner.toarray()
        system[:-1, -1] = system[-1, :-1] = -(gains @ shrink)
        system[-1, -1] = shrink.sum()
        system[np.arange(num_rows), np.arange(num_rows)] += s / z
        try:
            factor = scipy.linalg.cho_factor(system)
        except scipy.linalg.LinAlgError:  # the multipliers have overflowed
            return d if worst <= _ALMOST * tolerance else None

        error_d, error_s = d * w, s * z  # of complementarity
        for predicting in (True, False):
            a, b = -dual - error_d / d, -primal + error_s / z
            right = np.append(scaled @ a - b, -(shrink @ a) - total)
            *to_z, to_y = scipy.linalg.cho_solve(factor, right)
            to_z = np.array(to_z)
            to_d = shrink * (a - gains.T @ to_z + to_y)
            to_w, to_s = (-error_d - w * to_d) / d, (-error_s - s * to_z) / z
            length = min(1.0, 0.995 * _length((d, w, s, z), (to_d, to_w, to_s, to_z)))
            if predicting:
                ahead = (d + length * to_d) @ (w + length * to_w)
                ahead += (s + length * to_s) @ (z + length * to_z)
                centre = gap * (ahead / (num_profiles + num_rows) / gap) ** 3
                error_d = error_d + to_d * to_w - centre
                error_s = error_s + to_s * to_z - centre
        d, w, s, z = d + length * to_d, w + length * to_w, s + length * to_s, z + length * to_z
        y += length * to_y
    return None


def _length(points, directions) -> float:
    """The longest step before the first entry of all points reaches 0."""
    shares = [
        (-point[back] / direction[back]).min()
        for point, direction in zip(points, directions, strict=True)
        if (back := direction < 0).any()
    ]
    return min(shares, default=np.inf)
