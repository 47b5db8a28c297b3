"""Linear programs over realization plans: every answer is certified by exact best responses."""

from __future__ import annotations

import dataclasses
from functools import cache

import numpy as np
import pytest
import scipy.sparse
from probes import random_populations

import games
from games.tree import GameTree
from psro import exact
from psro.exact import sequence_form
from psro.exact.sequence_form import SequenceFormError
from psro.metagame.solvers import nash

load = cache(games.load)

ZERO_SUM = [
    "kuhn_poker",
    "leduc_poker",
    "matrix_rps",
    "matrix_mp",
    "goofspiel(imp_info=True,num_cards=3,points_order=descending)",
    "oshi_zumo(coins=4,size=1,horizon=6)",
    "pig(horizon=1)",
    pytest.param("liars_dice(numdice=1)", marks=pytest.mark.slow),  # 10 s and more
]
OTHER = ["kuhn_poker(players=3)", "matrix_bos", "tiny_hanabi"]


def double_oracle(tree: GameTree, iterations: int) -> list[np.ndarray]:
    """Populations that grow by best responses to their meta-game's Nash, from uniform play."""
    plans = [
        exact.realization_plan(player, exact.uniform_behaviour(player))[None]
        for player in tree.players
    ]
    for _ in range(iterations):
        mixture = meta_nash(tree, plans)
        best = [exact.best_response(tree, p, mixture).plan for p in range(2)]
        plans = [np.vstack(each) for each in zip(plans, best, strict=True)]
    return plans


def meta_nash(tree: GameTree, plans) -> list[np.ndarray]:
    strategies = nash(exact.payoffs(tree, plans))
    return [exact.mix(*each) for each in zip(plans, strategies, strict=True)]


def test_a_behaviour_s_plan_meets_the_constraints():
    for player in load("leduc_poker").players:
        plan = exact.realization_plan(player, exact.uniform_behaviour(player))
        flow = sequence_form.plan_constraints(player) @ plan
        np.testing.assert_allclose(flow, np.eye(1, len(flow))[0], atol=1e-15)


@pytest.mark.parametrize("name", ["kuhn_poker", "leduc_poker"])
def test_the_matrix_gives_returns(name):
    tree = load(name)
    (first,), (second,) = random_populations(tree, (1, 1), seed=0)
    matrix = sequence_form.payoff_matrix(tree)
    assert matrix.shape == tuple(player.num_sequences for player in tree.players)
    earned = exact.returns(tree, [first, second])[0] / tree.max_return  # which is half the span
    assert first @ matrix @ second == pytest.approx(earned)


@pytest.mark.parametrize("name", ZERO_SUM)
def test_nobody_gains_at_the_equilibrium(name):
    tree = load(name)
    found = sequence_form.equilibrium(tree)
    measured = exact.exploitability(tree, found.plans)
    assert measured.nash_conv + 1e-12 >= 0 and measured.nash_conv <= 1e-9
    assert found.nash_conv == measured.nash_conv
    np.testing.assert_allclose(found.value, measured.value, atol=1e-15)
    for player, plan in zip(tree.players, found.plans, strict=True):
        assert plan.min() >= 0 and plan[0] == 1
        flow = sequence_form.plan_constraints(player) @ plan
        np.testing.assert_allclose(flow, np.eye(1, len(flow))[0], atol=1e-12)


@pytest.mark.parametrize(
    ("name", "value", "digits"),
    [
        ("kuhn_poker", -1 / 18, 1e-12),  # Kuhn (1950)
        ("leduc_poker", -0.085606424078, 1e-9),  # -0.0856 in OpenSpiel's sequence_form_lp_test.py
        ("matrix_rps", 0, 1e-12),
    ],
)
def test_known_values(name, value, digits):
    found = sequence_form.equilibrium(load(name))
    np.testing.assert_allclose(found.value, [value, -value], atol=digits)


def test_the_constant_is_shared_as_the_returns_say():
    """Player 0 gets 3 more everywhere and player 1 gets 1 more: the same game, other values."""
    tree = load("kuhn_poker")
    richer = dataclasses.replace(
        tree, terminal_returns=tree.terminal_returns + np.array([3.0, 1.0])
    )
    found = sequence_form.equilibrium(richer)
    np.testing.assert_allclose(found.value, [3 - 1 / 18, 1 + 1 / 18], atol=1e-9)
    plans = random_populations(richer, (2, 2), seed=0)
    population = sequence_form.population_exploitability(richer, plans)
    plain = sequence_form.population_exploitability(tree, plans)
    assert population.measured.exploitability == pytest.approx(plain.measured.exploitability)


@pytest.mark.parametrize("name", OTHER)
def test_other_games_are_refused(name):
    tree = load(name)
    plans = random_populations(tree, (1,) * tree.num_players, seed=0)
    says = "3 players" if tree.num_players == 3 else "not constant-sum"
    with pytest.raises(SequenceFormError, match=says):
        sequence_form.equilibrium(tree)
    with pytest.raises(SequenceFormError, match=says):
        sequence_form.population_exploitability(tree, plans)


