"""Games stepped on the host: what OpenSpiel says, at any place of any batch."""

import functools
import threading
import types

import jax
import jax.numpy as jnp
import numpy as np
import open_spiel.python.games  # noqa: F401  registers OpenSpiel's Python games
import pyspiel
import pytest

from games import GameError
from games.hosted.callback import raised_on_the_host
from games.hosted.chance import all_mixed, mixed
from games.hosted.openspiel import hosted_game
from games.random_play import largest_return
from games.readers.states import States, Way

GAMES = [
    "phantom_ttt",
    "leduc_poker(players=3)",
    "liars_dice(numdice=2)",
    "goofspiel(imp_info=True,num_cards=5)",  # simultaneous
    "coop_box_pushing(horizon=6)",  # paid at every step
    "oh_hell",  # three players
    "hearts",
    "gin_rummy",
    "dark_chess(board_size=4)",
    "phantom_go(board_size=5)",
    "tiny_bridge_4p",
    "backgammon",
    "universal_poker",
    "negotiation",  # hidden chance
    "python_kuhn_poker",
    "python_block_dominoes",
]
NUM_ENVS, NUM_STEPS = 6, 40
hosted = functools.cache(hosted_game)


@functools.cache
def player(game):
    """Random play from states, as one program: `[T + 1, E]` states and `[T, E]` actions."""

    def step(states, key):
        choose, play = jax.random.split(key)
        action = jax.random.categorical(choose, jnp.where(states.legal, 0.0, -1e9))
        action = jnp.where(states.ended, -1, action)
        keys = jax.random.split(play, len(action))
        return jax.vmap(game.step)(states, action, keys), (states, action)

    @jax.jit
    def play(states, keys):
        last, (states, actions) = jax.lax.scan(step, states, keys)
        return jax.tree.map(
            lambda all, one: jnp.concatenate([all, one[None]]), states, last
        ), actions

    return play


def keys(number, *, seed=0):
    return jax.random.split(jax.random.key(seed), number)


@functools.cache
def beginning(game):
    return jax.jit(jax.vmap(game.init))


@functools.cache
def episodes(name):
    game = hosted(name)
    states, actions = player(game)(beginning(game)(keys(NUM_ENVS)), keys(NUM_STEPS, seed=1))
    return jax.tree.map(np.asarray, states), np.asarray(actions)


def at(states, *place):
    return jax.tree.map(lambda leaf: leaf[place], states)


def openspiel(name):
    game = pyspiel.load_game(name)
    simultaneous = game.get_type().dynamics == pyspiel.GameType.Dynamics.SIMULTANEOUS
    return pyspiel.convert_to_turn_based(game) if simultaneous else game


