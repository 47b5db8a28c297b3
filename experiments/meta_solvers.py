"""Seconds and certificates of every meta-solver on random payoffs, and Alpha-Rank beside OpenSpiel.

    python experiments/meta_solvers.py             # every solver at three sizes
    python experiments/meta_solvers.py --peers     # also OpenSpiel's Alpha-Rank, 17 x 17: minutes
    python experiments/meta_solvers.py --convex    # also other convex solvers; needs cvxpy, osqp,
                                                   # highspy and qpsolvers

CPU seconds are of all threads. Gains are shares of the payoff span: of a player's best deviation of
the kind that the solver's concept forbids, or from the marginals where it has none.
"""

import argparse
import functools
import time

import numpy as np

from psro.metagame.solvers import META_SOLVERS, cce_gains, ce_gains, joint_of, regrets

SHAPES = ((10, 10), (60, 60), (12, 12, 12))
PROGRAMS = (("mgcce", (10, 10)), ("mgcce", (40, 40)), ("mgce", (10, 10)), ("mgce", (20, 20)))


def timed(function, *arguments):
    """Its value, wall and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    value = function(*arguments)
    return value, time.perf_counter() - wall, time.process_time() - cpu


def gain(solver, payoffs: np.ndarray, found) -> float:
    if solver.concept == "ce":
        return max(float(each.max()) for each in ce_gains(payoffs, found))
    if solver.joint or solver.concept == "cce":
        return float(cce_gains(payoffs, found).max())
    return float(regrets(payoffs, found).max())


def every_solver() -> None:
    print("| solver | policies | wall s | CPU s | gain |\n|---|---|---|---|---|")
    for name, solver in META_SOLVERS.items():
        for shape in SHAPES:
            if solver.num_players not in (None, len(shape)):
                continue
            payoffs = np.random.default_rng(0).uniform(size=(len(shape), *shape))
            if solver.symmetric:
                payoffs[1] = payoffs[0].T
            found, wall, cpu = timed(solver, payoffs)
            size = " x ".join(map(str, shape))
            worst = gain(solver, payoffs, found)
            print(f"| {name} | {size} | {wall:.3f} | {cpu:.3f} | {worst:.1e} |", flush=True)


def alpha_rank_beside_openspiel() -> None:
    from open_spiel.python.egt import alpharank

    payoffs = np.random.default_rng(0).normal(size=(2, 17, 17))
    mine, _, cpu = timed(META_SOLVERS["alpha_rank"], payoffs)
    theirs, _, their_cpu = timed(alpharank.sweep_pi_vs_epsilon, [*payoffs])
    print(
        f"\nalpha_rank, 17 x 17: {cpu:.3f} CPU s, OpenSpiel's sweep_pi_vs_epsilon {their_cpu:.1f} "
        f"CPU s; largest difference {np.abs(mine.ravel() - theirs).max():.1e}"
    )


def convex_solvers() -> None:
    """Maximum Gini impurity under all constraints at once, by each package, and as `mgcce` and
    `mgce` do it: with those that bind."""
    import cvxpy
    import qpsolvers
    import scipy.sparse as sparse

    from psro.metagame.solvers import correlated
    from psro.metagame.solvers.regret import fixed_gains, swap_gains

    def by_ours(name, payoffs, rows):
        """The same program, of which it builds what it needs."""
        return META_SOLVERS[name](payoffs)

    def by_cvxpy(rows):
        density = cvxpy.Variable(rows.shape[1], nonneg=True)
        constraints = [cvxpy.sum(density) == rows.shape[1], rows @ density <= 0]
        problem = cvxpy.Problem(cvxpy.Minimize(cvxpy.sum_squares(density) / 2), constraints)
        tolerances = dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), 1e-10)
        problem.solve(solver="CLARABEL", **tolerances)
        return density.value

    def by_qpsolvers(solver, **settings):
        def solve(rows):
            size = rows.shape[1]
            return qpsolvers.solve_qp(
                sparse.eye(size, format="csc"),
                np.zeros(size),
                sparse.csc_matrix(rows),
                np.zeros(rows.shape[0]),
                sparse.csc_matrix(np.ones((1, size))),
                np.array([float(size)]),
                lb=np.zeros(size),
                solver=solver,
                **settings,
            )

        return solve

    packages = {
        "Clarabel": correlated._gini,
        "cvxpy with Clarabel": by_cvxpy,
        "qpsolvers: HiGHS": by_qpsolvers("highs"),
        "qpsolvers: OSQP": by_qpsolvers("osqp", eps_abs=1e-9, eps_rel=1e-9, max_iter=200_000),
        "qpsolvers: PIQP": by_qpsolvers("piqp"),
    }
    print("\n| program | by | CPU s | gain | sum of squares |\n|---|---|---|---|---|")
    for name, shape in PROGRAMS:
        payoffs = correlated.unit(np.random.default_rng(0).uniform(size=(2, *shape)))
        gains_of, rows_of = {
            "mgcce": (fixed_gains, correlated._fixed),
            "mgce": (swap_gains, correlated._swaps),
        }[name]
        uniform = joint_of([np.full(size, 1 / size) for size in shape])
        rows = rows_of(payoffs, [np.ones(g.shape, bool) for g in gains_of(payoffs, uniform)])
        size = " x ".join(map(str, shape))
        solvers = {name: functools.partial(by_ours, name, payoffs), **packages}
        for package, solve in solvers.items():
            density, _, cpu = timed(solve, rows)
            line = f"| {name}, {size} | {package} | {cpu:.3f} |"
            if density is None:
                print(line, "failed | |", flush=True)
                continue
            joint = np.maximum(density, 0).reshape(shape)
            joint = joint / joint.sum()
            worst = max(float(each.max()) for each in gains_of(payoffs, joint))
            print(line, f"{worst:.1e} | {(joint**2).sum():.9f} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--convex", action="store_true")
    options = parser.parse_args()
    every_solver()
    if options.peers:
        alpha_rank_beside_openspiel()
    if options.convex:
        convex_solvers()
