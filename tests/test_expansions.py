"""What each expansion promises, with exact best responses, so that only the expansion is tested."""

from __future__ import annotations

import dataclasses
import itertools

import jax
import numpy as np
import pytest

import psro
from psro import exact
from psro.exact import sequence_form
from psro.metagame.exact_meta_game import ExactMetaGame
from psro.metagame.solvers import META_SOLVERS
from psro.metagame.solvers.regret_minimisers import REGRET_MINIMISERS
from psro.metagame.strategy import MetaStrategy
from psro.oracles.self_play_settings import PPOSelfPlayConfig
from psro.runs.config import RunConfig
from psro.runs.experiment import create
from psro.variants.diversity import TERMS, Context
from psro.variants.expansions import EXPANSIONS, Train
from psro.variants.expansions.base import Situation
from psro.variants.expansions.rectified import rectified
from psro.variants.published import VARIANTS

SMALL = PPOSelfPlayConfig(
    decisions=64, num_envs=4, rollout_length=4, sequence_length=4, epochs=1, num_minibatches=1
)
SELF_PLAY = {
    name: {"oracle": "ppo", "hidden_size": 4, "ppo_self_play": SMALL, "horizon": 5}
    for name, expansion in EXPANSIONS.items()
    if "self_play" in expansion.uses
}
"""Settings of the expansions whose policies are networks always."""


def trained(folder, **settings):
    networks = SELF_PLAY.get(settings.get("expansion"), {})
    config = RunConfig(**{"oracle": "best_response", "patience": 10**6, **settings, **networks})
    experiment = create(config, folder)
    for _ in experiment.train():
        pass
    return experiment


def situation(meta_game: ExactMetaGame, **changes) -> Situation:
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
            "span": meta_game.tree.span,
            **changes,
        }
    )


def grown(game: str, iterations: int) -> ExactMetaGame:
    """By exact best responses to the meta-game's Nash equilibrium."""
    import games

    tree = games.load(game)
    meta_game = ExactMetaGame.empty(tree).add([exact.uniform_behaviour(p) for p in tree.players])
    for _ in range(iterations):
        mixture = meta_game.mixture(META_SOLVERS["nash"].function(meta_game.payoffs))
        best = [exact.best_response(tree, p, mixture).plan for p in range(tree.num_players)]
        meta_game = meta_game.add(
            [exact.behaviour(player, plan) for player, plan in zip(tree.players, best, strict=True)]
        )
    return meta_game


