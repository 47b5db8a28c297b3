"""Diversity terms: their zeros, their slopes, and optimality of what they solve on the way."""

from __future__ import annotations

import dataclasses
import itertools
from functools import cache

import numpy as np
import pytest
import scipy.optimize
from probes import random_populations

import games
from psro import exact
from psro.metagame.effective_diversity import cardinality_of as cardinality
from psro.metagame.exact_meta_game import ExactMetaGame
from psro.variants.diversity import TERMS, Context, DiversityError, maximise
from psro.variants.diversity.nearest import nearest
from psro.variants.diversity.policy_hull import GAP, likeliest, policy_hull

load = cache(games.load)
HULLS = ["response", "policy_hull"]  # zero on every mixture of the population
DISTANCES = ["behavioural", *HULLS, "bd_rd"]  # convex, and zero somewhere
ROCK_PAPER_SCISSORS = np.array([[1.0, 1, 0, 0], [1, 0, 1, 0], [1, 0, 0, 1]])


@cache
def context_of(name: str, player: int = 0, *, counts=None, seed: int = 0, pure=False) -> Context:
    """Random populations and meta-strategies."""
    tree = load(name)
    generator = np.random.default_rng(seed)
    counts = counts or (3,) * tree.num_players
    plans = random_populations(tree, counts, seed=seed)
    if pure:
        plans = [
            np.stack([pure_plan(mine, generator) for _ in each])
            for mine, each in zip(tree.players, plans, strict=True)
        ]
    weights = [generator.dirichlet(np.ones(len(each))) for each in plans]
    mixed = [exact.mix(*each) for each in zip(plans, weights, strict=True)]
    reach = exact.gains_and_reach(tree, player, mixed)[1]
    return Context.of(ExactMetaGame.of(tree, plans), player, weights=weights[player], reach=reach)


def pure_plan(player, generator) -> np.ndarray:
    return exact.best_response_to(player, generator.normal(size=player.num_sequences)).plan


def new_plans(context: Context, count: int, seed: int = 1) -> list[np.ndarray]:
    """Pure ones and inner ones in turn."""
    generator = np.random.default_rng(seed)
    plans = []
    for number in range(count):
        pure = [pure_plan(context.player, generator) for _ in range(1 + 5 * (number % 2))]
        plans.append(np.mean(pure, axis=0))
    return plans


def all_pure(player) -> list[np.ndarray]:
    """Every pure plan once: choices where the plan does not lead make no difference."""
    plans = set()
    for choice in itertools.product(*map(range, np.diff(player.first_sequence))):
        behaviour = np.zeros(player.num_sequences)
        behaviour[0] = 1
        behaviour[player.first_sequence[:-1] + choice] = 1
        plans.add(tuple(exact.realization_plan(player, behaviour)))
    return [np.array(plan) for plan in sorted(plans)]


GAMES = ["kuhn_poker", "leduc_poker", "kuhn_poker(players=3)", "matrix_rps", "tiny_hanabi"]


@pytest.mark.parametrize("name", GAMES)
def test_rows_are_the_payoff_table(name):
    tree = load(name)
    counts = tuple(range(2, 2 + tree.num_players))
    plans = random_populations(tree, counts, seed=5)
    for player in range(tree.num_players):
        context = context_of(name, player, counts=counts, seed=5)
        table = np.moveaxis(exact.payoffs(tree, plans)[player], player, 0)
        rows = context.row(context.plans) * tree.max_return
        np.testing.assert_allclose(rows, table.reshape(counts[player], -1), atol=1e-12)


# For all terms


