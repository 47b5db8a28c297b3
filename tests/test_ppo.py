"""The PPO oracle: its parts, and games of known value that localise a bug."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from probes import Lengths, Probe, constant_policy, policy_for

from psro.oracles import PPO, Jobs, PPOConfig
from psro.oracles.decisions import Decisions, Episodes
from psro.oracles.on_policy import Batch, Unrolled
from psro.oracles.sampling import Sample
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
    [pytest.param(cell, marks=pytest.mark.slow) for cell in CELLS if cell != "none"],
)  # fast for lstm: tests/test_oracles.py
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
        ({"target_kl": 0.0}, "ppo.target_kl = 0.0 must be above 0"),
        ({"clip_value": -1.0}, "ppo.clip_value = -1.0 must be above 0"),
        ({"adam_eps": 0.0}, "ppo.adam_eps = 0.0 must be above 0"),
    ],
)
def test_bad_settings_are_refused_with_their_numbers(wrong, message):
    with pytest.raises(ValueError, match=message):
        PPOConfig(**wrong)


class Climber(PPO):
    """PPO whose loss is -w and whose divergence is w: every step moves w up by the step size."""

    def _loss(self, params, batch, entropy_weight):
        return -params["w"], {"kl": jax.lax.stop_gradient(params["w"])}


def climbed(**settings):
    """Where w is after one rollout's 2 * 4 steps of 0.01, starting from zero, and how many steps
    the learning rate's schedule has counted (None: it has none)."""
    game = Probe("constant")
    config = PPOConfig(num_envs=4, num_strata=1, num_minibatches=4, epochs=2, **settings)
    oracle = Climber(game, policy_for(game), config)
    start = oracle._start({"w": jnp.float32(0)})
    names = [field.name for field in dataclasses.fields(Decisions)]
    batch = Batch(
        decisions=Decisions(**dict.fromkeys(names, jnp.zeros((8, 4))) | {"carry": ()}),
        **dict.fromkeys(("advantage", "value_target", "weight"), jnp.zeros((8, 4))),
    ).cut(8)
    params, opt_state, _ = jax.jit(oracle._improve)(*start[:2], batch, 0.0, jax.random.key(0))
    nodes = jax.tree.leaves(opt_state, is_leaf=lambda n: isinstance(n, optax.ScaleByScheduleState))
    counts = [int(node.count) for node in nodes if isinstance(node, optax.ScaleByScheduleState)]
    return float(params["w"]), next(iter(counts), None)


def test_target_kl_ends_the_steps_of_a_rollout():
    """At 0.01 a step, the divergence is above 0.025 after three steps; no more are taken. The
    schedule counts them all the same: the learning rate reaches zero at the end of training."""
    settings = {"anneal_learning_rate": False, "learning_rate": 0.01}
    assert climbed(**settings)[0] == pytest.approx(0.08, rel=1e-3)
    assert climbed(**settings, target_kl=0.025)[0] == pytest.approx(0.03, rel=1e-3)
    moved, counted = climbed(learning_rate=0.01, target_kl=0.025)
    assert 0.025 < moved < 0.03 and counted == 8


def test_the_learning_rate_falls_and_eps_shortens_steps():
    assert climbed(learning_rate=0.01, decisions=32, evaluations=1) == (
        pytest.approx(0.01 * sum(1 - n / 8 for n in range(8)), rel=1e-3), 8,
    )  # fmt: skip
    settings = {"anneal_learning_rate": False, "learning_rate": 0.01, "max_gradient_norm": 1.0}
    assert climbed(**settings, adam_eps=1.0)[0] == pytest.approx(0.04, rel=1e-3)  # 1 / (1 + 1)


def test_clipped_values_keep_the_larger_error():
    """The target is 1. A value that has moved from 0 to 0.5 counts as 0.2; one that has moved the
    other way keeps its error."""
    game = Probe("constant")
    blank = dict.fromkeys((field.name for field in dataclasses.fields(Decisions)), None)
    batch = Batch(
        decisions=Decisions(**blank | {"value": jnp.zeros(2)}),
        advantage=None, weight=None, value_target=jnp.ones(2),
    )  # fmt: skip
    value = jnp.array([0.5, -0.5])
    now = Unrolled(log_prob=None, entropy=None, value=value, value_error=(value - 1) ** 2)
    for most, expected in ((None, [0.25, 2.25]), (0.2, [0.64, 2.25])):
        oracle = PPO(game, policy_for(game), dataclasses.replace(QUICK, clip_value=most))
        np.testing.assert_allclose(oracle._value_error(now, batch), expected, rtol=1e-5)


def test_advantages_and_entropy_stay_as_they_are_if_asked():
    game = Probe("constant")
    config = dataclasses.replace(QUICK, gae_lambda=1.0, num_envs=2, num_minibatches=1)
    steps = np.ones((8, 2), np.float32)
    blank = dict.fromkeys((field.name for field in dataclasses.fields(Decisions)), None)
    decisions = Decisions(
        **blank
        | {"reward": steps, "value": 0 * steps, "next_value": steps[0], "valid": steps > 0}
        | {"done": steps < 0, "truncated": steps < 0}
    )
    episodes = Episodes(count=jnp.ones(2), total_return=jnp.ones(2))
    sample = Sample(decisions=decisions, episodes=episodes, next=None, restarted=None)
    for normalized in (True, False):
        changed = dataclasses.replace(
            config, normalize_advantages=normalized, anneal_entropy_weight=normalized
        )
        oracle = PPO(game, policy_for(game), changed)
        advantage = np.asarray(oracle._batch(sample).advantage)  # rewards to come, and 1
        expected = np.arange(9, 1, -1)
        expected = (expected - 5.5) / np.std(expected) if normalized else expected
        np.testing.assert_allclose(advantage[:, 0, 0], expected, rtol=1e-4)
        weight = oracle._entropy_weight(jnp.float32(0.25))
        assert weight == pytest.approx(config.entropy_weight * (0.75 if normalized else 1))
