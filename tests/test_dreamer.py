"""Dreamer: each part by itself, and what a well-known notebook version does wrong."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from probe_games import Aim, ProbeGame
from probes import begin, policy_for, world_model_for

import games
from games.levels import levels
from games.spaces import Box, Discrete
from psro.oracles import Dreamer, DreamerConfig
from psro.oracles.decisions import Turn
from psro.oracles.dreamer.imagination import Spread, actor_critic_loss, dream, lambda_returns
from psro.oracles.dreamer.model import balanced, divergence, filtered, learned_from
from psro.oracles.rollout import Rollout
from psro.policies.networks import two_hot
from psro.policies.networks.settings import NetworkConfig
from psro.policies.networks.world_model import UNIMIX, Outcome, draw
from psro.runs.config import RunConfig
from psro.runs.learner_config import LearnerConfig
from psro.runs.setup import check_layers

SMALL = {"hidden_size": 8, "latents": 3, "classes": 4}


def test_symlog_keeps_small_numbers_and_its_inverse_undoes_it():
    x = np.array([-1e4, -2.0, -1e-3, 0.0, 0.5, 300.0], np.float32)
    np.testing.assert_allclose(two_hot.symexp(two_hot.symlog(x)), x, rtol=1e-5)
    np.testing.assert_allclose(two_hot.symlog(np.float32(1e-3)), 1e-3, rtol=1e-3)


def test_two_hot_weights_have_the_number_as_their_mean():
    x = np.array([-25.0, -1.0, -0.03, 0.0, 0.4, 7.0, two_hot.bins()[-1], 99.0], np.float32)
    weights = np.asarray(two_hot.two_hot(x))
    np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=1e-6)
    assert ((weights > 0).sum(axis=-1) <= 2).all() and (weights >= 0).all()
    inside = np.clip(x, two_hot.bins()[0], two_hot.bins()[-1])
    np.testing.assert_allclose(weights @ two_hot.bins(), inside, rtol=1e-5, atol=1e-6)
    logits = np.log(weights + 1e-30)
    np.testing.assert_allclose(two_hot.mean(logits), inside, rtol=1e-5, atol=1e-5)
    assert two_hot.mean(np.zeros(two_hot.NUM_BINS)) == 0
    gradient = jax.grad(lambda logits: two_hot.cross_entropy(logits, x).sum())(logits)
    np.testing.assert_allclose(gradient, 0, atol=1e-6)  # the target itself is the minimum


@pytest.mark.parametrize("trace_decay", [0.0, 0.7, 1.0])
def test_lambda_returns_bootstrap_and_end_where_episodes_do(trace_decay):
    rng = np.random.default_rng(0)
    reward, value = rng.normal(size=(5, 3)), rng.normal(size=(6, 3))
    discount = rng.uniform(size=(5, 3)) * (rng.uniform(size=(5, 3)) > 0.3)
    returns = np.asarray(lambda_returns(reward, discount, value, trace_decay))
    after = value[-1]  # the bootstrap
    for t in range(4, -1, -1):
        after = reward[t] + discount[t] * ((1 - trace_decay) * value[t + 1] + trace_decay * after)
        np.testing.assert_allclose(returns[t], after, atol=1e-5)
    ended = discount == 0
    np.testing.assert_allclose(returns[ended], reward[ended], atol=1e-6)


def log_probabilities(*shape, seed=0, scale=1.0):
    logits = scale * np.random.default_rng(seed).normal(size=shape)
    return jax.nn.log_softmax(jnp.asarray(logits, jnp.float32))


def test_a_divergence_below_the_free_nats_is_not_reduced():
    near, far = log_probabilities(3, 4, scale=0.1), log_probabilities(3, 4, seed=1, scale=4.0)
    assert divergence(near, near) == 0 and divergence(far, near) > 1
    gradient = jax.grad(lambda q, p: balanced(q, p), argnums=(0, 1))
    other = log_probabilities(3, 4, seed=2, scale=0.1)
    assert all((np.asarray(part) == 0).all() for part in gradient(near, other))
    posterior, prior = gradient(far, near)
    full = jax.grad(divergence, argnums=(0, 1))(far, near)
    np.testing.assert_allclose(posterior, 0.1 * full[0], rtol=1e-5)
    np.testing.assert_allclose(prior, 1.0 * full[1], rtol=1e-5)


@functools.cache
def played(kind="memory"):
    """A policy, its parameters, and a rollout of several episodes that starts in their middle."""
    game = Aim() if kind == "aim" else ProbeGame(kind)
    policy = world_model_for(game, **SMALL)
    params = policy.init(jax.random.key(0))
    head = jax.tree.map(lambda leaf: 40 * leaf, params["policy_head"]["out"])
    if kind != "aim":  # far from uniform
        params |= {"policy_head": params["policy_head"] | {"out": head}}
    rollout = Rollout(game, policy, num_envs=8, num_strata=1, length=10, sequence_length=10)
    play = jax.jit(lambda actors, key: rollout(params, (), jnp.int32(0), actors, key))
    actors, *_ = play(begin(rollout, jax.random.key(1)), jax.random.key(2))
    _, seen, _ = play(actors, jax.random.key(3))
    turn = Turn(**{field.name: getattr(seen, field.name) for field in dataclasses.fields(Turn)})
    carry = jax.tree.map(lambda leaf: leaf[0], seen.carry)
    return policy, params, seen, turn, carry


@pytest.mark.parametrize("kind", ["memory", pytest.param("aim", marks=pytest.mark.slow)])
def test_the_posterior_pass_reproduces_what_acted(kind):
    """With untouched parameters: over ends of episodes, from a carry in the middle of one."""
    policy, params, seen, turn, carry = played(kind)
    assert turn.reset.any() and not turn.reset.all() and not turn.reset[0].all()
    model = policy.model(params)
    states = passes(kind)(params, turn, carry)
    _, value = model.heads(states.state)
    log_prob = policy.choice(model, states.state, turn.legal).log_prob(seen.action)
    decided = np.asarray(seen.valid)
    np.testing.assert_allclose(log_prob[decided], seen.log_prob[decided], atol=1e-5)
    np.testing.assert_allclose(value, seen.value, atol=1e-5)


@functools.cache
def passes(kind="memory"):
    """The posterior pass, compiled."""
    policy = played(kind)[0]

    def run(params, turn, carry, key=None):
        return filtered(policy, policy.model(params), turn, carry, key)

    return jax.jit(run)


def changed(turn, where):
    """The observations of the steps `where [T]` are others."""
    seen = np.where(where[:, None, None], 1 - turn.observation, turn.observation)
    return dataclasses.replace(turn, observation=seen)


def test_the_state_lasts_within_an_episode_and_no_longer():
    """Not reset at every step, and not carried over into the next episode: neither sampled nor by
    modes."""
    _, params, _, turn, carry = played()
    begun = np.cumsum(np.asarray(turn.reset), axis=0)
    for key in (None, jax.random.key(0)):
        before = passes()(params, turn, carry, key)
        first = np.arange(10) == 0
        after = passes()(params, changed(turn, first), carry, key)
        same = np.isclose(before.y, after.y, atol=1e-6).all(axis=-1)
        assert same[(begun > 0) & ~first[:, None]].all()
        assert same[0].all()  # y comes before the observation
        assert not same[1][begun[1] == 0].all()


def test_the_model_gets_the_action_that_was_played():
    _, params, seen, turn, carry = played()
    going_on = ~np.asarray(turn.reset)[1:]
    np.testing.assert_array_equal(
        np.asarray(turn.last_action)[1:][going_on], np.asarray(seen.action)[:-1][going_on]
    )
    assert (np.asarray(turn.last_action)[np.asarray(turn.reset)] == -1).all()
    other = dataclasses.replace(turn, last_action=jnp.where(turn.reset, -1, 1 - turn.last_action))
    one, two = (passes()(params, inputs, carry).y for inputs in (turn, other))
    assert not np.isclose(one, two).all(axis=-1)[~np.asarray(turn.reset)].any()


def test_every_class_of_a_latent_keeps_its_share():
    _, params, _, turn, carry = played()
    log_q = passes()(params, turn, carry).log_q
    assert np.exp(log_q).min() >= UNIMIX / SMALL["classes"] - 1e-6
    np.testing.assert_allclose(np.exp(log_q).sum(axis=-1), 1, atol=1e-5)
    z = draw(log_q, jax.random.key(0))
    np.testing.assert_allclose(z.reshape(log_q.shape).sum(axis=-1), 1, atol=1e-5)
    weights = np.random.default_rng(0).normal(size=z.shape)
    through = jax.grad(lambda log_q: (draw(log_q, jax.random.key(0)) * weights).sum())(log_q)
    straight = jax.grad(lambda log_q: (jnp.exp(log_q).reshape(z.shape) * weights).sum())(log_q)
    np.testing.assert_allclose(through, straight, atol=1e-6)


@pytest.mark.slow
def test_acting_is_a_function_of_history_and_can_be_tabulated():
    """Two steps by hand are the table's rows."""
    tree = games.load("kuhn_poker")
    own = jax.tree.map(lambda leaf: leaf[0], levels(tree))
    policy = world_model_for(tree, **SMALL)
    params = policy.init(jax.random.key(3))
    logits, values = policy.tabulate(params, own)
    at = [np.asarray(own[1].parent), np.arange(len(own[1].parent))]

    @jax.jit
    def compute(params):
        carry, by_hand = policy.initial_carry(at[0].shape), []
        for level, rows in zip(own, at, strict=True):
            *said, carry = policy(params, level.observation[rows], level.last_action[rows], carry)
            by_hand.append(said)
        return by_hand, policy.tabulate(params, own)

    by_hand, table = compute(params)
    for depth, said in enumerate(by_hand):
        for stepped, tabulated in zip(said, table, strict=True):
            np.testing.assert_allclose(stepped, tabulated[depth][at[depth]], atol=1e-5)


