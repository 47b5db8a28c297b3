"""Correlated and coarse correlated equilibria that maximise something (Marris et al. 2021).

"Multi-Agent Training beyond Zero-Sum with Correlated Equilibrium Meta-Solvers", arXiv:2106.09435.
The equilibria of a meta-game are a polytope. Here sigma is the joint distribution, and G_p are
player p's payoffs:

    CE:  sum over a_-p of sigma(a_p, a_-p) (G_p(b, a_-p) - G_p(a_p, a_-p)) <= 0, all p, a_p and b
    CCE: sum over a of sigma(a) (G_p(b, a_-p) - G_p(a)) <= 0, all p and b

JPSRO trains against the equilibrium (`psro.metagame.target`). For a CCE, a best response is the
`argmax over pi of the sum of sigma(a_-p) u_p(pi, a_-p)`. For a CE, JPSRO trains one best response
for each a_p, with `sigma(a_-p | a_p)`. This program trains only one: for the recommendation a_p
with the largest deviation gain.

The Gini impurity `1 - sum sigma^2` is a quadratic program on the polytope. Welfare is a linear
program. Entropy is an exponential cone program. HiGHS solves the linear programs by the simplex
method. Clarabel, an interior-point method, solves entropy. The Gini impurity has its own
interior-point method (`gini`). Clarabel replaces it if there are many constraints or if it does not
converge.

Internally, a joint is a `density`: the probability times the number of profiles N. It is of order
one for every N. Payoffs are within [0, 1].
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

import clarabel
import numpy as np
import scipy
import scipy.sparse as sparse

from psro.metagame.solvers.gini import least_squares
from psro.metagame.solvers.nash import nash
from psro.metagame.solvers.payoffs import unit
from psro.metagame.solvers.regret import MetaSolverError, fixed_gains, joint_of, swap_gains

CERTIFICATE = 1e-6
"""No deviation may gain more than this share of the player's payoff span."""

_TOLERANCE = 1e-10
"""Tolerance of both solvers, on densities and payoffs of order one. (HiGHS accepts no smaller
one.)"""

_VIOLATED = 1e-10
"""A deviation that gains more than this share of the payoff span enters the program."""

_REPAIRED = 1e-7
"""Largest gain that an interior-point solution may leave, as a share of the payoff span. Above it,
the nearest joint without a gain is taken. This happens if nearly equal policies leave the set of
equilibria without an interior."""

_WORST = 0.7
"""For one player, or for one recommendation to it, all deviations that gain at least this share of
the best one enter together. A larger share needs more rounds; a smaller share makes larger
programs."""


def coarse_correlated(payoffs: np.ndarray, objective: str) -> np.ndarray:
    """The coarse correlated equilibrium with the largest `objective`, `[K_0, ..., K_{P-1}]`.

    Args:
        payoffs: `[P, K_0, ..., K_{P-1}]`.
        objective: `gini`, `welfare` or `entropy`.

    Raises:
        MetaSolverError: the result did not pass its certificate.
    """
    return _equilibrium(payoffs, objective, fixed_gains, _fixed)


def correlated(payoffs: np.ndarray, objective: str) -> np.ndarray:
    """The correlated equilibrium with the largest `objective`, `[K_0, ..., K_{P-1}]`.

    Args:
        payoffs: `[P, K_0, ..., K_{P-1}]`.
        objective: `gini`, `welfare` or `entropy`.

    Raises:
        MetaSolverError: the result did not pass its certificate.
    """
    return _equilibrium(payoffs, objective, swap_gains, _swaps)


