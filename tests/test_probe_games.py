"""Every learner on games for one player whose values are known."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from probe_games import LENGTHS, ProbeGame
from probes import begin, policy_for

from psro.oracles import A2C, DQN, PPO, A2CConfig, DQNConfig, Jobs, PPOConfig, Reinforce
from psro.oracles import ReinforceConfig as RConfig
from psro.oracles.rollout import Rollout
from psro.policies.policy import at_temperature

GAMMA = 0.5
ALIKE = {"evaluations": 1, "gamma": GAMMA, "rollout_length": 8, "num_strata": 1, "num_envs": 32}
LEARNERS = {
    "ppo": (PPO, PPOConfig(decisions=16_384, **ALIKE)),
    "dqn": (DQN, DQNConfig(decisions=16_384, buffer_size=4_096, **ALIKE)),
    "a2c": (A2C, A2CConfig(decisions=65_536, **ALIKE)),
    "reinforce": (Reinforce, RConfig(decisions=65_536, **ALIKE)),
}
KINDS = list(LENGTHS)


@functools.cache
def learner(name):
    """A policy, an oracle, and play with the trained network: compiled once for all kinds."""
    oracle, config = LEARNERS[name]
    game = ProbeGame("constant")
    policy = policy_for(game, cell="gru", hidden_size=8)
    rollout = Rollout(game, policy, num_envs=16, num_strata=1, length=8, sequence_length=8)

    @jax.jit
    def play(params, constants):
        of_kind = rollout.with_constants(constants)
        params = at_temperature(params, 0.01 if name != "dqn" else 1e-4)
        _, seen, episodes = of_kind(
            params, (), jnp.int32(0), begin(of_kind, jax.random.key(1)), jax.random.key(2)
        )
        logits, value = policy.unroll(
            at_temperature(params, 1.0), seen.observation, seen.last_action, seen.reset,
            jax.tree.map(lambda leaf: leaf[0], seen.carry),
        )  # fmt: skip
        return seen, episodes, logits.max(axis=-1) if name == "dqn" else value

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
        best = {"choice": 1.0, "memory": 1.0}.get(kind)
        mean = episodes.total_return.sum() / episodes.count.sum()
        if error > 0.15 or (best is not None and mean < 0.9):
            wrong[kind] = error, mean
    assert not wrong
