"""Tabulation in chunks is tabulation."""

import jax
import numpy as np
import pytest
from probes import policy_for

import games
from games.tree_game import TreeGame
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
