"""Correlated and coarse correlated equilibria that maximise something (Marris et al. 2021).

"Multi-Agent Training beyond Zero-Sum with Correlated Equilibrium Meta-Solvers", arXiv:2106.09435.
The equilibria of a meta-game are a polytope; the Gini impurity is a quadratic program on it,
welfare a linear one, entropy an exponential cone program. HiGHS solves the linear ones by the
simplex method, and Clarabel, an interior-point method, the others.

Inside, a joint is `density` = probability times the number of profiles N, which is of order one
whatever N is, and payoffs are within [0, 1].
"""

from __future__ import annotations

import clarabel
import numpy as np
import scipy.optimize
import scipy.sparse as sparse

from psro.meta_solvers.payoffs import unit
from psro.meta_solvers.regret import MetaSolverError, cce_gains, ce_gains, swap_gains

CERTIFICATE = 1e-7
"""No deviation may gain more than this share of the player's payoff span."""

_TOLERANCE = 1e-10
"""Of both solvers, on densities and payoffs of order one. (HiGHS takes none smaller.)"""

_VIOLATED = 1e-10
"""A swap's gain, as a share of the payoff span, that makes its constraint enter the program."""

_WORST = 0.7
"""Of one recommendation, the swaps that gain at least this share of the best one enter together:
fewer would take more rounds, more would make larger programs."""


def coarse_correlated(payoffs: np.ndarray, objective: str) -> np.ndarray:
    """The coarse correlated equilibrium with the largest `objective`, `[K_0, ..., K_{P-1}]`.

    Args:
        payoffs: `[P, K_0, ..., K_{P-1}]`.
        objective: `gini`, `welfare` or `entropy`.

    Raises:
        MetaSolverError: the result did not pass its certificate.
    """
    return _certified(payoffs, _maximise(payoffs, objective, *_coarse(unit(payoffs))), cce_gains)


def correlated(payoffs: np.ndarray, objective: str) -> np.ndarray:
    """The correlated equilibrium with the largest `objective`, `[K_0, ..., K_{P-1}]`.

    There are sum_p K_p (K_p - 1) constraints and few of them bind, so the program starts with none,
    and those that its solution violates enter it until none is.

    Args:
        payoffs: `[P, K_0, ..., K_{P-1}]`.
        objective: `gini`, `welfare` or `entropy`.

    Raises:
        MetaSolverError: the result did not pass its certificate.
    """
    scaled = unit(payoffs)
    total = sparse.csr_array(np.ones((1, scaled[0].size)))
    right = np.array([scaled[0].size], float)
    swaps = [np.zeros((size, size), bool) for size in payoffs.shape[1:]]
    # nearly the same swaps bind under entropy as under the Gini impurity, which finds them faster
    for stage in ("gini", "entropy") if objective == "entropy" else (objective,):
        entered = True
        while entered:
            joint = _maximise(payoffs, stage, total, right, _swaps(scaled, swaps))
            entered = False
            for chosen, gains in zip(swaps, swap_gains(scaled, joint), strict=True):
                worst = gains.max(axis=1, keepdims=True)
                new = (gains > _VIOLATED) & (gains >= _WORST * worst) & ~chosen
                chosen |= new
                entered |= bool(new.any())
    return _certified(payoffs, joint, ce_gains)


