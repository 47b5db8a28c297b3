"""Units of payoff: `a * payoffs + b` is the same game, whatever solves or measures it."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import itertools
from pathlib import Path

import numpy as np
import pytest
from probes import random_populations

import games
import psro
from games import units
from psro import cli, exact
from psro.exact import restricted_game, sequence_form
from psro.exact.mmd import magnetic_mirror_descent
from psro.measure.evaluation import evaluate
from psro.metagame import ratings
from psro.metagame.effective_diversity import effective_diversity
from psro.metagame.exact_meta_game import ExactMetaGame
from psro.metagame.gaps import gaps_of
from psro.metagame.solvers import META_SOLVERS, regrets
from psro.metagame.solving import solver_of
from psro.metagame.strategy import MetaStrategy
from psro.variants.diversity import TERMS, Context
from psro.variants.expansions import EXPANSIONS

load = functools.cache(games.load)
CASES = Path(__file__).parent / "cases"
FACTORS = (1e-11, 1.0, 1e11)
MOVED = [*itertools.product(FACTORS, (0.0, 7.0, -1e4))]


def moved(tree: games.GameTree, factor: float, shift: float) -> games.GameTree:
    """The tree with returns `factor * (returns + shift)`."""
    returns = factor * (tree.terminal_returns + shift)
    return dataclasses.replace(tree, terminal_returns=returns)


@pytest.mark.parametrize("factor, shift", MOVED)
def test_programs_over_the_sequence_form_know_no_units(factor, shift):
    """Value, certificate and the population's least exploitability, as shares of the span."""
    plain = load("kuhn_poker")
    tree, plans = moved(plain, factor, shift), random_populations(plain, (3, 4), seed=0)
    solution = sequence_form.equilibrium(tree)
    assert solution.nash_conv <= 1e-9 * tree.span + tree.rounding
    np.testing.assert_allclose(
        solution.value / factor - shift, [-1 / 18, 1 / 18], atol=1e-9 + tree.rounding / factor
    )
    assert exact.exploitability(plain, solution.plans).nash_conv <= 1e-7
    least = sequence_form.population_exploitability(plain, plans)
    found = sequence_form.population_exploitability(tree, plans)
    assert found.measured.exploitability / factor == pytest.approx(
        least.measured.exploitability, abs=1e-7
    )
    masks = [restricted_game.allowed(*pair) for pair in zip(tree.players, plans, strict=True)]
    for method, share in (("linear_program", 1e-9), ("cfr_plus", 1e-3), ("mmd", 1e-3)):
        solved = restricted_game.solve(tree, masks, method=method)
        assert solved.measured.nash_conv <= share * tree.span + tree.rounding


@pytest.mark.parametrize("factor, shift", MOVED)
def test_mirror_descent_knows_no_units(factor, shift):
    plain = load("kuhn_poker")
    there = next(itertools.islice(magnetic_mirror_descent(moved(plain, factor, shift)), 20, None))
    here = next(itertools.islice(magnetic_mirror_descent(plain), 20, None))
    for moved_plan, plan in zip(there, here, strict=True):
        np.testing.assert_allclose(moved_plan, plan, atol=1e-8)


@pytest.mark.parametrize("name", ["nash", "least_exploitable", "mgcce"])
@pytest.mark.parametrize("factor, shift", MOVED)
def test_meta_solvers_of_a_meta_game_know_no_units(name, factor, shift):
    plain, solve = load("kuhn_poker"), solver_of(name)
    plans = random_populations(plain, (4, 4), seed=1)
    there = solve(ExactMetaGame.of(moved(plain, factor, shift), plans))
    here = ExactMetaGame.of(plain, plans)
    expected, found = (gaps_of(here, each, "nash") for each in (solve(here), there))
    assert found.exploitability == pytest.approx(expected.exploitability, abs=1e-6)
    assert there.regret(here.payoffs, solve.concept) <= (
        1e-7 if name != "least_exploitable" else np.inf
    )


@pytest.mark.parametrize("factor, shift", MOVED)
def test_ratings_and_diversity_of_a_table_in_any_unit(factor, shift):
    row = np.random.default_rng(0).normal(size=(5, 4))
    row[3] = row[1]
    plain = np.stack([row, -row])
    table = factor * (plain + shift)
    here, there = ratings.nash_average(plain), ratings.nash_average(table)
    for p in range(2):
        np.testing.assert_allclose(there.strategies[p], here.strategies[p], atol=1e-5)
        np.testing.assert_allclose(there.ratings[p] / factor - shift, here.ratings[p], atol=1e-5)
    here, there = ratings.elo_like(plain), ratings.elo_like(table)
    np.testing.assert_allclose(there.explained, here.explained, atol=1e-9)
    twice = np.concatenate([table, table], axis=2)
    np.testing.assert_allclose(effective_diversity(twice), effective_diversity(table), rtol=1e-9)