def _equilibrium(
    payoffs: np.ndarray, objective: str, gains_of: Callable, rows_of: Callable
) -> np.ndarray:
    """The program starts without constraints. Constraints that its solution violates enter it,
    until it violates none. Few constraints bind, and the time grows with their number.

    Args:
        payoffs: `[P, K_0, ..., K_{P-1}]`.
        objective: `gini`, `welfare` or `entropy`.
        gains_of: returns every deviation's gain from payoffs and a joint, one array per player
            whose last axis is the policy played.
        rows_of: returns the coefficients of gains from payoffs and chosen deviations (of the same
            shapes).
    """
    scaled = unit(payoffs)
    num_profiles = scaled[0].size
    joint = np.full(payoffs.shape[1:], 1 / num_profiles)
    chosen = [np.zeros(gains.shape, bool) for gains in gains_of(scaled, joint)]
    # Nearly the same constraints bind for entropy and the Gini impurity, which finds them faster.
    for stage in ("gini", "entropy") if objective == "entropy" else (objective,):
        entered = True
        while entered:
            joint = _maximise(payoffs, stage, rows_of(scaled, chosen))
            entered = False
            for inside, gains in zip(chosen, gains_of(scaled, joint), strict=True):
                worst = gains.max(axis=-1, keepdims=True)
                new = (gains > _VIOLATED) & (gains >= _WORST * worst) & ~inside
                inside |= new
                entered |= bool(new.any())
    gain = _largest(gains_of(scaled, joint))
    if gain > _REPAIRED:
        with contextlib.suppress(MetaSolverError):  # then the certificate decides
            joint = _nearest(joint, rows_of(scaled, chosen))
        gain = _largest(gains_of(scaled, joint))
    if gain > CERTIFICATE and len(payoffs) == 2:
        # Policies that are nearly copies can leave the programs without an interior. The product of
        # a Nash equilibrium is also such an equilibrium, but its objective may not be the largest.
        joint = joint_of(nash(scaled))
        gain = _largest(gains_of(scaled, joint))
    if gain > CERTIFICATE:
        raise MetaSolverError(
            f"no equilibrium of the {' x '.join(map(str, joint.shape))} meta-game passed its "
            f"certificate: a deviation gains {gain:.3g} of the payoffs' span, the limit is "
            f"{CERTIFICATE:.3g}"
        )
    return joint


def _largest(gains: Sequence[np.ndarray]) -> float:
    return max(float(of_player.max()) for of_player in gains)


def _fixed(payoffs: np.ndarray, chosen: list[np.ndarray]) -> sparse.csr_array:
    """Gains of the chosen policies k', fixed before the draw: rows over profiles."""
    rows = [np.zeros((0, payoffs[0].size))]
    for p, deviations in enumerate(chosen):
        table = np.moveaxis(payoffs[p], p, 0)  # [K_p, others]
        for played in np.flatnonzero(deviations):
            rows.append(np.moveaxis(table[played] - table, 0, p).reshape(1, -1))
    return sparse.csr_array(np.concatenate(rows) / payoffs[0].size)


def _swaps(payoffs: np.ndarray, chosen: list[np.ndarray]) -> sparse.csr_array:
    """Gains of the chosen swaps (k, k'), times K_p so that they are of order one: rows over
    profiles, zero except where k is recommended."""
    shape, num_profiles = payoffs.shape[1:], payoffs[0].size
    profiles = np.arange(num_profiles).reshape(shape)
    blocks = [sparse.csr_array((0, num_profiles))]
    for p, size in enumerate(shape):
        own = np.moveaxis(profiles, p, 0).reshape(size, -1)  # [K_p, N / K_p]
        table = np.moveaxis(payoffs[p], p, 0).reshape(size, -1)
        recommended, played = np.nonzero(chosen[p])
        gains = (table[played] - table[recommended]) / own.shape[1]
        rows = np.broadcast_to(np.arange(len(played))[:, None], gains.shape)
        blocks.append(_matrix(rows, own[recommended], gains, (len(played), num_profiles)))
    return sparse.vstack(blocks, format="csr")


def _matrix(rows, columns, values, shape: tuple[int, int]) -> sparse.csr_array:
    return sparse.csr_array((np.ravel(values), (np.ravel(rows), np.ravel(columns))), shape=shape)


def _maximise(payoffs: np.ndarray, objective: str, gains: sparse.csr_array) -> np.ndarray:
    """The joint with the largest objective for which no row of `gains` is above 0."""
    if objective == "welfare":
        density = _welfare(payoffs.sum(axis=0).ravel(), gains)
    else:
        density = _gini(gains) if objective == "gini" else _entropy(gains)
    positive = np.maximum(density, 0.0)
    return (positive / positive.sum()).reshape(payoffs.shape[1:])


def _welfare(welfare: np.ndarray, gains: sparse.csr_array) -> np.ndarray:
    cost = (welfare.min() - welfare) / max(np.ptp(welfare), 1e-300)
    return _vertex(cost, gains, np.zeros(gains.shape[0]), len(welfare))


