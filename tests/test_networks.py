"""Settings of networks: from the command and files to folders, and back."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import psro
from games.spaces import Box, Discrete
from psro.cli.options import config_and_rest, run_options
from psro.errors import SettingsError
from psro.oracles import DistillConfig, PPOConfig
from psro.policies.moments import Moments
from psro.policies.networks.settings import ENCODERS, NetworkConfig
from psro.policies.observed import observed
from psro.policies.policy import Policy
from psro.runs.config import RunConfig
from psro.runs.export import export
from psro.runs.naming import in_use
from psro.runs.setup import Setup

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
    config, *_ = config_and_rest(run_options(given))
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


def test_moments_of_batches_are_those_of_all_values_that_count():
    rng = np.random.default_rng(0)
    values = rng.normal(50, 3, size=(3, 7, 2)).astype(np.float32)
    counts = rng.random((3, 7)) < 0.6
    counts[1] = False
    moments = Moments.none((2,))
    for batch, of_batch in zip(values, counts, strict=True):
        moments = moments.with_values(batch, of_batch)
        assert np.isfinite(moments.variance).all()
    assert moments.count == counts.sum()
    np.testing.assert_allclose(moments.mean, values[counts].mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(moments.variance, values[counts].var(axis=0), rtol=1e-4)


def test_a_normalising_network_sees_what_a_plain_one_sees_of_normalised_observations():
    """Also of several parts, of which only real numbers are normalised, and of a Q-learner's two
    networks. Its statistics are not trained."""
    space = {"far": Box((2,)), "kind": Discrete(3)}
    plain, own = (
        Policy(
            observation_space=space, action_space=Discrete(2), hidden_size=3, cell="none",
            network=NetworkConfig(normalize_observations=normalises),
        )
        for normalises in (False, True)
    )  # fmt: skip
    params = jax.jit(own.init)(jax.random.key(0))
    far = np.random.default_rng(0).normal([1000, -5], [50, 0.1], (6, 4, 2)).astype(np.float32)
    seen = {"far": far, "kind": np.arange(24).reshape(6, 4) % 3}
    valid = np.arange(24).reshape(6, 4) % 5 > 0
    twice = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), params)
    observe = jax.jit(lambda *networks: observed(own, params, networks, seen, valid))
    after, both = observe(params, twice)
    assert after["normaliser"]["count"] == valid.sum()
    for one in (0, 1):
        copy = jax.tree.map(lambda leaf, one=one: leaf[one], both)
        jax.tree.map(np.testing.assert_array_equal, copy, after)
    normal = seen | {"far": (far - far[valid].mean(0)) / far[valid].std(0)}
    last, carry = plain.no_action((6, 4)), plain.initial_carry((6, 4))
    without = {name: leaf for name, leaf in after.items() if name != "normaliser"}
    for ours, theirs in zip(
        jax.jit(own)(after, seen, last, carry)[:2],
        jax.jit(plain)(without, normal, last, carry)[:2],
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
        assert np.std(ours) > 0
    slope = jax.jit(jax.grad(lambda params: own(params, seen, last, carry)[0].sum()))(after)
    assert not any(leaf.any() for leaf in jax.tree.leaves(slope["normaliser"]))


def test_what_cannot_be_normalised_is_refused():
    network = NetworkConfig(normalize_observations=True)
    with pytest.raises(SettingsError, match="is for real numbers, and the game shows none"):
        Policy(
            observation_space=Discrete(4), action_space=Discrete(2), hidden_size=2, cell="none",
            network=network,
        )  # fmt: skip
    for changes in ({"oracle": "distill"}, {"ppo": PPOConfig(tabulated=True)}):
        with pytest.raises(SettingsError, match="needs a learner that observes, and .* looks at"):
            Setup(RunConfig(network=network, **changes), "kuhn_poker")


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
