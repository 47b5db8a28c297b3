"""Expected cardinality: its closed forms, and what copies do to it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from psro.metagame.effective_diversity import cardinality_of, effective_diversity

ROCK_PAPER_SCISSORS = np.array([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]])


def zero_sum(row: np.ndarray) -> np.ndarray:
    return np.stack([row, -row])


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (5, 3), (6, 6)])
def test_it_is_the_formula(shape):
    features = np.random.default_rng(0).normal(size=shape)
    kernel = features @ features.T
    identity = np.eye(len(kernel))
    formula = np.trace(identity - np.linalg.inv(kernel + identity))
    assert cardinality_of(features) == pytest.approx(formula)


def test_it_is_the_mean_size_of_a_set():
    """By definition: a set has probability det(L of the set) / det(L + I)."""
    features = np.random.default_rng(1).normal(size=(5, 3))
    kernel, size = features @ features.T, 0.0
    for count in range(6):
        for chosen in itertools.combinations(range(5), count):
            size += count * np.linalg.det(kernel[np.ix_(chosen, chosen)])
    size /= np.linalg.det(kernel + np.eye(5))
    assert cardinality_of(features) == pytest.approx(size)


def test_rock_paper_scissors():
    """By hand: entries of root mean square sqrt(2/3), eigenvalues of the kernel 4.5, 4.5 and 0."""
    diversity = effective_diversity(zero_sum(ROCK_PAPER_SCISSORS))
    np.testing.assert_allclose(diversity, 2 * 4.5 / 5.5)


@pytest.mark.parametrize("shape", [(4, 5), (2, 3, 4)])
@pytest.mark.parametrize("noise", [0, 1e-12])
def test_copies_add_nothing(shape, noise):
    """Of whichever player's policies, and for every player."""
    generator = np.random.default_rng(2)
    payoffs = generator.normal(size=(len(shape), *shape))
    before = effective_diversity(payoffs)
    for axis in range(1, len(shape) + 1):
        copies = np.concatenate([payoffs, payoffs.take([0, 1], axis=axis)], axis=axis)
        copies = copies + noise * generator.normal(size=copies.shape)
        np.testing.assert_allclose(effective_diversity(copies), before, atol=1e-9)


def test_the_published_kernel_grows_by_a_copy_but_not_beyond_the_rank():
    """What leaving copies out is for: eigenvalue s becomes 2 s."""
    row = np.array([[0.6, 0.8]])
    assert cardinality_of(row) == pytest.approx(1 / 2)
    assert cardinality_of(np.vstack([row, row])) == pytest.approx(2 / 3)
    assert cardinality_of(np.vstack([row] * 1000)) < 1


def test_a_new_policy_adds_and_the_unit_does_not():
    payoffs = zero_sum(np.random.default_rng(3).normal(size=(6, 6)))
    sizes = [effective_diversity(payoffs[:, :k, :])[0] for k in range(1, 7)]
    assert (np.diff(sizes) > 0).all()
    assert (np.array(sizes) < np.arange(1, 7)).all()
    np.testing.assert_allclose(effective_diversity(100 * payoffs), effective_diversity(payoffs))


def test_where_nothing_matters_nothing_differs():
    assert effective_diversity(np.zeros((2, 3, 4))).tolist() == [0, 0]
