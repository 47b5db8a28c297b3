"""Other libraries' environments as games. Their tests run where the libraries are installed."""

import functools
import importlib.util
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pyspiel
import pytest

from games import GameError, hosted
from games.hosted import environment
from games.hosted.names import parsed
from games.hosted.states import EnvironmentStates
from games.hosted.words import action_name, in_words
from games.native import native_game
from games.readers.states import actions_of, states_of

# What these libraries do at import, and what of JAX they still use, is theirs.
pytestmark = pytest.mark.filterwarnings("ignore")

NAMES = [
    "pgx::tic_tac_toe",
    "pgx::kuhn_poker",
    "pgx::leduc_holdem",
    "pgx::connect_four",
    "pettingzoo::connect_four_v3",
    "pettingzoo::tictactoe",  # the newest version
    "pettingzoo::rps_v2(max_cycles=3)",  # agents that act at once, cut off
    "pettingzoo::texas_holdem_v4(num_players=3)",
    "jaxmarl::MPE_simple_push_v3(max_steps=4)",
    "jaxmarl::MPE_simple_adversary_v3(max_steps=3)",
    "jaxmarl::coin_game(cnn=False)",
]


@pytest.fixture(autouse=True)
def libraries_may_promote_ranks():
    with jax.numpy_rank_promotion("allow"):
        yield


PHANTOM = pyspiel.load_game("phantom_ttt")
NUM_ENVS, NUM_STEPS = 5, 45
game_of = functools.cache(environment)


def installed(name):
    library = name.partition("::")[0]
    needs = {"pettingzoo": ["gymnasium"], "pgx": ["pgx"], "jaxmarl": ["jaxmarl", "jaxtyping"]}
    needs = [library, *needs[library], *(["rlcard", "pygame"] if "holdem_v" in name else [])]
    missing = [module for module in needs if importlib.util.find_spec(module) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} is not installed")
    return game_of(name)


def keys(number, *, seed=0):
    return jax.random.split(jax.random.key(seed), number)


@functools.cache
def episodes(name):
    """Random play: `[T + 1, E]` states, what is observed in them, and `[T, E]` actions."""
    game = game_of(name)

    def step(states, key):
        choose, play = jax.random.split(key)
        action = jax.random.categorical(choose, jnp.where(states.legal, 0.0, -1e9))
        action = jnp.where(states.ended, -1, action)
        after = jax.vmap(game.step)(states, action, jax.random.split(play, NUM_ENVS))
        return after, (states, jax.vmap(game.observe)(states), action)

    @jax.jit
    def play(first, rest):
        states = jax.vmap(game.init)(first)
        last, played = jax.lax.scan(step, states, rest)
        return *played, last, jax.vmap(game.observe)(last)

    states, seen, actions, last, seen_last = play(keys(NUM_ENVS), keys(NUM_STEPS, seed=1))
    join = functools.partial(jax.tree.map, lambda all, one: np.concatenate([all, one[None]]))
    return join(states, last), join(seen, seen_last), np.asarray(actions)


@pytest.mark.parametrize("name", NAMES)
def test_an_environment_keeps_the_contract_of_games(name):
    game = installed(name)
    states, seen, actions = episodes(name)
    ended = states.ended
    assert seen.shape == (NUM_STEPS + 1, NUM_ENVS, *game.observation_space.shape)
    assert game.observation_space.size == game.observation_size
    assert seen.dtype == states.rewards.dtype == np.float32
    assert states.legal.shape[2:] == (game.num_actions,)
    assert states.rewards.shape[2:] == (game.num_players,)
    assert (states.legal.any(axis=-1) == ~ended).all()
    assert not (states.terminal & states.truncated).any()
    assert (np.diff(ended.astype(int), axis=0) >= 0).all()
    assert not states.player[ended].any() and not seen[ended].any()
    assert np.isin(states.player, range(game.num_players)).all()
    assert not states.rewards[0].any() and not states.rewards[1:][ended[:-1]].any()
    assert ended[-1].any() or game.max_length > NUM_STEPS
    assert (abs(states.rewards.sum(axis=0)) <= game.max_return + 1e-6).all()
    assert ((actions >= 0).sum(axis=0) <= game.max_length).all()


@pytest.mark.parametrize("name", NAMES)
def test_an_illegal_action_changes_nothing(name):
    game = installed(name)
    states, *_ = episodes(name)
    for place in (1, -1):
        state = jax.tree.map(lambda leaf, place=place: leaf[place, 0], states)
        after = jax.jit(game.step)(state, -1, jax.random.key(0))
        before = vars(state) | {"rewards": np.zeros(game.num_players)}
        jax.tree.map(np.testing.assert_array_equal, before, dict(vars(after)))


