"""Meta-solvers that play: their rates, their floors, and other people's implementations."""

from __future__ import annotations

import itertools

import nashpy
import numpy as np
import pytest
from open_spiel.python.algorithms import projected_replicator_dynamics
from open_spiel.python.algorithms import regret_matching as openspiel_regret_matching

from psro.metagame.solvers import regrets
from psro.metagame.solvers.fictitious_play import fictitious_play
from psro.metagame.solvers.payoffs import unit
from psro.metagame.solvers.projected_replicator import project, projected_replicator
from psro.metagame.solvers.qre import qre
from psro.metagame.solvers.regret_matching import regret_matching
from psro.metagame.solvers.regularized_replicator import regularized_replicator
from psro.metagame.solvers.replicator import STEP, replicator, trajectory

DYNAMICS = [fictitious_play, regret_matching, replicator, projected_replicator]
STAG_HUNT = np.array([[[4, 1], [3, 2.9]], [[4, 3], [1, 2.9]]])


def zero_sum(shape: tuple[int, int], seed: int) -> np.ndarray:
    row = np.random.default_rng(seed).normal(size=shape)
    return np.stack([row, -row])


def assert_close(found, expected, atol: float) -> None:
    for each, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(each, other, atol=atol)


# Rates, in units of the payoff span: the sum of regrets in a zero-sum game


@pytest.mark.parametrize("shape", [(2, 2), (5, 3), (20, 20)])
@pytest.mark.parametrize("seed", range(3))
def test_in_zero_sum_games_averages_keep_their_promise(shape, seed):
    payoffs = unit(zero_sum(shape, seed))
    time = 100.0
    promise = np.log(shape).sum() / time
    assert regrets(payoffs, replicator(payoffs, time=time)).sum() <= promise + 1e-4
    for rounds in (10, 1000):
        promise = np.sqrt(np.array(shape) / rounds).sum()
        assert regrets(payoffs, regret_matching(payoffs, iterations=rounds)).sum() <= promise
    assert regrets(payoffs, fictitious_play(payoffs)).max() <= 0.05


@pytest.mark.parametrize("solver", DYNAMICS)
def test_what_is_dominated_dies_out(solver):
    """For three players: the second policy is always worth less, and against it the first."""
    payoffs = np.random.default_rng(0).uniform(size=(3, 2, 2, 2))
    for p in range(3):
        first, second = (np.moveaxis(payoffs[p], p, 0)[k] for k in (0, 1))
        second[...] = first - 1
    for strategy in solver(payoffs):
        assert strategy[1] < 0.1


def test_fictitious_play_answers_the_average():
    """Three rounds by hand: both first answer uniform play, and ties are shared."""
    pennies = np.array([[1.0, -1], [-1, 1]])
    assert_close(fictitious_play(np.stack([pennies, -pennies]), iterations=50), [[0.5] * 2] * 2, 0)
    row, column = fictitious_play(np.array([[[3.0, 0], [0, 1]]] * 2), iterations=3)
    assert row.tolist() == column.tolist() == [1, 0]


def test_regret_matching_is_openspiel_s():
    payoffs = unit(np.random.default_rng(1).normal(size=(3, 3, 2, 4)))
    expected = openspiel_regret_matching.regret_matching([*payoffs], iterations=300, gamma=0.0)
    # OpenSpiel's regrets start at 1e-6, and its average has one more term
    assert_close(regret_matching(payoffs, iterations=301), expected, 1e-4)


# Replicator dynamics


@pytest.mark.parametrize("seed", range(3))
def test_the_trajectory_is_nashpy_s(seed):
    payoffs = unit(np.random.default_rng(seed).normal(size=(2, 4, 3)))
    steps = 40
    times = np.linspace(0, steps * STEP, steps + 1)
    expected = nashpy.Game(*payoffs).asymmetric_replicator_dynamics(timepoints=times)
    path = itertools.islice(trajectory(payoffs), steps)
    for number, (strategies, _) in enumerate(path):
        assert_close(strategies, [each[number + 1] for each in expected], 2e-4)


