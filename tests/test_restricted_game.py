"""Restricted games: trees like any other, equilibria against brute force and other programs, and
extensive-form double oracle as a plain loop."""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np
import pytest
from open_spiel.python.algorithms import exploitability
from probes import random_behaviours
from scipy.optimize import linprog

import games
from games import TreePolicy
from games.matrix import NormalForm
from psro import exact
from psro.exact import sequence_form
from psro.exact.cfr import cfr_plus
from psro.exact.restricted_game import (
    RestrictedGameError,
    allowed,
    restrict,
    solve,
)
from psro.exact.sequence_form import SequenceFormError
from psro.metagame.solvers import nash

load = cache(games.load)

GAMES = [
    "kuhn_poker",
    "kuhn_poker(players=3)",
    "leduc_poker",
    "tiny_bridge_2p",
    "matrix_rps",
    "goofspiel(imp_info=True,num_cards=3,points_order=descending)",
]
ARRAYS = [
    "chance", "terminal_returns", "sequence", "decision_player", "decision_info_state",
    "first_slot", "first_outcome", "outcome_node", "outcome_probability",
]  # fmt: skip
PLAYER_ARRAYS = [
    "observation", "parent", "first_sequence", "info_state", "action", "level_start",
]  # fmt: skip


def random_pure(player, rng):
    """A pure behaviour `[S]`, defined everywhere."""
    behaviour = np.zeros(player.num_sequences)
    behaviour[0] = 1.0
    behaviour[rng.integers(player.first_sequence[:-1], player.first_sequence[1:])] = 1.0
    return behaviour


def random_populations(tree, size, seed):
    """Pure behaviours `[size, S_p]` of each player."""
    rng = np.random.default_rng(seed)
    return [np.stack([random_pure(each, rng) for _ in range(size)]) for each in tree.players]


def random_masks(tree, size, seed):
    return [(population > 0).any(axis=0) for population in random_populations(tree, size, seed)]


def everything(tree):
    return [np.ones(player.num_sequences, bool) for player in tree.players]


def restricted_behaviours(tree, masks, seed):
    """Random behaviours of the whole game that keep to the masks."""
    result = []
    for player, mask, behaviour in zip(
        tree.players, masks, random_behaviours(tree, seed), strict=True
    ):
        weight = behaviour * mask
        total = np.add.reduceat(weight, player.first_sequence[:-1])
        result.append(np.append(1.0, weight[1:] / total[player.info_state[1:]]))
    return result


@pytest.mark.parametrize("name", GAMES)
def test_all_allowed_is_the_game_itself(name):
    tree = load(name)
    same = restrict(tree, everything(tree)).tree
    for array in ARRAYS:
        np.testing.assert_array_equal(getattr(same, array), getattr(tree, array))
        assert getattr(same, array).dtype == getattr(tree, array).dtype
    for mine, theirs in zip(same.players, tree.players, strict=True):
        for array in PLAYER_ARRAYS:
            np.testing.assert_array_equal(getattr(mine, array), getattr(theirs, array))
            assert getattr(mine, array).dtype == getattr(theirs, array).dtype
        assert list(mine.names) == list(theirs.names)
        assert list(mine.keys) == list(theirs.keys)
    assert same.max_length == tree.max_length


def terminals_of(tree):
    """Every terminal by a walk over decisions, as (sequences, returns, chance), sorted; what the
    arrays over terminals say must be what is found on the way."""
    found = []

    def visit(node, sequences, chance):
        if node >= tree.num_decisions:
            z = node - tree.num_decisions
            assert tuple(tree.sequence[z]) == sequences
            np.testing.assert_allclose(tree.chance[z], chance)
            found.append(z)
            return
        seat, info_state = tree.decision_player[node], tree.decision_info_state[node]
        player = tree.players[seat]
        assert player.parent[info_state] == sequences[seat]
        first, last = player.first_sequence[info_state : info_state + 2]
        assert first < last
        for k, sequence in enumerate(range(first, last)):
            assert player.info_state[sequence] == info_state
            assert player.legal[info_state, player.action[sequence]]
            leave(
                tree.first_slot[node] + k,
                (*sequences[:seat], sequence, *sequences[seat + 1 :]),
                chance,
            )

    def leave(slot, sequences, chance):
        outcomes = range(*tree.first_outcome[slot : slot + 2])
        assert sum(tree.outcome_probability[i] for i in outcomes) == pytest.approx(1)
        for i in outcomes:
            visit(tree.outcome_node[i], sequences, chance * tree.outcome_probability[i])

    leave(0, (0,) * tree.num_players, 1.0)
    assert sorted(found) == list(range(tree.num_terminals))