def assert_same(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


@pytest.mark.parametrize("name", GAMES)
def test_random_play_is_openspiel_s(name):
    """Player, legal actions, tensor and rewards after every decision; chance from the history."""
    states, actions = episodes(name)
    game = openspiel(name)
    hides_chance = "rng_seed" in game.get_parameters()
    provides = game.get_type().provides_information_state_tensor
    tensor = "information_state_tensor" if provides else "observation_tensor"
    for env in range(NUM_ENVS):
        history = hosted(name).episode(at(states, -1, env)).state.history()
        state = game.new_initial_state()
        if hides_chance:  # a history does not tell what it drew
            state = hosted(name).episode(at(states, 0, env)).state
            history = history[len(state.history()) :]
        decisions = np.flatnonzero(actions[:, env] >= 0)
        for action in history:
            if not state.is_chance_node():
                place, decisions = decisions[0], decisions[1:]
                now = at(states, place, env)
                assert (now.player, actions[place, env]) == (state.current_player(), action)
                assert np.flatnonzero(now.legal).tolist() == state.legal_actions()
                wanted = getattr(state, tensor)(state.current_player())
                assert now.observation.tolist() == np.float32(wanted).tolist()
                assert not now.ended
            state.apply_action(action)
        assert len(decisions) == 0
        last = at(states, -1, env)
        assert last.terminal == state.is_terminal() and not last.truncated
        if state.is_terminal():
            assert states.rewards[:, env].sum(axis=0) == pytest.approx(state.returns())
            assert not last.legal.any() and not last.observation.any() and last.player == 0


@pytest.mark.parametrize(
    ("name", "horizon", "total"),
    [("kuhn_poker(players=3)", 99, 0.0), ("kuhn_poker", 1, 0.0), ("hearts", 99, None)],
)
def test_the_sum_of_returns_is_known_where_it_is_always_the_same(name, horizon, total):
    assert hosted_game(name, horizon=horizon).utility_sum == total


def test_rewards_are_paid_at_steps():
    states, actions = episodes("coop_box_pushing(horizon=6)")
    decisions = (actions >= 0).sum(axis=0)
    assert (decisions == 12).all()
    assert (states.rewards[2:12:2] != 0).any()
    assert not states.rewards[1:13:2].any()  # the first of two players has chosen


@pytest.mark.parametrize("name", ["leduc_poker(players=3)", "hearts", "negotiation", "backgammon"])
def test_a_step_is_a_function_of_its_arguments(name):
    """In any order and batch; a second time; after the host has forgotten all; by another host; and
    with the same deal for all."""
    game = hosted(name)
    states, actions = episodes(name)
    rows = [(t, e) for t in (0, 3, 11) for e in range(NUM_ENVS)]
    batch = jax.tree.map(lambda leaf: np.stack([leaf[row] for row in rows]), states)
    moves, play_keys = np.stack([actions[row] for row in rows]), keys(len(rows), seed=2)
    step = jax.jit(jax.vmap(game.step))
    wanted = step(batch, moves, play_keys)
    assert_same(step(batch, moves, play_keys), wanted)
    order = np.random.default_rng(0).permutation(len(rows))
    game.forget()
    assert_same(step(at(batch, order), moves[order], play_keys[order]), at(wanted, order))
    first = at(batch, 4)
    assert_same(game.step(first, moves[4], play_keys[4]), at(wanted, 4))  # outside of a program
    other = hosted_game(name)
    assert_same(jax.vmap(jax.jit(other.step))(batch, moves, play_keys), wanted)
    alike = jax.tree.map(lambda leaf: np.stack([leaf] * 3), first)
    apart = step(alike, np.repeat(moves[4], 3), play_keys[jnp.array([4, 4, 5])])
    assert_same(at(apart, 0), at(wanted, 4))
    assert_same(at(apart, 1), at(wanted, 4))


def test_play_goes_on_elsewhere_bit_for_bit():
    name = "universal_poker"
    states, _ = episodes(name)
    other = hosted_game(name)
    rest, _ = player(other)(at(states, 7), keys(NUM_STEPS, seed=1)[7:])
    assert_same(rest, at(states, slice(7, None)))


def test_nested_maps_and_shared_arguments():
    """A vmap over games of a vmap over keys; and one action for all."""
    game = hosted("leduc_poker(players=3)")
    nested = jax.jit(jax.vmap(jax.vmap(game.init)))(keys(6).reshape(2, 3))
    flat = beginning(game)(keys(6))
    assert_same(jax.tree.map(lambda leaf: leaf.reshape(6, *leaf.shape[2:]), nested), flat)
    step = jax.jit(jax.vmap(jax.vmap(game.step, (0, None, None)), (0, None, None)))
    after = step(nested, 1, jax.random.key(3))
    wanted = jax.jit(jax.vmap(game.step, (0, None, None)))(flat, 1, jax.random.key(3))
    assert_same(jax.tree.map(lambda leaf: leaf.reshape(6, *leaf.shape[2:]), after), wanted)


def test_only_episodes_that_end_are_renewed():
    game = hosted("leduc_poker(players=3)")
    states, _ = episodes("leduc_poker(players=3)")
    middle, where = at(states, 5), np.arange(NUM_ENVS) % 2 == 0
    renewed = jax.jit(jax.vmap(game.renew))(middle, where, keys(NUM_ENVS, seed=4))
    fresh = beginning(game)(keys(NUM_ENVS, seed=4))
    for env in range(NUM_ENVS):
        wanted = dict(vars(at(fresh if where[env] else middle, env)), history=None)
        assert_same(dict(vars(at(renewed, env)), history=None), wanted)


def test_what_is_illegal_changes_nothing():
    game = hosted("coop_box_pushing(horizon=6)")
    states, _ = episodes("coop_box_pushing(horizon=6)")
    for place in (0, 4, -1):  # the last has ended
        for action in (-1, game.num_actions) if place != -1 else (0, -1):
            state = at(states, place, 0)
            after = jax.jit(game.step)(state, action, jax.random.key(0))
            assert_same(dict(vars(after)), vars(state) | {"rewards": np.zeros(2, np.float32)})


def test_the_horizon_cuts_an_episode_off():
    game = hosted_game("phantom_ttt", horizon=4)
    assert game.max_length == 4
    states, actions = player(game)(beginning(game)(keys(3)), keys(6))
    assert (np.asarray(actions >= 0).sum(axis=0) == 4).all()
    assert states.truncated[4:].all() and not states.truncated[:4].any()
    assert not states.terminal.any() and not states.rewards.any()
    last = at(states, 4)
    assert not last.legal.any() and not last.observation.any() and not last.player.any()


def test_two_threads_play_at_once():
    """One game, several programs and batch sizes."""
    game = hosted("phantom_ttt")
    wanted = {size: player(game)(beginning(game)(keys(size)), keys(NUM_STEPS)) for size in (5, 40)}
    failures = []

    def work(size):
        for _ in range(5):
            played = player(game)(beginning(game)(keys(size)), keys(NUM_STEPS))
            try:
                assert_same(played, wanted[size])
            except AssertionError as error:
                failures.append(error)

    threads = [threading.Thread(target=work, args=(size,)) for size in (5, 40, 40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert not failures and not any(thread.is_alive() for thread in threads)


def test_deals_are_as_likely_as_the_rules_say():
    """Kuhn poker's six deals, within four standard errors."""
    game = hosted("kuhn_poker")
    cards = [
        tuple(game.episode(at(states, env)).state.history())
        for states in [jax.tree.map(np.asarray, beginning(game)(keys(1_200)))]
        for env in range(1_200)
    ]
    counts = np.unique(cards, axis=0, return_counts=True)[1]
    assert len(counts) == 6
    assert (abs(counts - 200) < 4 * np.sqrt(1_200 * (1 / 6) * (5 / 6))).all()


def test_random_play_shows_the_largest_return():
    assert largest_return(hosted("kuhn_poker")) == 2
    assert largest_return(hosted_game("phantom_ttt", horizon=1)) == 1  # nothing is paid


def test_the_observation_is_chosen():
    assert hosted_game("kuhn_poker").observation_size == 11
    assert hosted_game("kuhn_poker", observation="observation").observation_size == 7


def test_digests_are_computed_the_same_for_one_and_for_many():
    words = np.array([0, 1, 2**32 - 1], np.uint32)
    one_by_one = np.array([5], np.uint64)
    for word, digest in zip(words, all_mixed(5, words), strict=True):
        one_by_one = mixed(one_by_one, word[None])
        assert one_by_one.tolist() == [digest]


def test_the_host_forgets_the_oldest():
    game = hosted_game("phantom_ttt")
    for seed in range(12):
        beginning(game)(keys(2, seed=seed))
    assert len(game._host._episodes) <= 4 * 2 + 2


@pytest.mark.parametrize(
    "name, words",
    [
        ("tarok", "no tensor"),
        ("catch", "1 player"),
        ("mfg_crowd_modelling", "mean-field"),
        ("kuhn_pokr", "did you mean kuhn_poker"),
        ("kuhn_poker(colour=red)", "Unknown parameter 'colour'"),
        ("hanabi(colors=7)", "cannot be played"),  # OpenSpiel aborts
        ("chat_game", "has 2 actions, numbered from 0, and has an action"),
    ],
)
def test_what_cannot_be_played_is_refused(name, words):
    with pytest.raises(GameError, match=words):
        hosted_game(name)


def test_a_horizon_of_nothing_is_refused():
    with pytest.raises(GameError, match="horizon = 0"):
        hosted_game("phantom_ttt", horizon=0)
    with pytest.raises(GameError, match="unknown observation 'eyes'"):
        hosted_game("phantom_ttt", observation="eyes")


@pytest.mark.parametrize(
    "raised, kind, words",
    [
        (pyspiel.SpielError("no such\n card"), GameError, "'kuhn_poker' failed .*: no such card$"),
        (KeyboardInterrupt(), KeyboardInterrupt, ""),
        (SystemExit(3), type(None), ""),
    ],
)
def test_what_is_raised_on_the_host_is_told(monkeypatch, raised, kind, words):
    game = hosted_game("kuhn_poker")

    def begin(digest):
        raise raised

    monkeypatch.setattr(
        game._host,
        "_simulator",
        types.SimpleNamespace(begin=begin, name=game.name, observation_size=11, num_actions=2),
    )
    with pytest.raises(jax.errors.JaxRuntimeError) as caught:
        jax.block_until_ready(game.init(jax.random.key(0)))
    original = raised_on_the_host(caught.value)
    assert isinstance(original, kind)
    if words:
        with pytest.raises(GameError, match=words):
            raise original


def test_the_way_to_a_state_is_asked_for_on_the_players_turn():
    way = Way(States("kuhn_poker"), 1)
    with pytest.raises(KeyError, match="player 1 does not move"):
        way.to(pyspiel.load_game("kuhn_poker").new_initial_state())


def test_a_game_that_hides_its_chance_cannot_be_replayed():
    states = States("negotiation")
    state = states.new_state(1)
    while state.move_number() < 4:
        state.apply_action(state.legal_actions()[0])
    with pytest.raises(GameError, match="hides its chance"):
        Way(states, state.current_player()).to(state)