def _nearest(joint: np.ndarray, gains: sparse.csr_array) -> np.ndarray:
    """The joint nearest to `joint`, by the sum of absolute differences, for which no row of `gains`
    is above 0. It is a linear program in the N densities and N bounds of differences."""
    num_profiles = joint.size
    density = joint.ravel() * num_profiles
    identity = sparse.eye_array(num_profiles)
    nothing = sparse.csr_array(gains.shape)
    solution = _vertex(
        np.append(np.zeros(num_profiles), np.ones(num_profiles)),
        sparse.vstack(
            [
                sparse.hstack([gains, nothing]),
                sparse.hstack([identity, -identity]),
                sparse.hstack([-identity, -identity]),
            ]
        ),
        np.concatenate([np.zeros(gains.shape[0]), density, -density]),
        num_profiles,
    )
    positive = np.maximum(solution[:num_profiles], 0.0)
    return (positive / positive.sum()).reshape(joint.shape)


def _vertex(
    cost: np.ndarray, at_most: sparse.csr_array, right: np.ndarray, num_profiles: int
) -> np.ndarray:
    """The v with the least `cost v` such that `at_most v <= right`, v is at least 0, and its first
    N entries, the densities, add up to N."""
    total = np.where(np.arange(len(cost)) < num_profiles, 1.0, 0.0)[None]
    result = scipy.optimize.linprog(
        cost,
        A_ub=at_most,
        b_ub=right,
        A_eq=total,
        b_eq=[num_profiles],
        method="highs-ds",
        options={
            "primal_feasibility_tolerance": _TOLERANCE,
            "dual_feasibility_tolerance": _TOLERANCE,
        },
    )
    if result.x is None:
        raise MetaSolverError(f"HiGHS could not solve the program: {result.message}")
    return result.x


def _gini(gains: sparse.csr_array) -> np.ndarray:
    """The densities d with the least sum of d^2 / 2."""
    num_rows, num_profiles = gains.shape
    if 2 * num_rows <= num_profiles:
        density = least_squares(gains, tolerance=_TOLERANCE)
        if density is not None:
            return density
    return _clarabel(
        quadratic=sparse.eye_array(num_profiles),
        cost=np.zeros(num_profiles),
        # d adds up to N; gains are at most 0; d is at least 0
        matrix=[np.ones((1, num_profiles)), gains, -sparse.eye_array(num_profiles)],
        right=np.append(num_profiles, np.zeros(num_rows + num_profiles)),
        cones=[clarabel.ZeroConeT(1), clarabel.NonnegativeConeT(num_rows + num_profiles)],
    )


def _entropy(gains: sparse.csr_array) -> np.ndarray:
    """The densities d with the least sum of d log d. The variables are the N densities d, then N
    upper bounds b of d log d: (-b, d, 1) is in the exponential cone if d log d <= b."""
    num_rows, num_profiles = gains.shape
    profile = np.arange(num_profiles)
    cone = _matrix(
        np.concatenate([3 * profile, 3 * profile + 1]),
        np.concatenate([num_profiles + profile, profile]),
        np.concatenate([np.ones(num_profiles), -np.ones(num_profiles)]),
        (3 * num_profiles, 2 * num_profiles),
    )
    linear = sparse.vstack([np.ones((1, num_profiles)), gains])
    solution = _clarabel(
        quadratic=sparse.csc_array((2 * num_profiles, 2 * num_profiles)),
        cost=np.append(np.zeros(num_profiles), np.ones(num_profiles)),
        matrix=[sparse.hstack([linear, sparse.csr_array(linear.shape)]), cone],
        right=np.concatenate(
            [[num_profiles], np.zeros(num_rows), np.tile([0.0, 0.0, 1.0], num_profiles)]
        ),
        cones=[clarabel.ZeroConeT(1), clarabel.NonnegativeConeT(num_rows)]
        + [clarabel.ExponentialConeT()] * num_profiles,
    )
    return solution[:num_profiles]


def _clarabel(*, quadratic, cost, matrix, right, cones) -> np.ndarray:
    """The v with the least `v quadratic v / 2 + cost v` such that `right - matrix v` is in the
    cones."""
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.max_threads = 1  # the same bits on every machine
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = _TOLERANCE
    solution = clarabel.DefaultSolver(
        sparse.csc_matrix(quadratic),  # Clarabel takes matrices, not arrays
        cost,
        sparse.csc_matrix(sparse.vstack(matrix)),
        right,
        cones,
        settings,
    ).solve()
    point = np.array(solution.x)
    if not np.isfinite(point).all() or point.max() <= 0:
        raise MetaSolverError(f"Clarabel could not solve the program: {solution.status}")
    return point
