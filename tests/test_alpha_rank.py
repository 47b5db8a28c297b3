"""Alpha-Rank: its chain's stationary distribution, and OpenSpiel's results."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from open_spiel.python.egt import alpharank

from psro.metagame.solvers import META_SOLVERS, MetaSolverError
from psro.metagame.solvers.alpha_rank import MAX_PROFILES, alpha_rank, stationary
from psro.metagame.solvers.alpha_rank_single import alpha_rank_single


@pytest.mark.parametrize("shape", [(2, 2), (4, 5), (3, 2, 3), (2, 1, 2, 2)])
@pytest.mark.parametrize("epsilon", [0.1, 1e-3])
def test_infinite_alpha_is_openspiel_s(shape, epsilon):
    payoffs = np.random.default_rng(sum(shape)).normal(size=(len(shape), *shape))
    expected = alpharank.compute([*payoffs], use_inf_alpha=True, inf_alpha_eps=epsilon)[2]
    np.testing.assert_allclose(
        alpha_rank(payoffs, epsilon=epsilon).ravel(), expected, atol=1e-11 / epsilon
    )


@pytest.mark.parametrize("alpha, population", [(0.1, 50), (2.0, 10), (5.0, 5)])
def test_finite_alpha_is_openspiel_s(alpha, population):
    payoffs = np.random.default_rng(0).normal(size=(3, 3, 2, 4))
    payoffs[:, 1] = payoffs[:, 0]  # ties
    expected = alpharank.compute([*payoffs], alpha=alpha, m=population)[2]
    found = alpha_rank(payoffs, alpha=alpha, population=population)
    np.testing.assert_allclose(found.ravel(), expected, atol=1e-9)


@pytest.mark.parametrize("integers", [True, False])
def test_the_limit_is_where_openspiel_s_sweep_ends(integers):
    payoffs = np.random.default_rng(4).normal(size=(2, 4, 4))
    payoffs = np.round(payoffs) if integers else payoffs
    expected = alpharank.sweep_pi_vs_epsilon([*payoffs])
    np.testing.assert_allclose(alpha_rank(payoffs).ravel(), expected, atol=2e-5)


@pytest.mark.slow
def test_more_policies_equal_openspiel_s():
    payoffs = np.random.default_rng(0).normal(size=(2, 10, 10))
    expected = alpharank.sweep_pi_vs_epsilon([*payoffs])
    np.testing.assert_allclose(alpha_rank(payoffs).ravel(), expected, atol=1e-4)


@pytest.mark.parametrize("epsilon", [0.1, 1e-3])
def test_one_population_is_openspiel_s(epsilon):
    table = np.random.default_rng(1).normal(size=(6, 6))
    payoffs = np.stack([table, table.T])
    expected = alpharank.compute([table], use_inf_alpha=True, inf_alpha_eps=epsilon)[2]
    for found in alpha_rank_single(payoffs, epsilon=epsilon):
        np.testing.assert_allclose(found, expected, atol=1e-11 / epsilon)
    expected = alpharank.compute([table], alpha=1.5, m=20)[2]
    found, _ = alpha_rank_single(payoffs, alpha=1.5, population=20)
    np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize("shape", [(5, 7), (12, 12), (3, 4, 5)])
def test_it_is_stationary(shape):
    """The chain of the paper's equation 12, profile by profile; more states than one block."""
    payoffs = np.random.default_rng(2).normal(size=(len(shape), *shape))
    profiles = list(itertools.product(*map(range, shape)))
    chain = np.zeros((len(profiles), len(profiles)))
    for (i, here), (j, there) in itertools.product(enumerate(profiles), repeat=2):
        changed = [p for p in range(len(shape)) if here[p] != there[p]]
        if len(changed) == 1:
            gain = payoffs[(changed[0], *there)] - payoffs[(changed[0], *here)]
            chain[i, j] = (0.95 if gain > 0 else 0.05) / sum(size - 1 for size in shape)
    chain[np.diag_indices(len(chain))] = 1 - chain.sum(axis=1)
    found = alpha_rank(payoffs, epsilon=0.05).ravel()
    np.testing.assert_allclose(found @ chain, found, atol=1e-14)


def test_small_probabilities_are_exact():
    """Two states, 1 -> 0 at rate 1 and 0 -> 1 at rate 1e-30, and a third in between."""
    rates = np.array([[0, 1e-30, 0], [1, 0, 1e-20], [0, 1, 0]])
    np.testing.assert_allclose(stationary(rates), [1, 1e-30, 1e-50], rtol=1e-12)


def test_weights_may_span_more_than_floating_point_has():
    """A chain of neighbours, up at rate 1 and down at rate 1e-60: detailed balance makes each state
    1e60 times as likely as the one below, 1e420 in all."""
    size, down = 8, 1e-60
    rates = np.diag(np.ones(size - 1), 1) + np.diag(np.full(size - 1, down), -1)
    found = stationary(rates)
    np.testing.assert_allclose(found[-5:], down ** np.arange(4, -1, -1), rtol=1e-12)
    assert found.sum() == 1 and (found[:-5] <= 1e-299).all()


def test_the_best_reply_cycle_shares_its_weight():
    """Matching pennies: each profile leads to the next, and back to the first."""
    pennies = np.array([[1.0, -1], [-1, 1]])
    np.testing.assert_allclose(alpha_rank(np.stack([pennies, -pennies])), 1 / 4, atol=1e-9)


def test_strict_equilibria_take_all():
    """Coordination on one of two, alike: half each, and nothing beside."""
    both = np.stack([np.eye(2), np.eye(2)])
    np.testing.assert_allclose(alpha_rank(both), [[0.5, 0], [0, 0.5]], atol=1e-8)


def test_what_it_refuses():
    with pytest.raises(MetaSolverError, match=f"{MAX_PROFILES}.*mgcce"):
        META_SOLVERS["alpha_rank"](np.zeros((2, 100, 100)))
    with pytest.raises(MetaSolverError, match="smaller alpha"):
        alpha_rank(np.stack([np.diag([1.0, 2.0])] * 2), alpha=1e6)
    with pytest.raises(MetaSolverError, match="symmetric"):
        META_SOLVERS["alpha_rank_single"](np.random.default_rng(0).normal(size=(2, 3, 3)))