@pytest.mark.parametrize("name", GAMES)
@pytest.mark.parametrize("size", [1, 2])
def test_a_restricted_game_is_a_tree_like_any_other(name, size):
    tree = load(name)
    restricted = restrict(tree, random_masks(tree, size, seed=size))
    smaller = restricted.tree
    terminals_of(smaller)
    for p, player in enumerate(smaller.players):
        whole, sequences = tree.players[p], restricted.sequences[p]
        depth = np.zeros(player.num_info_states, int)
        for i in range(player.num_info_states):
            above = player.info_state[player.parent[i]]
            depth[i] = 0 if above < 0 else depth[above] + 1
        assert (np.diff(depth) >= 0).all()
        np.testing.assert_array_equal(np.diff(player.level_start), np.bincount(depth))
        np.testing.assert_array_equal(player.legal.sum(axis=1), np.diff(player.first_sequence))
        np.testing.assert_array_equal(whole.action[sequences], player.action)
        np.testing.assert_array_equal(
            whole.parent_sequence[sequences], sequences[player.parent_sequence]
        )
        assert [whole.names[i] for i in restricted.info_states[p]] == list(player.names)
        np.testing.assert_array_equal(
            whole.observation[restricted.info_states[p]], player.observation
        )


@pytest.mark.parametrize("name", GAMES)
def test_lifted_plans_are_plans_of_the_same_returns(name):
    tree = load(name)
    masks = random_masks(tree, 2, seed=3)
    behaviours = restricted_behaviours(tree, masks, seed=4)
    restricted = restrict(tree, masks)
    inside = [
        exact.realization_plan(player, behaviour[kept])
        for player, behaviour, kept in zip(
            restricted.tree.players, behaviours, restricted.sequences, strict=True
        )
    ]
    lifted = restricted.lift(inside, behaviours)
    for player, plan, behaviour in zip(tree.players, lifted, behaviours, strict=True):
        np.testing.assert_allclose(plan, exact.realization_plan(player, behaviour), atol=1e-15)
    default = restricted.lift(inside)
    for player, plan in zip(tree.players, default, strict=True):
        assert plan[0] == 1
        np.testing.assert_allclose(
            np.add.reduceat(plan, player.first_sequence[:-1]), plan[player.parent], atol=1e-12
        )
    for plans in (lifted, default):
        np.testing.assert_allclose(
            exact.returns(tree, plans), exact.returns(restricted.tree, inside), atol=1e-12
        )


@pytest.mark.parametrize("name", ["kuhn_poker", "leduc_poker"])
def test_gains_outside_of_the_restricted_game_are_the_fallback_s(name):
    """What a player gains that leaves the restricted game, by OpenSpiel, for two fallbacks; with
    plans that are zero where the restricted game is not, the gains are wrong."""
    tree = load(name)
    plans = [exact.realization_plan(q, exact.uniform_behaviour(q)) for q in tree.players]
    masks = [
        allowed(player, exact.best_response(tree, p, plans).plan[None])
        for p, player in enumerate(tree.players)
    ]
    restricted = restrict(tree, masks)
    inside = sequence_form.equilibrium(restricted.tree).plans
    found = []
    for fallback in (None, random_behaviours(tree, 0)):
        lifted = restricted.lift(inside, fallback)
        behaviours = dict(enumerate(map(exact.behaviour, tree.players, lifted)))
        policy = TreePolicy(tree, behaviours)
        measured = exact.exploitability(tree, lifted)
        expected = exploitability.nash_conv(policy.game, policy)
        assert measured.nash_conv == pytest.approx(expected, abs=1e-9)
        found.append(measured.nash_conv)
    assert abs(found[0] - found[1]) > 1e-3
    zeros = []
    for player, plan, kept in zip(tree.players, inside, restricted.sequences, strict=True):
        zeros.append(np.zeros(player.num_sequences))
        zeros[-1][kept] = plan
    assert abs(exact.exploitability(tree, zeros).nash_conv - found[0]) > 1e-3


