"""The exact quantities by JAX are those by numpy, on any game, and leave its settings alone."""

from __future__ import annotations

import json
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from probes import random_populations

import games
import psro
from games.matrix import NormalForm
from psro import cli, exact
from psro.exact.on_devices import DeviceError, DeviceTree

GAMES = [
    "kuhn_poker",
    "leduc_poker",
    "kuhn_poker(players=3)",
    "tiny_hanabi",
    "goofspiel(players=3,num_cards=3,imp_info=True,points_order=descending)",
    "tensor of three",
    "zero-sum matrix",
]


@cache
def load(name: str) -> games.GameTree:
    generator = np.random.default_rng(0)
    if name == "tensor of three":
        return NormalForm(generator.normal(size=(3, 4, 2, 5)))
    if name == "zero-sum matrix":
        return NormalForm(generator.normal(size=(1, 30, 20)))
    return games.load(name)


@pytest.mark.parametrize("name", GAMES)
def test_all_are_numpy_s(name):
    tree = load(name)
    found, players = DeviceTree(tree, "cpu"), range(tree.num_players)
    plans = random_populations(tree, (2, 3, 4)[: tree.num_players], seed=1)
    close = {"rtol": 0, "atol": 1e-12}
    np.testing.assert_allclose(found.payoffs(plans), exact.payoffs(tree, plans), **close)
    for seed in players:
        profile = [each[seed % len(each)] for each in plans]
        np.testing.assert_allclose(found.returns(profile), exact.returns(tree, profile), **close)
        measured, expected = found.exploitability(profile), exact.exploitability(tree, profile)
        for part in ("value", "best_response_value", "nash_conv"):
            np.testing.assert_allclose(getattr(measured, part), getattr(expected, part), **close)
        for p in players:
            np.testing.assert_allclose(
                found.gains(p, profile), exact.gains(tree, p, profile), **close
            )


def test_a_population_of_none_has_no_payoffs():
    tree = load("kuhn_poker")
    plans = [
        np.zeros((0, tree.players[0].num_sequences)),
        np.ones((2, tree.players[1].num_sequences)),
    ]
    assert DeviceTree(tree).payoffs(plans).shape == (2, 0, 2)


def test_training_keeps_its_32_bits():
    tree = load("kuhn_poker")
    profile = [exact.realization_plan(p, exact.uniform_behaviour(p)) for p in tree.players]
    found = DeviceTree(tree)
    assert found.returns(profile).dtype == np.float64
    assert not jax.config.jax_enable_x64
    assert jnp.zeros(1).dtype == jnp.float32
    assert found.exploitability(profile).nash_conv == pytest.approx(11 / 12, abs=1e-12)


def test_a_device_that_is_not_there_is_refused_in_a_sentence():
    with pytest.raises(DeviceError, match="no device 'abacus' here; JAX has cpu"):
        DeviceTree(load("kuhn_poker"), "abacus")


def test_the_command_measures_on_a_device(tmp_path, capsys):
    folder = tmp_path / "run"
    psro.run(psro.RunConfig(oracle="best_response", iterations=2), folder)
    measured = []
    for options in ([], ["--device", "cpu"]):
        capsys.readouterr()
        cli.main(["eval", str(folder), "--json", *options])
        measured.append(json.loads(capsys.readouterr().out))
    for name in ("nash_conv", "value", "best_response_value", "policy_exploitability"):
        np.testing.assert_allclose(measured[1][name], measured[0][name], rtol=0, atol=1e-12)
    with pytest.raises(SystemExit) as stop:
        cli.main(["eval", str(folder), "--device", "abacus"])
    assert stop.value.code == 2
    assert "no device 'abacus'" in capsys.readouterr().err
