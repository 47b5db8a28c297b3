"""Magnetic mirror descent against one step of it by hand, and against the linear program."""

from __future__ import annotations

import itertools

import jax
import numpy as np
import pytest

import games
import psro
from games.matrix import NormalForm
from psro import exact
from psro.exact import sequence_form
from psro.exact.mmd import magnetic_mirror_descent
from psro.exact.restricted_game import allowed, solve
from psro.runs.config import RunConfig
from psro.runs.experiment import create


def everything(tree):
    return [np.ones(player.num_sequences, bool) for player in tree.players]


def test_one_step_is_the_closed_form():
    """On a matrix, from uniform play with a uniform magnet, which cancels out."""
    payoffs = np.array([[1.0, -2.0], [0.0, 3.0], [0.5, 0.5]])
    tree = NormalForm(np.stack([payoffs, -payoffs]), name="a matrix")
    plans = next(magnetic_mirror_descent(tree, learning_rate=2.0, temperature=0.25))
    for plan, values in zip(plans, (payoffs.mean(axis=1), -payoffs.mean(axis=0)), strict=True):
        weights = np.exp(2.0 * values / 2.5 / (1 + 2.0 * 0.25))
        np.testing.assert_allclose(plan[1:], weights / weights.sum(), atol=1e-12)


def test_a_magnet_that_stays_gives_the_regularised_equilibrium():
    """Against its opponent there, a player's policy is the softmax of its action values over the
    temperature (with a uniform magnet)."""
    payoffs = np.array([[0.0, -1.0, 2.0], [1.0, 0.0, -1.0], [-2.0, 1.0, 0.0]])
    tree = NormalForm(np.stack([payoffs, -payoffs]), name="a matrix")
    steps = magnetic_mirror_descent(tree, learning_rate=0.2, temperature=0.1, magnet_rate=0.0)
    plans = next(itertools.islice(steps, 5000, None))
    for p in range(2):
        values = exact.gains(tree, p, plans)[1:] / tree.max_return
        expected = np.exp(values / 0.1)
        np.testing.assert_allclose(plans[p][1:], expected / expected.sum(), atol=1e-6)


def test_kuhn_poker_is_learned():
    """With all actions allowed: the linear program's value, and nothing to gain."""
    tree = games.load("kuhn_poker")
    learned = solve(tree, everything(tree), method="mmd")
    assert learned.measured.nash_conv <= 1e-3 and learned.iterations > 0
    assert learned.measured.nash_conv == exact.exploitability(tree, learned.plans).nash_conv
    value = exact.returns(tree, sequence_form.equilibrium(tree).plans)
    np.testing.assert_allclose(exact.returns(tree, learned.plans), value, atol=1e-3)


def test_a_restricted_leduc_is_learned_and_only_allowed_actions_are_played():
    tree = games.load("leduc_poker")
    best = [[], []]
    plans = [exact.realization_plan(p, exact.uniform_behaviour(p)) for p in tree.players]
    for _ in range(4):
        for p in range(2):
            best[p].append(exact.best_response(tree, p, plans).plan)
        masks = [allowed(*each) for each in zip(tree.players, map(np.stack, best), strict=True)]
        plans = solve(tree, masks).plans
    learned = solve(tree, masks, method="mmd")
    assert learned.measured.nash_conv <= 0.05
    for p, player in enumerate(tree.players):
        inside = np.isin(player.info_state, learned.restricted.info_states[p])
        assert (learned.plans[p][inside & ~masks[p]] == 0).all()


@pytest.mark.parametrize("oracle", ["best_response", "distill"])
def test_a_run_that_learns_resumes_bit_for_bit(tmp_path, oracle):
    settings = {"expansion": "extensive", "restricted_solver": "mmd", "oracle": oracle}
    settings |= {"hidden_size": 8, "patience": 10**6}

    def trained(folder, iterations):
        experiment = create(RunConfig(**settings, iterations=iterations), folder)
        list(experiment.train())
        return experiment

    whole = trained(tmp_path / "whole", 3)
    trained(tmp_path / "parts", 1)
    parts = psro.resume(tmp_path / "parts", iterations=3)
    np.testing.assert_array_equal(whole.payoffs, parts.payoffs)
    jax.tree.map(np.testing.assert_array_equal, whole.populations, parts.populations)


def test_an_unknown_solver_is_refused():
    with pytest.raises(ValueError, match="unknown restricted solver 'mdd'; did you mean mmd"):
        RunConfig(restricted_solver="mdd")