@functools.cache
def dreams(kind):
    """A dream of 4 decisions from 8 states of a rollout, compiled."""
    policy, _, _, turn, carry = played(kind)

    def run(params):
        model = policy.model(params)
        states = filtered(policy, model, turn, carry)
        start = jax.tree.map(lambda leaf: leaf[-1], (states.carry, states.state, turn.legal))
        return dream(policy, model, *start, jax.random.key(4), horizon=4)

    return jax.jit(run)


def imagined(kind="memory", **heads):
    """The policy, its parameters and a dream; the biases of some heads are changed."""
    policy, params, *_ = played(kind)
    for name, bias in heads.items():
        out = params[name]["out"]
        params = params | {name: params[name] | {"out": out | {"bias": out["bias"] + bias}}}
    return policy, params, dreams(kind)(params)


def test_dreams_end_where_the_model_says_so_and_actions_are_those_it_thinks_legal():
    unlikely = np.array([50.0, -50.0], np.float32)
    *_, dreamt = imagined(continue_head=-50.0, legal_head=unlikely)
    assert np.asarray(dreamt.going_on).max() < 1e-6
    assert (np.asarray(dreamt.action)[1:] == 0).all() and not dreamt.legal[1:, :, 1].any()
    *_, dreamt = imagined(legal_head=-50.0)
    assert dreamt.legal[1:].all()  # a decision needs an action


