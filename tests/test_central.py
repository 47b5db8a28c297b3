"""A central critic: in training the value sees what all players have seen."""

import dataclasses
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from probes import policy_for

import games
from games.tree_game import TreeGame
from psro.errors import SettingsError
from psro.oracles import ORACLES, Jobs, PPOConfig
from psro.oracles.rollout import Rollout
from psro.policies.networks.settings import NetworkConfig
from psro.runs.config import RunConfig
from psro.runs.fitting import check_solvable, with_defaults
from psro.runs.setup import Setup

CENTRAL = NetworkConfig(critic="central", width=8)
PLAYERS, LEARNER = 3, 1


@pytest.fixture(scope="module")
def played():
    """Two rollouts of one seat of three in Kuhn poker, and values of the training pass."""
    tree = games.load("kuhn_poker(players=3)")
    policy = policy_for(tree, network=CENTRAL)
    rollout = Rollout(
        TreeGame(tree), policy, num_envs=64, num_strata=1, length=4, sequence_length=4
    )

    params = policy.init_many(jax.random.split(jax.random.key(0), PLAYERS))
    own = jax.tree.map(lambda leaf: leaf[0], params)
    opponents = jax.tree.map(lambda leaf: leaf[1:, None], params)

    @jax.jit
    def play(actors, key):
        actors, decisions, _ = rollout(own, opponents, jnp.int32(LEARNER), actors, key)
        seen = decisions.observation, decisions.last_action, decisions.others
        return actors, decisions, policy.value_of(own, decisions.value * jnp.nan, *seen)

    key = jax.random.key(0)
    actors = jax.jit(rollout.restart)(rollout.empty(), jnp.ones(1, bool), key)
    for number in range(2):
        actors, decisions, values = play(actors, jax.random.fold_in(key, number))
    return tree, *jax.device_get((decisions, values))


def test_training_judges_as_acting_did(played):
    _, decisions, values = played
    np.testing.assert_allclose(values, decisions.value, atol=1e-6)


def test_others_are_what_they_saw_last_in_this_episode(played):
    tree, decisions, _ = played
    observation, done = decisions.others  # opponent 0 sits at seat 2, and opponent 1 at seat 0
    assert observation.shape == (4, 64, 2, tree.observation_size) and done.shape == (4, 64, 2)
    first = decisions.reset
    assert first.any() and (~first).any()
    assert (observation[first][:, 0] == 0).all() and (done[first][:, 0] == -1).all()
    cards = slice(PLAYERS, PLAYERS + tree.num_actions + 2)
    for q, seat, when in ((1, 0, first | ~first), (0, 2, ~first)):
        seen, own = observation[when][:, q], decisions.observation[when]
        known = {row.tobytes() for row in tree.players[seat].observation.astype(np.float32)}
        assert all(row.tobytes() in known for row in seen) and (done[when][:, q] >= 0).all()
        assert (seen[:, cards].argmax(axis=1) != own[:, cards].argmax(axis=1)).all()


@pytest.mark.parametrize(
    "changes",
    [
        {"oracle": "dqn"},
        {"oracle": "full_width"},
        {"expansion": "self_play", "self_play": "nfsp"},
        {"expansion": "union", "self_play": "mmd", "oracle": "sac"},
        {"ppo": PPOConfig(tabulated=True)},
    ],
)
def test_learners_without_advantages_refuse_it(changes):
    tree = games.load("kuhn_poker")
    config = with_defaults(RunConfig(network=CENTRAL, **changes), tree, exact=True)
    with pytest.raises(SettingsError, match=r"network\.critic central"):
        check_solvable(config, tree)


def test_a_critic_of_self_play_is_not_that_of_best_responses():
    config = RunConfig(
        game="kuhn_poker", evaluation="sampled", expansion="union", self_play="mirror",
        hidden_size=4, oracle="dqn", network=dataclasses.replace(CENTRAL, critic="self_play"),
    )  # fmt: skip
    setup = Setup(config, "kuhn_poker")
    policy = setup.oracle._policy
    assert setup.policy.central and setup.self_play._policy.central
    for same in (policy, pickle.loads(pickle.dumps(policy))):
        assert not same.central and same.architecture == setup.policy.architecture
        assert same.value_of({}, jnp.float32(2.0), None, None, ()) == 2.0
    with pytest.raises(SettingsError, match="expansion best_response has none"):
        check_solvable(dataclasses.replace(setup.config, expansion="best_response"), setup.rules)


def test_unknown_critics_are_refused():
    with pytest.raises(SettingsError, match="own, central"):
        NetworkConfig(critic="both")


@pytest.mark.slow
def test_it_explains_more_of_a_return():
    """In Kuhn poker most of a return is who has the higher card."""
    game = TreeGame(games.load("kuhn_poker"))
    errors = []
    for network in (NetworkConfig(), NetworkConfig(critic="central")):
        policy = policy_for(game, network=network)
        oracle = ORACLES["ppo"](game, policy, PPOConfig(decisions=32_768, evaluations=2))
        networks = policy.init_many(jax.random.split(jax.random.key(0), 3))
        jobs = Jobs.of_one_run(
            jax.random.key(1),
            player=np.ones(1),
            initial=jax.tree.map(lambda leaf: leaf[:1], networks),
            populations=jax.tree.map(lambda leaf: leaf[1:, None], networks),
            opponents=np.ones((1, 1)),
        )
        job, setting = oracle.inputs(jobs)
        job = jax.tree.map(lambda leaf: leaf[0], job)
        learner = oracle.init(job, setting)
        for number in range(2):
            learner, _, losses = jax.jit(oracle.train)(learner, jnp.int32(number), job, setting)
        errors.append(float(losses["value"]))
    own, central = errors
    assert central < 0.5 * own


def test_old_networks_have_no_central_critic():
    tree = games.load("kuhn_poker")
    own, central = policy_for(tree), policy_for(tree, network=CENTRAL)
    names = [set(policy.init(jax.random.key(0))) for policy in (own, central)]
    assert names[1] - names[0] == {"central_value"}
    assert dataclasses.replace(CENTRAL, critic="own") == NetworkConfig(width=8)