def test_an_action_is_allowed_where_a_policy_comes_and_plays_it():
    tree = load("leduc_poker")
    for player, population in zip(tree.players, random_populations(tree, 3, 0), strict=True):
        plans = exact.realization_plan(player, population)
        mask = allowed(player, plans)
        np.testing.assert_array_equal(mask, (plans > 0).any(axis=0))
        np.testing.assert_array_equal(mask, allowed(player, plans[:1]) | allowed(player, plans[1:]))


def test_what_is_hardly_played_is_not_allowed():
    tree = load("leduc_poker")
    for player, pure in zip(tree.players, random_populations(tree, 1, 1), strict=True):
        soft = 0.99 * pure + 0.01 * exact.uniform_behaviour(player)
        plans = exact.realization_plan(player, soft)
        assert allowed(player, plans).all()
        np.testing.assert_array_equal(
            allowed(player, plans, threshold=0.05), exact.realization_plan(player, pure[0]) > 0
        )


def pure_plans(player):
    """Every reduced pure strategy of a player, `[K, S]`, by brute force."""
    choices = [range(*player.first_sequence[i : i + 2]) for i in range(player.num_info_states)]
    plans = []
    for chosen in itertools.product(*choices):
        behaviour = np.zeros(player.num_sequences)
        behaviour[[0, *chosen]] = 1.0
        plans.append(exact.realization_plan(player, behaviour))
    return np.unique(plans, axis=0)


def matrix_value(payoff):
    """Of the row player, by a linear program of the normal form."""
    rows, columns = payoff.shape
    found = linprog(
        np.append(np.zeros(rows), -1.0),
        A_ub=np.column_stack([-payoff.T, np.ones(columns)]),
        b_ub=np.zeros(columns),
        A_eq=np.append(np.ones(rows), 0.0)[None],
        b_eq=[1.0],
        bounds=[(0, None)] * rows + [(None, None)],
    )
    return -found.fun


@pytest.mark.parametrize("seed", range(5))
def test_equilibria_are_those_of_the_allowed_pure_strategies(seed):
    """Kuhn poker: the matrix of all pure strategies of the whole game that keep to the masks has
    the value of the restricted game, and none of them gains against its equilibrium."""
    tree = load("kuhn_poker")
    masks = random_masks(tree, 2, seed)
    pure = [pure_plans(player) for player in tree.players]
    pure = [
        plans[(plans[:, ~mask] == 0).all(axis=1)] for plans, mask in zip(pure, masks, strict=True)
    ]
    value = matrix_value(exact.payoffs(tree, pure)[0])
    for method in ("linear_program", "cfr_plus"):
        found = solve(tree, masks, method=method, precision=1e-4)
        assert found.method == method
        assert found.measured.nash_conv <= 1e-4
        assert found.measured.value[0] == pytest.approx(value, abs=1e-4)
        first = exact.payoffs(tree, [pure[0], found.plans[1][None]])[0]
        second = exact.payoffs(tree, [found.plans[0][None], pure[1]])[1]
        assert first.max() < value + 2e-4
        assert second.max() < -value + 2e-4


def test_one_policy_each_leaves_nothing_to_choose():
    tree = load("leduc_poker")
    populations = random_populations(tree, 1, 5)
    plans = [exact.realization_plan(*each) for each in zip(tree.players, populations, strict=True)]
    found = solve(tree, [allowed(*each) for each in zip(tree.players, plans, strict=True)])
    np.testing.assert_allclose(
        found.measured.value, exact.payoffs(tree, plans)[:, 0, 0], atol=1e-12
    )


def test_a_matrix_stays_a_matrix():
    """The restricted game of one-step policies is the matrix between them."""
    payoffs = np.random.default_rng(0).normal(size=(7, 6))
    tree = NormalForm(payoffs[None])
    rows, columns = [1, 4, 5], [0, 3]
    masks = [np.zeros(8, bool), np.zeros(7, bool)]
    masks[0][np.add(rows, 1)] = masks[1][np.add(columns, 1)] = True
    restricted = restrict(tree, masks)
    assert isinstance(restricted.tree, NormalForm)
    np.testing.assert_array_equal(restricted.tree.table[0], payoffs[np.ix_(rows, columns)])
    strategies = nash(np.stack([restricted.tree.payoffs_of(p) for p in range(2)]))
    lifted = restricted.lift([np.append(1.0, each) for each in strategies])
    for mask, plan in zip(masks, lifted, strict=True):
        assert not plan[1:][~mask[1:]].any()
    value = exact.returns(tree, lifted)[0]
    assert value == pytest.approx(matrix_value(payoffs[np.ix_(rows, columns)]), abs=1e-9)


