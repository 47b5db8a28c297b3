"""Joint meta-solvers: equilibria, and the best ones; and the gains that certify it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.optimize
from scipy import sparse

from psro.metagame.solvers import (
    META_SOLVERS,
    MetaSolverError,
    cce_gains,
    ce_gains,
    correlated,
    joint_of,
    marginals,
    regrets,
)

CHICKEN = np.array([[[0, 7], [2, 6]], [[0, 2], [7, 6]]], float)
PENNIES = np.array([[[1, -1], [-1, 1]], [[-1, 1], [1, -1]]], float)
DILEMMA = np.array([[[3, 0], [5, 1]], [[3, 5], [0, 1]]], float)
ROCK_PAPER_SCISSORS = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]], float)
JOINT = [name for name, solver in META_SOLVERS.items() if solver.joint and solver.concept]


def gradient(name: str, payoffs: np.ndarray, joint: np.ndarray) -> np.ndarray:
    """Of what the solver maximises."""
    if name.startswith("mg"):
        return -2 * joint
    if name.startswith("mw"):
        return payoffs.sum(axis=0)
    return -np.log(np.maximum(joint, 1e-14))


def all_constraints(payoffs: np.ndarray, concept: str) -> np.ndarray:
    """Every deviation's gain, a row over profiles, cell by cell."""
    shape, rows = payoffs.shape[1:], []
    profiles = list(itertools.product(*map(range, shape)))
    for p, size in enumerate(shape):
        for played in range(size):
            gain = np.array(
                [payoffs[(p, *a[:p], played, *a[p + 1 :])] - payoffs[(p, *a)] for a in profiles]
            )
            if concept == "cce":
                rows.append(gain)
            else:
                rows += [gain * [a[p] == k for a in profiles] for k in range(size)]
    return np.array(rows)


@pytest.mark.parametrize("name", JOINT)
@pytest.mark.parametrize("shape", [(3, 3), (4, 5), (2, 3, 2), (6, 6)])
@pytest.mark.parametrize("kind", ["normal", "integers", "zero-sum"])
def test_no_other_equilibrium_is_better(name, shape, kind):
    """The objective is concave: a point is its maximum if no direction to another feasible point
    goes up, and the best such direction is a linear program."""
    payoffs = np.random.default_rng(sum(shape)).normal(size=(len(shape), *shape))
    if kind == "integers":
        payoffs = np.round(payoffs)
    if kind == "zero-sum":
        payoffs[-1] = -payoffs[:-1].sum(axis=0)
    joint = META_SOLVERS[name](payoffs)
    slope = gradient(name, payoffs, joint).ravel()
    best = scipy.optimize.linprog(
        -slope,
        A_ub=all_constraints(payoffs, META_SOLVERS[name].concept),
        b_ub=np.zeros(len(all_constraints(payoffs, META_SOLVERS[name].concept))),
        A_eq=np.ones((1, joint.size)),
        b_eq=[1],
    )
    # HiGHS may leave its constraints by 1e-7, and so may come out above
    assert -best.fun <= slope @ joint.ravel() + 1e-5


@pytest.mark.parametrize("name", JOINT)
def test_games_with_one_equilibrium_only(name):
    np.testing.assert_allclose(META_SOLVERS[name](DILEMMA), [[0, 0], [0, 1]], atol=1e-5)
    np.testing.assert_allclose(META_SOLVERS[name](PENNIES), 1 / 4, atol=1e-7)
    if META_SOLVERS[name].concept == "ce":
        payoffs = np.stack([ROCK_PAPER_SCISSORS, -ROCK_PAPER_SCISSORS])
        np.testing.assert_allclose(META_SOLVERS[name](payoffs), 1 / 9, atol=1e-7)


def test_chicken_s_best_correlated_equilibrium():
    """Aumann 1974's example: who dares is drawn, and the traffic light leaves 10.5 to share."""
    np.testing.assert_allclose(META_SOLVERS["mwce"](CHICKEN), [[0, 1 / 4], [1 / 4, 1 / 2]])
    assert (META_SOLVERS["mwcce"](CHICKEN) * CHICKEN).sum() >= 10.5 - 1e-9


def test_without_a_binding_constraint_gini_and_entropy_are_uniform():
    payoffs = np.stack([np.eye(3), np.eye(3)])
    for name in ("mgcce", "mgce", "mecce", "mece"):
        np.testing.assert_allclose(META_SOLVERS[name](payoffs), 1 / 9, atol=1e-6)


@pytest.mark.parametrize("name", JOINT)
@pytest.mark.parametrize("size", [15, 30])
def test_gains_of_larger_games(name, size):
    """Cyclic with a ladder of skills, as meta-games are: zero-sum, and few policies survive."""
    skills = np.random.default_rng(size).normal(size=(size, 3))
    cycle = np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 0]])
    row = skills @ cycle @ skills.T + 2 * np.subtract.outer(skills[:, 2], skills[:, 2])
    payoffs = np.stack([row, -row])
    joint = META_SOLVERS[name](payoffs)
    if META_SOLVERS[name].concept == "ce":
        assert max(gains.max() for gains in ce_gains(payoffs, joint)) <= 1e-7 * np.ptp(row)
    assert cce_gains(payoffs, joint).max() <= 1e-7 * np.ptp(row)
    # in zero-sum games the marginals of a coarse correlated equilibrium are a Nash equilibrium
    assert regrets(payoffs, marginals(joint)).max() <= 1e-6 * np.ptp(row)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mgcce", "mwcce", "mecce"])