@pytest.mark.parametrize(
    "name",
    [  # fictitious has the parts of all that use self-play
        pytest.param(
            name,
            marks=pytest.mark.slow if "self_play" in way.uses and name != "fictitious" else (),
        )
        for name, way in EXPANSIONS.items()
    ],
)
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
        below = ExactMetaGame.empty(hierarchy.tree).put(
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


def rectified_requests(now: Situation):
    """What is asked for, and how many of those are kept."""
    steps = rectified(now)
    requests = next(steps)
    with pytest.raises(StopIteration) as stop:
        steps.send(now.meta_game)
    return requests, list(stop.value.value.keep)


@pytest.mark.parametrize("iterations", [0, 3, 6])
def test_rectified_responses_are_one_a_support_member_to_what_it_beats_or_ties(iterations):
    """Each opponent of the support that the member beats or ties with, by its Nash weight, and no
    other; as many responses as the larger support, whatever the shapes."""
    meta_game = grown("kuhn_poker", iterations)
    now = situation(meta_game, levels=8)
    weights = now.meta_strategy.marginals
    value = weights[0] @ meta_game.payoffs[0] @ weights[1]
    supports = [np.flatnonzero(each > 1e-6) for each in weights]
    requests, kept = rectified_requests(now)
    assert [each.slot for each in requests] == list(range(iterations + 1, iterations + 9))
    assert kept == [each.slot for each in requests[: max(map(len, supports))]]
    margins = [meta_game.payoffs[0] - value, (value - meta_game.payoffs[0]).T]
    for p, (own, support) in enumerate(zip(weights, supports, strict=True)):
        others, met = weights[1 - p], []
        for member in support:
            beaten = others * (margins[p][member] >= -1e-9)
            met.append(beaten / beaten.sum())
        faced = [request.against.marginals[1 - p] for request in requests]
        for member, expected in zip(support, met, strict=True):
            place = list(support[np.argsort(-own[support], kind="stable")]).index(member)
            np.testing.assert_allclose(faced[place], expected, atol=1e-9)
        for rest in faced[len(support) :]:
            np.testing.assert_allclose(rest, others)
    if iterations == 6:  # and it makes a difference
        assert any((each.against.marginals[0] != weights[0]).any() for each in requests)


def test_rectified_responses_are_bounded_and_likeliest_first():
    now = situation(grown("kuhn_poker", 6), levels=2)
    many, kept = rectified_requests(now)
    assert len(many) == len(kept) == 2
    more, _ = rectified_requests(dataclasses.replace(now, levels=8))
    for ours, theirs in zip(many, more, strict=False):
        for one, other in zip(ours.against.marginals, theirs.against.marginals, strict=True):
            np.testing.assert_array_equal(one, other)


def test_rectified_populations_grow_by_their_supports(tmp_path):
    run = trained(tmp_path / "run", expansion="rectified", levels=8, iterations=5, tolerance=0)
    for before, after in itertools.pairwise(run.records):
        assert after.size == before.size + max(before.support_size)


@pytest.mark.parametrize("minimiser", REGRET_MINIMISERS)
def test_an_anytime_mixture_approaches_the_least_exploitable_one(minimiser):
    """By more rounds, and never below it: of one population, against exact best responses."""
    meta_game = grown("kuhn_poker", 4)
    tree, size = meta_game.tree, meta_game.size
    least = sequence_form.population_exploitability(tree, meta_game.plans).measured.exploitability
    shortfalls = []
    for rounds in (4, 64, 1024):
        now = situation(meta_game, rounds=rounds, minimise=REGRET_MINIMISERS[minimiser])
        steps, at_hand = EXPANSIONS["anytime"].function(now), meta_game
        (request,) = next(steps)
        with pytest.raises(StopIteration) as stop:
            while True:
                mixture = at_hand.mixture(request.against.padded(at_hand.size).marginals)
                best = [exact.best_response(tree, p, mixture).plan for p in range(2)]
                behaviours = [
                    exact.behaviour(*each) for each in zip(tree.players, best, strict=True)
                ]
                at_hand = meta_game.put([size], [behaviours])
                (request,) = steps.send(at_hand)
        found = stop.value.value.meta_strategy.marginals
        assert all(each[size] == 0 for each in found)
        mixture = meta_game.mixture([each[:size] for each in found])
        shortfalls.append(exact.exploitability(tree, mixture).exploitability - least)
    assert min(shortfalls) >= -1e-9
    assert shortfalls[2] < shortfalls[1] < shortfalls[0]
    assert shortfalls[2] < shortfalls[0] / 4


def test_the_least_exploitable_mixtures_exploitability_does_not_rise(tmp_path):
    """APSRO's property (proposition 1), which the meta-game's equilibrium lacks."""
    anytime = trained(tmp_path / "least", meta_solver="least_exploitable", iterations=12)
    curve = [record.exploitability for record in anytime.records]
    assert (np.diff(curve) <= 1e-9).all()
    plain = trained(tmp_path / "nash", game="leduc_poker", iterations=6, evaluation_solver="same")
    assert (np.diff([record.exploitability for record in plain.records]) > 0.1).any()


def answered(meta_game: ExactMetaGame, request):
    """The meta-game with exact best responses in it, or with what is placed."""
    tree, slots, behaviours = meta_game.tree, [], []
    for each in request:
        if isinstance(each, Train):
            mixture = meta_game.mixture(each.against.padded(meta_game.size).marginals)
            plans = [exact.best_response(tree, p, mixture).plan for p in range(2)]
        else:
            plans = each.plans
        slots.append(each.slot)
        behaviours.append(
            [exact.behaviour(*each) for each in zip(tree.players, plans, strict=True)]
        )
    return meta_game.put(slots, behaviours)


def carried_out(steps, meta_game: ExactMetaGame):
    """What exact best responses make of an expansion: the meta-game after each request, and its
    end."""
    request, seen = next(steps), []
    while True:
        meta_game = answered(meta_game, request)
        seen.append((request, meta_game))
        try:
            request = steps.send(meta_game)
        except StopIteration as stop:
            return seen, stop.value


@pytest.mark.parametrize("rounds", [1, 5])
def test_what_sp_psro_adds_is_the_average_of_its_rounds(rounds):
    """Beside the best response of the last round; each round's policy is a best response to the
    other player's best response of the round before."""
    meta_game = grown("kuhn_poker", 2)
    tree, size = meta_game.tree, meta_game.size
    seen, end = carried_out(
        EXPANSIONS["stochastic"].function(situation(meta_game, rounds=rounds)), meta_game
    )
    *training, (placing, last) = seen
    assert len(training) == rounds
    assert [each.slot for each in placing] == [size + 1]
    for p in range(2):
        moving = np.stack([at_hand.plans[p][size + 1] for _, at_hand in training])
        np.testing.assert_allclose(last.plans[p][size + 1], moving.mean(axis=0), atol=1e-12)
        assert end.meta_strategy.marginals[p][size] == 0  # none for the best response itself
    for (_, before), (_, after) in itertools.pairwise(training):
        for p in range(2):
            gains = exact.gains(tree, p, [plans[size] for plans in before.plans])
            best = exact.best_response_to(tree.players[p], gains).value
            assert gains @ after.plans[p][size + 1] == pytest.approx(best, abs=1e-12)
            assert end.meta_strategy.marginals[p].sum() == pytest.approx(1)


@pytest.mark.parametrize("minimiser", REGRET_MINIMISERS)
@pytest.mark.parametrize("game", ["kuhn_poker", "leduc_poker"])
def test_anytime_exploitability_does_not_rise_by_more_than_the_regret(tmp_path, minimiser, game):
    """APSRO's and EPSRO's property on their own runs: what the average mixture leaves beyond the
    least exploitable one is at most the average regret, and the least does not rise."""
    rounds = 8
    run = trained(
        tmp_path / "run",
        game=game,
        expansion="anytime",
        regret_minimiser=minimiser,
        rounds=rounds,
        iterations=4,
        tolerance=0,
    )
    span, least = 2 * run.tree.max_return, []
    for record in run.records[1:]:
        size = record.size - 1  # the new best response is no part of the mixture
        plans = [each[:size] for each in run.plans]
        least.append(sequence_form.population_exploitability(run.tree, plans).measured)
        bound = {
            "hedge": np.sqrt(2 * np.log(size) / rounds) + np.sqrt(np.log(size) / 8) / rounds,
            "regret_matching_plus": np.sqrt(size / rounds),
        }[minimiser]
        excess = record.exploitability - least[-1].exploitability
        assert -1e-9 <= excess <= span * bound + 1e-9
    assert (np.diff([each.exploitability for each in least]) <= 1e-9).all()


def test_online_double_oracle_keeps_its_regret_bound(tmp_path):
    """Once best responses bring nothing new, the averages of T rounds over k policies are within
    the regret bound of k policies against *all* of the game, of which there are 2^6 a player."""
    rounds = 200
    run = trained(
        tmp_path / "run", meta_solver=f"hedge(iterations={rounds})", iterations=20, tolerance=0
    )
    last = run.records[-1]
    mixture = [exact.mix(*each) for each in zip(run.plans, run.meta_strategy, strict=True)]
    spans = np.ptp(run.payoffs, axis=(1, 2))
    new = [
        exact.best_response(run.tree, p, mixture).value
        - max(exact.gains(run.tree, p, mixture) @ plan for plan in run.plans[p])
        for p in range(2)
    ]
    np.testing.assert_allclose(new, 0.0, atol=1e-9)  # closed under best responses
    k = last.size
    bound = np.sqrt(2 * np.log(k) / rounds) + np.sqrt(np.log(k) / 8) / rounds
    assert 0 < last.nash_conv <= bound * spans.sum()


@pytest.mark.parametrize("solver, gap", [("mgcce", "cce_gap"), ("mgce", "ce_gap")])
@pytest.mark.parametrize("game", ["kuhn_poker", "matrix_bos"])
def test_jpsro_s_gap_goes_to_zero(tmp_path, solver, gap, game):
    run = trained(tmp_path / "run", game=game, meta_solver=solver, iterations=40)
    assert run.ended == "converged" and getattr(run.records[-1], gap) <= 1e-6


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
    term = TERMS[diversity](
        Context.of(ExactMetaGame.of(tree, first), 0, weights=np.ones(1), reach=reach)
    )
    assert term(diverse.plans[0][1])[0] > term(plain.plans[0][1])[0] + 1e-6
    assert max(diverse.records[1].gap) > 1e-3 > max(plain.records[1].gap)


@pytest.mark.parametrize("name", VARIANTS)
def test_variants_are_settings_that_exist(name):
    RunConfig.from_json({"game": "kuhn_poker", **VARIANTS[name].settings})


NOT_BY_DESIGN = {
    "self_play": "circles",
    "last_k": "circles",
    "fictitious_play": "is slow: 116 iterations",
    "psro_rn": "ends where rectified responses are members already",
}
"""Variants that 40 exact iterations leave above 0.02 on Kuhn poker (docs/variants.md)."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [name for name, v in VARIANTS.items() if v.settings.get("expansion") not in SELF_PLAY]
)
def test_variants_solve_kuhn_poker_or_do_not_by_design(tmp_path, name):
    settings = {"oracle": "best_response", **VARIANTS[name].settings, "iterations": 40}
    settings.pop("ppo", None)
    if settings["oracle"] == "best_response":
        settings.pop("init", None)  # tables begin anew
    end = trained(tmp_path / "run", **settings).records[-1].exploitability
    assert (end > 0.02) == (name in NOT_BY_DESIGN)


def test_rectified_responses_end_where_they_are_members_already(tmp_path):
    """Why PSRO_rN need not converge: what it adds repeats what is there, while a best response to
    the whole meta-strategy still gains."""
    run = trained(tmp_path / "run", expansion="rectified", levels=8, iterations=20, tolerance=0)
    first, last = run.records[15].size, run.records[-1].size
    assert last > first + 5
    for plans in run.plans:
        before, after = (len(np.unique(plans[:size].round(9), axis=0)) for size in (first, last))
        assert before == after
    assert run.records[-1].exploitability > 0.02


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


@pytest.mark.parametrize(
    ("name", "weights_of_self_play"),
    [
        ("fictitious", [0, 0, 1]),
        ("fictitious_average", [1, 1, 1]),
        ("fictitious_decay", [4**4, 5**4, 6**4]),
    ],
)
def test_fictitious_play_begins_from_self_play(name, weights_of_self_play):
    """Six iterations of self-play, of two networks each, then two best responses."""
    meta_game, strategy = grown("kuhn_poker", 0), MetaStrategy(marginals=(np.ones(1),) * 2)
    uniform = [exact.uniform_behaviour(player) for player in meta_game.tree.players]
    for number in range(1, 9):
        now = situation(meta_game, meta_strategy=strategy, number=number, networks=2, horizon=6)
        steps = EXPANSIONS[name].function(now)
        requests = next(steps)
        new = 2 if number <= 6 else 1  # any policies: nothing depends on payoffs
        assert [request.slot for request in requests] == [meta_game.size]
        for _ in range(new):
            meta_game = meta_game.add(uniform)
        with pytest.raises(StopIteration) as finished:
            steps.send(meta_game)
        strategy = finished.value.value.meta_strategy
        if number < 6:  # the policy to play of this iteration
            assert [weights.argmax() for weights in strategy.marginals] == [2 * number - 1] * 2
    expected = np.zeros(15)
    expected[[7, 9, 11]] = weights_of_self_play  # the policies to play of iterations 4 to 6
    expected *= 30 / expected.sum()
    expected[[13, 14]] = 1
    for weights in strategy.marginals:
        np.testing.assert_allclose(weights, expected / 32)