def test_a_constant_sum_is_one_by_the_span():
    """Not by the payoffs' magnitude, nor by an absolute number."""
    general = np.random.default_rng(0).normal(size=(2, 4, 4))
    row = general[0]
    for factor, shift in itertools.product(FACTORS, (0.0, 7.0, 1e10)):
        zero_sum = np.stack([factor * (row + shift), factor * (2 * shift - row)])
        for payoffs, constant in (
            (factor * (general + shift), False),
            (factor * (np.stack([row, -row]) + shift), True),
            (zero_sum, True),
        ):
            assert units.is_constant_sum(payoffs) is constant
            assert games.NormalForm(payoffs).is_constant_sum is constant
    assert not units.is_constant_sum(np.array([[[1e-9, 0], [0, 2e-9]]] * 2))
    assert units.is_constant_sum(np.zeros((2, 3, 3)))


@pytest.mark.parametrize(
    "file, value", [("tiny_payoffs.csv", 2e-9 / 3), ("large_payoffs.csv", 2e15 / 3)]
)
def test_runs_of_payoffs_of_any_size(file, value, tmp_path):
    """Their equilibrium is worth two thirds of the smaller payoff, by hand."""
    run = psro.run(psro.RunConfig(game=str(CASES / file), oracle="best_response"), tmp_path / "run")
    assert run.ended == "converged" and len(run.records) > 1 and run.exploitability() == 0
    assert run.records[0].exploitability > 0.1 * value
    measured = evaluate(run.meta_game, run.measured_strategy)
    np.testing.assert_allclose(measured.equilibrium.value, [value, -value], rtol=1e-9)
    np.testing.assert_allclose(measured.mixture.value, [value, -value], rtol=1e-9)
    assert measured.population.measured.exploitability == 0 and measured.omitted == ()


def test_a_run_of_small_units_is_not_over_before_it_begins(tmp_path):
    """Everything in it is below the tolerance that larger games have."""
    config = psro.RunConfig(game=str(CASES / "small_units.csv"), oracle="best_response")
    run = psro.run(config, tmp_path / "run")
    assert run.ended == "converged" and len(run.records) > 3
    assert run.records[0].exploitability > 5e-11 > 1e-16 > run.exploitability()
    measured = evaluate(run.meta_game, run.measured_strategy)
    assert measured.equilibrium.value[0] == pytest.approx(0.09538e-9, abs=5e-15)


@pytest.mark.parametrize("factor", FACTORS)
def test_a_general_sum_game_far_from_zero(factor, tmp_path):
    """Its sums vary by half of the payoffs' span; solved as if they did not, exploitability stayed
    at 0.055 of the unit. Measured here without the constant, which hides what is below 1e-6."""
    payoffs = np.load(CASES / "general_sum_offset.npy")
    assert not games.load(str(CASES / "general_sum_offset.npy")).is_constant_sum
    np.save(tmp_path / "game.npy", factor * payoffs)
    config = psro.RunConfig(game=str(tmp_path / "game.npy"), oracle="best_response", iterations=20)
    run = psro.run(config, tmp_path / "run")
    assert max(max(record.gap) for record in run.records[1:]) == 0  # responses are best ones
    strategies = [plan[1:] for plan in run.meta_game.mixture(run.meta_strategy)]
    gains = regrets(payoffs - 1e10, strategies)
    assert gains.sum() / 2 <= 1e-6 * units.span(payoffs)


def test_every_meta_solver_is_called_the_same_way():
    """On a meta-game, whatever it looks at; and an unknown name is answered with all names."""
    meta_game = ExactMetaGame.of(
        load("kuhn_poker"), random_populations(load("kuhn_poker"), (3, 3), 0)
    )
    symmetric = ExactMetaGame.of(games.load("matrix_rps"), [np.eye(4)[1:] + np.eye(4)[0]] * 2)
    for name in [*META_SOLVERS, "least_exploitable"]:
        solve = solver_of(name)
        strategy = solve(symmetric if solve.symmetric else meta_game)
        assert isinstance(strategy, MetaStrategy) and (strategy.joint is not None) == solve.joint
        assert strategy.profiles.sum() == pytest.approx(1)
        assert solve.concept in ("nash", "cce", "ce")
    for text, sentence in (
        ("nahs", "did you mean nash"),
        ("least_exploitible", "did you mean least_exploitable"),
        ("least_exploitable(k=1)", "has no setting 'k'; it has none"),
        ("last_k(n=1)", "known: k"),
    ):
        with pytest.raises(psro.errors.PsroError, match=sentence):
            solver_of(text)
    with pytest.raises(psro.errors.PsroError, match="mece, least_exploitable"):
        solver_of("xyz")
    help_text = (
        inspect.getsource(psro.RunConfig).partition("meta_solver: ")[2].partition("evalu")[0]
    )
    assert not [name for name in [*META_SOLVERS, "least_exploitable"] if name not in help_text]


