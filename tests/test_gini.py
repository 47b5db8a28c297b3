"""The quadratic program of the Gini impurity: Clarabel's solution, and its own certificate."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sparse

from psro.metagame.solvers import cce_gains, correlated, meta_solver
from psro.metagame.solvers.gini import least_squares


def clarabel(gains: sparse.csr_array, monkeypatch) -> np.ndarray:
    monkeypatch.setattr(correlated, "least_squares", lambda *_, **__: None)
    return correlated._gini(gains)


def random_gains(seed: int, rows: int, profiles: int, share: float) -> sparse.csr_array:
    """Constraints that the uniform joint need not satisfy, and some joint does."""
    generator = np.random.default_rng(seed)
    table = generator.normal(size=(rows, profiles)) * (generator.random((rows, profiles)) < share)
    inside = generator.exponential(size=profiles)
    return sparse.csr_array(table - np.maximum(table @ inside, 0)[:, None] / inside.sum())


@pytest.mark.parametrize("share", [1.0, 0.05], ids=["dense", "sparse"])
@pytest.mark.parametrize(("rows", "profiles"), [(0, 5), (1, 2), (5, 30), (40, 200)])
@pytest.mark.parametrize("seed", range(3))
def test_it_is_clarabel_s(rows, profiles, share, seed, monkeypatch):
    gains = random_gains(seed, rows, profiles, share)
    found = least_squares(gains, tolerance=1e-12)
    assert (found >= 0).all() and found.sum() == pytest.approx(profiles)
    assert (gains @ found).max(initial=0) <= 1e-10
    # The densities are of order one, and the optimum unique: |d - d*|^2 <= 2 (objective's error).
    np.testing.assert_allclose(found, clarabel(gains, monkeypatch), atol=1e-3)
    assert found @ found <= clarabel(gains, monkeypatch) @ clarabel(gains, monkeypatch) + 1e-6


def test_without_an_interior_it_gives_up_or_is_right():
    """Every policy twice: deviations between copies gain nothing, in either direction."""
    table = np.random.default_rng(0).normal(size=(10, 200))
    found = least_squares(sparse.csr_array(np.vstack([table, -table])), tolerance=1e-10)
    assert found is None or np.abs(table @ found).max() <= 1e-8


def test_no_joint_at_all():
    assert least_squares(sparse.csr_array(np.ones((1, 4))), tolerance=1e-10) is None


@pytest.mark.parametrize("size", [10, 60])
def test_large_meta_games_keep_their_certificate(size):
    """Policies that are almost alike, as in a run that converges."""
    generator = np.random.default_rng(size)
    row = np.repeat(generator.normal(size=(size // 2, size)), 2, axis=0)
    row += 1e-6 * generator.normal(size=row.shape)
    payoffs = np.stack([row, -row + 0.3 * generator.normal(size=row.shape)])
    joint = meta_solver("mgcce")(payoffs)
    assert cce_gains(payoffs, joint).max() <= 1e-6 * np.ptp(payoffs)
