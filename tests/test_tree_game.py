"""A `GameTree` as a jittable `Game`: the protocol's promises, and chance against the tree."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from probes import NativeKuhn, Probe

import games
from games.tree_game import TreeGame, _alias_table
from psro import exact

LOPSIDED = f"efg_game(filename={Path(__file__).parent / 'lopsided.efg'})"  # chance not uniform
NAMES = [
    "kuhn_poker",
    "kuhn_poker(players=3)",
    "leduc_poker",
    "goofspiel(imp_info=True,num_cards=3,points_order=descending)",
    "matrix_rps",
    "tiny_hanabi",
    "pig(horizon=3)",  # the second player may never move
    LOPSIDED,
]
NUM_EPISODES = 20_000

load = cache(games.load)


@cache
def random_play(name: str):
    """Uniformly random episodes, two steps longer than any can be.

    Returns states `[B, T, ...]`, observations `[B, T, O]` and actions `[B, T - 1]`.
    """
    game = TreeGame(load(name))

    def step(state, key):
        action_key, step_key = jax.random.split(key)
        action = jax.random.categorical(action_key, jnp.where(state.legal, 0.0, -1e9))
        after = game.step(state, action, step_key)
        return after, (after, game.observe(after), action)

    @jax.jit
    @jax.vmap
    def episode(key):
        first = game.init(jax.random.fold_in(key, 0))
        keys = jax.random.split(jax.random.fold_in(key, 1), game.max_length + 2)
        _, (rest, observations, actions) = jax.lax.scan(step, first, keys)
        states = jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), first, rest)
        seen = jnp.concatenate([game.observe(first)[None], observations])
        return states, seen, actions

    return jax.tree.map(np.asarray, episode(jax.random.split(jax.random.key(0), NUM_EPISODES)))


@pytest.mark.parametrize("name", NAMES)
def test_random_play_keeps_the_protocol(name):
    tree = load(name)
    states, observations, actions = random_play(name)
    terminal = states.terminal  # [B, T]
    assert states.player.dtype == np.int32 and states.rewards.dtype == np.float32
    assert states.legal.dtype == terminal.dtype == bool and observations.dtype == np.float32

    # it ends within max_length, stays ended, and takes max_length at times
    assert terminal[:, tree.max_length].all()
    assert not terminal[:, tree.max_length - 1].all()
    assert not (terminal[:, :-1] & ~terminal[:, 1:]).any()

    # decisions: the tree's player, legal actions and observation; nothing is paid yet
    node = states.node[~terminal]
    assert (node < tree.num_decisions).all()
    player, info_state = tree.decision_player[node], tree.decision_info_state[node]
    np.testing.assert_array_equal(states.player[~terminal], player)
    for seat, mine in enumerate(tree.players):
        here = player == seat
        rows = info_state[here]
        np.testing.assert_array_equal(states.legal[~terminal][here], mine.legal[rows])
        np.testing.assert_array_equal(observations[~terminal][here], mine.observation[rows])
    assert (states.rewards[~terminal] == 0).all()

    # terminals: the tree's returns, once; nothing to play, nothing to see
    ended = states.node[:, -1] - tree.num_decisions
    np.testing.assert_array_equal(
        states.rewards.sum(axis=1), tree.terminal_returns[ended].astype(np.float32)
    )
    assert not states.truncated.any()
    assert not states.legal[terminal].any()
    assert (states.player[terminal] == 0).all()
    assert (observations[terminal] == 0).all()
    assert np.abs(states.rewards).max() <= tree.max_return

    # each step goes to an outcome of the slot that was played
    before, after = states.node[:, :-1][~terminal[:, :-1]], states.node[:, 1:][~terminal[:, :-1]]
    played = actions[~terminal[:, :-1]]
    legal = states.legal[:, :-1][~terminal[:, :-1]]
    rank = (np.cumsum(legal, axis=1) - 1)[np.arange(len(played)), played]
    slot_of = np.empty(tree.num_decisions + tree.num_terminals, np.int64)
    slot_of[tree.outcome_node] = np.repeat(
        np.arange(len(tree.first_outcome) - 1), np.diff(tree.first_outcome)
    )
    np.testing.assert_array_equal(slot_of[after], tree.first_slot[before] + rank)
    assert (slot_of[states.node[:, 0]] == 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_shapes_are_those_the_game_announces(name):
    tree, game = load(name), TreeGame(load(name))
    state = jax.eval_shape(game.init, jax.random.key(0))
    assert (game.num_players, game.num_actions) == (tree.num_players, tree.num_actions)
    assert (game.max_length, game.max_return) == (tree.max_length, tree.max_return)
    assert state.player.shape == state.terminal.shape == ()
    assert state.legal.shape == (game.num_actions,)
    assert state.rewards.shape == (game.num_players,)
    assert jax.eval_shape(game.observe, state).shape == (game.observation_size,)
    after = jax.eval_shape(game.step, state, jnp.int32(0), jax.random.key(0))
    assert jax.tree.map(jnp.shape, after) == jax.tree.map(jnp.shape, state)  # fits a scan
    assert jax.tree.map(lambda x: x.dtype, after) == jax.tree.map(lambda x: x.dtype, state)


@pytest.mark.parametrize("name", NAMES)
def test_actions_that_cannot_be_played_change_nothing(name):
    """Illegal actions, numbers that are no action, and any action after the end."""
    game = TreeGame(load(name))
    states = jax.tree.map(lambda x: x[:64].reshape(-1, *x.shape[2:]), random_play(name)[0])
    tried = jnp.arange(-2, game.num_actions + 2)
    step = jax.jit(jax.vmap(jax.vmap(game.step, (None, 0, None)), (0, None, None)))
    after = step(states, tried, jax.random.key(1))  # [states, tried]
    known = (tried >= 0) & (tried < game.num_actions)
    legal = np.where(known, states.legal[:, np.clip(tried, 0, game.num_actions - 1)], False)
    assert (~legal).any() and legal.any()
    for field in ("player", "legal", "terminal", "rewards", "node", "info_state"):
        was, now = getattr(states, field), np.asarray(getattr(after, field))
        was = np.broadcast_to(was[:, None] * (field != "rewards"), now.shape)
        np.testing.assert_array_equal(now[~legal], was[~legal])
    assert (
        np.asarray(after.node)[legal] != np.broadcast_to(states.node[:, None], legal.shape)[legal]
    ).all()


@pytest.mark.parametrize("name", NAMES)
def test_chance_at_the_start_has_the_tree_s_frequencies(name):
    tree = load(name)
    drawn = random_play(name)[0].node[:, 0]
    outcomes = slice(tree.first_outcome[0], tree.first_outcome[1])
    node, probability = tree.outcome_node[outcomes], tree.outcome_probability[outcomes]
    frequency = np.bincount(drawn, minlength=tree.num_decisions + tree.num_terminals)
    frequency = frequency[node] / NUM_EPISODES
    assert frequency.sum() == pytest.approx(1)
    standard_error = np.sqrt(probability * (1 - probability) / NUM_EPISODES)
    assert (np.abs(frequency - probability) <= 4 * standard_error + 1e-9).all()


@pytest.mark.parametrize("name", NAMES)
def test_random_play_reaches_terminals_as_the_sequence_form_says(name):
    """Returns of every player and the frequent terminals, within 4 standard errors."""
    tree = load(name)
    states, _, _ = random_play(name)
    plans = [exact.realization_plan(p, exact.uniform_behaviour(p)) for p in tree.players]
    returns = states.rewards.sum(axis=1).astype(np.float64)  # [B, P]
    standard_error = returns.std(axis=0) / np.sqrt(NUM_EPISODES)
    error = np.abs(returns.mean(axis=0) - exact.returns(tree, plans))
    assert (error <= 4 * standard_error + 1e-9).all()

    reach = tree.chance.copy()
    for seat, plan in enumerate(plans):
        reach *= plan[tree.sequence[:, seat]]
    ended = states.node[:, -1] - tree.num_decisions
    frequency = np.bincount(ended, minlength=tree.num_terminals) / NUM_EPISODES
    standard_error = np.sqrt(reach * (1 - reach) / NUM_EPISODES)
    often = reach * NUM_EPISODES > 10  # fewer are not normal
    assert (np.abs(frequency - reach)[often] <= 5 * standard_error[often] + 1e-9).all()


def test_same_key_same_episode():
    game = TreeGame(load("leduc_poker"))
    first, again, other = (game.init(jax.random.key(seed)) for seed in (3, 3, 4))
    assert int(first.node) == int(again.node) != int(other.node)


@pytest.mark.parametrize("concentration", [0.01, 0.3, 1.0, 1e12])
@pytest.mark.parametrize("seed", range(3))
def test_alias_table_holds_exactly_the_probabilities(concentration, seed):
    """Slots of 1 to 40 outcomes, from almost certain to almost uniform."""
    generator = np.random.default_rng(seed)
    count = np.concatenate([[1, 2], generator.integers(1, 41, size=30)])
    start = np.cumsum(count) - count
    probability = np.concatenate([generator.dirichlet(np.full(n, concentration)) for n in count])
    threshold, alias = _alias_table(probability, start, count)
    slot = np.repeat(np.arange(len(count)), count)
    assert (slot[alias] == slot).all()  # never an outcome of another slot
    assert ((threshold >= 0) & (threshold <= 1)).all()
    held = threshold / count[slot] + np.bincount(
        alias, weights=(1 - threshold) / count[slot], minlength=len(alias)
    )
    np.testing.assert_allclose(held, probability, atol=1e-6)


def test_the_lopsided_game_exercises_the_alias_table():
    """Otherwise every tree here would take the uniform short cut."""
    tree = load(LOPSIDED)
    start, count = tree.first_outcome[:-1], np.diff(tree.first_outcome)
    assert (_alias_table(tree.outcome_probability, start, count)[0] < 1).any()
    assert not TreeGame(tree).constants.uniform_chance
    assert TreeGame(load("leduc_poker")).constants.uniform_chance


def test_a_native_game_plays_by_the_constants_it_is_given():
    """Kuhn poker dealt one deal after another, all play alike: what its tree says of each deal."""
    game = NativeKuhn()

    @jax.jit
    def total(constants):
        playing = game.with_constants(constants)

        def below(state, probability, depth):
            paid = jnp.where(state.terminal, probability, 0.0) * state.rewards
            if depth == 0:
                return paid
            share = jnp.where(state.terminal, 0.0, probability / 2)
            after = [playing.step(state, action, jax.random.key(0)) for action in range(2)]
            return paid + sum(below(each, share, depth - 1) for each in after)

        return below(playing.init(jax.random.key(0)), 1.0, game.max_length)

    deals = game.constants["deals"]
    uniform = [
        exact.realization_plan(player, exact.uniform_behaviour(player))
        for player in game.tree.players
    ]
    played = np.mean([total({"deals": deal[None]}) for deal in deals], axis=0)
    np.testing.assert_allclose(played, exact.returns(game.tree, uniform), atol=1e-6)


def test_a_game_without_large_arrays_has_nothing_to_pass():
    game = Probe("memory")
    assert not jax.tree.leaves(game.constants) and game.with_constants(game.constants) is game
