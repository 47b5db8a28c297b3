"""The oracles r2d2, pqn and sac: what they do beyond dqn."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from probe_games import Aim
from probes import Lengths, begin, opinionated, policy_for
from test_dqn import lengths_jobs, played, take

import games
from games.tree_game import TreeGame
from psro.errors import SettingsError
from psro.oracles import CONFIGS, ORACLES, R2D2, SAC, PQNConfig, R2D2Config, SACConfig
from psro.oracles.job import Sample
from psro.oracles.q_learning import double_q_returns, traced_returns
from psro.oracles.r2d2 import rescaled, unscaled
from psro.oracles.sac import Networks
from psro.oracles.sequences import sequences, time_first
from psro.oracles.soft_values import soft_values
from psro.policies.distributions import TanhNormal

SMALL = {"num_envs": 8, "num_strata": 2, "buffer_size": 256, "num_sequences": 8}


@pytest.fixture(scope="module")
def episodes():
    """The policy and a rollout of it on Leduc poker."""
    policy, _, (sample,) = played(rollouts=1)
    return policy, sample


def test_rescaling_has_its_inverse():
    value = jnp.array([-50.0, -1.0, -1e-3, 0.0, 1e-6, 0.5, 3.0, 400.0])
    np.testing.assert_allclose(unscaled(rescaled(value)), value, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(rescaled(jnp.float32(3.0)), 1.003, rtol=1e-6)


def test_rescaled_targets_are_those_of_unscaled_values(episodes):
    """Values learned as h(value) have the targets h(target)."""
    policy, sample = episodes
    batch = time_first(sequences(sample, jnp.ones(8)))
    oracle = R2D2(TreeGame(games.load("leduc_poker")), policy, R2D2Config(value_rescaling=True))
    rng = np.random.default_rng(0)
    online, target = rng.normal(size=(2, *batch.turn.legal.shape)).astype(np.float32)
    plain = double_q_returns(online, target, batch, gamma=1.0, trace_decay=0.9)
    goal = oracle._goal(rescaled(online), rescaled(target), batch)
    np.testing.assert_allclose(goal, rescaled(plain), atol=1e-4)


@pytest.mark.slow
def test_priorities_and_weights_leave_the_objective_alone():
    """A sequence is replayed in proportion to its priority, and the mean of the weights that it has
    over many batches does not depend on it."""
    policy = policy_for(Lengths())
    config = R2D2Config(**SMALL, rollout_length=3, burn_in=0, priority_exponent=1.0)
    oracle = R2D2(Lengths(), policy, config)
    blank = jax.eval_shape(oracle._start, policy.init(jax.random.key(0)))
    items = jax.tree.map(
        lambda leaf: jnp.zeros((8, *leaf.shape[2:]), leaf.dtype), blank.replay.experience
    )
    items = dataclasses.replace(
        items, weight=jnp.ones(8), reward=jnp.arange(8.0)[:, None].repeat(3, 1)
    )
    replay = oracle._start(policy.init(jax.random.key(0))).replay
    with jax.numpy_rank_promotion("allow"):
        replay = oracle._buffer.add(replay, items)
    size = jnp.arange(1.0, 9.0)
    error = jnp.broadcast_to(size, (3, 8))  # maximum and mean are equal
    replay = oracle._reordered(replay, jnp.arange(8), error)
    batch, indices = jax.vmap(oracle._sample, in_axes=(None, 0))(
        replay, jax.random.split(jax.random.key(1), 500)
    )
    np.testing.assert_array_equal(batch.reward[:, 0], indices)
    counts = np.bincount(np.ravel(indices), minlength=8)
    np.testing.assert_allclose(counts / counts.sum(), size / size.sum(), atol=0.01)
    total = np.bincount(np.ravel(indices), np.ravel(batch.weight), minlength=8)
    np.testing.assert_allclose(total / total.sum(), 1 / 8, rtol=0.1)


@pytest.mark.slow
def test_burn_in_carries_no_gradient():
    """A sequence from the middle of an episode: its first decisions change what comes after, but
    have no gradient; if an episode begins there, they have one."""
    policy, params, samples = played(envs=4, length=6, rollouts=2)
    batch = time_first(sequences(samples[-1], jnp.ones(4)))
    oracle = R2D2(TreeGame(games.load("leduc_poker")), policy, R2D2Config(burn_in=2))

    def late(params, reset):
        turn = dataclasses.replace(batch.turn, reset=reset)
        outputs = oracle._warmed_outputs(
            policy, params, dataclasses.replace(batch, turn=turn), batch.carry, None
        )
        return outputs[2:].sum(), outputs

    blind = jax.tree.map(jnp.zeros_like, batch.turn.observation[2:])
    turn = dataclasses.replace(
        batch.turn, observation=jnp.concatenate([batch.turn.observation[:2], blind])
    )
    batch = dataclasses.replace(batch, turn=turn)
    never = jnp.zeros_like(turn.reset)
    gradients = []
    for reset in (never, never.at[0].set(True)):
        gradient, outputs = jax.jit(jax.grad(late, has_aux=True))(params, reset)
        plain, _ = policy.unroll(params, turn.observation, turn.last_action, reset, batch.carry)
        np.testing.assert_allclose(outputs, plain, atol=1e-6)
        seen = gradient["encoder"]["kernel"][: turn.observation.shape[-1]]
        gradients.append(np.abs(seen).max())
    assert gradients[0] == 0 < gradients[1]


def test_returns_without_traces_are_one_step_targets_and_cuts_are_left_alone(episodes):
    rng = np.random.default_rng(0)
    _, sample = episodes
    batch = time_first(sequences(sample, jnp.ones(8)))
    cut = batch.done & (jnp.cumsum(batch.done, axis=0) == 1)
    batch = dataclasses.replace(batch, truncated=cut)
    value = rng.normal(size=(7, 8)).astype(np.float32)
    taken = rng.normal(size=(6, 8)).astype(np.float32)
    goal = traced_returns(value, taken, jnp.zeros((6, 8)), batch, gamma=0.9)
    expected = np.where(cut, taken, batch.reward + 0.9 * value[1:] * ~batch.done)
    np.testing.assert_allclose(goal, expected, atol=1e-6)
    traced = traced_returns(value, taken, jnp.ones((6, 8)), batch, gamma=0.9)
    before = np.asarray(cut)[1:] & ~np.asarray(batch.done)[:-1]
    np.testing.assert_allclose(  # a cut decision passes no error on
        np.asarray(traced)[:-1][before], np.asarray(goal)[:-1][before], atol=1e-6
    )


def test_the_last_observation_of_a_cut_episode_has_the_value_of_its_best_action(episodes):
    """Games may say that nothing is legal there."""
    _, sample = episodes
    sample = dataclasses.replace(
        sample,
        decisions=dataclasses.replace(
            sample.decisions, legal=sample.decisions.legal.at[3].set(False)
        ),
    )
    batch = time_first(sequences(sample, jnp.ones(8)))
    assert batch.turn.legal[3].all()
    np.testing.assert_array_equal(batch.turn.legal[2], sample.decisions.legal[2])


def test_sacs_training_pass_reproduces_what_acted():
    """The actor's log-probabilities, and the critics' values from carries that were stored beside
    the actor's, over rollouts that begin in the middle of episodes."""
    tree = games.load("leduc_poker")
    policy = policy_for(tree, hidden_size=8)
    config = SACConfig(**SMALL, rollout_length=6)
    oracle = SAC(TreeGame(tree), policy, config)
    params = opinionated(policy, 3, 4)
    critics = jax.tree.map(lambda leaf: leaf[1:3], params)
    critics |= {"temperature": jnp.ones(2)}
    networks = Networks(actor=take(params, 0), critics=critics, log_alpha=jnp.float32(0))
    opponents = jax.tree.map(lambda leaf: jnp.repeat(leaf[3:, None], 2, 1), params)
    rollout = oracle._rollout
    play = jax.jit(rollout.__call__)
    actors = begin(rollout, jax.random.key(0))
    for number in range(2):
        before = rollout.policy.forget(actors.learner.carry, actors.fresh)
        actors, seen, episodes = play(
            networks, opponents, jnp.int32(0), actors, jax.random.key(number)
        )
    sample = Sample(
        decisions=seen,
        episodes=episodes,
        next=rollout.turn(actors, jnp.int32(0)),
        restarted=jnp.zeros(2, bool),
    )
    batch = time_first(sequences(sample, jnp.ones(8)))
    assert not np.asarray(batch.turn.reset[0]).all()
    for stored, carry in zip(jax.tree.leaves(batch.carry), jax.tree.leaves(before), strict=True):
        np.testing.assert_array_equal(stored, carry)
    outputs = oracle._warmed_outputs(policy, networks.actor, batch, batch.carry[0], None)
    log_prob = policy.distribution(outputs[:-1], batch.turn.legal[:-1]).log_prob(batch.action)
    np.testing.assert_allclose(log_prob, batch.log_prob, atol=1e-5)
    q = oracle._of_critics(critics, batch, batch.carry[1], None)
    at_end = actors.learner
    outputs, _, _ = jax.vmap(policy, in_axes=(0, None, None, 1))(
        critics, batch.turn.observation[-1], batch.turn.last_action[-1],
        policy.forget(at_end.carry[1], batch.turn.reset[-1][:, None]),
    )  # fmt: skip
    np.testing.assert_allclose(q[:, -1], outputs, atol=1e-5)


