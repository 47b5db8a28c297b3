"""Levels: the same quantities as `exact`, in other shapes."""

import jax
import numpy as np
import pytest
from probes import random_behaviours

import games
from games.levels import action_values, by_level, in_order, levels, rows
from games.tree_game import RowGame
from psro import exact
from psro.policies.policy import TablePolicy, Tabulator

NAMES = ["kuhn_poker", "kuhn_poker(players=3)", "leduc_poker", "tiny_bridge_2p"]


def random_plans(tree, seed):
    behaviours = random_behaviours(tree, seed)
    return list(map(exact.realization_plan, tree.players, behaviours)), behaviours


@pytest.mark.parametrize("name", NAMES)
def test_values_are_those_of_the_exact_engine(name):
    tree = games.load(name)
    plans, behaviours = random_plans(tree, 0)
    expected = exact.returns(tree, plans)
    for p in range(tree.num_players):
        mine = jax.tree.map(lambda leaf, p=p: leaf[p], levels(tree))
        gain = exact.sequence_returns(tree, p, exact.opponent_reach(tree, p, plans))
        returns = by_level(tree, p, gain)
        _, own = action_values(mine, returns, by_level(tree, p, behaviours[p]))
        np.testing.assert_allclose(gain[0] + own[0].sum(), expected[p], atol=1e-5)
        _, best = action_values(mine, returns)
        np.testing.assert_allclose(
            gain[0] + best[0].sum(), exact.best_response(tree, p, plans).value, atol=1e-5
        )


@pytest.mark.parametrize("name", NAMES)
def test_rows_and_order_are_each_others_inverse(name):
    tree = games.load(name)
    first = 0
    for p, player in enumerate(tree.players):
        numbers = np.arange(player.num_info_states, dtype=np.float64)
        per_sequence = np.concatenate([[0.0], numbers[player.info_state[1:]]])
        dense = by_level(tree, p, per_sequence)  # the number of the info state, where legal
        np.testing.assert_array_equal(
            in_order(tree, p, [each.max(axis=1) for each in dense]), numbers
        )
        own = rows(tree)[first : first + player.num_info_states]
        np.testing.assert_array_equal(np.concatenate(dense).max(axis=1)[own], numbers)
        first += player.num_info_states


def test_a_row_game_shows_the_row_of_the_info_state():
    tree = games.load("leduc_poker")
    plain = RowGame(tree, np.arange(tree.num_info_states))
    shown = RowGame(tree, rows(tree))
    state = shown.init(jax.random.key(0))
    assert rows(tree)[plain.observe(state)] == shown.observe(state)


@pytest.mark.parametrize("name", NAMES)
def test_reach_is_what_opponents_and_chance_make_of_it(name):
    """Where a player plays to get somewhere with certainty, it gets there as often as that."""
    tree = games.load(name)
    plans, _ = random_plans(tree, 1)
    for p, player in enumerate(tree.players):
        reach = exact.opponent_reach(tree, p, plans)
        found = exact.info_state_reach(tree, p, reach)
        for info_state in np.random.default_rng(p).choice(player.num_info_states, 5):
            behaviour = exact.uniform_behaviour(player)
            sequence = player.parent[info_state]
            while sequence:
                own = player.info_state == player.info_state[sequence]
                behaviour[own] = 0.0
                behaviour[sequence] = 1.0
                sequence = player.parent_sequence[sequence]
            plan = exact.realization_plan(player, behaviour)
            below = np.zeros(player.num_sequences, bool)
            for s in range(1, player.num_sequences):  # parents come first
                below[s] = player.info_state[s] == info_state or below[player.parent_sequence[s]]
            through = below[tree.sequence[:, p]]
            expected = (reach * plan[tree.sequence[:, p]])[through].sum()
            np.testing.assert_allclose(found[info_state], expected, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_a_table_of_a_pure_plan_is_that_plan(name):
    tree = games.load(name)
    plans, _ = random_plans(tree, 2)
    policy = TablePolicy(tree)
    best = [exact.best_response(tree, p, plans).plan for p in range(tree.num_players)]
    tables = [policy.from_plan(tree, p, plan) for p, plan in enumerate(best)]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *tables)
    for player, behaviour, plan in zip(
        tree.players, Tabulator(policy, tree)(stacked), best, strict=True
    ):
        np.testing.assert_array_equal(exact.realization_plan(player, behaviour), plan)
