"""Policies that follow given plans."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import games
from psro import cfr, exact
from psro.imitation import imitate_by_network, imitate_by_table
from psro.policy import Policy, TablePolicy, Tabulator


def mixed(tree):
    """Plans that mix: CFR+'s average after some iterations."""
    for number, plans in enumerate(cfr.cfr_plus(tree)):
        if number == 200:
            return plans


@pytest.mark.parametrize("name", ["kuhn_poker", "tiny_hanabi"])
def test_tables_are_exact(name):
    tree = games.load(name)
    policy = TablePolicy(tree)
    rng = np.random.default_rng(0)
    plans = []
    for player in tree.players:
        weight = rng.exponential(size=player.num_sequences)
        weight[0] = 1.0
        total = np.bincount(player.info_state[1:], weights=weight[1:])
        weight[1:] /= total[player.info_state[1:]]
        plans.append(exact.realization_plan(player, weight))
    params = imitate_by_table(policy, tree)(None, plans)
    for player, plan, behaviour in zip(
        tree.players, plans, Tabulator(policy, tree)(params), strict=True
    ):
        np.testing.assert_allclose(exact.realization_plan(player, behaviour), plan, atol=1e-6)


def test_networks_come_close():
    tree = games.load("kuhn_poker")
    policy = Policy(
        observation_size=tree.observation_size,
        num_actions=tree.num_actions,
        hidden_size=16,
        cell="lstm",
    )
    plans = mixed(tree)
    fresh = policy.init_many(jax.random.split(jax.random.key(0), 2))
    imitated = Tabulator(policy, tree)(imitate_by_network(policy, tree)(fresh, plans))
    played = [
        exact.realization_plan(player, each)
        for player, each in zip(tree.players, imitated, strict=True)
    ]
    aimed = exact.exploitability(tree, plans).exploitability
    assert exact.exploitability(tree, played).exploitability < aimed + 0.01