def test_a_large_population(name):
    payoffs = np.random.default_rng(0).normal(size=(2, 150, 150))
    joint = META_SOLVERS[name](payoffs)
    assert (cce_gains(payoffs, joint) / np.ptp(payoffs, axis=(1, 2))).max() <= 1e-9


# Gains


@pytest.mark.parametrize("shape", [(1, 1), (3, 4), (2, 3, 4), (2, 2, 3, 2)])
def test_gains_are_those_of_every_cell(shape):
    generator = np.random.default_rng(0)
    payoffs = generator.normal(size=(len(shape), *shape))
    joint = generator.dirichlet(np.ones(np.prod(shape))).reshape(shape)
    fixed = all_constraints(payoffs, "cce") @ joint.ravel()
    swaps = all_constraints(payoffs, "ce") @ joint.ravel()
    at = np.concatenate([[0], np.cumsum(shape)])
    expected = [fixed[at[p] : at[p + 1]].max() for p in range(len(shape))]
    np.testing.assert_allclose(cce_gains(payoffs, joint), expected, atol=1e-12)
    at = np.concatenate([[0], np.cumsum(np.square(shape))])
    for p, gains in enumerate(ce_gains(payoffs, joint)):
        by_played = swaps[at[p] : at[p + 1]].reshape(shape[p], shape[p])  # [played, recommended]
        np.testing.assert_allclose(gains, by_played.max(axis=0), atol=1e-12)
        assert (gains >= 0).all()
        assert gains.sum() >= cce_gains(payoffs, joint)[p] - 1e-12


def test_a_product_gains_what_its_regrets_say():
    generator = np.random.default_rng(1)
    payoffs = generator.normal(size=(3, 2, 3, 4))
    strategies = [generator.dirichlet(np.ones(size)) for size in (2, 3, 4)]
    joint = joint_of(strategies)
    np.testing.assert_allclose(cce_gains(payoffs, joint), regrets(payoffs, strategies), atol=1e-12)
    for mine, expected in zip(marginals(joint), strategies, strict=True):
        np.testing.assert_allclose(mine, expected, atol=1e-12)


@pytest.mark.parametrize("name", JOINT)
@pytest.mark.parametrize("seed", range(3))
def test_nearly_equal_policies_of_a_common_payoff_game(name, seed):
    """The last policies of a converging run: nearly all of the equilibria's polytope is flat."""
    solver, rng = META_SOLVERS[name], np.random.default_rng(seed)
    table = 8 - 1e-5 * rng.exponential(size=(5, 5)) * rng.choice([1, 10], size=(5, 1))
    table[0] -= rng.uniform(2, 5, size=5)
    table[:, 0] -= rng.uniform(2, 3, size=5)
    payoffs = np.stack([table, table])
    gains_of = ce_gains if solver.concept == "ce" else cce_gains
    gain = max(float(np.max(each)) for each in gains_of(payoffs, solver(payoffs)))
    assert gain <= 1e-6 * np.ptp(table)


@pytest.mark.parametrize("name", JOINT)
def test_where_the_programs_fail_a_nash_equilibrium_is_one(name, monkeypatch):
    """As policies that are nearly copies make them fail; the result is an equilibrium all the
    same."""
    payoffs = np.stack([ROCK_PAPER_SCISSORS, -ROCK_PAPER_SCISSORS])
    pure = np.zeros((3, 3))
    pure[0, 0] = 1.0

    def unsolved(*arguments):
        raise MetaSolverError("no")

    monkeypatch.setattr(correlated, "_maximise", lambda *arguments: pure)
    monkeypatch.setattr(correlated, "_nearest", unsolved)
    monkeypatch.setattr(correlated, "_VIOLATED", np.inf)
    joint = META_SOLVERS[name](payoffs)
    np.testing.assert_allclose(joint, 1 / 9, atol=1e-8)
    three = np.stack([np.arange(8.0).reshape(2, 2, 2)] * 3)
    monkeypatch.setattr(correlated, "_maximise", lambda *arguments: np.eye(8)[0].reshape(2, 2, 2))
    with pytest.raises(MetaSolverError, match="certificate"):
        META_SOLVERS[name](three)


def test_a_program_that_has_no_solution_is_told():
    """Two densities of at least 5 that add up to 2."""
    with pytest.raises(MetaSolverError, match="HiGHS could not solve the program: .*nfeasible"):
        correlated._vertex(np.zeros(2), sparse.csr_array(-np.eye(2)), np.full(2, -5.0), 2)
