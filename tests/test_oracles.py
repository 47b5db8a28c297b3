"""Every oracle in `ORACLES`: the probe games, its contract, and what it says of itself."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from probes import NativeKuhn, Probe, opinionated, policy_for, tree_of, world_model_for

import games
from games.levels import levels, rows
from games.tree_game import TreeGame
from psro import exact
from psro.oracles import CONFIGS, ORACLES, PPO, ExactView, Jobs
from psro.oracles.decisions import Decisions
from psro.oracles.on_policy import Batch
from psro.policies.conditional import ConditionalPolicy
from psro.policies.policy import TablePolicy, Tabulator

SMALL = {
    "ppo": {"decisions": 24_576, "num_envs": 64, "num_strata": 2},
    "a2c": {"decisions": 49_152, "num_envs": 64, "num_strata": 2},
    "reinforce": {"decisions": 49_152, "num_envs": 64, "num_strata": 2},
    "dqn": {"decisions": 24_576, "num_envs": 64, "num_strata": 2, "buffer_size": 8_192},
    "r2d2": {"decisions": 24_576, "num_envs": 64, "num_strata": 2, "buffer_size": 8_192},
    "pqn": {"decisions": 24_576, "num_envs": 64, "num_strata": 2},
    "sac": {"decisions": 24_576, "num_envs": 64, "num_strata": 2, "buffer_size": 8_192},
    "dreamer": {"decisions": 49_152, "num_envs": 32, "num_strata": 2},
}
"""Settings with which a probe takes seconds, where the defaults are for real games."""


def small(name, **changes):
    return CONFIGS[name](**SMALL.get(name, {}) | changes) if name in CONFIGS else None


def setting(tree, name, *, size=2, seed=0, game=None, **changes):
    """An oracle, jobs of all players against uniformly mixed populations of `size`, and a
    tabulator of what comes out."""
    players = tree.num_players
    tabular = ORACLES[name].tabular
    policy = TablePolicy(tree) if tabular else policy_for(tree, hidden_size=16)
    if ORACLES[name].conditional:
        policy = ConditionalPolicy(
            condition_size=players + size ** (players - 1),
            observation_space=tree.observation_space,
            action_space=tree.action_space,
            hidden_size=16,
            cell="lstm",
        )
    if ORACLES[name].world_model:
        policy = world_model_for(tree)
    tabulate = Tabulator(policy, tree)
    if tabular:
        rng = np.random.default_rng(seed)
        shapes = policy.init_many(jnp.zeros(players * size))
        population = jax.tree.map(
            lambda leaf: jnp.asarray(3 * rng.normal(size=leaf.shape), jnp.float32), shapes
        )
    else:
        population = opinionated(policy, seed, players * size)
    populations = jax.tree.map(
        lambda leaf: leaf.reshape(players, size, *leaf.shape[1:]), population
    )
    behaviours = [
        tabulate(jax.tree.map(lambda leaf, k=k: leaf[:, k], populations)) for k in range(size)
    ]
    plans = [
        exact.mix(
            np.stack([exact.realization_plan(player, each[p]) for each in behaviours]),
            np.full(size, 1 / size),
        )
        for p, player in enumerate(tree.players)
    ]
    gains, reach = zip(
        *(exact.gains_and_reach(tree, p, plans) for p in range(players)), strict=True
    )
    jobs = Jobs.of_one_run(
        jax.random.key(0),
        player=np.arange(players),
        initial=policy.init_many(jax.random.split(jax.random.key(seed + 1), players)),
        populations=populations,
        opponents=np.full((players, *(size,) * (players - 1)), size ** (1 - players)),
        exact=ExactView(gains=gains, reach=reach, mixture=[plans] * players, bonus=None),
    )
    game = TreeGame(tree) if game is None else game
    return ORACLES[name](game, policy, small(name, **changes)), jobs, tabulate


def values(tree, jobs, behaviours):
    return [
        gains @ exact.realization_plan(player, behaviour)
        for gains, player, behaviour in zip(jobs.exact.gains, tree.players, behaviours, strict=True)
    ]


SOME = [  # test_probe_games and test_off_policy are about those that are slow here
    pytest.param(name, marks=pytest.mark.slow)
    if name in ("a2c", "reinforce", "dqn", "r2d2", "pqn", "sac", "dreamer")
    else name
    for name in ORACLES
]


@pytest.mark.parametrize(
    "kind",
    [
        "memory",
        pytest.param("delay", marks=pytest.mark.slow),
        pytest.param("observation", marks=pytest.mark.slow),
        pytest.param("constant", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("name", SOME)
def test_probe_is_solved(name, kind):
    tree = tree_of(Probe(kind))
    oracle, jobs, tabulate = setting(tree, name)
    results = oracle(jobs)
    assert values(tree, jobs, tabulate(results.params))[0] > 0.99
    assert not results.diverged.any()


@pytest.mark.parametrize("name", SOME)
def test_the_curve_is_of_exact_values_and_the_best_is_returned(name):
    tree = games.load("kuhn_poker")
    oracle, jobs, tabulate = setting(tree, name)
    results = oracle(jobs)
    best = np.nanmax(results.curve, axis=1)
    np.testing.assert_allclose(values(tree, jobs, tabulate(results.params)), best, atol=1e-5)
    exactly = [
        exact.best_response_to(player, jobs.exact.gains[p]).value
        for p, player in enumerate(tree.players)
    ]
    assert (best <= np.array(exactly) + 1e-5).all()
    before = values(tree, jobs, tabulate(jobs.initial))
    assert ((best - before) / (np.array(exactly) - before) > 0.95).all()


@pytest.mark.parametrize(
    "method, name",
    [
        ("ppo", "kuhn_poker"),
        pytest.param("ppo", "kuhn_poker(players=3)", marks=pytest.mark.slow),
        pytest.param("dqn", "kuhn_poker", marks=pytest.mark.slow),
    ],
)
def test_tabulated_training_is_as_good(method, name):
    """The network run over info states instead of decisions, the mixture as one table."""
    tree = games.load(name)
    oracle, jobs, tabulate = setting(tree, method, tabulated=True)
    results = oracle(jobs)
    reached, before = (values(tree, jobs, tabulate(p)) for p in (results.params, jobs.initial))
    for p, player in enumerate(tree.players):
        best = exact.best_response_to(player, jobs.exact.gains[p]).value
        assert (reached[p] - before[p]) / (best - before[p]) > 0.95
    assert (results.decisions > 0).all()


def with_bonus(tree, jobs, seed=6):
    """The same jobs, with a reward of its own for every sequence."""
    rng = np.random.default_rng(seed)
    bonus = [2 * rng.normal(size=each.shape) for each in jobs.exact.gains]
    for each in bonus:
        each[0] = 0.0
    gains = [gain + each for gain, each in zip(jobs.exact.gains, bonus, strict=True)]
    return dataclasses.replace(
        jobs, exact=dataclasses.replace(jobs.exact, gains=gains, bonus=bonus)
    )


@pytest.mark.parametrize("method", ["ppo", pytest.param("dqn", marks=pytest.mark.slow)])
def test_a_bonus_is_earned_as_returns_are(method):
    """What is sampled with the bonus leads to the best response to the sum, and not to the one to
    returns alone."""
    tree = games.load("kuhn_poker")
    oracle, plain, tabulate = setting(tree, method, tabulated=True)
    jobs = with_bonus(tree, plain)
    results = oracle(jobs)
    reached = values(tree, jobs, tabulate(results.params))
    for p, player in enumerate(tree.players):
        best = exact.best_response_to(player, jobs.exact.gains[p]).value
        without = jobs.exact.gains[p] @ exact.best_response_to(player, plain.exact.gains[p]).plan
        assert best - without > 0.5
        assert best - reached[p] < 0.1 * (best - without)


def test_a_bonus_is_refused_where_info_states_are_not_known():
    tree = games.load("kuhn_poker")
    oracle, jobs, _ = setting(tree, "ppo")
    with pytest.raises(ValueError, match="ppo.tabulated"):
        oracle(with_bonus(tree, jobs))


def test_tabulated_gradients_are_those_of_whole_episodes():
    """The same decisions, unrolled from the starts of their episodes and looked up in the table:
    the same loss and the same gradient."""
    tree = games.load("kuhn_poker")
    policy = policy_for(tree)
    params = jax.tree.map(lambda leaf: leaf[0], opinionated(policy, 4, 1))
    config = small("ppo")
    player, depth = tree.players[0], tree.players[0].num_levels
    rng = np.random.default_rng(0)
    ends = np.flatnonzero(player.parent_info_state >= 0)  # info states at the second decision
    info_state = rng.choice(ends, 16)
    path = np.stack([player.parent_info_state[info_state], info_state])  # [T, E]
    legal = player.legal[path]
    blank = dict.fromkeys((field.name for field in dataclasses.fields(Decisions)), None)
    common = blank | {
        "last_action": player.previous_action[path],
        "reset": np.arange(depth)[:, None] == np.zeros(16),
        "legal": legal,
        "action": legal.argmax(axis=-1).astype(np.int32),
        "log_prob": np.full(path.shape, -0.5, np.float32),
        "valid": np.ones(path.shape, bool),
        "carry": policy.initial_carry((1, 16)),
        "next_value": np.zeros(16, np.float32),
    }
    mine = jax.tree.map(lambda leaf: leaf[0], levels(tree))
    losses = []
    for tabulated in (False, True):
        seen = rows(tree)[path] if tabulated else player.observation[path]
        batch = Batch(
            decisions=Decisions(**common | {"observation": seen}),
            advantage=np.sin(np.arange(path.size, dtype=np.float32)).reshape(path.shape),
            value_target=np.ones(path.shape, np.float32),
            weight=np.ones(path.shape, np.float32),
            levels=mine if tabulated else None,
        ).cut(depth)
        oracle = PPO(TreeGame(tree), policy, dataclasses.replace(config, tabulated=tabulated))
        columns = batch.take(jnp.arange(16))
        gradient = jax.jit(jax.value_and_grad(oracle._loss, has_aux=True))
        losses.append(gradient(params, columns, jnp.float32(0.1)))
    (loss, _), (looked_up, _) = (value for value, _ in losses)
    np.testing.assert_allclose(loss, looked_up, rtol=1e-5)
    for one, other in zip(*(jax.tree.leaves(gradient) for _, gradient in losses), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("name", ["full_width", "distill"])
def test_whole_tree_oracles_come_within_their_tolerance(name):
    tree = games.load("leduc_poker")
    oracle, jobs, tabulate = setting(tree, name, size=3)
    results = oracle(jobs)
    reached = values(tree, jobs, tabulate(results.params))
    for p, player in enumerate(tree.players):
        best = exact.best_response_to(player, jobs.exact.gains[p]).value
        assert best - reached[p] < 0.01 * best
    # they stop when they are there, and say nothing of what they did not do
    rounds = (~np.isnan(results.curve)).sum(axis=1)
    assert (rounds < results.curve.shape[1]).all()
    assert (results.decisions == 0).all()


def test_training_stops_when_it_has_plateaued():
    """On a game of constant value nothing is ever better than the first policy."""
    tree = tree_of(Probe("constant"))
    oracle, jobs, _ = setting(tree, "ppo", evaluations=6, patience=2)
    results = oracle(jobs)
    np.testing.assert_array_equal((~np.isnan(results.curve)).sum(axis=1), 3)
    assert (results.decisions < small("ppo").decisions).all()


@pytest.mark.parametrize(
    "name",
    [
        "ppo",
        pytest.param("dqn", marks=pytest.mark.slow),
        pytest.param("a2c", marks=pytest.mark.slow),
        pytest.param("reinforce", marks=pytest.mark.slow),
        pytest.param("dreamer", marks=pytest.mark.slow),
    ],
)
def test_a_native_game_with_its_tree_trains(name):
    """And is measured on its tree, the same at each call."""
    game = NativeKuhn()
    budget = {"decisions": 1_024, "evaluations": 1, "num_envs": 32}
    budget |= {"buffer_size": 1_024} if name in ("dqn", "dreamer") else {}
    oracle, jobs, tabulate = setting(game.tree, name, game=game, **budget)
    results = oracle(jobs)
    reached = values(game.tree, jobs, tabulate(results.params))
    np.testing.assert_allclose(np.nanmax(results.curve, axis=1), reached, atol=1e-5)
    assert (results.episodes > 0).all() and not results.diverged.any()


@pytest.mark.parametrize("name", CONFIGS)
def test_settings_are_checked_with_their_numbers(name):
    with pytest.raises(ValueError, match=f"{name}.learning_rate = -1.0 must be above 0"):
        dataclasses.replace(small(name), learning_rate=-1.0)
    with pytest.raises(ValueError, match=f"{name}.patience = 1.5 must be a whole number"):
        dataclasses.replace(small(name), patience=1.5)


@pytest.mark.parametrize(
    "name", ["full_width", "distill", "conditional", "best_response", "tabulated"]
)
def test_what_needs_a_tree_says_so(name):
    tree, probe = games.load("kuhn_poker"), Probe("memory")
    oracle, settings = ("ppo", {"tabulated": True}) if name == "tabulated" else (name, {})
    policy, config = policy_for(tree), small(oracle, **settings)
    with pytest.raises(ValueError, match=f"{name} needs a game that is"):
        ORACLES[oracle](probe, policy, config)


def test_a_table_of_correlated_opponents_is_refused():
    oracle, jobs, _ = setting(games.load("kuhn_poker"), "ppo", tabulated=True)
    with pytest.raises(ValueError, match="tabulated needs opponents that are independent"):
        oracle(dataclasses.replace(jobs, exact=dataclasses.replace(jobs.exact, mixture=None)))


@pytest.mark.parametrize("name", CONFIGS)
def test_rounds_share_the_budget_of_one_response(name):
    """Together they never train less than one response, nor by more than one unit a round more."""
    config = CONFIGS[name]()
    budget = "steps" if hasattr(config, "steps") else "decisions"
    if budget == "decisions":
        config = dataclasses.replace(config, decisions=config.most_decisions)
    whole, part = getattr(config, budget), getattr(config.shared_by(7), budget)
    assert whole <= 7 * part < whole + 7
    assert config.shared_by(1) == config


SPREAD = """
import jax, numpy as np
from psro.oracles.devices import OverJobs