def test_no_policies_are_refused():
    tree = load("kuhn_poker")
    with pytest.raises(SequenceFormError, match="a policy of each player"):
        sequence_form.population_exploitability(tree, [np.zeros((0, 13)), np.zeros((0, 13))])


@pytest.mark.parametrize("name", ["kuhn_poker", "leduc_poker"])
def test_no_mixture_of_the_population_is_less_exploitable(name):
    """Any mixture is worse, its Nash too; and the mixture is certified, not only promised."""
    tree = load(name)
    plans = random_populations(tree, (4, 6), seed=3)
    found = sequence_form.population_exploitability(tree, plans)
    mixed = [exact.mix(*each) for each in zip(plans, found.mixtures, strict=True)]
    least = exact.exploitability(tree, mixed)
    assert found.measured.exploitability == least.exploitability
    for weights in found.mixtures:
        assert weights.min() >= 0 and weights.sum() == pytest.approx(1)
    generator = np.random.default_rng(0)
    for p in range(2):
        for alpha in (0.1, 1, 10):
            for _ in range(20):
                other = list(mixed)
                other[p] = exact.mix(plans[p], generator.dirichlet(np.full(len(plans[p]), alpha)))
                response = exact.best_response(tree, 1 - p, other).value
                assert response >= least.best_response_value[1 - p] - 1e-9
    of_nash = exact.exploitability(tree, meta_nash(tree, plans)).exploitability
    assert least.exploitability < of_nash - 1e-3


def test_it_is_what_exhaustive_search_finds():
    """Two policies a player: the best response's value along the segment between them is convex."""
    tree = load("kuhn_poker")
    plans = random_populations(tree, (2, 2), seed=1)
    found = sequence_form.population_exploitability(tree, plans).measured
    for p in range(2):
        mixed = [each[0] for each in plans]
        values = []
        for weight in np.linspace(0, 1, 2001):
            mixed[p] = exact.mix(plans[p], np.array([weight, 1 - weight]))
            values.append(exact.best_response(tree, 1 - p, mixed).value)
        assert found.best_response_value[1 - p] == pytest.approx(min(values), abs=1e-3)
        assert found.best_response_value[1 - p] <= min(values) + 1e-9


def test_it_never_rises_as_the_population_grows():
    """And ends at zero, when double oracle has converged; Nash strategies' rises on the way."""
    tree = load("kuhn_poker")
    plans = double_oracle(tree, 12)
    least, of_nash = [], []
    for size in range(1, 14):
        grown = [each[:size] for each in plans]
        found = sequence_form.population_exploitability(tree, grown)
        least.append(found.measured.exploitability)
        of_nash.append(exact.exploitability(tree, meta_nash(tree, grown)).exploitability)
    assert (np.diff(least) <= 1e-9).all()
    assert (np.array(least) <= np.array(of_nash) + 1e-9).all()
    assert np.diff(of_nash).max() > 1e-3
    assert least[0] == pytest.approx(11 / 24) and least[-1] == pytest.approx(0, abs=1e-9)


def test_pure_strategies_of_matching_pennies():
    """By hand: with heads alone a player loses 1 to a best response, with both 0."""
    tree = load("matrix_mp")
    one, both = np.array([[1.0, 1.0, 0.0]]), np.array([[1.0, 1.0, 0.0], [1.0, 0.0, 1.0]])
    found = sequence_form.population_exploitability(tree, [both, one])
    np.testing.assert_allclose(found.mixtures[0], [0.5, 0.5], atol=1e-9)
    np.testing.assert_allclose(found.measured.best_response_value, [1, 0], atol=1e-9)
    assert found.measured.exploitability == pytest.approx(0.5)


def test_what_a_program_returns_is_checked(monkeypatch):
    """With a tolerance that nothing can meet, both sentences have the number that is off."""
    tree = games.load("kuhn_poker")
    monkeypatch.setattr(sequence_form, "TOLERANCE", -1.0)
    with pytest.raises(SequenceFormError, match="of kuhn_poker left a NashConv of"):
        sequence_form.equilibrium(tree)
    with pytest.raises(
        SequenceFormError, match="a population of 2 gave its mixture a best response of"
    ):
        sequence_form.population_exploitability(tree, random_populations(tree, (2, 2), 0))


def test_a_program_without_a_solution_is_told():
    """z is at most 0, and is 1."""
    one = scipy.sparse.csr_array(np.ones((1, 1)))
    with pytest.raises(SequenceFormError, match="was not solved: .*nfeasible"):
        sequence_form._solve(
            cost=np.ones(1),
            at_most_zero=one,
            equal=one,
            target=np.ones(1),
            num_nonnegative=1,
            method="highs-ds",
        )
