"""Nash equilibrium of a two-player meta-game, through nashpy: by linear programming if it is
zero-sum, otherwise by the methods of `bimatrix`.

nashpy's `support_enumeration` is never used: in floating point it misses the equilibrium of about
one random 3 x 3 zero-sum game in eight.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
import scipy

from games.units import centred, is_constant_sum, rounding
from psro.metagame.solvers.bimatrix import CUTS, bimatrix, distribution, polished, rank
from psro.metagame.solvers.payoffs import checked, unit
from psro.metagame.solvers.regret import MetaSolverError, regrets
from psro.metagame.solvers.undominated import undominated

TOLERANCE = 1e-9
"""No player may gain more than this share of half its payoffs' span by deviating."""

FALLBACK_TOLERANCE = 1e-6
"""The limit if no candidate is better. Policies may differ by less than float32's rounding of their
payoffs, and this must not end a run. The loop records every meta-strategy's regret."""

_REFINEMENTS = 10
"""The most rounds of refinement."""


def nash(payoffs: np.ndarray) -> list[np.ndarray]:
    """An equilibrium of payoffs `[2, K_0, K_1]`: strategies x and y with `x A y = max_i (A y)_i`
    and `x B y = max_j (x B)_j`, for the players' payoffs A and B. If B = -A, x solves
    `max_x min_j (x A)_j`. Regrets are at most `TOLERANCE`, or `FALLBACK_TOLERANCE` if no candidate
    is better.

    Constant-sum games: the linear program's solver stops within its own tolerance (1e-7). If that
    is not enough, the indifference systems on its supports are solved. Then the program is refined.

    General-sum games: the candidates are the pure equilibria and the ends of Lemke and Howson's
    paths. The one with the largest sum of payoffs (each in its player's span) is returned; if sums
    are equal, the one with the largest sum of entropies. In tables of up to 8 x 8 it is replaced if
    another equilibrium Pareto-dominates it (`undominated`). If there is no candidate, vertices are
    enumerated. If that fails too, the result has the least regret among all candidates and the ends
    of simple dynamics. It is not an equilibrium, and its `regrets` show this.

    Raises:
        MetaSolverError: not two players, a wrong shape, or no strategies of a constant-sum game
            passed the certificate.
    """
    payoffs = checked(payoffs, "nash")
    if len(payoffs) != 2:
        raise MetaSolverError(
            f"meta-solver nash is for two players, and this game has {len(payoffs)}; use mgcce "
            "or uniform, which are for any number of players"
        )
    scaled = 2 * unit(payoffs)
    if not is_constant_sum(payoffs):
        solution = bimatrix(scaled / 2, tolerance=TOLERANCE / 2)
        return undominated(scaled / 2, solution, tolerance=TOLERANCE / 2, rank=rank)
    row = centred(payoffs[0] / 2 - payoffs[1] / 2)  # zero-sum, and the same equilibria
    best, best_regret = None, np.inf
    for candidate in _candidates(row):
        regret = float(regrets(scaled, candidate).max())
        if regret <= TOLERANCE:
            return candidate
        if regret < best_regret:
            best, best_regret = candidate, regret
    limit = FALLBACK_TOLERANCE + 2 * rounding(payoffs) / max(np.ptp(payoffs[0]), 1e-300)
    if best_regret <= limit:
        return best
    raise MetaSolverError(
        f"no equilibrium of the {row.shape[0]} x {row.shape[1]} meta-game passed its certificate: "
        f"the best candidate leaves a gain of {best_regret:.3g} of half the payoffs' span, and "
        f"the limit is {limit:.3g}"
    )


def _candidates(row: np.ndarray) -> Iterator[list[np.ndarray]]:
    """Yields pairs of strategies from the row player's payoffs, within [-1, 1]. The likeliest
    solution comes first."""
    for solve in (_nashpy, _refined):
        for solution in solve(row):
            yield solution
            for cut in CUTS:
                yield polished(np.stack([row, -row]), solution, cut)


def _nashpy(row: np.ndarray) -> Iterator[list[np.ndarray]]:
    import nashpy  # imported here, because it loads networkx, which takes half a second

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield [distribution(weights) for weights in nashpy.Game(row).linear_program()]
    except (ValueError, TypeError):  # scipy could not solve the program
        return


def _refined(row: np.ndarray) -> Iterator[list[np.ndarray]]:
    """Both strategies from one linear program, refined (Gleixner, Steffy and Wolter 2012,
    "Improving the accuracy of linear programming solvers with iterative refinement").

    If policies are nearly equal, their payoffs may differ by less than any tolerance of the solver.
    So each round solves for a correction. The violations that remain, of bounds and costs, are
    scaled up to order one for this.
    """
    num_rows, num_columns = row.shape
    cost = np.zeros(num_rows + 1 + num_columns)  # of (x, v, slack): maximise the value v
    cost[num_rows] = -1.0
    matrix = np.zeros((num_columns + 1, len(cost)))
    matrix[:-1, :num_rows] = -row.T  # v - x . row[:, j] + slack[j] = 0
    matrix[:-1, num_rows] = 1.0
    matrix[:-1, num_rows + 1 :] = np.eye(num_columns)
    matrix[-1, :num_rows] = 1.0  # sum(x) = 1
    target = np.append(np.zeros(num_columns), 1.0)
    bounded = np.arange(len(cost)) != num_rows  # all but v are at least 0
    point, dual = np.zeros(len(cost)), np.zeros(len(target))
    primal_scale = dual_scale = 1.0
    for _ in range(_REFINEMENTS):
        for presolve in (True, False):  # one may fail and the other succeed
            result = scipy.optimize.linprog(
                dual_scale * (cost - matrix.T @ dual),
                A_eq=matrix,
                b_eq=primal_scale * (target - matrix @ point),
                bounds=[
                    (-primal_scale * entry if is_bounded else None, None)
                    for entry, is_bounded in zip(point, bounded, strict=True)
                ],
                method="highs-ds",
                options={"presolve": presolve},
            )
            if result.x is not None:
                break
        else:
            return
        point = point + result.x / primal_scale
        dual = dual + result.eqlin.marginals / dual_scale
        yield [distribution(point[:num_rows]), distribution(-dual[:-1])]
        violation = max(np.abs(target - matrix @ point).max(), -point[bounded].min())
        reduced = cost - matrix.T @ dual
        dual_violation = max(-reduced[bounded].min(), abs(reduced[num_rows]))
        primal_scale = min(1 / max(violation, 1e-14), 1e4 * primal_scale)
        dual_scale = min(1 / max(dual_violation, 1e-14), 1e4 * dual_scale)
