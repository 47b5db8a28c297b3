"""Nash equilibria of two-player general-sum games."""

from __future__ import annotations

import numpy as np
import pytest

from psro.metagame.solvers import bimatrix as module
from psro.metagame.solvers import nash, regrets
from psro.metagame.solvers.bimatrix import bimatrix

SEXES = np.array([[[2, 0], [0, 1]], [[1, 0], [0, 2]]], float)
STAG_HUNT = np.array([[[4, 1], [3, 2.9]], [[4, 3], [1, 2.9]]])


def assert_equilibrium(payoffs: np.ndarray, strategies: list[np.ndarray]) -> None:
    row, column = strategies
    scale = max(1.0, np.abs(payoffs).max())
    for strategy in strategies:
        assert (strategy >= 0).all() and strategy.sum() == pytest.approx(1, abs=1e-12)
    value = [row @ table @ column for table in payoffs]
    assert (payoffs[0] @ column).max() - value[0] <= 1e-9 * scale
    assert (row @ payoffs[1]).max() - value[1] <= 1e-9 * scale


@pytest.mark.parametrize("shape", [(2, 2), (3, 3), (1, 5), (7, 2), (6, 6), (12, 9)])
@pytest.mark.parametrize("kind", ["normal", "integers", "low rank"])
@pytest.mark.parametrize("seed", range(6))
def test_nobody_gains(shape, kind, seed):
    generator = np.random.default_rng(seed)
    payoffs = generator.normal(size=(2, *shape))
    if kind == "integers":
        payoffs = generator.integers(-1, 2, size=(2, *shape)).astype(float)
    if kind == "low rank":
        payoffs = generator.normal(size=(2, shape[0], 2)) @ generator.normal(size=(2, 2, shape[1]))
    assert_equilibrium(payoffs, nash(payoffs))


@pytest.mark.parametrize("noise", [0, 1e-12, 1e-9, 1e-7, 1e-4])
@pytest.mark.parametrize("seed", range(4))
def test_nobody_gains_among_near_duplicates(noise, seed):
    generator = np.random.default_rng(seed)
    payoffs = np.tile(generator.normal(size=(2, 5, 5)), (1, 2, 2))
    payoffs += noise * generator.normal(size=payoffs.shape)
    assert_equilibrium(payoffs, nash(payoffs))


@pytest.mark.slow
@pytest.mark.parametrize("size", [20, 40, 60])
@pytest.mark.parametrize("seed", range(3))
def test_nobody_gains_in_large_games(size, seed):
    payoffs = np.random.default_rng(seed).normal(size=(2, size, size))
    assert_equilibrium(payoffs, nash(payoffs))


def test_the_equilibrium_that_pays_most_is_chosen():
    """Of a stag hunt's three, both hunting stag; of three coordination points, the best."""
    np.testing.assert_array_equal(nash(STAG_HUNT), [[1, 0], [1, 0]])
    table = np.diag([1.0, 3, 2])
    np.testing.assert_array_equal(nash(np.stack([table, table])), [[0, 1, 0]] * 2)


def test_of_equal_payoffs_the_first_pure_one_is_chosen():
    """Battle of the sexes: the mixed one pays less, the pure ones the same and have no entropy."""
    np.testing.assert_array_equal(nash(SEXES), [[1, 0], [1, 0]])


def test_a_game_without_pure_equilibria():
    """Shapley 1964: in its only equilibrium all policies are alike."""
    payoffs = np.stack([np.eye(3), np.roll(np.eye(3), 1, axis=1)])
    np.testing.assert_allclose(nash(payoffs), 1 / 3, atol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_vertices_where_no_path_ends(monkeypatch, seed):
    monkeypatch.setattr(module, "_PIVOTS", 0)
    monkeypatch.setattr(module, "_pure", lambda payoffs: iter([]))
    payoffs = np.random.default_rng(seed).normal(size=(2, 4, 5))
    assert_equilibrium(payoffs, nash(payoffs))


@pytest.mark.parametrize("size", [3, 13])
def test_where_nothing_passes_the_least_regret_is_returned(monkeypatch, size):
    """A tolerance that nothing can meet; once what was tried is best, once only dynamics are left.

    13 policies are too many for vertex enumeration.
    """
    payoffs = np.random.default_rng(size).normal(size=(2, size, size))
    assert regrets(payoffs, bimatrix(payoffs, tolerance=-1.0)).max() <= 1e-9
    monkeypatch.setattr(module, "_PIVOTS", 0)
    monkeypatch.setattr(module, "_pure", lambda payoffs: iter([]))
    monkeypatch.setattr(module, "MAX_VERTEX_ENUMERATION", 0)
    found = bimatrix(payoffs, tolerance=1e-9)
    uniform = [np.full(size, 1 / size)] * 2
    assert regrets(payoffs, found).max() < regrets(payoffs, uniform).max()


def test_polytopes_of_one_dimension_are_no_trouble():
    """One policy against three, and a tolerance that nothing can meet, so that vertices are tried:
    Qhull refuses the one policy's polytope, and the equilibrium found before is returned."""
    payoffs = np.random.default_rng(0).normal(size=(2, 1, 3))
    assert not list(module._vertices(payoffs))
    assert regrets(payoffs, bimatrix(payoffs, tolerance=-1.0)).max() == 0


def test_a_dominated_equilibrium_is_not_chosen():
    """Paths lead to (0, 3) only; the equilibrium in which the row player mixes pays (1/2, 3)."""
    payoffs = np.array([[[1, 0], [-1, -1], [3, -2]], [[3, 3], [-1, 1], [-2, -2]]], float)
    row, column = nash(payoffs)
    assert_equilibrium(payoffs, [row, column])
    assert [row @ table @ column for table in payoffs] == pytest.approx([0.5, 3])
