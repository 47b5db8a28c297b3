"""Ratings against least squares, Nash averaging against its certificate and closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from psro.metagame.ratings import SLACK, RatingError, elo_like, max_entropy_weights, nash_average
from psro.metagame.solvers import nash, regrets

ROCK_PAPER_SCISSORS = np.array([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]])


def zero_sum(row: np.ndarray) -> np.ndarray:
    return np.stack([row, -row])


def entropy(strategy: np.ndarray) -> float:
    positive = strategy[strategy > 0]
    return float(-(positive * np.log(positive)).sum())


# Elo-like ratings


@pytest.mark.parametrize("shape", [(3, 4), (1, 5), (2, 3, 4)])
def test_ratings_are_a_least_squares_fit(shape):
    payoffs = np.random.default_rng(0).normal(size=(len(shape), *shape))
    found = elo_like(payoffs)
    indicators = [np.ones(payoffs[0].size)]
    for axis, count in enumerate(shape):
        column = np.indices(shape)[axis].ravel()
        indicators += [(column == k).astype(float) for k in range(count)]
    design = np.stack(indicators, axis=1)
    for p, table in enumerate(payoffs):
        weights, *_ = np.linalg.lstsq(design, table.ravel(), rcond=None)
        left = table.ravel() - design @ weights
        share = 1 - np.square(left).sum() / np.square(table - table.mean()).sum()
        assert found.explained[p] == pytest.approx(share)
        assert found.advantage[p] == pytest.approx(table.mean())
        assert found.ratings[p].sum() == pytest.approx(0, abs=1e-12)
        start = 1 + sum(shape[:p])
        own = weights[start : start + shape[p]]
        np.testing.assert_allclose(found.ratings[p], own - own.mean(), atol=1e-12)


def test_a_linear_order_is_found_and_explains_everything():
    strength, difficulty = np.array([3.0, -1.0, -2.0]), np.array([0.5, -0.5])
    found = elo_like(zero_sum(0.25 + strength[:, None] - difficulty))
    np.testing.assert_allclose(found.ratings[0], strength, atol=1e-12)
    np.testing.assert_allclose(found.ratings[1], difficulty, atol=1e-12)
    np.testing.assert_allclose(found.advantage, [0.25, -0.25], atol=1e-12)
    np.testing.assert_allclose(found.explained, 1)


def test_a_cycle_has_no_order():
    found = elo_like(zero_sum(ROCK_PAPER_SCISSORS))
    np.testing.assert_allclose(found.ratings, 0, atol=1e-15)
    np.testing.assert_allclose(found.explained, 0, atol=1e-15)


def test_nothing_to_explain_is_explained():
    for payoffs in (np.zeros((2, 3, 3)), np.full((2, 1, 1), 0.1), np.full((2, 7, 3), 0.1)):
        assert elo_like(payoffs).explained.tolist() == [1, 1]


# Nash averaging


def assert_max_entropy_nash(payoffs: np.ndarray) -> None:
    """An equilibrium, up to the slack, and no equilibrium has more entropy: not those that the
    solver finds when the policies are shuffled, nor their mean."""
    found = nash_average(payoffs)
    spread = np.ptp(payoffs[0]) / 2
    for strategy in found.strategies:
        assert strategy.min() >= 0 and strategy.sum() == pytest.approx(1)
    # Each player's slack is what the other may gain.
    assert regrets(payoffs, found.strategies).sum() <= 2.1 * SLACK * spread + 1e-9
    generator = np.random.default_rng(0)
    others = [nash(payoffs)]
    for _ in range(4):
        orders = [generator.permutation(count) for count in payoffs.shape[1:]]
        shuffled = nash(payoffs[np.ix_([0, 1], *orders)])
        others.append([each[np.argsort(o)] for each, o in zip(shuffled, orders, strict=True)])
    others.append([np.mean(each, axis=0) for each in zip(*others, strict=True)])
    for strategies in others:
        for mine, other in zip(found.strategies, strategies, strict=True):
            assert entropy(mine) >= entropy(other) - 1e-6
    np.testing.assert_allclose(found.ratings[0], payoffs[0] @ found.strategies[1])
    np.testing.assert_allclose(found.ratings[1], payoffs[1].T @ found.strategies[0])


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (3, 3), (12, 5), (40, 40)])
@pytest.mark.parametrize("kind", ["gaussian", "integers", "low rank"])
@pytest.mark.parametrize("seed", range(2))
def test_the_certificate(shape, kind, seed):
    generator = np.random.default_rng(seed)
    row = {
        "gaussian": lambda: generator.normal(size=shape),
        "integers": lambda: generator.integers(-2, 3, size=shape).astype(float),
        "low rank": lambda: (
            generator.normal(size=(shape[0], 2)) @ generator.normal(size=(2, shape[1]))
        ),
    }[kind]()
    assert_max_entropy_nash(zero_sum(row))


@pytest.mark.parametrize("noise", [0, 1e-10, 1e-8, 1e-6, 1e-5, 1e-4, 1e-3])
@pytest.mark.parametrize("seed", range(3))
def test_among_near_duplicates(noise, seed):
    """What a converging run makes; copies that float32 cannot tell apart share their weight."""
    generator = np.random.default_rng(seed)
    row = generator.normal(size=(8, 8))
    row = np.vstack([row, row + noise * generator.normal(size=row.shape)])
    row = np.hstack([row, row + noise * generator.normal(size=row.shape)])
    assert_max_entropy_nash(zero_sum(row))
    if noise <= 1e-8:
        for strategy in nash_average(zero_sum(row)).strategies:
            np.testing.assert_allclose(strategy[:8], strategy[8:], atol=1e-3)


def test_copies_share_their_weight():
    """Rock, paper, and scissors twice: Balduzzi et al.'s own example of why."""
    order = [0, 1, 2, 2]
    found = nash_average(zero_sum(ROCK_PAPER_SCISSORS[np.ix_(order, order)]))
    for strategy, rating in zip(found.strategies, found.ratings, strict=True):
        np.testing.assert_allclose(strategy, [1 / 3, 1 / 3, 1 / 6, 1 / 6], atol=1e-5)
        np.testing.assert_allclose(rating, 0, atol=1e-5)


