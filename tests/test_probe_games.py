"""Every learner on games for one player whose values are known."""

import dataclasses
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from probe_games import LENGTHS, Aim, ProbeGame
from probes import begin, policy_for, world_model_for

from psro.errors import SettingsError
from psro.oracles import (
    A2C,
    DQN,
    PPO,
    PQN,
    R2D2,
    SAC,
    A2CConfig,
    DQNConfig,
    Dreamer,
    DreamerConfig,
    Jobs,
    PPOConfig,
    PQNConfig,
    R2D2Config,
    Reinforce,
    SACConfig,
)
from psro.oracles import ReinforceConfig as RConfig
from psro.oracles.rollout import Rollout
from psro.policies.networks.settings import ENCODERS, NetworkConfig
from psro.policies.policy import at_temperature
from psro.training.matches import Matches

GAMMA = 0.5
ALIKE = {"evaluations": 1, "gamma": GAMMA, "rollout_length": 8, "num_strata": 1, "num_envs": 32}
REPLAY = {"decisions": 16_384, "buffer_size": 4_096, **ALIKE}


class Critic(SAC):
    """Its finished policy plays by a critic's values."""

    def _params(self, student):
        return jax.tree.map(lambda leaf: leaf[0], student.trained.networks.critics)


LEARNERS = {
    "ppo": (PPO, PPOConfig(decisions=16_384, **ALIKE)),
    "dqn": (DQN, DQNConfig(**REPLAY)),
    "r2d2": (R2D2, R2D2Config(**REPLAY)),
    "pqn": (PQN, PQNConfig(decisions=16_384, **ALIKE)),
    "sac": (SAC, SACConfig(**REPLAY)),
    "dreamer": (Dreamer, DreamerConfig(horizon=4, **REPLAY | {"decisions": 32_768})),
    "critic": (
        Critic,
        SACConfig(first_entropy_weight=1e-3, target_entropy=0, last_target_entropy=0, **REPLAY),
    ),
    "a2c": (A2C, A2CConfig(decisions=65_536, **ALIKE)),
    "reinforce": (Reinforce, RConfig(decisions=65_536, **ALIKE)),
}
VALUES_ARE_LOGITS = ("dqn", "r2d2", "pqn", "critic")
KINDS = list(LENGTHS)


def network_for(name, game, **settings):
    return (world_model_for if name == "dreamer" else policy_for)(game, **settings)


@functools.cache
def learner(name):
    """A policy, an oracle, and play with the trained network: compiled once for all kinds."""
    oracle, config = LEARNERS[name]
    game = ProbeGame("constant")
    policy = network_for(name, game, cell="gru", hidden_size=8)
    rollout = Rollout(game, policy, num_envs=16, num_strata=1, length=8, sequence_length=8)

    @jax.jit
    def play(params, constants):
        of_kind = rollout.with_constants(constants)
        params = at_temperature(params, 1e-4 if name in VALUES_ARE_LOGITS else 0.01)
        _, seen, episodes = of_kind(
            params, (), jnp.int32(0), begin(of_kind, jax.random.key(1)), jax.random.key(2)
        )
        logits, value = policy.unroll(
            at_temperature(params, 1.0), seen.observation, seen.last_action, seen.reset,
            jax.tree.map(lambda leaf: leaf[0], seen.carry),
        )  # fmt: skip
        return seen, episodes, logits.max(axis=-1) if name in VALUES_ARE_LOGITS else value

    return policy, oracle(game, policy, config), play


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name == "ppo" else pytest.mark.slow) for name in LEARNERS],
)
def test_a_learner_finds_the_known_values(name):
    """Within 0.15 of them; values are learned while the policy still explores."""
    policy, oracle, play = learner(name)
    wrong = {}
    for kind in KINDS:
        game = ProbeGame(kind)
        oracle._rollout.game = game  # its constants are an argument of the compiled code
        results = oracle(Jobs.alone(jax.random.key(0), policy.init(jax.random.key(1))))
        params = jax.tree.map(lambda leaf: leaf[0], results.params)
        seen, episodes, value = jax.device_get(play(params, game.constants))
        decided = np.asarray(seen.valid)
        error = np.abs(value - game.values(seen, GAMMA))[decided].max()
        error *= name != "sac"  # the actor has no values: see "critic"
        best = {"choice": 1.0, "memory": 1.0}.get(kind)
        mean = episodes.total_return.sum() / episodes.count.sum()
        if error > 0.15 or (best is not None and mean < 0.9):
            wrong[kind] = error, mean
    assert not wrong


@pytest.mark.parametrize("name", sorted(LEARNERS))
def test_a_stretch_of_training_keeps_what_it_changes(name):
    """Traced, not run: the same state afterwards, and losses."""
    kind, config = LEARNERS[name]
    small = {"num_envs": 4, "decisions": 32}
    small |= {"buffer_size": 64, "num_sequences": 4} if hasattr(config, "buffer_size") else {}
    game = ProbeGame("memory")
    policy = network_for(name, game, cell="gru", hidden_size=4)
    oracle = kind(game, policy, dataclasses.replace(config, **small))
    own, shared = oracle.inputs(Jobs.alone(jax.random.key(0), policy.init(jax.random.key(1))))
    own = jax.tree.map(lambda leaf: leaf[0], own)
    before = jax.eval_shape(oracle.init, own, shared)
    after, _, losses = jax.eval_shape(oracle.train, before, jnp.int32(0), own, shared)
    assert jax.tree.structure(after) == jax.tree.structure(before)
    assert [x.shape for x in jax.tree.leaves(after)] == [x.shape for x in jax.tree.leaves(before)]
    assert losses


