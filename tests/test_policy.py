"""Acting, training and tabulating must be the same policy."""

import dataclasses
import itertools
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from probes import begin, opinionated, policy_for

import games
from games.levels import levels as tree_levels
from games.spaces import Box
from games.tree_game import TreeGame
from psro.oracles.rollout import Rollout
from psro.policies.conditional import ConditionalPolicy
from psro.policies.distributions import log_probabilities
from psro.policies.networks import CELLS
from psro.policies.policy import Policy, Tabulator, at_temperature

NAMES = ["kuhn_poker", "leduc_poker", "kuhn_poker(players=3)"]
QUICK = ("lstm", "gru")
"""`test_cells` tries all cells quickly; `make test-slow` tries them here as well."""
PAIRS = [(NAMES[0], "lstm"), (NAMES[2], "gru")]
"""Every kind of game; `make test-slow` plays all with all."""


def all_cells():
    return [cell if cell in QUICK else pytest.param(cell, marks=pytest.mark.slow) for cell in CELLS]


def path_to(player, info_state):
    """The player's info states on the way to one, first to last."""
    path = [info_state]
    while player.parent_info_state[path[0]] >= 0:
        path.insert(0, int(player.parent_info_state[path[0]]))
    return path


@pytest.mark.parametrize(
    "name, cell",
    [
        *PAIRS,
        (NAMES[1], "gru"),
        *(pytest.param(NAMES[1], cell, marks=pytest.mark.slow) for cell in CELLS if cell != "gru"),
    ],
)
def test_stepping_down_a_path_gives_the_tabulated_policy(name, cell):
    tree = games.load(name)
    policy = policy_for(tree, cell=cell)
    params = opinionated(policy, 1, tree.num_players)
    tabulate = Tabulator(policy, tree)
    behaviours, values = tabulate(params), tabulate.values(params)
    step = jax.jit(policy.__call__)
    rng = np.random.default_rng(0)
    for seat, player in enumerate(tree.players):
        mine = jax.tree.map(lambda leaf, seat=seat: leaf[seat], params)
        for info_state in rng.choice(player.num_info_states, 12):
            carry = policy.initial_carry()
            for each in path_to(player, info_state):
                logits, value, carry = step(
                    mine, player.observation[each], player.previous_action[each], carry
                )
            log_pi = log_probabilities(logits, player.legal[each])
            own = slice(*player.first_sequence[each : each + 2])
            np.testing.assert_allclose(
                np.exp(log_pi)[player.action[own]], behaviours[seat][own], atol=1e-5
            )
            np.testing.assert_allclose(value, values[seat][each], atol=1e-5)


@pytest.mark.parametrize("cell", QUICK)
def test_bfloat16_is_the_same_policy_but_for_rounding(cell):
    """The same parameters, in float32; what a sequence ends in is kept in float32 too."""
    tree = games.load("leduc_poker")
    exact, rounded = policy_for(tree, cell=cell), policy_for(tree, cell=cell, dtype="bfloat16")
    params = opinionated(exact, 1, tree.num_players)
    for leaf in jax.tree.leaves((rounded.init(jax.random.key(0)), rounded.initial_carry())):
        assert leaf.dtype == jnp.float32
    for one, other in zip(
        Tabulator(exact, tree)(params), Tabulator(rounded, tree)(params), strict=True
    ):
        assert 1e-5 < np.abs(one - other).max() < 0.05
    player = tree.players[0]
    *_, carry = jax.jit(rounded.__call__)(
        jax.tree.map(lambda leaf: leaf[0], params),
        player.observation[0],
        player.previous_action[0],
        rounded.initial_carry(),
    )
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(carry))