@pytest.mark.parametrize("name", ["tiny_bridge_2p", "kuhn_poker", "matrix_rps", "tiny_hanabi"])
def test_what_is_rounding_is_zero(name):
    """Figures that are 0 in exact arithmetic, and came out as -3.0e-14 or so."""
    tree = load(name)
    generator = np.random.default_rng(0)
    for seed in range(3):
        # Against an opponent that never moves the way one's own choices matter, many are best.
        plans = [each[0] for each in random_populations(tree, (1, 1), seed)]
        for p in range(2):
            plans[p] = exact.best_response(tree, p, plans).plan
        measured = exact.exploitability(tree, plans)
        assert measured.best_response_value[1] == measured.value[1]
        assert (measured.best_response_value >= measured.value).all()
        meta_game = ExactMetaGame.of(tree, [plan[None] for plan in plans])
        strategy = MetaStrategy.of(np.ones((1, 1)))
        gaps = gaps_of(meta_game, strategy, "ce")
        for figure in (gaps.nash_conv, gaps.cce_gap, gaps.ce_gap):
            assert figure == 0 or figure > tree.rounding
        assert strategy.regret(meta_game.payoffs, "cce") == 0
    share = generator.dirichlet(np.ones(3))
    assert regrets(np.full((2, 3, 3), 0.1), [share, share]).min() == 0
    assert str(MetaStrategy.of([share, share]).regret(np.full((2, 3, 3), 0.1), "nash")) == "0.0"


def test_a_player_without_decisions(tmp_path):
    """It has one sequence, the empty one, and one policy; everything is measured all the same."""
    game = {"game": str(CASES / "one_mover.efg"), "oracle": "best_response", "iterations": 2}
    for name, expansion in EXPANSIONS.items():
        if "self_play" in expansion.uses:  # its policies are networks
            continue
        run = psro.run(psro.RunConfig(expansion=name, levels=2, rounds=2, **game), tmp_path / name)
        measured = evaluate(run.meta_game, run.measured_strategy)
        by_steps = name == "bundle" or expansion.uses >= {"rounds"}
        assert run.records[-1].exploitability <= (0.1 if by_steps else 0)
        np.testing.assert_allclose(measured.equilibrium.value, [1, -1], atol=1e-12)
        assert measured.population.measured.exploitability == 0 and measured.omitted == ()
        for per_player in (measured.elo_like.ratings[1], measured.diversity, measured.worst_case):
            assert np.isfinite(per_player).all()
    tree = run.tree
    both = [exact.uniform_behaviour(player)[None] for player in tree.players]
    for method in ("linear_program", "cfr_plus", "mmd"):
        masks = [restricted_game.allowed(*pair) for pair in zip(tree.players, both, strict=True)]
        assert restricted_game.solve(tree, masks, method=method).measured.nash_conv <= 1e-3
    meta_game = ExactMetaGame.of(tree, both)
    for term in TERMS.values():
        context = Context.of(meta_game, 1, weights=np.ones(1), reach=np.zeros(0))
        value, slope = term(context)(np.ones(1))
        assert 0 <= value < 0.2 and np.isfinite(slope).all()  # it is a copy of all others
    gaps = gaps_of(meta_game, MetaStrategy.of(np.ones((1, 1))), "ce")
    assert gaps.nash_conv == gaps.cce_gap == gaps.ce_gap == 0.5


@pytest.mark.parametrize(
    "file, first, last",
    [
        ("tiny_payoffs.csv", "2.50e-10", "exploitability 0 after 2"),
        ("large_payoffs.csv", "2.50e14", "0 after 2"),
    ],
)
def test_a_run_says_more_than_zeros(file, first, last, tmp_path, capsys):
    arguments = ["--game", str(CASES / file), "--oracle", "best_response"]
    cli.main(["run", *arguments, "--out", str(tmp_path / "run")])
    out = capsys.readouterr().out
    assert first in out and last in out and "0.000000" not in out