@functools.cache
def trained(kind):
    """The loss's gradient, and the mean entropy and log-probability of a dream's actions."""
    policy = played(kind)[0]

    def loss(params, dreamt, advantage, entropy_weight):
        model = policy.model(params)
        value = two_hot.mean(model.value_head(dreamt.state[:-1]))
        shape = dreamt.reward.shape
        return actor_critic_loss(
            policy, model, model, dreamt, value + advantage, jnp.ones(shape[1]), jnp.ones(shape),
            unit=jnp.float32(1), entropy_weight=entropy_weight,
        )  # fmt: skip

    def measured(params, dreamt):
        choice = policy.choice(policy.model(params), dreamt.state[:-1], dreamt.legal)
        return choice.entropy().mean(), choice.log_prob(dreamt.action).mean()

    return jax.jit(jax.grad(loss)), jax.jit(measured)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["memory", "aim"])
def test_a_step_raises_entropy_and_the_probability_of_what_was_good(kind):
    _, params, dreamt = imagined(kind)
    gradient, measured = trained(kind)

    def after(advantage, entropy_weight):
        direction = gradient(params, dreamt, advantage, entropy_weight)
        step = jax.tree.map(lambda leaf, change: leaf - 1e-3 * change, params, direction)
        return measured(params | {"policy_head": step["policy_head"]}, dreamt)

    assert after(0.0, 1.0)[0] > measured(params, dreamt)[0]
    assert after(1.0, 0.0)[1] > measured(params, dreamt)[1]