@pytest.mark.parametrize(
    "name, cell",
    [
        pair if pair in PAIRS else pytest.param(*pair, marks=pytest.mark.slow)
        for pair in itertools.product(NAMES, CELLS)
    ],
)
def test_rollout_training_pass_and_table_agree(name, cell):
    """What a learner acted on, in games with resets in the middle of sequences, gives the same
    log-probabilities and values when unrolled from the stored carries, and stands in the table."""
    tree = games.load(name)
    game = TreeGame(tree)
    policy = policy_for(tree, cell=cell)
    params = opinionated(policy, 2, tree.num_players)
    tabulate = Tabulator(policy, tree)
    behaviours, values = tabulate(params), tabulate.values(params)
    rollout = Rollout(game, policy, num_envs=32, num_strata=4, length=12, sequence_length=4)

    @jax.jit
    def play(params, opponents, seat, actors, key):
        return rollout(params, opponents, seat, actors, key)

    for seat, player in enumerate(tree.players):
        mine = jax.tree.map(lambda leaf, seat=seat: leaf[seat], params)
        others = jnp.array([(seat + 1 + q) % tree.num_players for q in range(tree.num_players - 1)])
        opponents = jax.tree.map(lambda leaf, o=others: jnp.repeat(leaf[o][:, None], 4, 1), params)
        actors = begin(rollout, jax.random.key(3))
        for number in range(2):  # the second starts in the middle of episodes
            actors, seen, episodes = play(
                mine, opponents, jnp.int32(seat), actors, jax.random.key(number)
            )
            assert seen.valid.all() and seen.reset[1:].any()
            assert player.num_levels == 1 or not seen.reset[1:].all()
            assert episodes.count.sum() > 0
            # training: three sequences of four steps, from their stored carries
            for number in range(3):
                part = slice(4 * number, 4 * number + 4)
                logits, value = policy.unroll(
                    mine,
                    seen.observation[part],
                    seen.last_action[part],
                    seen.reset[part],
                    jax.tree.map(lambda leaf, n=number: leaf[n], seen.carry),
                )
                log_pi = log_probabilities(logits, seen.legal[part])
                action = seen.action[part][..., None]
                log_prob = jnp.take_along_axis(log_pi, action, axis=-1)[..., 0]
                ratio = np.exp(log_prob - seen.log_prob[part])
                np.testing.assert_allclose(ratio, 1.0, atol=1e-5)
                np.testing.assert_allclose(value, seen.value[part], atol=1e-5)
            # table: information state tensors are unique to an info state
            row = {each.tobytes(): i for i, each in enumerate(np.float32(player.observation))}
            observation = np.asarray(seen.observation).reshape(-1, tree.observation_size)
            info_state = np.array([row[each.tobytes()] for each in observation])
            action = np.asarray(seen.action).ravel()
            rank = np.array(
                [player.legal[i, :a].sum() for i, a in zip(info_state, action, strict=True)]
            )
            expected = behaviours[seat][player.first_sequence[info_state] + rank]
            np.testing.assert_allclose(np.exp(seen.log_prob).ravel(), expected, atol=1e-5)
            np.testing.assert_allclose(
                np.asarray(seen.value).ravel(), values[seat][info_state], atol=1e-5
            )
            np.testing.assert_array_equal(
                np.asarray(seen.last_action).ravel(), player.previous_action[info_state]
            )


class Odd(nnx.Module):
    """A cell whose carry has leaves of other shapes and types than `[B, H]` of floats, and does not
    begin with zeros: a matrix, a number of steps, the largest feature so far, and a flag."""

    def __init__(self, in_features, hidden_features, *, dtype, rngs):
        self.write = nnx.Linear(in_features, 27, rngs=rngs)
        self.read = nnx.Linear(30, hidden_features, rngs=rngs)

    def initialize_carry(self, input_shape, rngs):
        batch = input_shape[:-1]
        return {
            "matrix": jnp.full((*batch, 3, 3, 3), 0.5, jnp.float32),
            "steps": jnp.full(batch, 7, jnp.int32),
            "peak": jnp.full(batch, -jnp.inf, jnp.float32),
            "first": jnp.ones(batch, bool),
        }

    def __call__(self, carry, features):
        new = jnp.tanh(self.write(features)).reshape(*features.shape[:-1], 3, 3, 3)
        carry = {
            "matrix": 0.5 * carry["matrix"] + new,
            "steps": carry["steps"] + 1,
            "peak": jnp.maximum(carry["peak"], features.max(axis=-1)),
            "first": carry["first"] & (carry["steps"] > 6),
        }
        numbers = [jnp.float32(carry[name])[..., None] for name in ("steps", "peak", "first")]
        matrix = carry["matrix"].reshape(*features.shape[:-1], 27)
        return carry, self.read(jnp.concatenate([matrix, *numbers], axis=-1))


def test_a_carry_may_be_anything(monkeypatch):
    """Stepped, unrolled with resets in the middle, and tabulated, it is the same policy."""
    monkeypatch.setitem(CELLS, "odd", Odd)
    test_stepping_down_a_path_gives_the_tabulated_policy("kuhn_poker", "odd")
    test_rollout_training_pass_and_table_agree("leduc_poker", "odd")


def test_what_is_forgotten_is_the_cell_s_own_beginning(monkeypatch):
    monkeypatch.setitem(CELLS, "odd", Odd)
    policy = policy_for(games.load("kuhn_poker"), cell="odd")
    where = np.array([True, False, True])
    for shape in ((3,), (2, 3)):  # environments alone, or opponents before them
        start = policy.initial_carry(shape)
        used = jax.tree.map(jnp.zeros_like, start)
        for name, leaf in policy.forget(used, where).items():
            assert leaf.dtype == start[name].dtype and leaf.shape == start[name].shape
            for env, forgotten in enumerate(where):
                at = (slice(None),) * (len(shape) - 1) + (env,)
                np.testing.assert_array_equal(leaf[at], (start if forgotten else used)[name][at])