@pytest.mark.slow
def test_critics_differ_and_none_learns_for_another():
    """Twin critics start apart. Each loss has a gradient in its own network alone."""
    game = Lengths()
    policy = policy_for(game, hidden_size=4)
    oracle = SAC(game, policy, SACConfig(**SMALL, rollout_length=3))
    jobs = lengths_jobs(policy)
    first = take(oracle._first(jobs), 0)
    kernel = first["critics"]["encoder"]["kernel"]
    assert np.abs(kernel[0] - kernel[1]).max() > 0.1
    trained = oracle._begin(first)
    blank = jax.tree.map(lambda leaf: leaf[0, :8], oracle._start(first).replay.experience)
    batch = time_first(blank)
    turn = dataclasses.replace(
        batch.turn,
        reset=batch.turn.reset.at[0].set(True),
        valid=jnp.ones_like(batch.turn.valid),
        legal=jnp.ones_like(batch.turn.legal),
        observation=jnp.ones_like(batch.turn.observation),
    )
    batch = dataclasses.replace(
        batch, turn=turn, reward=batch.reward + 1, done=~batch.done, weight=batch.weight + 1
    )
    given = trained.target, batch, None, 0.0, jax.random.key(0)
    loss = jax.jit(lambda networks: oracle._loss(networks, *given)[0])
    gradient = jax.jit(jax.grad(loss))(trained.networks)
    for part in (gradient.actor, gradient.critics):
        assert np.abs(part["policy_head"]["bias"]).max() > 0
        assert np.abs(part["value_head"]["bias"]).max() == 0
    assert gradient.log_alpha > 0  # an untrained policy is more random than wanted
    exact_q = jax.tree.map(lambda leaf: leaf, trained.networks)
    exact_q = dataclasses.replace(
        exact_q,
        critics=jax.tree.map(jnp.zeros_like, trained.networks.critics)
        | {"temperature": jnp.ones(2)},
    )
    head = exact_q.critics["policy_head"]
    exact_q.critics["policy_head"] = head | {"bias": head["bias"] + 1}  # what a reward of 1 earns
    at_rest = jax.jit(jax.grad(loss))(exact_q)
    assert all(np.abs(leaf).max() < 1e-6 for leaf in jax.tree.leaves(at_rest.critics))


