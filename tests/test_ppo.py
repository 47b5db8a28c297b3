"""The PPO oracle: its parts, and games of known value that localise a bug."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from probes import Lengths, Probe, constant_policy, opinionated, policy_for

import games
from games.tree_game import TreeGame
from psro import exact
from psro.networks import CELLS
from psro.oracles import PPO, Jobs, PPOConfig
from psro.oracles.ppo import Batch, advantages, decision_weights
from psro.policy import Tabulator, log_probabilities, stack
from psro.rollout import Decisions

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
    return Jobs(
        player=jnp.array(players, jnp.int32),
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
            logits, _, after = policy(params, game.observation(state), last, carry)
            mine = jax.random.categorical(keys[step + 1], log_probabilities(logits, state.legal))
            turn = state.player == 0
            action = jnp.where(turn, mine, 0).astype(jnp.int32)
            carry = jax.tree.map(lambda new, old, t=turn: jnp.where(t, new, old), after, carry)
            last = jnp.where(turn, action, last)
            state = game.step(state, action, keys[step + 1])
        return state.returns[0]

    keys = jax.random.split(jax.random.key(7), episodes)
    return float(jax.jit(jax.vmap(play))(keys).mean())


def train(game, policy, config=QUICK, **kwargs):
    opponent = constant_policy(policy, 0)
    jobs = jobs_for(policy, opponents=[opponent], weights=[1.0], **kwargs)
    return PPO(game, policy, config)(jax.random.key(0), jobs)


@pytest.mark.parametrize("kind", ["observation", "delay"])
def test_probe_is_solved(kind):
    game = Probe(kind)
    policy = policy_for(game)
    results = train(game, policy)
    assert mean_return(game, policy, take(results.params, 0), None) > 0.99


def test_constant_return_is_the_learned_value():
    game = Probe("constant")
    policy = policy_for(game)
    params = take(train(game, policy).params, 0)
    state = game.init(jax.random.key(0))
    _, value = first_moves(policy, params, game.observation(state), [True, True])
    assert abs(value - 1.0) < 0.02


@pytest.mark.parametrize("cell", CELLS)
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
    results = PPO(game, policy, config)(jax.random.key(0), jobs)
    state = game.init(jax.random.key(0))
    pi, _ = first_moves(policy, take(results.params, 0), game.observation(state), [True, True])
    assert pi[0] > 0.9


def test_best_responses_of_all_players_in_one_call():
    """On Kuhn both players' best responses come within 2 % of the exact gain, each as it would
    alone: a job does not depend on which others it is trained with."""
    tree = games.load("kuhn_poker")
    policy = policy_for(tree)
    opponents = opinionated(policy, 3, 2)
    members = [take(opponents, 0), take(opponents, 1)]
    weights = [0.25, 0.75]
    config = PPOConfig(decisions=65_536)
    oracle = PPO(TreeGame(tree), policy, config)
    both = jobs_for(policy, opponents=members, weights=weights, players=(0, 1))
    results = oracle(jax.random.key(0), both)
    assert not results.diverged.any()
    assert (results.decisions == config.decisions).all()
    tabulate = Tabulator(policy, tree)
    plans = [
        exact.mix(
            np.stack(
                [
                    exact.realization_plan(player, tabulate(stack([member] * 2))[p])
                    for member in members
                ]
            ),
            np.array(weights),
        )
        for p, player in enumerate(tree.players)
    ]
    fresh = tabulate(both.initial)
    for p, behaviour in enumerate(tabulate(results.params)):
        values = []
        for each in (fresh[p], behaviour):
            profile = list(plans)
            profile[p] = exact.realization_plan(tree.players[p], each)
            values.append(exact.returns(tree, profile)[p])
        best = exact.best_response(tree, p, plans).value
        assert (values[1] - values[0]) / (best - values[0]) > 0.98


def test_advantages_are_discounted_sums_of_errors():
    """Against the definition, summed forwards: episodes of different lengths, cut by `done`."""
    rng = np.random.default_rng(0)
    steps, envs, gamma, decay = 9, 5, 0.9, 0.7
    reward, value = rng.normal(size=(2, steps, envs)).astype(np.float32)
    done = rng.random((steps, envs)) < 0.3
    next_value = rng.normal(size=envs).astype(np.float32)
    blank = dict.fromkeys((f.name for f in dataclasses.fields(Decisions)), None)
    decisions = Decisions(
        **{**blank, "reward": reward, "value": value, "done": done, "next_value": next_value}
    )
    advantage, target = advantages(decisions, 2.0, gamma=gamma, gae_lambda=decay)
    after = np.vstack([value[1:], next_value[None]])
    error = 2.0 * reward + gamma * after * ~done - value
    for t in range(steps):
        for e in range(envs):
            expected, weight = 0.0, 1.0
            for later in range(t, steps):
                expected += weight * error[later, e]
                weight *= gamma * decay
                if done[later, e]:
                    break
            np.testing.assert_allclose(advantage[t, e], expected, atol=1e-5)
    np.testing.assert_allclose(target, advantage + value, atol=1e-6)


def test_weights_make_strata_count_per_episode():
    valid = np.ones((4, 6), bool)
    valid[0, 0] = False
    weight = decision_weights(valid, jnp.array([4.0, 0, 2, 2, 1, 0]), 3)
    np.testing.assert_allclose(weight.mean(), 1.0, rtol=1e-6)
    assert weight[0, 0] == 0
    np.testing.assert_allclose(weight[1, 4] / weight[1, 0], 4.0, rtol=1e-6)
    np.testing.assert_allclose(weight[1, 2], weight[1, 0], rtol=1e-6)


def test_sequences_are_runs_of_time_within_an_environment():
    """Element (step, sequence c of environment e) is decision (c * L + step, e), for any choice
    of environments, and each sequence comes with the carry stored at its start."""
    steps, envs, length = 6, 4, 3
    time = np.arange(steps)[:, None] * 100 + np.arange(envs)[None]  # 100 * time + environment
    carry = (time[::length, :, None] + 0.5,)  # [C, E, 1]
    names = [f.name for f in dataclasses.fields(Decisions)]
    decisions = Decisions(
        **{**dict.fromkeys(names, time), "carry": carry, "next_value": np.zeros(envs)}
    )
    batch = Batch(decisions=decisions, advantage=time, target=time, weight=time).cut(length)
    chosen = batch.take(np.array([2, 0]))
    expected = np.array([[c * 300 + t * 100 + e for c in (0, 1) for e in (2, 0)] for t in range(3)])
    for name in set(names) - {"carry", "next_value"}:
        np.testing.assert_array_equal(getattr(chosen.decisions, name), expected)
    np.testing.assert_array_equal(chosen.decisions.carry[0][:, 0], expected[0] + 0.5)


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
        ({"clip": float("nan")}, "ppo.clip = nan must be at least 0"),
    ],
)
def test_bad_settings_are_refused_with_their_numbers(wrong, message):
    with pytest.raises(ValueError, match=message):
        PPOConfig(**wrong)