def test_seat_0_begins_in_pgx_and_kuhn_poker_is_kuhn_poker():
    """The return of random play, of seat 0: 1/8 (OpenSpiel's)."""
    game = installed("pgx::kuhn_poker")
    number = 4_000

    def step(states, key):
        choose, play = jax.random.split(key)
        action = jax.random.categorical(choose, jnp.where(states.legal, 0.0, -1e9))
        states = jax.vmap(game.step)(states, action, jax.random.split(play, number))
        return states, states.rewards

    states = jax.vmap(game.init)(keys(number))
    assert not states.player.any()
    _, rewards = jax.lax.scan(step, states, keys(3, seed=1))
    returns = np.asarray(rewards.sum(axis=0))
    assert (returns.sum(axis=1) == 0).all()
    error = returns[:, 0].std() / np.sqrt(number)
    assert abs(returns[:, 0].mean() - 1 / 8) < 4 * error


@pytest.mark.parametrize(
    "name, shape",
    [
        ("pgx::tic_tac_toe", (3, 3, 2)),
        ("pgx::kuhn_poker", (7,)),
        ("pettingzoo::connect_four_v3", (6, 7, 2)),
        ("jaxmarl::MPE_simple_tag_v3", None),
    ],
)
def test_boards_keep_their_shape_for_convolutions(name, shape):
    """Where agents see arrays of different shapes, they are vectors."""
    space = installed(name).observation_space
    assert space.shape == shape if shape else len(space.shape) == 1


@pytest.mark.parametrize("name", ["pgx::tic_tac_toe", "pettingzoo::tictactoe_v3"])
def test_three_in_a_row_win(name):
    game = installed(name)
    state, step = game.init(jax.random.key(5)), jax.jit(game.step)
    for action in (0, 3, 1, 4, 2):
        state = step(state, action, jax.random.key(action))
    assert state.terminal and np.asarray(state.rewards).tolist() == [1, -1]


def test_pettingzoo_s_play_is_repeated_from_a_history():
    name = "pettingzoo::texas_holdem_v4(num_players=3)"
    game = installed(name)
    states, _, actions = episodes(name)
    game.forget()
    state = jax.tree.map(lambda leaf: leaf[2], states)
    after = jax.jit(jax.vmap(game.step))(state, actions[2], keys(NUM_ENVS, seed=9))
    for field in ("player", "legal", "terminal", "truncated", "rewards", "observation"):
        np.testing.assert_array_equal(getattr(after, field), getattr(states, field)[3])


def test_a_time_limit_of_pettingzoo_truncates():
    installed("pettingzoo::rps_v2(max_cycles=3)")
    states, *_ = episodes("pettingzoo::rps_v2(max_cycles=3)")
    assert states.truncated[6:].all() and not states.terminal.any()
    assert not states.truncated[:6].any()
    assert not states.rewards[1:6:2].any() and states.rewards[2:7:2].any()


def test_agents_of_jaxmarl_do_not_see_what_was_chosen_at_once():
    name = "jaxmarl::MPE_simple_push_v3(max_steps=4)"
    game = installed(name)
    state, step = game.init(jax.random.key(0)), jax.jit(game.step)
    seen = [np.asarray(game.observe(step(state, action, jax.random.key(1)))) for action in (0, 1)]
    np.testing.assert_array_equal(*seen)


def test_a_horizon_cuts_off():
    name = "pgx::connect_four"
    installed(name)
    game = environment(name, horizon=2)
    state, step = game.init(jax.random.key(0)), jax.jit(game.step)
    for action in (0, 1):
        assert not state.ended
        state = step(state, action, jax.random.key(action))
    assert state.truncated and not state.terminal and not state.legal.any()


@pytest.mark.parametrize("library", sorted({*hosted.LIBRARIES} - {"popjaxrl"}))
def test_a_library_that_is_missing_is_named(library, monkeypatch):
    for module in list(sys.modules):
        if module.partition(".")[0] == library:
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, library, None)  # as if it were not installed
    with pytest.raises(GameError, match=rf"needs the package {library}, .*'psro\[{library}\]'"):
        environment(f"{library}::any")


@pytest.mark.parametrize(
    "name, words",
    [
        ("gym::CartPole", "unknown library 'gym'"),
        ("pgx::", "is no name like"),
        ("pgx::chess(5)", "is no parameter like key=value"),
    ],
)
def test_a_wrong_name_is_refused(name, words):
    with pytest.raises(GameError, match=words):
        environment(name)


@pytest.mark.parametrize(
    "name, words",
    [
        ("pgx::tic_tac_to", "did you mean tic_tac_toe"),
        ("pgx::2048", "1 player"),
        ("pgx::tic_tac_toe(size=4)", "no parameters"),
        ("pettingzoo::conect_four_v3", "did you mean connect_four_v3"),
        ("pettingzoo::connect_four_v3(size=4)", "size"),
        ("jaxmarl::coingame", "did you mean coin_game"),
        ("jaxmarl::MPE_simple_v3", "1 player"),
        ("jaxmarl::MPE_simple_facmac_v1", "no finite set"),
    ],
)
def test_what_a_library_cannot_play_is_refused(name, words):
    library = name.partition("::")[0]
    if any(importlib.util.find_spec(module) is None for module in (library, "gymnasium")):
        pytest.skip(f"{library} is not installed")
    with pytest.raises(GameError, match=words):
        environment(name)


