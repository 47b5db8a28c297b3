"""Tabulation in chunks is tabulation."""

import jax
import numpy as np
import pytest
from probes import policy_for

import games
from games.tree_game import TreeGame
from psro import exact
from psro.policies import tabulation
from psro.policies.policy import Tabulator, stack
from psro.policies.tabulation import ChunkedTabulator


@pytest.mark.parametrize(
    "name, cell",
    [
        ("kuhn_poker(players=3)", "lstm"),
        ("liars_dice(dice_sides=3)", "gpt2"),
        pytest.param("leduc_poker", "gru", marks=pytest.mark.slow),
    ],
)
def test_parts_of_the_tree_are_the_whole_tree(name, cell, monkeypatch):
    tree = games.load(name)
    policy = policy_for(TreeGame(tree), cell=cell, hidden_size=4)
    params = policy.init_many(jax.random.split(jax.random.key(0), 2))
    chunked, whole = ChunkedTabulator(policy, chunk=7), Tabulator(policy, tree)
    monkeypatch.setattr(tabulation, "_LEAST_CHUNK", 3)
    shared = ChunkedTabulator(policy, chunk=7)  # of two policies 3 info states in a step
    tables = [chunked(params, states) for states in tree.players]
    for states, table in zip(tree.players, tables, strict=True):
        np.testing.assert_allclose(shared(params, states), table, atol=1e-6)
    for k in range(2):
        own = jax.tree.map(lambda leaf, k=k: leaf[k], params)
        expected = whole(stack([own] * tree.num_players))
        for ours, theirs in zip(tables, expected, strict=True):
            np.testing.assert_allclose(ours[k], theirs, atol=1e-6)
    for states, table in zip(tree.players, tables, strict=True):
        sums = np.add.reduceat(table, states.first_sequence[:-1], axis=1)
        np.testing.assert_allclose(sums, 1, rtol=0, atol=1e-15)  # plans lose nothing on the way
    hot = params | {"temperature": 3 * params["temperature"]}
    both = chunked.at_temperatures(params, tree.players[0], (1.0, 3.0))
    np.testing.assert_array_equal(both[:, 0], tables[0])
    np.testing.assert_allclose(both[:, 1], chunked(hot, tree.players[0]), atol=1e-6)


@pytest.mark.parametrize("negligible", [1e-3, 0.01, 0.1])
def test_what_is_seldom_played_is_left_out(negligible, monkeypatch):
    """Whatever the opponents do, the mixture's play differs by the bound at most."""
    tree = games.load("liars_dice(dice_sides=4)")
    policy = policy_for(TreeGame(tree), cell="gru", hidden_size=4)
    params = policy.init_many(jax.random.split(jax.random.key(1), 3))
    params |= {"temperature": 0.0002 * params["temperature"]}
    weights, states = np.array([0.5, 0.4, 0.1]), tree.players[1]
    tabulate, observe = ChunkedTabulator(policy, chunk=16), type(states).observe
    seen = []
    monkeypatch.setattr(
        type(states), "observe", lambda self, rows: seen.extend(rows) or observe(self, rows)
    )
    plans, counts = [], []
    for part in (0.0, negligible):
        behaviours = tabulate(params, states, negligible=part, weights=weights)
        plans.append(weights @ exact.realization_plan(states, behaviours))
        counts.append(len(seen))
    assert counts[0] == states.num_info_states
    assert counts[1] < 1.9 * counts[0]
    assert 0 < total_variation(states, *plans) <= negligible


def total_variation(states, plan, other):
    """Of two plans, if opponents choose among a sequence's info states so that it is largest."""
    ahead = np.abs(plan - other)
    for row in range(states.num_info_states - 1, -1, -1):
        own = slice(states.first_sequence[row], states.first_sequence[row + 1])
        before = states.parent[row]
        ahead[before] = max(ahead[before], ahead[own].sum())
    return ahead[0] / 2
