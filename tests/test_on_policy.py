"""The parts that on-policy oracles share: advantages, weights, sequences."""

import dataclasses

import jax.numpy as jnp
import numpy as np

from psro.oracles.decisions import Decisions
from psro.oracles.on_policy import Batch, advantages, decision_weights
from psro.oracles.return_scale import ReturnScale, scaled


def test_advantages_are_discounted_sums_of_errors():
    """Against the definition, summed forwards: episodes of different lengths, cut by `done`."""
    rng = np.random.default_rng(0)
    steps, envs, gamma, decay = 9, 5, 0.9, 0.7
    reward, value = rng.normal(size=(2, steps, envs)).astype(np.float32)
    done = rng.random((steps, envs)) < 0.3
    cut = done & (rng.random(done.shape) < 0.3)
    next_value = rng.normal(size=envs).astype(np.float32)
    blank = dict.fromkeys((f.name for f in dataclasses.fields(Decisions)), None)
    decisions = Decisions(
        **blank
        | {"reward": reward, "value": value, "next_value": next_value}
        | {"done": done, "truncated": cut}
    )
    advantage, target = advantages(decisions, gamma=gamma, gae_lambda=decay)
    after = np.vstack([value[1:], next_value[None]])
    error = np.where(cut, 0, reward + gamma * after * ~done - value)
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
    batch = Batch(decisions=decisions, advantage=time, value_target=time, weight=time).cut(length)
    chosen = batch.take(np.array([2, 0]))
    expected = np.array([[c * 300 + t * 100 + e for c in (0, 1) for e in (2, 0)] for t in range(3)])
    for name in set(names) - {"carry", "next_value"}:
        np.testing.assert_array_equal(getattr(chosen.decisions, name), expected)
    np.testing.assert_array_equal(chosen.decisions.carry[0][:, 0], expected[0] + 0.5)


def test_scaled_rewards_make_returns_of_variance_one():
    """By the sums of every episode so far, from rollout to rollout; a stratum that meets a new
    profile begins anew, and steps at which nothing was decided do not count."""
    rng = np.random.default_rng(0)
    steps, envs, gamma = 6, 4, 0.9
    blank = dict.fromkeys((f.name for f in dataclasses.fields(Decisions)), None)
    scale, sums, sofar = ReturnScale.start(envs), [], np.zeros(envs)
    for restarted in (np.ones(envs, bool), np.arange(envs) < 2):
        reward = (100 * rng.normal(size=(steps, envs))).astype(np.float32)
        done, valid = rng.random((2, steps, envs)) < [[[0.3]], [[0.8]]]
        decisions = Decisions(**blank | {"reward": reward, "done": done, "valid": valid})
        scale, after = scaled(scale, decisions, restarted, gamma)
        sofar = np.where(restarted, 0, sofar)
        for t in range(steps):
            sofar = gamma * sofar + reward[t]
            sums.extend(sofar[valid[t]])
            sofar = np.where(done[t], 0, sofar)
        np.testing.assert_allclose(after.reward, reward / np.std(sums), rtol=1e-4)
