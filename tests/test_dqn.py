"""The oracle dqn: replay, targets, and the objective per episode."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from probes import Lengths, Probe, begin, constant_policy, opinionated, policy_for

import games
from games.tree_game import TreeGame
from psro.oracles import DQN, DQNConfig, Jobs
from psro.oracles.decisions import Turn
from psro.oracles.job import Sample
from psro.oracles.q_learning import double_q_returns, epsilon_greedy
from psro.oracles.rollout import Rollout
from psro.oracles.sequences import (
    Sequences,
    decisions_per_episode,
    sequences,
    time_first,
    trained_on,
)
from psro.policies.policy import stack


def take(params, index):
    return jax.tree.map(lambda leaf: leaf[index], params)


def played(name="leduc_poker", *, strata=2, envs=8, length=6, rollouts=3):
    """Rollouts in a row of one policy that explores, each as a `Sample`; all but the first start in
    the middle of episodes."""
    tree = games.load(name)
    policy = policy_for(tree, hidden_size=8)
    params = opinionated(policy, 3, 2)
    opponents = jax.tree.map(lambda leaf: jnp.repeat(leaf[1:, None], strata, 1), params)
    rollout = Rollout(
        TreeGame(tree),
        policy,
        num_envs=envs,
        num_strata=strata,
        length=length,
        sequence_length=length,
        act=epsilon_greedy,
    )
    play = jax.jit(rollout.__call__)
    actors, samples = begin(rollout, jax.random.key(0)), []
    for number in range(rollouts):
        actors, decisions, episodes = play(
            take(params, 0), opponents, jnp.int32(0), actors, jax.random.key(number + 1), 0.3
        )
        samples.append(
            Sample(
                decisions=decisions,
                episodes=episodes,
                next=rollout.turn(actors, jnp.int32(0)),
                restarted=jnp.zeros(strata, bool),
            )
        )
    return policy, take(params, 0), samples


def unrolled(policy, params, batch):
    turn = batch.turn
    return policy.unroll(params, turn.observation, turn.last_action, turn.reset, batch.carry)


def test_replay_reproduces_what_acted():
    """From the stored carries, with episodes that begin in the middle of a sequence: the same
    values, and the greedy action of the replayed Q-values is the one that acting preferred."""
    policy, params, samples = played()
    for number, sample in enumerate(samples):
        batch = time_first(sequences(sample, jnp.ones(8)))
        assert np.asarray(batch.turn.reset[1:-1]).any()
        in_the_middle = ~np.asarray(batch.turn.reset[0])
        assert in_the_middle.any() == (number > 0)
        q, value = unrolled(policy, params, batch)
        np.testing.assert_allclose(value[:-1], sample.decisions.value, atol=1e-5)
        np.testing.assert_allclose(value[-1], sample.decisions.next_value, atol=1e-5)
        taken = epsilon_greedy(q[:-1], batch.turn.legal[:-1], 0.3).log_prob(batch.action)
        np.testing.assert_allclose(taken, sample.decisions.log_prob, atol=1e-5)


def test_what_is_trained_on_does_not_depend_on_a_stale_carry():
    """A stored carry that is wrong changes no decision that an episode's start shields; burn-in
    leaves out the first ones of the others."""
    policy, params, samples = played()
    batch = time_first(sequences(samples[-1], jnp.ones(8)))
    stale = jax.tree.map(lambda leaf: leaf + 0.5, batch.carry)
    right, _ = unrolled(policy, params, batch)
    wrong, _ = unrolled(policy, params, dataclasses.replace(batch, carry=stale))
    length = len(batch.action)
    shielded = np.asarray(trained_on(batch.turn, length))  # nothing but episodes that begin here
    changed = np.abs(np.asarray(right - wrong)[:-1]).max(axis=-1) > 1e-6
    assert changed.any() and not (changed & shielded).any()
    for burn_in in range(length):
        kept = np.asarray(trained_on(batch.turn, burn_in))
        expected = shielded | (np.arange(length) >= burn_in)[:, None]
        np.testing.assert_array_equal(kept, expected & np.asarray(batch.turn.valid[:-1]))


@pytest.mark.parametrize("trace_decay", [0.0, 0.7, 1.0])
def test_targets_are_double_q_learnings(trace_decay):
    """Against the definition, written for one sequence at a time."""
    rng = np.random.default_rng(0)
    length, count, actions, gamma = 7, 5, 3, 0.9
    online, target = rng.normal(size=(2, length + 1, count, actions)).astype(np.float32)
    legal = rng.random((length + 1, count, actions)) < 0.6
    legal[..., 0] |= ~legal.any(axis=-1)
    choose = np.vectorize(lambda row: rng.choice(np.flatnonzero(row)), signature="(a)->()")
    action = choose(legal[:-1])
    reward = rng.normal(size=(length, count)).astype(np.float32)
    done = rng.random((length, count)) < 0.3
    cut = done & (rng.random(done.shape) < 0.3)
    turn = Turn(observation=None, last_action=None, reset=None, legal=jnp.array(legal), valid=None)
    batch = Sequences(
        turn=turn,
        action=jnp.array(action),
        log_prob=None,
        reward=reward,
        done=done,
        truncated=cut,
        carry=(),
        weight=None,
    )
    goal = np.asarray(double_q_returns(online, target, batch, gamma=gamma, trace_decay=trace_decay))
    for n in range(count):
        for t in range(length):
            expected = reward[t, n]
            if not done[t, n]:
                allowed = np.flatnonzero(legal[t + 1, n])
                best = max(allowed, key=lambda a, t=t, n=n: online[t + 1, n, a])
                after = target[t + 1, n, best]
                if t + 1 < length and action[t + 1, n] == best:
                    after = (1 - trace_decay) * after + trace_decay * goal[t + 1, n]
                expected += gamma * after
            if cut[t, n]:  # nobody knows what would have followed
                best = max(np.flatnonzero(legal[t, n]), key=lambda a: online[t, n, a])
                expected = target[t, n, best]
            np.testing.assert_allclose(goal[t, n], expected, rtol=1e-5, atol=1e-5)


def test_epsilon_greedy_plays_legal_actions():
    q = jnp.array([[5.0, 1.0, 2.0], [0.0, 0.0, -1.0]])
    legal = jnp.array([[False, True, True], [False, False, True]])
    pi = np.exp(epsilon_greedy(q, legal, 0.2).log_pi)
    np.testing.assert_allclose(pi, [[0, 0.1, 0.9], [0, 0, 1]], atol=1e-6)
    pi = np.exp(epsilon_greedy(q, legal, 0.0).log_pi)
    np.testing.assert_allclose(pi[0], [0, 0, 1], atol=1e-6)


def learner(game, policy, **changes):
    settings = {
        "decisions": 24_576,
        "num_envs": 64,
        "num_strata": 2,
        "buffer_size": 8_192,
        **changes,
    }
    return DQN(game, policy, DQNConfig(**settings))


def test_replayed_sequences_never_mix_environments_or_rollouts():
    """Observations are numbered by rollout, environment and step; the buffer wraps around."""
    policy = policy_for(Lengths())
    oracle = learner(Lengths(), policy, num_envs=4, num_strata=1, rollout_length=3, burn_in=0,
                     buffer_size=24, num_sequences=8)  # fmt: skip
    student = oracle._start(take(policy.init_many(jax.random.split(jax.random.key(0), 1)), 0))
    replay = student.replay
    for rollout in range(5):
        number = 100 * rollout + 10 * np.arange(4)[:, None] + np.arange(4)  # [E, L + 1]
        flat = jnp.asarray(number, jnp.float32)
        items = jax.tree.map(
            lambda leaf: jnp.zeros((4, *leaf.shape[2:]), leaf.dtype), replay.experience
        )
        items = dataclasses.replace(
            items,
            turn=dataclasses.replace(
                items.turn, observation=jnp.repeat(flat[..., None], 2, axis=-1)
            ),
            reward=flat[:, :-1],
            weight=flat[:, 0],
        )
        replay = oracle._buffer.add(replay, items)
    seen = set()
    for number in range(20):
        batch, _ = oracle._sample(replay, jax.random.key(number))
        start = np.asarray(batch.weight)
        steps = start + np.arange(4)[:, None]
        np.testing.assert_array_equal(np.asarray(batch.turn.observation[..., 0]), steps)
        np.testing.assert_array_equal(np.asarray(batch.reward), steps[:-1])
        seen |= set(start)
    assert seen == {100.0 * rollout + 10 * env for rollout in (3, 4) for env in range(4)}


def lengths_jobs(policy):
    population = stack([constant_policy(policy, 0), constant_policy(policy, 1)])
    return Jobs.of_one_run(
        jax.random.key(0),
        player=np.array([0]),
        initial=policy.init_many(jax.random.split(jax.random.key(0), 1)),
        populations=jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (2, *leaf.shape)), population),
        opponents=np.array([[0.5, 0.5]]),
    )


@pytest.mark.parametrize("length", [8, 12])
def test_sequences_weigh_what_makes_profiles_count_per_episode(length):
    """Decisions per episode are 1 against the one and 16 against the other, although rollouts are
    shorter than that; before any episode is over it is no more than twice what it is."""
    game = Lengths()
    policy = policy_for(game)
    stops, goes_on = constant_policy(policy, 0), constant_policy(policy, 1)
    opponents = jax.tree.map(lambda leaf: leaf[None], stack([stops, goes_on]))
    rollout = Rollout(game, policy, num_envs=8, num_strata=2, length=length, sequence_length=length)
    play = jax.jit(rollout.__call__)
    actors, decided, finished, weights = begin(rollout, jax.random.key(0)), 0.0, 0.0, []
    for number in range(40):
        key = jax.random.key(number)
        actors, seen, episodes = play(stops, opponents, jnp.int32(0), actors, key)
        decided += seen.valid.sum(axis=0).reshape(2, -1).sum(axis=1)
        finished += episodes.count.reshape(2, -1).sum(axis=1)
        weights.append(np.asarray(decisions_per_episode(decided, finished, 4)))
    np.testing.assert_allclose(weights[-1], [1, 16], rtol=0.03)
    assert (np.array(weights)[:, 1] > 8).all() and (np.array(weights)[:, 1] < 32).all()


@pytest.mark.slow
def test_the_objective_is_per_episode():
    """A is worth 0.2 an episode and B nothing, which is learned although fifteen in sixteen of the
    episodes that fit into a rollout make A worth -0.6."""
    game = Lengths()
    policy = policy_for(game)
    oracle = learner(
        game,
        policy,
        decisions=131_072,
        rollout_length=32,
        evaluations=1,
        trace_decay=1.0,
        buffer_size=32_768,
        temperature=1.0,
    )
    results = oracle(lengths_jobs(policy))
    observation = game.observe(game.init(jax.random.key(0)))
    q, _, _ = policy(take(results.params, 0), observation, jnp.int32(-1), policy.initial_carry())
    np.testing.assert_allclose(q, [0.2, 0.0], atol=0.08)


def test_a_training_that_diverges_stops_with_its_last_finite_parameters():
    game = Probe("observation")
    policy = policy_for(game)
    oracle = learner(game, policy, decisions=4_096, learning_rate=1e30)
    results = oracle(lengths_jobs(policy))
    assert results.diverged.all()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(results.params))


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"burn_in": 8}, "dqn.burn_in = 8 must be below dqn.rollout_length = 8"),
        ({"num_envs": 1024, "buffer_size": 1000}, "dqn.buffer_size = 1000 must hold a rollout"),
        ({"num_sequences": 10_000}, "dqn.num_sequences = 10000 must not be above the"),
        ({"trace_decay": 1.5}, "dqn.trace_decay = 1.5 must be between 0 and 1"),
        ({"num_batches": 0}, "dqn.num_batches = 0 must be above 0"),
    ],
)
def test_bad_settings_are_refused_with_their_numbers(wrong, message):
    with pytest.raises(ValueError, match=message):
        DQNConfig(**wrong)