@pytest.mark.parametrize("name", GAMES)
@pytest.mark.parametrize("pure", [False, True])
@pytest.mark.parametrize("term", TERMS)
def test_the_gradient_is_that_of_finite_differences(term, name, pure):
    """Along directions between plans, from inside, where values are smooth on both sides."""
    context = context_of(name, pure=pure)
    function = TERMS[term](context)
    for plan, other in itertools.pairwise(new_plans(context, 6)):
        inside = 0.5 * plan + 0.3 * other + 0.2 * exact.mix(context.plans, context.weights)
        direction, step = other - plan, 1e-4
        after, before = (function(inside + sign * step * direction)[0] for sign in (1, -1))
        slope = function(inside)[1] @ direction
        assert slope == pytest.approx((after - before) / (2 * step), rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("name", GAMES)
@pytest.mark.parametrize("term", TERMS)
def test_at_pure_policies_the_gradient_is_the_slope_inwards(term, name):
    context = context_of(name, pure=True)
    function = TERMS[term](context)
    for plan, other in itertools.pairwise(new_plans(context, 9)[::2]):
        value, gradient = function(plan)
        step = 1e-6  # trembles of 1 % bend it within 1e-3
        slope = (function(plan + step * (other - plan))[0] - value) / step
        assert np.isfinite(gradient).all()
        assert gradient @ (other - plan) == pytest.approx(slope, rel=1e-2, abs=1e-3)


@pytest.mark.parametrize("pure", [False, True])
@pytest.mark.parametrize("term", TERMS)
def test_no_term_is_negative_and_new_policies_are_diverse(term, pure):
    context = context_of("leduc_poker", pure=pure)
    function = TERMS[term](context)
    for plan in new_plans(context, 6):
        assert function(plan)[0] > 1e-6


@pytest.mark.parametrize("term", DISTANCES)
@pytest.mark.parametrize("pure", [False, True])
def test_distances_are_convex(term, pure):
    """By the gradient: the function lies above all of its tangents."""
    context = context_of("leduc_poker", pure=pure)
    function = TERMS[term](context)
    plans = new_plans(context, 6)
    for plan, other in itertools.permutations(plans, 2):
        value, gradient = function(plan)
        assert function(other)[0] >= value + gradient @ (other - plan) - 1e-9


@pytest.mark.parametrize("name", GAMES)
@pytest.mark.parametrize("pure", [False, True])
@pytest.mark.parametrize("term", HULLS)
def test_members_and_mixtures_are_at_no_distance_of_the_hull(term, pure, name):
    context = context_of(name, pure=pure, seed=2)
    function = TERMS[term](context)
    mixtures = [exact.mix(context.plans, w) for w in np.random.default_rng(0).dirichlet([1] * 3, 5)]
    for plan in [*context.plans, *mixtures]:
        value, gradient = function(plan)
        assert abs(value) <= 1e-9
        assert np.abs(gradient).max() <= 1e-4  # the least there is


@pytest.mark.parametrize("term", ["behavioural", "bd_rd"])
def test_the_meta_strategy_s_mixture_is_at_no_distance(term):
    context = context_of("leduc_poker")
    value, gradient = TERMS[term](context)(exact.mix(context.plans, context.weights))
    assert abs(value) <= 1e-9 and np.abs(gradient).max() <= 1e-9


@pytest.mark.parametrize("name", GAMES)
@pytest.mark.parametrize("pure", [False, True])
@pytest.mark.parametrize("term", DISTANCES)
def test_a_duplicate_of_what_is_played_is_at_no_distance(term, pure, name):
    """Of the policy that has all of the meta-strategy's weight; other members are at no distance
    of a hull either (above), and the published cardinality grows by a copy (below)."""
    context = context_of(name, pure=pure)
    context = dataclasses.replace(context, weights=np.eye(len(context.plans))[1])
    assert abs(TERMS[term](context)(context.plans[1])[0]) <= 1e-9


@pytest.mark.parametrize("term", TERMS)
def test_a_matrix_without_terminals_gives_what_its_tree_gives(term):
    """The same game twice: `matrix_rps` and a `NormalForm`."""
    tree = load("matrix_rps")
    pure = [np.eye(3), np.eye(3)]
    payoffs = exact.payoffs(tree, [np.column_stack([np.ones(3), each]) for each in pure])
    context = context_of("matrix_rps")
    weights = context.weights
    plans = random_populations(tree, (3, 3), seed=0)
    matrix = games.NormalForm(payoffs)
    same = Context.of(ExactMetaGame.of(matrix, plans), 0, weights=weights, reach=np.ones(1))
    for plan in new_plans(context, 3):
        one, other = (TERMS[term](each)(plan) for each in (context, same))
        assert one[0] == pytest.approx(other[0], abs=1e-12)
        np.testing.assert_allclose(one[1], other[1], atol=1e-12)


def test_wrong_contexts_are_refused():
    context = context_of("kuhn_poker")
    with pytest.raises(DiversityError, match="0 policies"):
        dataclasses.replace(context, plans=context.plans[:0])
    with pytest.raises(DiversityError, match=r"shape \[3\], not \[2\]"):
        dataclasses.replace(context, weights=context.weights[:2])


# Each


def rows_of(context, plans, length=None) -> np.ndarray:
    """Payoff rows in units of `length`, of the rows' root mean square length if that is None."""
    rows = np.atleast_2d(plans) @ context.row_gains.T
    return rows / (length or np.sqrt(np.square(rows).sum() / len(rows)))


def test_cardinality_is_the_difference():
    context = context_of("leduc_poker", counts=(4, 3))
    function = TERMS["expected_cardinality"](context)
    length = np.sqrt(np.square(rows_of(context, context.plans, 1.0)).sum(axis=1).mean())
    rows = rows_of(context, context.plans)
    for plan in new_plans(context, 4):
        grown = cardinality(np.vstack([rows, rows_of(context, plan, length)]))
        assert function(plan)[0] == pytest.approx(grown - cardinality(rows), abs=1e-12)


@pytest.mark.parametrize("name", ["kuhn_poker", "leduc_poker", "matrix_rps"])
@pytest.mark.parametrize("pure", [False, True])
def test_a_copy_adds_less_than_the_member_had(name, pure):
    """By `1 / (1 + 2 b)`, and no more than 3 - 2 sqrt(2)."""
    context = context_of(name, counts=(3, 4), seed=3, pure=pure)
    # All rows of one length, so that leaving one out changes no unit
    lengths = np.sqrt(np.square(rows_of(context, context.plans)).sum(axis=1))
    context = dataclasses.replace(context, plans=context.plans / lengths[:, None])
    for k in range(3):
        others = np.delete(context.plans, k, axis=0)
        without = dataclasses.replace(context, plans=others, weights=np.full(2, 0.5))
        first = TERMS["expected_cardinality"](without)(context.plans[k])[0]
        copy = TERMS["expected_cardinality"](context)(context.plans[k])[0]
        rows, (row,) = rows_of(context, others), rows_of(context, context.plans[k])
        b = row @ np.linalg.inv(np.eye(4) + rows.T @ rows) @ row
        assert copy == pytest.approx(first / (1 + 2 * b), abs=1e-12)
        assert 0 < copy <= 3 - 2 * np.sqrt(2) + 1e-12


def test_an_orthogonal_row_adds_most():
    """Of rows of one length, on the way to the member's, each adds less; and the copy least."""
    context = context_of("matrix_rps")
    context = dataclasses.replace(
        context, plans=ROCK_PAPER_SCISSORS[:1], weights=np.ones(1), row_gains=np.eye(4)[1:]
    )
    function = TERMS["expected_cardinality"](context)
    angles = np.linspace(0, np.pi / 2, 10)[:, None]
    paths = np.cos(angles) * ROCK_PAPER_SCISSORS[1] + np.sin(angles) * ROCK_PAPER_SCISSORS[0]
    added = [function(plan)[0] for plan in paths]
    assert added[0] == pytest.approx(1 / 2) and added[-1] == pytest.approx(1 / 6)
    assert (np.diff(added) < 0).all()
    longer = dataclasses.replace(context, row_gains=7 * context.row_gains)  # another unit
    assert TERMS["expected_cardinality"](longer)(paths[5])[0] == pytest.approx(added[5])


def test_where_nobody_earns_anything_the_first_row_that_does_adds_its_length():
    context = context_of("matrix_rps")
    uniform = np.array([[1.0, 1 / 3, 1 / 3, 1 / 3]])
    context = dataclasses.replace(context, plans=uniform, weights=np.ones(1))
    function = TERMS["expected_cardinality"](context)
    row = context.row_gains @ ROCK_PAPER_SCISSORS[0]
    assert function(uniform[0])[0] == pytest.approx(0, abs=1e-12)
    assert function(ROCK_PAPER_SCISSORS[0])[0] == pytest.approx(row @ row / (1 + row @ row))


def test_the_behavioural_divergence_bounds_that_of_jensen_and_shannon():
    """Topsoe (2000): the triangular discrimination D and the capacitory one C, twice Jensen and
    Shannon's, have D / 2 <= C <= D log 2."""
    context = context_of("leduc_poker", pure=True)
    function = TERMS["behavioural"](context)
    mine = context.player
    share = np.append(0.0, context.reach[mine.info_state[1:]])
    mixed = share * exact.mix(context.plans, context.weights)
    for plan in new_plans(context, 6):
        visited = share * plan
        capacitory = 0.0
        for one, other in ((visited, mixed), (mixed, visited)):
            kept = one > 0
            capacitory += one[kept] @ np.log(2 * one[kept] / (one + other)[kept])
        triangular = 2 * mixed.sum() * function(plan)[0]
        assert capacitory <= np.log(2) * triangular + 1e-9
        assert capacitory >= triangular / 2 - 1e-9


def test_a_behaviour_that_shares_nothing_is_at_distance_one():
    context = context_of("matrix_rps", pure=True)
    context = dataclasses.replace(context, plans=ROCK_PAPER_SCISSORS[:1], weights=np.ones(1))
    function = TERMS["behavioural"](context)
    assert function(ROCK_PAPER_SCISSORS[1])[0] == pytest.approx(1)
    assert function(ROCK_PAPER_SCISSORS[:2].mean(axis=0))[0] == pytest.approx(
        (0.5**2 / 1.5 + 0.5**2 / 0.5) / 2
    )


@pytest.mark.parametrize("copies", [2, 5])
def test_copies_in_the_population_change_no_distance(copies):
    """Active sets are degenerate then; and what is nearest in the hull stays so."""
    context = context_of("leduc_poker", pure=True, counts=(4, 4))
    again = dataclasses.replace(
        context,
        plans=np.repeat(context.plans, copies, axis=0),
        weights=np.repeat(context.weights / copies, copies),
    )
    for term in DISTANCES:
        for plan in new_plans(context, 3):
            one, other = (TERMS[term](each)(plan) for each in (context, again))
            assert one[0] == pytest.approx(other[0], abs=1e-9)
            np.testing.assert_allclose(one[1], other[1], atol=1e-5)


def test_a_hull_of_one_point_that_is_the_target():
    np.testing.assert_array_equal(nearest(np.ones((4, 3)), np.ones(3)), np.full(4, 0.25))


@pytest.mark.parametrize("shape", [(1, 3), (4, 2), (3, 30), (30, 3), (20, 20), (5, 5000)])
@pytest.mark.parametrize("scale", [1e-6, 1, 1e6])
def test_the_nearest_point_of_a_hull(shape, scale):
    """Its optimality condition: no member is nearer in the direction of the target."""
    generator = np.random.default_rng(sum(shape))
    points, target = scale * generator.normal(size=shape), scale * generator.normal(size=shape[1])
    weights = nearest(points, target)
    assert weights.min() >= 0 and weights.sum() == pytest.approx(1)
    away = target - weights @ points
    gap = ((points - weights @ points) @ away).max()
    assert gap <= 1e-9 * scale**2 * max(1, shape[1] / 100)


def test_the_distance_is_what_another_solver_finds():
    context = context_of("leduc_poker", counts=(3, 5))
    function = TERMS["response"](context)
    rows = context.row(context.plans)
    for plan in new_plans(context, 4):
        row = context.row(plan)
        found = scipy.optimize.minimize(
            lambda w, row=row: np.square(row - w @ rows).sum(),
            np.full(3, 1 / 3),
            bounds=[(0, 1)] * 3,
            constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
            method="SLSQP",
            options={"ftol": 1e-14},
        )
        assert function(plan)[0] == pytest.approx(found.fun, abs=1e-8)


@pytest.mark.parametrize("shape", [(1, 4), (3, 20), (20, 50), (40, 10)])
@pytest.mark.parametrize("contrast", [1.0, 5.0])
def test_the_likeliest_mixture_is_certified(shape, contrast):
    """The gap to the optimum, by concavity; and members without weight would not raise it."""
    generator = np.random.default_rng(shape[0])
    densities = np.exp(contrast * generator.normal(size=shape))
    mass = generator.dirichlet(np.ones(shape[1]))
    weights = likeliest(densities, mass)
    assert weights.min() >= 0 and weights.sum() == pytest.approx(1)
    slope = densities @ (mass / (weights @ densities))
    assert slope.max() - 1 <= GAP * 1.01
    value = mass @ np.log(weights @ densities)
    for _ in range(50):
        other = generator.dirichlet(np.full(shape[0], 0.3))
        assert mass @ np.log(other @ densities) <= value + GAP


@pytest.mark.parametrize("name", ["kuhn_poker", "leduc_poker"])
@pytest.mark.parametrize("player", [0, 1])
def test_the_hull_s_divergence_is_the_sequence_form_s(name, player):
    """With one member: by info state, as the paper has it, over trembling plans."""
    context = context_of(name, player, counts=(1, 2) if player == 0 else (2, 1))
    mine, tremble = context.player, 0.05
    uniform = exact.realization_plan(mine, exact.uniform_behaviour(mine))
    member = (1 - tremble) * context.plans[0] + tremble * uniform
    theirs = exact.behaviour(mine, member)
    function = policy_hull(context, tremble=tremble)
    for plan in new_plans(context, 4):
        trembling = (1 - tremble) * plan + tremble * uniform
        behaviour = exact.behaviour(mine, trembling)
        each = trembling * np.log(behaviour / theirs)
        by_info_state = np.bincount(mine.info_state[1:], weights=each[1:])
        assert function(plan)[0] == pytest.approx(context.reach @ by_info_state, abs=1e-9)


def test_the_hull_is_nearer_than_its_members():
    context = context_of("leduc_poker", counts=(4, 3))
    function = TERMS["policy_hull"](context)
    for plan in new_plans(context, 4):
        members = [
            TERMS["policy_hull"](
                dataclasses.replace(context, plans=context.plans[[k]], weights=np.ones(1))
            )(plan)[0]
            for k in range(4)
        ]
        assert function(plan)[0] < min(members) - 1e-6


@pytest.mark.parametrize("tremble", [0.0, 1.0, -1.0])
def test_a_tremble_is_a_probability(tremble):
    with pytest.raises(DiversityError, match="tremble"):
        policy_hull(context_of("kuhn_poker"), tremble=tremble)


def test_a_mixture_that_is_not_found_is_told(monkeypatch):
    """Three densities after one of Newton's steps: the sentence has the gap that is left."""
    generator = np.random.default_rng(0)
    densities, mass = generator.uniform(0.01, 1, (3, 20)), generator.uniform(0, 1, 20)
    found = likeliest(densities, mass)
    assert (densities @ (mass / (found @ densities))).max() - mass.sum() <= GAP
    monkeypatch.setitem(likeliest.__globals__, "MAX_STEPS", 1)
    with pytest.raises(DiversityError, match="of 3 policies was not found: after 1 steps"):
        likeliest(densities, mass)


# From a term to gains


def shortfalls(term: str, seeds: int, starts: int) -> np.ndarray:
    """By how much `maximise` misses the maximum over all pure policies of Kuhn poker, as shares of
    what they span; it never falls below the plain best response."""
    missed = []
    for pure, player, seed, weight in itertools.product(
        (False, True), (0, 1), range(seeds), (0.1, 1.0, 10.0)
    ):
        context = context_of("kuhn_poker", player, seed=seed, pure=pure)
        function, gains, mine = TERMS[term](context), context.row_gains[0], context.player
        values = {tuple(plan): gains @ plan + weight * function(plan)[0] for plan in all_pure(mine)}
        tilted = maximise(mine, gains, function, weight, steps=10, starts=starts)
        found = values[tuple(exact.best_response_to(mine, tilted).plan)]
        assert found >= values[tuple(exact.best_response_to(mine, gains).plan)] - 1e-12
        best, worst = max(values.values()), min(values.values())
        missed.append((best - found) / (best - worst))
    return np.array(missed)


@pytest.mark.parametrize("term", TERMS)
def test_no_pure_policy_is_much_better(term):
    missed = shortfalls(term, seeds=2, starts=32)
    assert missed.max() <= 0.1 and (missed <= 1e-9).mean() >= 0.9


@pytest.mark.slow
@pytest.mark.parametrize("term", TERMS)
def test_the_best_pure_policy_is_nearly_always_found(term):
    """And often not from one start."""
    assert (shortfalls(term, seeds=6, starts=32) <= 1e-9).mean() >= 0.95
    assert (shortfalls(term, seeds=6, starts=1) <= 1e-9).mean() <= 0.8


@pytest.mark.parametrize("term", DISTANCES)
def test_the_gains_are_the_tangent_at_their_own_best_response(term):
    """What was found for a convex term is where climbing ends."""
    for seed in range(3):
        context = context_of("leduc_poker", seed=seed, pure=True)
        function, gains = TERMS[term](context), context.row_gains[0]
        tilted = maximise(context.player, gains, function, 1.0, steps=20)
        found = exact.best_response_to(context.player, tilted).plan
        np.testing.assert_allclose(tilted, gains + function(found)[1], atol=1e-12)


@pytest.mark.parametrize("term", TERMS)
def test_a_weight_of_nothing_changes_nothing(term):
    context = context_of("leduc_poker")
    gains = context.row_gains[0]
    tilted = maximise(context.player, gains, TERMS[term](context), 0.0, 3)
    np.testing.assert_array_equal(tilted, gains)


@pytest.mark.parametrize("term", DISTANCES)
def test_a_population_s_own_best_response_is_left(term):
    """Where the plain best response is a member already, a heavy term finds another, twice the
    same."""
    context = context_of("leduc_poker", pure=True)
    gains = context.row_gains.mean(axis=0)
    best = exact.best_response_to(context.player, gains).plan
    context = dataclasses.replace(
        context, plans=np.stack([best, context.plans[0]]), weights=np.array([1.0, 0.0])
    )
    function = TERMS[term](context)
    tilted = [maximise(context.player, gains, function, 100.0, 5) for _ in range(2)]
    np.testing.assert_array_equal(*tilted)
    found = exact.best_response_to(context.player, tilted[0]).plan
    assert function(found)[0] > 1e-3 and function(best)[0] <= 1e-9


def test_no_steps_are_refused():
    context = context_of("kuhn_poker")
    term = TERMS["response"](context)
    for steps, starts in ((0, 1), (1, 0)):
        with pytest.raises(DiversityError, match=f"not {steps} and {starts}"):
            maximise(context.player, context.row_gains[0], term, 1.0, steps, starts=starts)