def test_copies_change_no_rating():
    payoffs = zero_sum(np.random.default_rng(4).normal(size=(6, 6)))
    order = [0, 1, 2, 3, 4, 5, 0, 0, 3]
    copied = nash_average(payoffs[np.ix_([0, 1], order, order)])
    plain = nash_average(payoffs)
    for p in range(2):
        np.testing.assert_allclose(copied.ratings[p], plain.ratings[p][order], atol=1e-4)


def test_a_dominated_policy_has_no_weight():
    row = np.array([[0.0, 1.0, 2.0], [-1.0, 0.0, 1.0], [-2.0, -1.0, 0.0]])
    found = nash_average(zero_sum(row))
    for strategy in found.strategies:
        np.testing.assert_allclose(strategy, [1, 0, 0], atol=1e-4)
    np.testing.assert_allclose(found.ratings[0], [0, -1, -2], atol=1e-4)


def test_where_all_is_equal_all_have_the_same_weight():
    found = nash_average(zero_sum(np.full((3, 5), 0.25)))
    np.testing.assert_allclose(found.strategies[0], 1 / 3)
    np.testing.assert_allclose(found.strategies[1], 1 / 5)
    np.testing.assert_allclose(found.ratings[1], -0.25)


def test_against_a_brute_force_search():
    """Two columns that bind: the feasible mixtures of three rows are a segment."""
    payoffs = np.array([[1.0, -1.0], [-1.0, 1.0], [0.0, 0.0]])  # x0 = x1, any x2
    np.testing.assert_allclose(max_entropy_weights(payoffs, -1e-6), 1 / 3, atol=1e-5)
    payoffs = np.array([[2.0, -1.0], [-1.0, 2.0], [0.0, 1.0]])  # floor 0.5 binds at times
    grid = np.array([(a, b, 1 - a - b) for a in np.linspace(0, 1, 401)
                     for b in np.linspace(0, 1 - a, 401)])  # fmt: skip
    for floor in (-0.5, 0.3, 0.45, 0.499):
        feasible = grid[(grid @ payoffs >= floor).all(axis=1)]
        best = max(entropy(each) for each in feasible)
        found = max_entropy_weights(payoffs, floor)
        assert (found @ payoffs).min() >= floor - 1e-8
        assert best - 1e-7 <= entropy(found) <= best + 0.02


def test_what_is_refused():
    with pytest.raises(RatingError, match="3"):
        nash_average(np.zeros((3, 2, 2, 2)))
    with pytest.raises(RatingError, match="zero-sum"):
        nash_average(np.stack([np.eye(2), np.eye(2)]))
    with pytest.raises(RatingError, match="no mixture of maximum entropy was found"):
        max_entropy_weights(ROCK_PAPER_SCISSORS, 0.5)
