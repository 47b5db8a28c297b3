"""CFR+ against OpenSpiel's, iteration by iteration, and against the linear program's value."""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np
import pyspiel
import pytest
from open_spiel.python.algorithms import cfr, exploitability

import games
from psro import exact
from psro.exact import sequence_form
from psro.exact.cfr import cfr_plus

load = cache(games.load)


@pytest.mark.parametrize(
    ("name", "iterations"), [("kuhn_poker", 30), ("kuhn_poker(players=3)", 5), ("leduc_poker", 2)]
)
def test_every_iteration_is_openspiel_s(name, iterations):
    tree, game = load(name), pyspiel.load_game(name)
    theirs = cfr.CFRPlusSolver(game)
    for plans in itertools.islice(cfr_plus(tree), iterations):
        theirs.evaluate_and_update_policy()
        expected = exploitability.nash_conv(game, theirs.average_policy())
        assert exact.exploitability(tree, plans).nash_conv == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("name", "iterations", "reached"),
    [
        ("kuhn_poker", 1000, 2e-4),
        ("leduc_poker", 1000, 1e-3),
        ("matrix_rps", 1000, 1e-3),
        ("pig(horizon=1)", 2, 1e-12),
    ],
)
def test_averages_converge_to_the_programs_value(name, iterations, reached):
    """Two methods with nothing in common but the tree; within what CFR+'s own NashConv allows."""
    tree = load(name)
    plans = next(itertools.islice(cfr_plus(tree), iterations - 1, None))
    measured = exact.exploitability(tree, plans)
    assert measured.exploitability < reached
    found = sequence_form.equilibrium(tree).value
    assert (np.abs(measured.value - found) <= measured.nash_conv + 1e-12).all()


def test_averages_are_plans():
    tree = load("kuhn_poker")
    for plans in itertools.islice(cfr_plus(tree), 5):
        for player, plan in zip(tree.players, plans, strict=True):
            assert plan[0] == pytest.approx(1, abs=1e-15)
            np.testing.assert_allclose(
                np.add.reduceat(plan, player.first_sequence[:-1]), plan[player.parent], atol=1e-12
            )