@pytest.mark.parametrize(
    "space", [Discrete(20), pytest.param(Box((16,), -1.0, 1.0), marks=pytest.mark.slow)]
)
def test_many_actions_have_products_with_the_state_too(space):
    """More factors than heads multiply with are replaced by 16 learned ones, which learn what an
    action earns where only the product with a bit of the state says so."""
    rng = np.random.default_rng(0)
    bit = rng.choice([-1.0, 1.0], size=(256, 1)).astype(np.float32)
    action = rng.normal(size=(256, space.size)).astype(np.float32)
    if isinstance(space, Discrete):
        action = np.eye(20, dtype=np.float32)[rng.integers(20, size=256)]
    target = bit[:, 0] * np.sign(action @ np.linspace(-1, 1, space.size, dtype=np.float32))
    made = {"scale": 1.0, "dtype": "float32", "rngs": nnx.Rngs(0)}
    head = Outcome(1, 8, 1, space, **made)
    assert head.out.in_features == (8 + 1) * 16 and head.embedding is not None
    graph, params = nnx.split(head)

    def error(params):
        return jnp.square(nnx.merge(graph, params)(bit, action)[:, 0] - target).mean()

    @jax.jit
    def fitted(params):
        def step(carry, _):
            params, state = carry
            change, state = optimizer.update(jax.grad(error)(params), state)
            return (optax.apply_updates(params, change), state), None

        return jax.lax.scan(step, (params, optimizer.init(params)), length=200)[0][0]

    optimizer = optax.adam(1e-2)
    before, after = error(params), error(fitted(params))
    assert after < 0.3 * before and after < 0.35, (before, after)


@pytest.mark.slow
def test_actions_at_the_edge_of_a_box_have_a_probability():
    """The dream keeps what was sampled before tanh."""
    policy, params, dreamt = imagined("aim")
    far = dataclasses.replace(dreamt, action=jnp.full_like(dreamt.action, 30.0))
    gradient = trained("aim")[0](params, far, 1.0, 0.0)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
    assert np.abs(policy.vector(far.action)).max() <= 1


@pytest.mark.slow
def test_what_a_cut_hides_is_not_learned_and_what_it_shows_is():
    _, _, seen, turn, _ = played("truncation")
    last = jax.tree.map(lambda leaf: jnp.concatenate([leaf, leaf[:1]]), turn)
    learned = np.asarray(learned_from(last, seen.truncated, 0))[:-1]
    shown = np.asarray(seen.truncated) & ~np.asarray(seen.valid)
    assert shown.any() and learned[shown].all()
    warm = np.asarray(learned_from(last, seen.truncated, 3))[:-1]
    begun = np.cumsum(np.asarray(turn.reset), axis=0) > 0
    assert not warm[:3][~begun[:3]].any() and (warm[begun] == learned[begun]).all()


def test_returns_are_normalised_by_the_distance_of_their_percentiles():
    spread = Spread.unknown()
    returns = np.linspace(-2, 8, 1001, dtype=np.float32).reshape(7, 143)
    where = np.arange(143) >= 0
    for _ in range(3):
        spread = spread.after(returns, where, 0.9)
        np.testing.assert_allclose(spread.unit(0.1), 9, rtol=1e-3)  # from the first batch on
    np.testing.assert_allclose(spread.unit(20.0), 20)
    assert spread.after(returns, ~where, 0.9) == spread


def test_what_does_not_fit_is_refused():
    game = ProbeGame("memory")
    with pytest.raises(ValueError, match="dreamer needs policies with a world model"):
        Dreamer(game, policy_for(game), DreamerConfig())
    with pytest.raises(ValueError, match="dreamer.tabulated must be off"):
        DreamerConfig(tabulated=True)
    with pytest.raises(ValueError, match="dreamer.burn_in = 8 must be below"):
        DreamerConfig(burn_in=8)
    for config in (
        RunConfig(oracle="dreamer", network=NetworkConfig(depth=3)),
        LearnerConfig(game="x", learner="dreamer", network=NetworkConfig(depth=3)),
    ):
        with pytest.raises(ValueError, match="dreamer has a world model with layers of its own"):
            check_layers("dreamer", config)
    with pytest.raises(ValueError, match="unknown cell 'ggru'"):
        LearnerConfig(game="x", dreamer=DreamerConfig(cell="ggru"))