def test_illegal_actions_get_no_probability():
    legal = jnp.array([[True, False, True], [False, False, True]])
    pi = np.exp(log_probabilities(jnp.array([[0.0, 9.0, 0.0], [5.0, 5.0, -5.0]]), legal))
    np.testing.assert_allclose(pi, [[0.5, 0.0, 0.5], [0.0, 0.0, 1.0]], atol=1e-7)


def test_temperature_sharpens_the_same_preferences():
    tree = games.load("kuhn_poker")
    policy = policy_for(tree)
    params = policy.init_many(jax.random.split(jax.random.key(0), 2))
    tabulate = Tabulator(policy, tree)
    for warm, cold in zip(tabulate(params), tabulate(at_temperature(params, 0.1)), strict=True):
        odds, cold_odds = np.log(warm[1::2] / warm[2::2]), np.log(cold[1::2] / cold[2::2])
        np.testing.assert_allclose(cold_odds, 10 * odds, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("cells", [QUICK, pytest.param([*CELLS], marks=pytest.mark.slow)])
def test_many_networks_initialise(cells):
    """`vmap` over orthogonal initialisers deadlocks on CPU, which no in-process test survives."""
    program = (
        "import jax; from psro.policies.policy import Policy\n"
        "from games.spaces import Box, Discrete\n"
        "spaces = {'observation_space': Box((11,)), 'action_space': Discrete(3)}\n"
        f"for cell in {[*cells]}:\n"
        "    p = Policy(**spaces, hidden_size=64, cell=cell)\n"
        "    params = p.init_many(jax.random.split(jax.random.key(0), 64))\n"
        "    print(jax.tree.leaves(jax.block_until_ready(params))[0].shape[0])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.split() == ["64"] * len(cells), done.stderr


def test_fresh_networks_differ_and_are_near_uniform():
    tree = games.load("leduc_poker")
    policy = policy_for(tree, hidden_size=32)
    params = policy.init_many(jax.random.split(jax.random.key(0), 2))
    kernels = params["encoder"]["kernel"]
    assert not np.allclose(kernels[0], kernels[1])
    for player, behaviour in zip(tree.players, Tabulator(policy, tree)(params), strict=True):
        counts = np.diff(player.first_sequence)
        np.testing.assert_allclose(behaviour[1:] * np.repeat(counts, counts), 1.0, atol=0.1)


@pytest.mark.parametrize("cell", all_cells())
def test_a_condition_is_more_of_what_is_seen(cell):
    """A conditional policy acts, trains and is tabulated as its network does where the condition
    stands beside every observation."""
    tree, size = games.load("kuhn_poker"), 3
    settings = {"action_space": tree.action_space, "hidden_size": 8, "cell": cell}
    conditional = ConditionalPolicy(
        observation_space=tree.observation_space, condition_size=size, **settings
    )
    plain = Policy(observation_space=Box((tree.observation_size + size,)), **settings)
    network = jax.tree.map(lambda leaf: leaf[0], opinionated(plain, 5, 1))
    condition = jnp.array([0.5, -1.0, 2.0])
    temperature = network.pop("temperature")
    params = {"network": network, "condition": condition, "temperature": temperature}
    network = network | {"temperature": temperature}
    levels = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), tree_levels(tree))
    start = carry = conditional.initial_carry((3,))
    seen, before, rolled, widened = [], [], [], []
    for level in levels:
        whole = jnp.broadcast_to(condition, (len(level.observation), size))
        wide = jnp.concatenate([level.observation, whole], axis=1)
        widened.append(dataclasses.replace(level, observation=wide))
        each = level.observation[:3]
        ours = conditional(params, each, level.last_action[:3], carry)
        theirs = plain(network, wide[:3], level.last_action[:3], carry)
        jax.tree.map(np.testing.assert_array_equal, ours, theirs)
        carry = ours[2]
        seen.append(each), before.append(level.last_action[:3]), rolled.append(ours[:2])
    reset = jnp.zeros((len(levels), 3), bool)
    logits, values = conditional.unroll(params, jnp.stack(seen), jnp.stack(before), reset, start)
    np.testing.assert_allclose(logits, [each[0] for each in rolled], atol=1e-6)
    np.testing.assert_allclose(values, [each[1] for each in rolled], atol=1e-6)
    ours, theirs = conditional.tabulate(params, levels), plain.tabulate(network, widened)
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


def test_bad_networks_are_refused():
    with pytest.raises(ValueError, match="unknown dtype 'float8'; known: float32"):
        policy_for(games.load("kuhn_poker"), dtype="float8")
    with pytest.raises(ValueError, match="unknown cell 'rnn'; known: lstm, gru"):
        policy_for(games.load("kuhn_poker"), cell="rnn")
    with pytest.raises(ValueError, match="hidden_size = 0"):
        policy_for(games.load("kuhn_poker"), hidden_size=0)
