"""Self-play: all players learn together, and the last iterate is what counts."""

import dataclasses
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from probes import policy_for

import games
import psro
from games.spaces import Box
from games.tree_game import TreeGame
from psro.errors import SettingsError
from psro.oracles.self_play.actor_critic import by_learner
from psro.oracles.self_play.known import LEARNERS
from psro.oracles.self_play.learner import Run, SelfPlay
from psro.oracles.self_play.mirror import retrace
from psro.oracles.self_play.reservoir import Reservoir
from psro.oracles.self_play_settings import SELF_PLAY
from psro.policies.distributions import MaskedCategorical, TanhNormal
from psro.policies.networks.settings import NetworkConfig
from psro.policies.policy import at_temperature
from psro.runs.config import RunConfig
from psro.runs.experiment import create
from psro.variants.published import VARIANTS

CENTRAL = NetworkConfig(critic="central", width=16)
TINY = {"num_envs": 4, "rollout_length": 4, "num_minibatches": 2, "epochs": 1}
SMALL = {name: TINY | {"sequence_length": 2} for name in SELF_PLAY}
SMALL["nfsp"] = TINY | {"num_strata": 2, "anticipatory": 0.5, "reservoir_size": 32}


QUICK = (("ppo_self_play", False), ("mmd", True))