@pytest.mark.parametrize("name", ["r2d2", "pqn"])
def test_boxes_are_refused(name):
    game = Aim()
    with pytest.raises(SettingsError, match=f"{name} needs a finite number of actions"):
        ORACLES[name](game, policy_for(game), CONFIGS[name]())


def test_sac_in_a_box_refuses_to_wish_for_no_entropy():
    game = Aim()
    with pytest.raises(SettingsError, match="must be above 0 where actions are real numbers"):
        SAC(game, policy_for(game), SACConfig(last_target_entropy=0.0))


def test_the_sampled_cost_in_a_box_is_right_on_average_and_finite_at_its_edge():
    """alpha log pi - min Q of one sample, against quadrature over both entries of the action."""
    values = soft_values(policy_for(Aim(), hidden_size=4), SACConfig())
    critics = values.critic.init_many(jax.random.split(jax.random.key(0)))
    critics["value_head"] = jax.tree.map(lambda leaf: 50 * leaf + 0.1, critics["value_head"])
    memory = jax.random.normal(jax.random.key(1), (2, 1, 1, 4))
    choice = TanhNormal(
        mean=jnp.array([[[0.5, -1.0]]]), log_std=jnp.array([[[-1.0, 0.0]]]), space=Aim.action_space
    )

    @jax.jit
    def cost(choice, keys):
        each = jax.vmap(lambda key: values.cost(critics, memory, choice, jnp.float32(0.3), key))
        return each(keys).mean()

    sampled = cost(choice, jax.random.split(jax.random.key(2), 20_000))
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    weights = np.outer(weights, weights) / weights.sum() ** 2  # [40, 40]
    noise = np.stack(np.meshgrid(nodes, nodes, indexing="ij"), axis=-1)  # [40, 40, 2]
    played = choice.played(choice.mean + jnp.exp(choice.log_std) * noise)
    of_both = jax.vmap(values.critic.value, in_axes=(0, 0, None))
    value = of_both(critics, jnp.broadcast_to(memory, (2, 40, 40, 4)), played).min(axis=0)
    exact = -0.3 * choice.entropy()[0, 0] - (weights * value).sum()
    np.testing.assert_allclose(sampled, exact, atol=0.02)
    far = dataclasses.replace(choice, mean=jnp.array([[[30.0, -30.0]]]))
    gradient = jax.grad(cost)(far, jax.random.split(jax.random.key(3), 20_000))
    assert np.isfinite(gradient.mean).all() and np.isfinite(gradient.log_std).all()
    assert (np.sign(gradient.mean) == [1, -1]).all()  # the bonus for entropy leads back


@pytest.mark.parametrize(
    "config, wrong, message",
    [
        (R2D2Config, {"burn_in": 8}, "r2d2.burn_in = 8 must be below r2d2.rollout_length = 8"),
        (R2D2Config, {"priority_exponent": 2}, "r2d2.priority_exponent = 2 must be between"),
        (PQNConfig, {"num_minibatches": 3}, "pqn.num_envs = 128 is not a multiple of"),
        (SACConfig, {"target_entropy": 1.5}, "sac.target_entropy = 1.5 must be between 0 and 1"),
    ],
)
def test_bad_settings_are_refused(config, wrong, message):
    with pytest.raises(ValueError, match=message):
        config(**wrong)