def xdo(tree, iterations, fallback=None):
    """The exploitability of each restricted game's equilibrium, until none is left."""
    plans = [exact.realization_plan(q, exact.uniform_behaviour(q)) for q in tree.players]
    masks = [np.zeros(player.num_sequences, bool) for player in tree.players]
    found = []
    while len(found) < iterations and not (found and found[-1] < 1e-6):
        masks = [
            mask | allowed(player, exact.best_response(tree, p, plans).plan[None])
            for p, (player, mask) in enumerate(zip(tree.players, masks, strict=True))
        ]
        plans = solve(tree, masks, fallback=fallback).plans
        found.append(exact.exploitability(tree, plans).exploitability)
    return found


@pytest.mark.parametrize(
    ("name", "at_most"),
    [
        ("kuhn_poker", 12),
        ("leduc_poker", 60),
        ("goofspiel(imp_info=True,num_cards=3,points_order=descending)", 30),
        ("goofspiel(imp_info=True,num_cards=4,points_order=descending)", 160),
        pytest.param("liars_dice(numdice=1)", 400, marks=pytest.mark.slow),  # minutes
    ],
)
@pytest.mark.parametrize("fallback", [None, 0])
def test_xdo_ends_in_an_equilibrium(name, at_most, fallback):
    """Within as many iterations as there are info states (the paper's proposition), and far fewer;
    whatever is played outside of the restricted game."""
    tree = load(name)
    found = xdo(tree, at_most, None if fallback is None else random_behaviours(tree, fallback))
    assert found[-1] < 1e-6
    assert len(found) <= tree.num_info_states


def test_levels_that_nothing_leads_to_are_gone():
    """Who always bets in Kuhn poker never decides again."""
    tree = load("kuhn_poker")
    first, second = everything(tree)
    assert tree.players[0].num_levels == 2
    at_root = tree.players[0].parent == 0
    owner, action = tree.players[0].info_state, tree.players[0].action
    first[(owner >= 0) & at_root[owner] & (action == 0)] = False
    smaller = restrict(tree, [first, second]).tree
    assert smaller.players[0].num_levels == 1
    terminals_of(smaller)
    assert sequence_form.equilibrium(smaller).nash_conv < 1e-9
    assert exact.exploitability(smaller, next(cfr_plus(smaller))).nash_conv >= 0


def test_bad_input_is_refused():
    tree = load("kuhn_poker")
    masks = everything(tree)
    player = tree.players[0]
    uniform = exact.uniform_behaviour(player)
    with pytest.raises(RestrictedGameError, match="2 players, and there are 1 masks"):
        restrict(tree, masks[:1])
    with pytest.raises(RestrictedGameError, match="must be bool"):
        restrict(tree, [masks[0].astype(float), masks[1]])
    with pytest.raises(RestrictedGameError, match="must be bool"):
        restrict(tree, [masks[0][1:], masks[1]])
    with pytest.raises(RestrictedGameError, match="leaves it no action at '[012]'"):
        restrict(tree, [np.arange(len(masks[0])) == 0, masks[1]])
    with pytest.raises(RestrictedGameError, match="leaves it no action"):
        matrix = NormalForm(np.eye(2)[None])
        restrict(matrix, [np.array([True, False, False]), np.ones(3, bool)])
    with pytest.raises(RestrictedGameError, match="K at least 1"):
        allowed(player, uniform)
    with pytest.raises(RestrictedGameError, match=r"threshold = 0.5 .* below 1 / 2"):
        allowed(player, uniform[None], threshold=0.5)
    with pytest.raises(RestrictedGameError, match="unknown method 'simplex'"):
        solve(tree, masks, method="simplex")
    with pytest.raises(RestrictedGameError, match="after 15 iterations, more than the 1e-09"):
        solve(tree, masks, method="cfr_plus", precision=1e-9, max_iterations=15)
    three = load("kuhn_poker(players=3)")
    with pytest.raises(SequenceFormError, match="has 3 players"):
        solve(three, everything(three), method="cfr_plus")