def test_the_projected_ones_are_openspiel_s():
    payoffs = unit(np.random.default_rng(2).normal(size=(3, 3, 3, 3)))
    floor = 0.02
    expected = projected_replicator_dynamics.projected_replicator_dynamics(
        [*payoffs], prd_iterations=500, prd_dt=0.1, prd_gamma=floor
    )
    found = projected_replicator(payoffs, gamma=floor * 4, step=0.1, iterations=500)
    assert_close(found, expected, 1e-10)


@pytest.mark.parametrize("gamma", [0, 0.01, 0.5, 1])
def test_no_policy_falls_below_the_floor(gamma):
    for strategy in projected_replicator(zero_sum((6, 2), 3), gamma=gamma, iterations=300):
        assert strategy.min() >= gamma / (len(strategy) + 1) - 1e-12


@pytest.mark.parametrize("seed", range(20))
def test_a_projection_is_the_nearest_distribution(seed):
    """By its optimality condition: no feasible direction comes closer."""
    generator = np.random.default_rng(seed)
    point, floor = generator.normal(size=5), 0.1 * generator.uniform()
    nearest = project(point, floor)
    assert nearest.sum() == pytest.approx(1) and nearest.min() >= floor - 1e-12
    corners = floor + (1 - 5 * floor) * np.eye(5)
    assert ((corners - nearest) @ (point - nearest)).max() <= 1e-9


@pytest.mark.parametrize("threshold", [0.3, 0.05, 0.02])
@pytest.mark.parametrize("seed", range(3))
def test_the_regularized_ones_stop_at_their_threshold(threshold, seed):
    payoffs = zero_sum((8, 6), seed)
    regret = regrets(unit(payoffs), regularized_replicator(payoffs, threshold=threshold)).max()
    assert threshold / 3 < regret <= threshold  # and not far below it


def test_what_cannot_reach_the_threshold_comes_close():
    payoffs = zero_sum((4, 4), 0)
    found = regularized_replicator(payoffs, threshold=0.0, time=50)
    uniform = [np.full(4, 0.25)] * 2
    assert 0 < regrets(payoffs, found).max() < regrets(payoffs, uniform).max() / 3


# Quantal response


@pytest.mark.parametrize("shape", [(1, 3), (2, 2), (8, 5), (3, 4, 2), (2, 2, 2, 2), (30, 30)])
@pytest.mark.parametrize("precision", [0.0, 1.0, 20.0, 100.0])
def test_quantal_responses_are_a_fixed_point(shape, precision):
    payoffs = unit(np.random.default_rng(sum(shape)).normal(size=(len(shape), *shape)))
    strategies = qre(payoffs, precision=precision)
    letters = "abcd"[: len(shape)]
    for p, strategy in enumerate(strategies):
        others = [letters[q] for q in range(len(shape)) if q != p]
        earned = np.einsum(
            f"{letters},{','.join(others)}->{letters[p]}",
            payoffs[p],
            *(strategies[q] for q in range(len(shape)) if q != p),
        )
        response = np.exp(precision * (earned - earned.max()))
        np.testing.assert_allclose(strategy, response / response.sum(), atol=1e-8)


def test_the_branch_ends_in_the_risk_dominant_equilibrium():
    """Both hunt hare, though hunting stag pays more (McKelvey and Palfrey 1995, section 5)."""
    for strategy in qre(STAG_HUNT, precision=100.0):
        np.testing.assert_allclose(strategy, [0, 1], atol=1e-6)


def test_the_branch_runs_through_a_bifurcation():
    """Battle of the sexes is its own mirror image, and the branch keeps to the middle."""
    first, second = qre(np.array([[[2, 0], [0, 1]], [[1, 0], [0, 2]]], float), precision=100.0)
    np.testing.assert_allclose(first, second[::-1], atol=1e-9)
