"""What each expansion promises, with exact best responses, so that only the expansion is tested."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np
import pytest

import psro
from psro import exact, sequence_form
from psro.diversity_terms import TERMS, Context
from psro.expansions import EXPANSIONS, Train
from psro.expansions.base import Situation
from psro.expansions.rectified import rectified
from psro.experiment import RunConfig, create
from psro.meta_game import MetaGame
from psro.meta_solvers import META_SOLVERS
from psro.meta_solvers.regret_minimisers import REGRET_MINIMISERS
from psro.meta_strategy import MetaStrategy
from psro.variants import VARIANTS


def trained(folder, **settings):
    config = RunConfig(**{"oracle": "best_response", "patience": 10**6, **settings})
    experiment = create(config, folder)
    for _ in experiment.train():
        pass
    return experiment


def situation(meta_game: MetaGame, **changes) -> Situation:
    nash = META_SOLVERS["nash"].function
    return Situation(
        **{
            "number": 1,
            "meta_game": meta_game,
            "meta_strategy": MetaStrategy.of(nash(meta_game.payoffs)),
            "solve": lambda meta_game: MetaStrategy.of(nash(meta_game.payoffs)),
            "levels": 3,
            "rounds": 4,
            "minimise": REGRET_MINIMISERS["regret_matching_plus"],
            "rng": np.random.default_rng(0),
            **changes,
        }
    )


def grown(game: str, iterations: int) -> MetaGame:
    """By exact best responses to the meta-game's Nash equilibrium."""
    import games

    tree = games.load(game)
    meta_game = MetaGame.empty(tree).add([exact.uniform_behaviour(p) for p in tree.players])
    for _ in range(iterations):
        mixture = meta_game.mixture(META_SOLVERS["nash"].function(meta_game.payoffs))
        best = [exact.best_response(tree, p, mixture).plan for p in range(tree.num_players)]
        meta_game = meta_game.add(
            [exact.behaviour(player, plan) for player, plan in zip(tree.players, best, strict=True)]
        )
    return meta_game


