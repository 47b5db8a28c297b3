"""Settings of networks: from the command and files to folders, and back."""

import dataclasses

import jax
import numpy as np
import pytest

import psro
from psro.cli.options import config_and_rest, run_options
from psro.errors import SettingsError
from psro.oracles import DistillConfig
from psro.policies.networks.settings import ENCODERS, NetworkConfig
from psro.runs.config import RunConfig
from psro.runs.export import export
from psro.runs.naming import in_use

NETWORK = NetworkConfig(
    encoder="mlp", width=6, depth=2, separate=True, layer_norm=True, orthogonal=True
)


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"encoder": "conv"}, "unknown encoder 'conv'; known: linear"),
        ({"width": 0}, "network.width = 0 must be from 1 to 16,384"),
        ({"depth": 1.5}, "network.depth = 1.5 must be a whole number"),
        ({"separate": 1}, "network.separate = 1 must be true or false"),
    ],
)
def test_a_network_that_cannot_be_is_refused(changes, words):
    with pytest.raises(SettingsError, match=words):
        NetworkConfig(**changes)
    with pytest.raises(SettingsError, match=words):
        RunConfig.from_json({"network": changes})


def test_settings_of_the_network_are_settings_of_the_run():
    given = {"network": {"encoder": "mlp", "depth": 3}, "cell": "gru"}
    config, _ = config_and_rest(run_options(given))
    assert config.network == NetworkConfig(encoder="mlp", depth=3) and config.cell == "gru"
    assert RunConfig.from_json(dataclasses.asdict(config)) == config
    assert in_use(config)["network.depth"] == 3
    assert "network.depth" not in in_use(dataclasses.replace(config, oracle="best_response"))
    assert set(ENCODERS) >= {RunConfig().network.encoder}


def test_the_default_network_has_the_parameters_that_it_always_had():
    policy = psro.policies.policy.Policy(
        observation_space=psro.policies.policy.Box((11,)),
        action_space=psro.policies.policy.Discrete(2),
        hidden_size=8,
        cell="gru",
    )
    shapes = jax.eval_shape(policy.init, jax.random.key(0))
    assert set(shapes) == {"encoder", "cell", "policy_head", "value_head", "temperature"}
    assert shapes["encoder"]["kernel"].shape == (13, 8)


@pytest.mark.slow
def test_a_run_with_another_network_comes_back_as_it_was(tmp_path):
    """From its folder and from an exported file: the same policies, and bots that play them."""
    config = RunConfig(
        iterations=1, oracle="distill", hidden_size=4, network=NETWORK,
        distill=DistillConfig(steps=20),
    )  # fmt: skip
    trained = psro.run(config, tmp_path / "run")
    file = export(tmp_path / "run", tmp_path / "run.psro")
    for loaded in (psro.load(tmp_path / "run"), psro.load(file)):
        assert loaded.config.network == NETWORK
        assert loaded.exploitability() == trained.exploitability()
        jax.tree.map(np.testing.assert_array_equal, loaded.populations, trained.populations)
        game = loaded.tree.openspiel()
        state = game.new_initial_state()
        while state.is_chance_node():
            state.apply_action(state.legal_actions()[0])
        assert loaded.bot(0, 0).step(state) in state.legal_actions()