@pytest.mark.parametrize(
    "name, shared",
    [
        pytest.param(name, shared, marks=() if (name, shared) in QUICK else pytest.mark.slow)
        for name in LEARNERS
        for shared in (True, False)
    ],
)
def test_training_sees_what_acting_saw(name, shared):
    """With untouched parameters, each learner's pass over its rollouts gives the log-probabilities
    and values of acting, in both seats, and episodes that began before the rollout go on."""
    game = TreeGame(games.load("kuhn_poker"))
    policy = policy_for(game, network=CENTRAL if name == "mirror" else None)
    learner = LEARNERS[name](game, policy, SELF_PLAY[name](shared=shared, **SMALL[name]))
    params = policy.init_many(jax.random.split(jax.random.key(0), 2))

    @jax.jit
    def played(key):
        rollout, networks = learner._rollout, (params,) * learner._config.networks
        run = Run(key=jax.random.key_data(key), initial=networks, progress=jnp.array([0.0, 1.0]))
        state = learner._begin(run, rollout, jnp.float32(1), key)
        as_policy = -1.0 if name == "nfsp" else 0.0  # without exploration
        for step in range(2):
            state, decisions, _ = learner._play(
                state, jax.random.fold_in(key, step), as_policy, rollout
            )
        return state, decisions

    state, decisions = played(jax.random.key(1))
    assert decisions.valid.all() and not decisions.reset[:, 0].all()
    learners = 1 if shared else 2
    merged = by_learner(decisions, learners)
    assert merged.action.shape == (learners, 4, 8 // learners)
    for m in range(learners):
        own = jax.tree.map(lambda leaf, m=m: leaf[m], merged)
        network = jax.tree.map(lambda leaf, m=m: leaf[m], state.networks[0])
        start = jax.tree.map(lambda leaf: leaf[0], learner._own_carry(own.carry))
        seen = own.observation, own.last_action
        outputs, value = policy.unroll(network, *seen, own.reset, start)
        value = policy.value_of(network, value, *seen, own.others)
        log_prob = policy.distribution(outputs, own.legal).log_prob(own.action)
        np.testing.assert_allclose(log_prob, own.log_prob, atol=1e-5)
        np.testing.assert_allclose(value, own.value, atol=1e-5)


def trained(folder, **settings):
    experiment = create(RunConfig(**settings), folder)
    for _ in experiment.train():
        pass
    return experiment


def self_play(name, **changes):
    """Settings of a run of a variant, with settings of its learner changed."""
    settings = VARIANTS[name].settings
    learner, network = settings["self_play"], NetworkConfig(**settings.get("network", {}))
    return dict(settings) | {"network": network, learner: SELF_PLAY[learner](**changes)}


SHORT = {"decisions": 16_384, "num_envs": 32, "learning_rate": 3e-3}
CHANGES = {"mmd": {"magnet_rate": 0.05}}  # few updates: a slower average would lag behind


@pytest.mark.slow
@pytest.mark.parametrize("name", LEARNERS)
def test_the_last_iterate_approaches_the_equilibrium_of_kuhn_poker(tmp_path, name):
    """Untrained policies are at 0.46."""
    run = trained(
        tmp_path / "run", game="kuhn_poker", seed=100, iterations=8, hidden_size=16,
        **self_play(name, **SHORT, **CHANGES.get(name, {})),
    )  # fmt: skip
    networks, last = SELF_PLAY[name].networks, run.records[-1]
    assert last.exploitability < 0.2
    measured = (9, 9) if name == "mirror" else (1, 1)  # the newer half, or the last iterate
    assert last.size == 8 * networks + 1 and last.support_size == measured
    if name != "mirror":
        assert all(weights[last.size - networks] == 1 for weights in run.meta_strategy)
    assert min(last.decisions) >= 16_384
    first, second = (jax.tree.leaves(population) for population in run.populations)
    for ours, theirs in zip(first, second, strict=True):  # one network for both seats
        np.testing.assert_array_equal(ours[1:], theirs[1:])


@pytest.mark.slow
def test_training_reads_nothing_exact(tmp_path, monkeypatch):
    """The same policies, bit for bit, whatever the exact figures are, and by episodes alone."""
    settings = {"game": "kuhn_poker", "iterations": 2, "hidden_size": 4}
    settings |= self_play("ppo_self_play", decisions=64, **SMALL["ppo_self_play"])
    exact = trained(tmp_path / "exact", **settings)
    sampled = trained(tmp_path / "sampled", evaluation="sampled", **settings)
    assert sampled.records[-1].kind == "sampled" and exact.records[-1].kind == "exact"
    jax.tree.map(np.testing.assert_array_equal, exact.populations, sampled.populations)


@pytest.mark.slow
@pytest.mark.parametrize("name", LEARNERS)
def test_schedules_run_over_the_horizon(tmp_path, name):
    """Not over the iterations of a run that is continued, which goes on from its policies alone.
    Afterwards they stay at their end."""
    settings = {"game": "kuhn_poker", "hidden_size": 4}
    settings |= self_play(name, decisions=64, **SMALL[name])
    part = trained(tmp_path / "part", iterations=2, **settings)
    assert part.config.horizon == 2
    whole = trained(tmp_path / "whole", iterations=3, horizon=2, **settings)
    longer = psro.resume(tmp_path / "part", iterations=3)
    jax.tree.map(np.testing.assert_array_equal, whole.populations, longer.populations)
    other = trained(tmp_path / "other", iterations=3, **settings)
    leaves = zip(*map(jax.tree.leaves, (whole.populations, other.populations)), strict=True)
    assert any((ours != theirs).any() for ours, theirs in leaves)


def test_policies_that_are_no_plain_networks_are_refused(tmp_path):
    for oracle in ("best_response", "dreamer"):
        with pytest.raises(ValueError, match=f"those of oracle {oracle} are something else"):
            create(RunConfig(oracle=oracle, expansion="self_play"), tmp_path / oracle)


def test_a_reservoir_holds_every_item_with_the_same_probability():
    """After 40 items in blocks of 5, each of them is one of the 10 with probability 1 / 4."""

    def filled(key):
        reservoir = Reservoir(items=jnp.full(10, -1), seen=jnp.float32(0))
        for block in range(8):
            items = jnp.arange(5 * block, 5 * block + 5)
            reservoir = reservoir.add(items, jax.random.fold_in(key, block))
            if block == 1:
                first = reservoir.items
        return first, reservoir.items, reservoir.sample(3, key)

    keys = jax.random.split(jax.random.key(0), 2000)
    first, items, drawn = map(np.asarray, jax.jit(jax.vmap(filled))(keys))
    np.testing.assert_array_equal(first, np.tile(np.arange(10), (2000, 1)))  # in their order
    share = (items[:, :, None] == np.arange(40)).sum(axis=1).mean(axis=0)
    np.testing.assert_allclose(share, 0.25, atol=4 * np.sqrt(0.25 * 0.75 / 2000))
    assert (items.min(axis=1) >= 0).all() and drawn.shape == (2000, 3)
    assert (drawn[:, :, None] == items[:, None]).any(axis=-1).all()


def test_divergences_are_those_of_the_definition():
    """Of numbers by their sum, of a box by samples of what is played."""
    legal = jnp.array([True, True, False])
    own, other = (
        MaskedCategorical.of(jnp.array(logits), legal) for logits in ([1.0, 0, 9], [0.0, 2, 0])
    )
    p, q = (np.exp(some.log_pi[:2]) for some in (own, other))
    np.testing.assert_allclose(own.divergence(other), (p * np.log(p / q)).sum(), rtol=1e-5)
    assert float(own.divergence(own)) == 0
    box = Box((1,), low=-1.0, high=3.0)
    own, other = (
        TanhNormal(
            mean=jnp.full((40_000, 1), mean), log_std=jnp.full((40_000, 1), log_std), space=box
        )
        for mean, log_std in ((0.3, -0.5), (-0.2, 0.1))
    )
    action = own.sample(jax.random.key(0))
    ratio = own.log_prob(action) - other.log_prob(action)
    error = float(ratio.std()) / 200
    np.testing.assert_allclose(ratio.mean(), own.divergence(other)[0], atol=4 * error)


@pytest.mark.slow
def test_the_transformed_game_is_zero_sum():
    """What R-NaD's moves cost a player, its opponent gets: the players' mean returns add up to
    zero, within four standard errors, and the costs are not zero."""
    game = TreeGame(games.load("kuhn_poker"))
    policy = policy_for(game)
    config = SELF_PLAY["rnad"](num_envs=2048, rollout_length=8, sequence_length=8)
    learner = LEARNERS["rnad"](game, policy, config)
    networks = tuple(
        at_temperature(policy.init_many(jax.random.split(jax.random.key(seed), 1)), 0.004)
        for seed in range(2)
    )

    @jax.jit
    def played(key):
        start = SelfPlay._begin(
            learner,
            Run(key=jax.random.key_data(key), initial=networks, progress=jnp.zeros(2)),
            learner._rollout,
            jnp.float32(1),
            key,
        )
        _, decisions, episodes = learner._play(start, key, 0.0, learner._rollout)
        both = jax.tree.map(lambda leaf: leaf[0], by_learner(decisions, 1))
        pair = jax.tree.map(lambda leaf: leaf[0], networks)
        scaled = dataclasses.replace(both, reward=both.reward / game.max_return)
        batch = learner._batch(pair, scaled, episodes.count.reshape(-1))
        return scaled.reward, batch.decisions.reward[:, 0], episodes.count

    before, paid, count = map(np.asarray, played(jax.random.key(1)))
    assert np.abs(paid - before).max() > 0.1  # of what a move costs
    paid = paid.sum(axis=0).reshape(count.shape)  # [seat, environment]
    means = paid.sum(axis=1) / count.sum(axis=1)
    spread = paid - means[:, None] * count
    errors = np.sqrt(np.square(spread).sum(axis=1)) / count.sum(axis=1)
    assert abs(means.sum()) < 4 * np.hypot(*errors)


def test_retrace_on_the_policys_own_actions_is_the_return():
    """With whole traces and values that are the returns expected, targets are sums of rewards."""
    steps, envs = 5, 3
    rng = np.random.default_rng(0)
    reward = rng.normal(size=(steps, envs)).astype(np.float32)
    done = np.zeros((steps, envs), bool)
    done[[1, 4], 0], done[3, 1] = True, True
    value = rng.normal(size=(steps, envs)).astype(np.float32)
    decisions = types.SimpleNamespace(
        reward=reward, done=done, truncated=np.zeros_like(done), next_value=np.full(envs, 7.0)
    )
    target = np.asarray(retrace(decisions, value, value, np.ones_like(reward)))
    for env in range(envs):
        total = 7.0
        for step in reversed(range(steps)):
            total = reward[step, env] + (0.0 if done[step, env] else total)
            assert target[step, env] == pytest.approx(total, abs=1e-5)
    cut = np.asarray(retrace(decisions, value, value, np.zeros_like(reward)))
    after = np.concatenate([value[1:], np.full((1, envs), 7.0)])
    np.testing.assert_allclose(cut, reward + np.where(done, 0.0, after), atol=1e-6)


def test_mirror_descent_needs_a_central_critic(tmp_path):
    settings = dict(VARIANTS["mirror"].settings) | {"network": NetworkConfig()}
    with pytest.raises(SettingsError, match="central"):
        create(RunConfig(game="kuhn_poker", **settings), tmp_path / "run")