def total(job, shared, *, spread):
    return (spread(job * shared) ** 2).sum()

jobs, shared = np.arange(12.0).reshape(3, 4), np.arange(4.0)
calls = {n: OverJobs(total, env_devices=n) for n in (1, 2, 5)}
for n in (1, 2):
    expected = (np.square(jobs * shared)).sum(1)
    for some in (3, 2, 1):  # the first call has the most
        np.testing.assert_array_equal(calls[n](jobs[:some], shared), expected[:some])
    assert len(calls[n]._compiled) == 1
try:
    calls[5](jobs, shared)
except ValueError as error:
    print(len(jax.devices()), error)
"""


def test_devices_share_jobs_and_environments():
    done = on_devices(4, SPREAD)
    assert done == "4 env_devices = 5 is more than the 4 devices of this machine"


def on_devices(number: int, code: str, *arguments: str) -> str:
    """The last line that Python prints where the CPU is so many devices."""
    flags = os.environ.get("XLA_FLAGS", "")
    environment = os.environ | {
        "XLA_FLAGS": f"{flags} --xla_force_host_platform_device_count={number}",
        "JAX_PLATFORMS": "cpu",
    }
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=Path(__file__).parent,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


SHARDED = """
import json, sys
import jax
from test_oracles import setting
import games
settings = {"decisions": 2048, "evaluations": 4, **json.loads(sys.argv[1])}
oracle, jobs, _ = setting(games.load("kuhn_poker"), "ppo", **settings)
results = oracle(jobs)
print(json.dumps([len(jax.devices()), results.curve.tolist()]))
"""


@pytest.mark.slow
def test_eight_devices_give_what_one_gives():
    """Two players' jobs on two devices, and each job's environments on four."""
    curves = []
    for devices, settings in ((1, {}), (8, {"env_devices": 4})):
        seen, curve = json.loads(on_devices(devices, SHARDED, json.dumps(settings)))
        assert seen == devices
        curves.append(curve)
    np.testing.assert_allclose(curves[1], curves[0], atol=1e-4)