def _coarse(payoffs: np.ndarray) -> tuple[sparse.csr_array, np.ndarray, sparse.csr_array]:
    """Equalities, their right-hand side, and inequalities (at most 0) of coarse equilibria.

    Written in densities alone, each of the sum_p K_p inequalities would be dense. So the others'
    density, averaged over a player's policies, and the player's value are variables too, and all
    constraints together have 3 P N entries. The variables: N densities, then every player's
    N / K_p, then P values.
    """
    shape, num_profiles = payoffs.shape[1:], payoffs[0].size
    profiles = np.arange(num_profiles).reshape(shape)
    num_others = [num_profiles // size for size in shape]
    starts = num_profiles + np.concatenate([[0], np.cumsum(num_others)])
    num_variables = starts[-1] + len(shape)
    equal, at_most = [_matrix([0] * num_profiles, profiles.ravel(), 1.0, (1, num_variables))], []
    for p, size in enumerate(shape):
        mine = np.moveaxis(profiles, p, 0).reshape(size, -1)  # [K_p, N / K_p]
        table = np.moveaxis(payoffs[p], p, 0).reshape(size, -1)
        others = np.broadcast_to(np.arange(num_others[p]), mine.shape)
        value = starts[-1] + p
        average = _matrix(others, mine, 1 / size, (num_others[p], num_variables))
        identity = sparse.eye_array(num_others[p], num_variables, k=starts[p])
        equal += [
            average - identity,
            _matrix(np.zeros(mine.shape, int), mine, table / num_profiles, (1, num_variables))
            - _matrix([0], [value], 1.0, (1, num_variables)),
        ]
        rows = np.arange(size)
        at_most.append(
            _matrix(
                np.broadcast_to(rows[:, None], mine.shape),
                others + starts[p],
                table / num_others[p],
                (size, num_variables),
            )
            - _matrix(rows, np.full(size, value), 1.0, (size, num_variables))
        )
    equal = sparse.vstack(equal, format="csr")
    right = np.zeros(equal.shape[0])
    right[0] = num_profiles
    return equal, right, sparse.vstack(at_most, format="csr")


def _swaps(payoffs: np.ndarray, chosen: list[np.ndarray]) -> sparse.csr_array:
    """Inequalities (at most 0): the gain of every chosen swap (k, k'), divided by what makes its
    entries of order one."""
    shape, num_profiles = payoffs.shape[1:], payoffs[0].size
    profiles = np.arange(num_profiles).reshape(shape)
    blocks = [sparse.csr_array((0, num_profiles))]
    for p, size in enumerate(shape):
        mine = np.moveaxis(profiles, p, 0).reshape(size, -1)  # [K_p, N / K_p]
        table = np.moveaxis(payoffs[p], p, 0).reshape(size, -1)
        recommended, played = np.nonzero(chosen[p])
        gains = (table[played] - table[recommended]) / mine.shape[1]
        rows = np.broadcast_to(np.arange(len(played))[:, None], gains.shape)
        blocks.append(_matrix(rows, mine[recommended], gains, (len(played), num_profiles)))
    return sparse.vstack(blocks, format="csr")


def _matrix(rows, columns, values, shape: tuple[int, int]) -> sparse.csr_array:
    rows, columns = np.ravel(rows), np.ravel(columns)
    values = np.broadcast_to(np.ravel(values), rows.shape)
    return sparse.csr_array((values, (rows, columns)), shape=shape)


def _maximise(
    payoffs: np.ndarray,
    objective: str,
    equal: sparse.csr_array,
    right: np.ndarray,
    at_most: sparse.csr_array,
) -> np.ndarray:
    """The joint with the largest objective where `equal @ v == right` and `at_most @ v <= 0`; the
    first N entries of v are densities and at least 0."""
    num_profiles, num_variables = payoffs[0].size, equal.shape[1]
    if objective == "welfare":
        cost = np.zeros(num_variables)
        welfare = payoffs.sum(axis=0).ravel()
        cost[:num_profiles] = -(welfare - welfare.min()) / max(np.ptp(welfare), 1e-300)
        solution = _linear(cost, equal, right, at_most, num_profiles)
    else:
        solution = _conic(objective, equal, right, at_most, num_profiles)
    positive = np.maximum(solution[:num_profiles], 0.0)
    return (positive / positive.sum()).reshape(payoffs.shape[1:])


def _linear(cost, equal, right, at_most, num_profiles: int) -> np.ndarray:
    bounds = np.full((len(cost), 2), [-np.inf, np.inf])
    bounds[:num_profiles, 0] = 0.0
    result = scipy.optimize.linprog(
        cost,
        A_ub=at_most,
        b_ub=np.zeros(at_most.shape[0]),
        A_eq=equal,
        b_eq=right,
        bounds=bounds,
        method="highs-ds",
        options={
            "primal_feasibility_tolerance": _TOLERANCE,
            "dual_feasibility_tolerance": _TOLERANCE,
        },
    )
    if result.x is None:
        raise MetaSolverError(f"HiGHS could not solve the program: {result.message}")
    return result.x


def _conic(objective: str, equal, right, at_most, num_profiles: int) -> np.ndarray:
    """Clarabel's form: minimise v P v / 2 + q v where b - A v lies in a product of cones."""
    num_variables = equal.shape[1]
    linear = sparse.vstack([equal, at_most])
    cones = [clarabel.ZeroConeT(equal.shape[0]), clarabel.NonnegativeConeT(at_most.shape[0])]
    if objective == "gini":  # minimise the mean square density; densities are at least 0
        quadratic = sparse.diags_array(
            np.where(np.arange(num_variables) < num_profiles, 1.0, 0.0), format="csc"
        )
        cost = np.zeros(num_variables)
        sign = -sparse.eye_array(num_profiles, num_variables)
        matrix = sparse.vstack([linear, sign])
        cones.append(clarabel.NonnegativeConeT(num_profiles))
        target = np.concatenate([right, np.zeros(at_most.shape[0] + num_profiles)])
    else:  # minimise sum(t), t_i at least d_i log d_i: (-t_i, d_i, 1) in the exponential cone
        num_total = num_variables + num_profiles
        quadratic = sparse.csc_array((num_total, num_total))
        cost = np.append(np.zeros(num_variables), np.ones(num_profiles))
        rows = np.arange(num_profiles)
        cone = _matrix(
            np.concatenate([3 * rows, 3 * rows + 1]),
            np.concatenate([num_variables + rows, rows]),
            np.concatenate([np.ones(num_profiles), -np.ones(num_profiles)]),
            (3 * num_profiles, num_total),
        )
        padding = sparse.csr_array((linear.shape[0], num_profiles))
        matrix = sparse.vstack([sparse.hstack([linear, padding]), cone])
        cones += [clarabel.ExponentialConeT()] * num_profiles
        target = np.concatenate(
            [right, np.zeros(at_most.shape[0]), np.tile([0.0, 0.0, 1.0], num_profiles)]
        )
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.max_threads = 1  # the same bits on every machine
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = _TOLERANCE
    solver = clarabel.DefaultSolver(
        sparse.csc_matrix(quadratic), cost, sparse.csc_matrix(matrix), target, cones, settings
    )
    solution = solver.solve()
    density = np.array(solution.x)
    if not np.isfinite(density).all() or density[:num_profiles].max() <= 0:
        raise MetaSolverError(f"Clarabel could not solve the program: {solution.status}")
    return density


def _certified(payoffs: np.ndarray, joint: np.ndarray, gains) -> np.ndarray:
    gain = max(float(np.max(each)) for each in gains(unit(payoffs), joint))
    if gain > CERTIFICATE:
        raise MetaSolverError(
            f"no equilibrium of the {' x '.join(map(str, joint.shape))} meta-game passed its "
            f"certificate: a deviation gains {gain:.3g} of the payoffs' span, the limit is "
            f"{CERTIFICATE:.3g}"
        )
    return joint