@pytest.mark.parametrize("name", EXPANSIONS)
def test_resumes_bit_for_bit(tmp_path, name):
    whole = trained(tmp_path / "whole", expansion=name, iterations=5, levels=2, rounds=3)
    trained(tmp_path / "parts", expansion=name, iterations=2, levels=2, rounds=3)
    parts = psro.resume(tmp_path / "parts", iterations=5)
    for ours, theirs in zip(whole.records, parts.records, strict=True):
        assert dataclasses.replace(ours, seconds={}) == dataclasses.replace(theirs, seconds={})
    np.testing.assert_array_equal(whole.payoffs, parts.payoffs)
    jax.tree.map(np.testing.assert_array_equal, whole.populations, parts.populations)
    for ours, theirs in zip(whole.plans, parts.plans, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    loaded = psro.load(tmp_path / "parts")
    assert loaded.exploitability() == parts.records[-1].exploitability


@pytest.mark.parametrize("name", EXPANSIONS)
def test_payoffs_are_those_of_the_policies_that_are_there(tmp_path, name):
    run = trained(tmp_path / "run", expansion=name, iterations=4, levels=2, rounds=3)
    np.testing.assert_allclose(run.payoffs, exact.payoffs(run.tree, run.plans), atol=1e-12)
    assert len(run.plans[0]) == run.records[-1].size <= EXPANSIONS[name].capacity(4, 2)


def test_a_pipeline_of_one_level_is_psro(tmp_path):
    """With networks, so that initial parameters and random numbers are the same, too."""
    settings = {"oracle": "distill", "iterations": 2, "hidden_size": 8}
    plain = trained(tmp_path / "plain", **settings)
    pipeline = trained(tmp_path / "pipeline", expansion="pipeline", levels=1, **settings)
    np.testing.assert_array_equal(plain.payoffs, pipeline.payoffs)
    jax.tree.map(np.testing.assert_array_equal, plain.populations, pipeline.populations)


def test_a_pipeline_fixes_its_lowest_level(tmp_path):
    """Once an iteration has passed it, a policy stays; those above go on."""
    plans = []
    experiment = create(
        RunConfig(
            oracle="best_response", expansion="pipeline", levels=3, iterations=5, tolerance=0
        ),
        tmp_path / "run",
    )
    for record in experiment.train():
        plans.append(experiment.plans[0].copy())
        assert record.size == (1 if record.iteration == 0 else record.iteration + 3)
    for number in range(1, 5):
        np.testing.assert_array_equal(plans[number][: number + 1], plans[-1][: number + 1])
    assert any(  # what was above did not stay
        (plans[number][number + 1] != plans[number + 1][number + 1]).any() for number in range(1, 5)
    )


def test_a_hierarchy_becomes_the_population_of_psro(tmp_path):
    """Level k is settled after k iterations, as each depends on those below it alone."""
    hierarchy = trained(
        tmp_path / "run", expansion="hierarchy", levels=4, iterations=6, tolerance=0
    )
    meta_game = grown("kuhn_poker", 0)
    assert hierarchy.records[-1].size == 5
    values = []
    for level in range(1, 5):
        below = MetaGame.empty(hierarchy.tree).put(
            range(level),
            [
                [
                    exact.behaviour(p, plans[k])
                    for p, plans in zip(hierarchy.tree.players, hierarchy.plans, strict=True)
                ]
                for k in range(level)
            ],
        )
        mixture = below.mixture(META_SOLVERS["nash"].function(below.payoffs))
        for p, player in enumerate(hierarchy.tree.players):
            gains = exact.gains(hierarchy.tree, p, mixture)
            best = exact.best_response_to(player, gains).value
            values.append(best - gains @ hierarchy.plans[p][level])
    np.testing.assert_allclose(values, 0.0, atol=1e-7)
    assert meta_game.size == 1


def test_rectified_weights_are_of_what_is_beaten():
    meta_game = grown("kuhn_poker", 6)
    now = situation(meta_game, levels=8)
    weights, values = (
        now.meta_strategy.marginals,
        [
            now.meta_strategy.marginals[0] @ table @ now.meta_strategy.marginals[1]
            for table in meta_game.payoffs
        ],
    )
    requests = next(rectified(now))
    assert [each.slot for each in requests] == list(range(7, 15))
    order = [np.argsort(-each, kind="stable") for each in weights]
    seen = 0
    for level, request in enumerate(requests):
        for p, faced in enumerate(request.against.marginals[::-1]):  # what player p faces
            assert faced.sum() == pytest.approx(1.0)
            assert (faced[weights[1 - p] == 0] == 0).all()
            if level < len(order[p]) and weights[p][order[p][level]] > 1e-6:
                own = order[p][level]
                row = meta_game.payoffs[0][own] if p == 0 else meta_game.payoffs[1][:, own]
                if (row[weights[1 - p] > 0] >= values[p] - 1e-9).any():
                    assert (row[faced > 0] >= values[p] - 1e-8).all()
                    seen += 1
    assert seen >= 4


@pytest.mark.parametrize("minimiser", REGRET_MINIMISERS)
def test_an_anytime_mixture_approaches_the_least_exploitable_one(tmp_path, minimiser):
    """By more rounds, and never below it."""
    shortfalls = []
    for rounds in (4, 64):
        run = trained(
            tmp_path / f"{minimiser}{rounds}",
            expansion="anytime",
            regret_minimiser=minimiser,
            rounds=rounds,
            iterations=6,
        )
        last = run.records[-1]
        old = [plans[:-1] for plans in run.plans]  # those that the mixture is over
        assert all(each[-1] == 0 for each in run.meta_strategy)
        least = sequence_form.population_exploitability(run.tree, old).measured.exploitability
        shortfalls.append(last.exploitability - least)
    assert min(shortfalls) >= -1e-9
    assert shortfalls[1] < shortfalls[0] / 2


def test_the_least_exploitable_mixtures_exploitability_does_not_rise(tmp_path):
    """APSRO's property (proposition 1), which the meta-game's equilibrium lacks."""
    anytime = trained(tmp_path / "least", meta_solver="least_exploitable", iterations=12)
    curve = [record.exploitability for record in anytime.records]
    assert (np.diff(curve) <= 1e-9).all()
    plain = [record.exploitability for record in trained(tmp_path / "nash", iterations=12).records]
    assert (np.diff(plain) > 1e-3).any()


def test_what_is_placed_is_the_average(tmp_path):
    """SP-PSRO adds a policy that mixes: in tenths, after ten rounds of pure best responses and
    ties, and its plan is one of a policy."""
    run = trained(tmp_path / "run", expansion="stochastic", iterations=3, rounds=10)
    new = run.plans[0][2::2]
    assert not np.isin(new, [0.0, 0.5, 1.0]).all()
    behaviours = exact.behaviour(run.tree.players[0], new)
    np.testing.assert_allclose(
        exact.realization_plan(run.tree.players[0], behaviours), new, atol=1e-12
    )


def test_the_candidate_that_is_kept_leaves_least(tmp_path):
    meta_game = grown("kuhn_poker", 2)
    steps = EXPANSIONS["candidates"].function(situation(meta_game, levels=3))
    requests = next(steps)
    assert all(isinstance(each, Train) for each in requests)
    tree = meta_game.tree
    behaviours = []
    for each in requests:
        mixture = meta_game.mixture(each.against.marginals)
        behaviours.append(
            [
                exact.behaviour(player, exact.best_response(tree, p, mixture).plan)
                for p, player in enumerate(tree.players)
            ]
        )
    larger = meta_game.put([each.slot for each in requests], behaviours)
    with pytest.raises(StopIteration) as stop:
        steps.send(larger)
    (kept,) = stop.value.value.keep
    left = [
        sequence_form.population_exploitability(
            tree, larger.take([0, 1, 2, slot]).plans
        ).measured.exploitability
        for slot in (3, 4, 5)
    ]
    assert left[kept - 3] == pytest.approx(min(left), abs=1e-9)


@pytest.mark.parametrize(
    "settings, sentence",
    [
        (
            {"expansion": "anytime", "game": "kuhn_poker(players=3)", "meta_solver": "uniform"},
            "for",
        ),
        ({"expansion": "rectified", "game": "matrix_bos"}, "zero-sum"),
        ({"meta_solver": "least_exploitable", "game": "matrix_bos"}, "zero-sum"),
        ({"expansion": "anytime", "meta_solver": "mgcce"}, "independently"),
        ({"diversity": "bd_rd", "oracle": "ppo"}, "tabulated"),
    ],
)
def test_what_does_not_go_together_is_refused(tmp_path, settings, sentence):
    config = RunConfig(**{"oracle": "best_response", **settings})
    with pytest.raises(ValueError, match=sentence):
        create(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_wrong_name_is_told_the_right_one():
    with pytest.raises(ValueError, match="did you mean anytime"):
        RunConfig(expansion="anytim")


@pytest.mark.parametrize("diversity", ["behavioural", "policy_hull"])
def test_a_diversity_term_is_what_best_responses_maximise(tmp_path, diversity):
    """With a weight that drowns returns, the first best response is worth more by the term, against
    the same population, and less by its return; which is what the record measures."""
    settings = {"diversity_weight": 100.0, "iterations": 1, "tolerance": 0}
    plain = trained(tmp_path / "plain", **settings)
    diverse = trained(tmp_path / "diverse", diversity=diversity, **settings)
    tree, first = plain.tree, [plans[:1] for plans in plain.plans]
    reach = exact.gains_and_reach(tree, 0, [each[0] for each in first])[1]
    term = TERMS[diversity](Context.of(tree, 0, plans=first, weights=np.ones(1), reach=reach))
    assert term(diverse.plans[0][1])[0] > term(plain.plans[0][1])[0] + 1e-6
    assert max(diverse.records[1].gap) > 1e-3 > max(plain.records[1].gap)


@pytest.mark.parametrize("name", VARIANTS)
def test_variants_are_settings_that_exist(name):
    RunConfig.from_json({"game": "kuhn_poker", **VARIANTS[name].settings})


@pytest.mark.parametrize("game, most", [("kuhn_poker", 12), ("leduc_poker", 936)])
def test_xdo_ends_within_the_number_of_info_states(tmp_path, game, most):
    """Proposition 1 of the paper; what is left is the rounding of tables."""
    run = trained(tmp_path / "run", game=game, expansion="extensive", iterations=30)
    assert run.ended == "converged" and run.records[-1].iteration <= most
    for record in run.records[1:]:
        assert record.support_size == (1, 1)


def test_networks_share_all_but_their_conditions(tmp_path):
    """NeuPL: one network for all policies of all players, and it solves Kuhn poker."""
    run = trained(
        tmp_path / "run",
        oracle="conditional",
        expansion="hierarchy",
        levels=6,
        iterations=8,
        tolerance=0.02,
    )
    assert run.ended == "converged"
    first, second = run.populations
    for ours, theirs in zip(
        jax.tree.leaves(first["network"]), jax.tree.leaves(second["network"]), strict=True
    ):
        assert (ours[1:] == ours[1]).all() and (theirs[1:] == ours[1]).all()
    conditions = np.concatenate([first["condition"][1:], second["condition"][1:]])
    assert len(np.unique(conditions, axis=0)) > 6
    np.testing.assert_allclose(conditions.sum(axis=1), 2.0, atol=1e-5)  # a seat, and weights