@pytest.mark.parametrize(
    "encoder, cell",
    [
        pytest.param(
            *pair, marks=[] if pair in (("mlp", "gru"), ("cnn", "s5")) else pytest.mark.slow
        )
        for pair in itertools.product(ENCODERS, ("gru", "s5"))
    ],
)
def test_the_training_pass_reproduces_what_acted_in_a_box(cell, encoder):
    """From pictures and numbers, with last actions that are vectors, resets and a step that shows
    what a cut hides: the same log-probabilities and values."""
    game, other = Aim(), cell == "s5"
    network = NetworkConfig(
        encoder=encoder, width=4, channels=2, separate=other, layer_norm=other, orthogonal=other
    )
    policy = policy_for(game, cell=cell, hidden_size=8, network=network)
    params = at_temperature(policy.init(jax.random.key(0)), 0.5)
    rollout = Rollout(game, policy, num_envs=4, num_strata=1, length=10, sequence_length=5)
    play = jax.jit(lambda actors, key: rollout(params, (), jnp.int32(0), actors, key))
    actors, *_ = play(begin(rollout, jax.random.key(1)), jax.random.key(2))
    _, seen, _ = play(actors, jax.random.key(3))  # from the middle of episodes
    for number in range(2):
        part = slice(5 * number, 5 * number + 5)
        outputs, value = policy.unroll(
            params,
            jax.tree.map(lambda leaf, part=part: leaf[part], seen.observation),
            seen.last_action[part],
            seen.reset[part],
            jax.tree.map(lambda leaf, n=number: leaf[n], seen.carry),
        )
        log_prob = policy.distribution(outputs, None).log_prob(seen.action[part])
        np.testing.assert_allclose(log_prob, seen.log_prob[part], atol=1e-5)
        np.testing.assert_allclose(value, seen.value[part], atol=1e-5)
    shown = ~np.asarray(seen.valid)
    assert shown.sum() >= 8 and (shown == np.asarray(seen.truncated)).all()
    assert (np.asarray(seen.done) == shown).all()
    np.testing.assert_array_equal(np.asarray(seen.reset)[1:], shown[:-1])
    begun = np.asarray(seen.reset)
    assert (np.asarray(seen.last_action)[begun] == 1.0).all()  # the middle of the box
    played = np.asarray(policy.distribution(jnp.zeros((10, 4, 4)), None).played(seen.action))
    np.testing.assert_allclose(
        np.asarray(seen.last_action)[1:][~begun[1:]], played[:-1][~begun[1:]], atol=1e-6
    )


@pytest.mark.parametrize(
    "name",
    [
        "ppo",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("a2c", "reinforce", "sac", "dreamer")
        ),
    ],
)
def test_a_learner_aims(name):
    """Perfect play earns 3 an episode, playing the middle of what is wanted 0.75."""
    oracle, config = LEARNERS[name]
    game = Aim()
    policy = network_for(name, game, cell="none", hidden_size=16)
    own = {} if name == "sac" else {"entropy_weight": 0.01}
    config = dataclasses.replace(config, decisions=2 * config.decisions, **own)
    start = Jobs.alone(jax.random.key(0), policy.init(jax.random.key(1)))
    results = oracle(game, policy, config)(start)
    matches = Matches(game, policy, episodes=64, at_once=1)
    played = matches(
        jax.tree.map(lambda leaf: leaf[None], results.params), np.zeros((1, 1), int),
        jax.random.split(jax.random.key(2), 1),
    )  # fmt: skip
    assert (played.decisions == 3).all()
    assert played.returns.mean() > 2.5


def test_dqn_refuses_a_box():
    game = Aim()
    with pytest.raises(SettingsError, match="dqn needs a finite number of actions"):
        DQN(game, policy_for(game), DQNConfig())


class Far(ProbeGame):
    """The bit, a thousand away from zero, in steps of fifty."""

    def observe(self, state):
        return 1_000 + 50 * super().observe(state)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in LEARNERS if name not in ("critic", "dreamer")])
def test_all_networks_of_a_learner_normalise_alike(name):
    """Also target networks and critics, by the decisions of the training so far."""
    oracle, config = LEARNERS[name]
    game = Far("choice")
    network = NetworkConfig(normalize_observations=True)
    policy = policy_for(game, cell="none", hidden_size=8, network=network)
    learner = oracle(game, policy, dataclasses.replace(config, decisions=4_096))
    start = Jobs.alone(jax.random.key(0), policy.init(jax.random.key(1)))
    own, shared = learner.inputs(start)
    own = jax.tree.map(lambda leaf: leaf[0], own)
    trained, _ = jax.jit(lambda: learner.train(learner.init(own, shared), 0, own, shared))()

    def is_network(node):
        return isinstance(node, dict) and "normaliser" in node

    nodes = jax.tree.leaves(trained.student, is_leaf=is_network)
    networks = [node["normaliser"] for node in nodes if is_network(node)]
    assert len(networks) == {"dqn": 2, "r2d2": 2, "sac": 3}.get(name, 1)
    for statistics in networks:
        assert (statistics["count"] == trained.decisions).all()
        for mean in statistics["mean"]["0"].reshape(-1, 4):
            np.testing.assert_allclose(mean, [1025, 1025, 1000, 1050], atol=3)
