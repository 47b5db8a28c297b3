"""Policies that follow given plans."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from probes import policy_for

import games
from games.levels import by_level, levels
from psro import exact
from psro.exact import cfr
from psro.policies import imitation
from psro.policies.imitation import imitate_by_network, imitate_by_table
from psro.policies.policy import TablePolicy, Tabulator


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
    policy = policy_for(tree)
    plans = mixed(tree)
    fresh = policy.init_many(jax.random.split(jax.random.key(0), 2))
    imitated = Tabulator(policy, tree)(imitate_by_network(policy, tree)(fresh, plans))
    played = [
        exact.realization_plan(player, each)
        for player, each in zip(tree.players, imitated, strict=True)
    ]
    aimed = exact.exploitability(tree, plans).exploitability
    assert exact.exploitability(tree, played).exploitability < aimed + 0.01


def test_rows_that_are_left_out_change_nothing(monkeypatch):
    """A recurrent network's logits at what a pure plan reaches are the same in the smaller tree."""
    monkeypatch.setattr(imitation, "_FEWEST_ROWS", 4)
    tree = games.load("goofspiel(imp_info=True,num_cards=4,points_order=descending)")
    policy = policy_for(tree, cell="gru", hidden_size=8)
    uniform = [exact.realization_plan(p, exact.uniform_behaviour(p)) for p in tree.players]
    pure = [exact.best_response(tree, p, uniform).plan for p in range(2)]
    whole = levels(tree)
    per_player = [by_level(tree, p, pure[p]) for p in range(2)]
    weights = [np.stack(each) for each in zip(*per_player, strict=True)]
    some, kept = imitation._reached(whole, weights)
    assert sum(each.shape[1] for each in kept) < sum(each.shape[1] for each in weights)
    params = policy.init_many(jax.random.split(jax.random.key(0), 2))
    tabulate = jax.vmap(policy.tabulate)
    for level, (full, less) in enumerate(
        zip(tabulate(params, whole)[0], tabulate(params, some)[0], strict=True)
    ):
        for p in range(2):
            at, of = weights[level][p].sum(axis=1) > 0, kept[level][p].sum(axis=1) > 0
            assert at.sum() == of.sum()
            np.testing.assert_allclose(less[p][of], full[p][at], atol=1e-6)