def test_random_numbers_that_no_seed_determines_are_refused():
    installed("pettingzoo::rps_v2")
    from pettingzoo.classic import rps_v2

    from games.hosted.pettingzoo import AecSimulator

    class Dice(rps_v2.raw_env):
        def observe(self, agent):
            return np.random.randint(4)  # noqa: NPY002

    assert AecSimulator("rps_v2", rps_v2, {}, 9).num_players == 2
    with pytest.raises(GameError, match="random numbers that its seed does not determine"):
        AecSimulator("dice", types.SimpleNamespace(raw_env=Dice, __name__="dice_v0"), {}, 9)


def test_a_name_has_a_library_an_environment_and_parameters():
    assert parsed("pgx::go_9x9") == ("pgx", "go_9x9", {})
    assert parsed("a::b_v1(n=3, x=0.5,cnn=False,map=3m)") == (
        "a",
        "b_v1",
        {"n": 3, "x": 0.5, "cnn": False, "map": "3m"},
    )


def test_an_unknown_tensor_is_refused():
    with pytest.raises(GameError, match="no information_state tensor"):
        environment("pgx::tic_tac_toe", observation="information_state")
    with pytest.raises(GameError, match="horizon = 0"):
        environment("pgx::tic_tac_toe", horizon=0)


@pytest.mark.parametrize(
    "name", ["pgx::kuhn_poker", "pettingzoo::tictactoe", "pettingzoo::rps_v2(max_cycles=3)"]
)
def test_states_are_shown_in_words_and_remember_decisions(name):
    """What a person and a bot need: texts, names, and the way to each state."""
    installed(name)
    states = EnvironmentStates(game_of(name), name)
    first, again = states.new_state(7), states.new_state(7)
    while not first.is_terminal():
        player, action = first.current_player(), first.legal_actions()[0]
        assert again.observation_string(player) == first.observation_string(player) != ""
        assert first.action_to_string(player, action)
        *before, last = states.way(player).to(first)
        assert last.legal == tuple(first.legal_actions())
        assert last.last_action == (actions_of(first, player) or [-1])[-1]
        assert len(before) == len(actions_of(first, player))
        for state in (first, again):
            state.apply_action(action)
    assert first.returns() == again.returns() and str(first) == str(again)
    assert first.is_cut == ("rps" in name)
    with pytest.raises(GameError, match="no OpenSpiel policy"):
        _ = states.game


def test_states_of_any_game_are_played_move_by_move():
    """A native game stands for an environment, because OpenSpiel has its states too."""
    states = states_of(native_game("phantom_ttt"), "own::phantom_ttt", None)
    first, again, theirs = states.new_state(7), states.new_state(7), PHANTOM.new_initial_state()
    rng = np.random.default_rng(0)
    while not first.is_terminal():
        player = first.current_player()
        assert (player, first.legal_actions()) == (theirs.current_player(), theirs.legal_actions())
        *before, last = states.way(player).to(first)
        np.testing.assert_array_equal(last.observation, theirs.information_state_tensor())
        assert last.legal == tuple(theirs.legal_actions())
        assert last.last_action == (actions_of(first, player) or [-1])[-1]
        assert states.way(1 - player).before(first) == first.decisions(1 - player)
        assert len(states.way(player).before(first)) == len(before)
        with pytest.raises(KeyError, match="does not move"):
            states.way(1 - player).to(first)
        with pytest.raises(GameError, match="not legal"):
            first.apply_action(9)
        action = int(rng.choice(first.legal_actions()))
        for state in (first, again, theirs):
            state.apply_action(action)
    assert first.returns() == again.returns() == theirs.returns()
    assert first.history() == theirs.history() and not first.is_chance_node()
    assert str(first) == str(again) and str(first).count("player") == len(first.full_history())
    assert first.observation_string(0) == again.observation_string(0) != "nothing yet"
    assert first.current_player() == theirs.current_player() and not first.is_cut
    with pytest.raises(GameError, match="no OpenSpiel policy"):
        _ = states.game


def test_observations_in_words():
    board = np.zeros((2, 2, 3))
    board[0, 1, 0] = board[1, 0, 1] = 1
    board[..., 2] = 1
    assert in_words(board) == ". 0\n1 .\nplanes of ones: 2"
    assert in_words(np.zeros((2, 2, 2))) == ". .\n. ."
    assert in_words(np.zeros(3)) == "nothing but zeros"
    assert in_words(np.array([0, 1, 0, 1.0])) == "ones at 1, 3, of 4 numbers"
    assert in_words(np.array([0, 0.5])) == "not zero: 1: 0.5; of 2 numbers"
    assert action_name("pettingzoo::rps_v2(max_cycles=3)", 1) == "Paper"
    assert action_name("pgx::go_9x9", 5) == "action 5"
