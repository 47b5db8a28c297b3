"""The PPO oracle: its parts, and games of known value that localise a bug."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from probes import Lengths, Probe, constant_policy, policy_for

from psro.oracles import PPO, Jobs, PPOConfig
from psro.policies.distributions import log_probabilities
from psro.policies.networks import CELLS
from psro.policies.policy import stack

QUICK = PPOConfig(
    decisions=24_576,
    num_envs=64,
    num_strata=2,
    rollout_length=8,
    sequence_length=8,
    num_minibatches=2,
    learning_rate=1e-2,
)


def take(params, index):
    return jax.tree.map(lambda leaf: leaf[index], params)


def jobs_for(policy, *, opponents, weights, players=(0,), seed=0):
    """Jobs against a population of `opponents`, the same for every player."""
    population = stack(opponents)  # [K, ...]
    num_players = 2
    return Jobs.of_one_run(
        jax.random.key(0),
        player=np.array(players),
        initial=policy.init_many(jax.random.split(jax.random.key(seed), len(players))),
        populations=jax.tree.map(
            lambda leaf: jnp.broadcast_to(leaf, (num_players, *leaf.shape)), population
        ),
        opponents=np.tile(np.asarray(weights, np.float64), (len(players), 1)),
    )


def first_moves(policy, params, observation, legal):
    """Probabilities and value at the first decision of an episode."""
    logits, value, _ = policy(params, observation, jnp.int32(-1), policy.initial_carry())
    return np.exp(log_probabilities(logits, jnp.asarray(legal))), float(value)


def mean_return(game, policy, params, opponent, episodes=256):
    """Player 0's mean return in a probe, played out one step at a time."""

    def play(key):
        keys = jax.random.split(key, game.max_length + 1)
        state, carry, last = game.init(keys[0]), policy.initial_carry(), jnp.int32(-1)
        for step in range(game.max_length):
            logits, _, after = policy(params, game.observe(state), last, carry)
            mine = jax.random.categorical(keys[step + 1], log_probabilities(logits, state.legal))
            turn = state.player == 0
            action = jnp.where(turn, mine, 0).astype(jnp.int32)
            carry = jax.tree.map(lambda new, old, t=turn: jnp.where(t, new, old), after, carry)
            last = jnp.where(turn, action, last)
            state = game.step(state, action, keys[step + 1])
        return state.rewards[0]

    keys = jax.random.split(jax.random.key(7), episodes)
    return float(jax.jit(jax.vmap(play))(keys).mean())


def train(game, policy, config=QUICK, **kwargs):
    opponent = constant_policy(policy, 0)
    jobs = jobs_for(policy, opponents=[opponent], weights=[1.0], **kwargs)
    return PPO(game, policy, config)(jobs)


@pytest.mark.slow
def test_constant_return_is_the_learned_value():
    game = Probe("constant")
    policy = policy_for(game)
    config = dataclasses.replace(QUICK, evaluations=1)  # no policy is better: the last one
    params = take(train(game, policy, config).params, 0)
    state = game.init(jax.random.key(0))
    _, value = first_moves(policy, params, game.observe(state), [True, True])
    assert abs(value - 1.0) < 0.02


@pytest.mark.parametrize(
    "cell",
    [
        cell if cell == "gru" else pytest.param(cell, marks=pytest.mark.slow)
        for cell in CELLS
        if cell != "none"
    ],
)  # lstm: tests/test_oracles.py
def test_memory_probe_is_solved_by_every_cell(cell):
    game = Probe("memory")
    policy = policy_for(game, cell=cell)
    results = train(game, policy)
    assert mean_return(game, policy, take(results.params, 0), None) > 0.99


def test_memory_probe_is_not_solved_without_memory(monkeypatch):
    """The same training with a carry that is always zero: a coin flip, and no more."""

    class Forgetful(nnx.GRUCell):
        def __call__(self, carry, inputs):
            _, memory = super().__call__(jnp.zeros_like(carry), inputs)
            return jnp.zeros_like(carry), memory

    monkeypatch.setitem(CELLS, "forgetful", Forgetful)
    game = Probe("memory")
    policy = policy_for(game, cell="forgetful")
    results = train(game, policy)
    # 256 episodes of +-1: three standard errors are 0.19
    assert abs(mean_return(game, policy, take(results.params, 0), None)) < 0.2


def test_the_objective_is_per_episode():
    """A is worth 0.2 an episode and is learned, although fifteen in sixteen of the episodes that
    fit into a rollout are against the opponent that makes it worth -0.6."""
    game = Lengths()
    policy = policy_for(game)
    jobs = jobs_for(
        policy,
        opponents=[constant_policy(policy, 0), constant_policy(policy, 1)],
        weights=[0.5, 0.5],
    )
    # Whole returns: a decay would discount what is paid fifteen decisions later until the value
    # function has learned it, which is another matter.
    config = dataclasses.replace(
        QUICK, rollout_length=32, decisions=131_072, temperature=1.0, gae_lambda=1.0
    )
    results = PPO(game, policy, config)(jobs)
    state = game.init(jax.random.key(0))
    pi, _ = first_moves(policy, take(results.params, 0), game.observe(state), [True, True])
    assert pi[0] > 0.9


@pytest.mark.slow  # dqn: tests/test_dqn.py
def test_a_training_that_diverges_stops_with_its_last_finite_parameters():
    game = Probe("observation")
    policy = policy_for(game)
    config = dataclasses.replace(QUICK, decisions=4_096, learning_rate=1e30)
    results = train(game, policy, config)
    assert results.diverged.all()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(results.params))


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"num_minibatches": 3}, "ppo.num_envs = 256 is not a multiple of ppo.num_minibatches = 3"),
        ({"sequence_length": 5}, "ppo.rollout_length = 8 is not a multiple"),
        ({"num_strata": 7}, "ppo.num_envs = 256 is not a multiple of ppo.num_strata = 7"),
        ({"gamma": 1.5}, "ppo.gamma = 1.5 must be between 0 and 1"),
        ({"learning_rate": 0.0}, "ppo.learning_rate = 0.0 must be above 0"),
        ({"clip": float("nan")}, "ppo.clip = nan must be finite"),
    ],
)
def test_bad_settings_are_refused_with_their_numbers(wrong, message):
    with pytest.raises(ValueError, match=message):
        PPOConfig(**wrong)
