"""Every native game beside OpenSpiel's, at every state of random histories."""

from __future__ import annotations

import dataclasses
from collections import defaultdict

import jax
import jax.numpy as jnp
import numpy as np
import pyspiel
import pytest

from games import OBSERVATIONS, GameError
from games.native import NATIVE, native_game
from games.readers.openspiel import load_openspiel

NAMES = {
    "battleship": [
        "battleship(board_width=3,board_height=4,ship_sizes=[1;2;3],ship_values=[1.0;0.5;2.0],"
        "num_shots=9,allow_repeated_shots=False,loss_multiplier=2.0)",
    ],
    "dark_hex": [
        "dark_hex(num_rows=2,num_cols=4,gameversion=adh)",
        "dark_hex(board_size=4,obstype=reveal-numturns)",
    ],
    "goofspiel": [
        "goofspiel(imp_info=True,num_cards=4,points_order=descending)",
        "goofspiel(players=3,num_cards=5,num_turns=3,returns_type=point_difference)",
    ],
    "kuhn_poker": ["kuhn_poker", "kuhn_poker(players=3)"],
    "leduc_poker": [
        "leduc_poker(starting_player=1)",
        "leduc_poker(players=3,action_mapping=True,suit_isomorphism=True)",
    ],
    "liars_dice": ["liars_dice", "liars_dice(numdice=2,bidding_rule=reset-quantity)"],
    "oshi_zumo": ["oshi_zumo(coins=10,size=1,horizon=12,min_bid=1)"],
    "phantom_ttt": [
        "phantom_ttt",
        "phantom_ttt(gameversion=abrupt,obstype=reveal-numturns)",
    ],
}
"""Of every native game, the parameters with which it is played."""
MORE_NAMES = {
    "battleship": [
        "battleship",
        "battleship(board_width=2,board_height=2,ship_sizes=[2;2],ship_values=[1;1],num_shots=3)",
        "battleship(board_width=6,board_height=6,ship_sizes=[2;3;3;4],ship_values=[1;1;1;1])",
        "battleship(board_width=7,board_height=5,ship_sizes=[3;2],ship_values=[1.0;0.5],"
        "num_shots=25,loss_multiplier=-1.0)",
    ],
    "dark_hex": [
        "dark_hex",
        "dark_hex(gameversion=adh,obstype=reveal-numturns)",
        "dark_hex(board_size=4)",
        "dark_hex(num_rows=5,num_cols=3)",
    ],
    "goofspiel": [
        "goofspiel",
        "goofspiel(num_cards=1)",
        "goofspiel(num_cards=40,num_turns=3)",
        "goofspiel(imp_info=True,num_cards=8,egocentric=True)",
        "goofspiel(imp_info=True,num_cards=6,points_order=ascending,returns_type=total_points)",
        "goofspiel(imp_info=True,players=4,num_cards=5,egocentric=True)",
        "goofspiel(players=10,num_cards=3,num_turns=1,points_order=descending)",
    ],
    "kuhn_poker": ["kuhn_poker(players=4)", "kuhn_poker(players=10)"],
    "leduc_poker": [
        "leduc_poker",
        "leduc_poker(players=3)",
        "leduc_poker(players=10,starting_player=4)",
        "leduc_poker(action_mapping=True)",
        "leduc_poker(suit_isomorphism=True)",
    ],
    "liars_dice": [
        "liars_dice(numdice=5)",
        "liars_dice(numdice=3,dice_sides=4,bidding_rule=reset-quantity)",
        "liars_dice(dice_sides=1)",
        "liars_dice(numdice=1,dice_sides=20)",
    ],
    "oshi_zumo": [
        "oshi_zumo(horizon=100)",
        "oshi_zumo(coins=20,size=2,min_bid=3,alesia=True)",
        "oshi_zumo(coins=7,size=0,horizon=10)",
        "oshi_zumo(coins=12,horizon=5,alesia=True)",
    ],
    "phantom_ttt": [
        "phantom_ttt(obstype=reveal-numturns)",
        "phantom_ttt(gameversion=abrupt)",
    ],
}
"""Parameters that only the slow tests try."""
LARGE = ["dark_hex(num_rows=11,num_cols=12)", "oshi_zumo"]
"""Games of which 10,000 histories, with OpenSpiel's tensors or up to the last move, take hours."""
REFUSED = {
    "battleship": [
        "battleship(board_width=7,board_height=7)",
        "battleship(board_width=3,board_height=1,ship_sizes=[1;2],ship_values=[1;1],num_shots=1)",
    ],
    "dark_hex": ["dark_hex(num_rows=1)", "dark_hex(gameversion=sudden)"],
    "goofspiel": ["goofspiel(num_cards=4,num_turns=3)", "goofspiel(num_cards=0)"],
    "kuhn_poker": ["kuhn_poker(players=1)"],
    "leduc_poker": ["leduc_poker(starting_player=2)"],
    "liars_dice": ["liars_dice(numdice=0)", "liars_dice(players=3)"],
    "oshi_zumo": ["oshi_zumo(coins=0)", "oshi_zumo(horizon=0)", "oshi_zumo(size=-1)"],
    "phantom_ttt": ["phantom_ttt(gameversion=sudden)"],
}
"""Parameters for which a native game, or OpenSpiel, raises `GameError`."""

FEWER_MOVES = {"goofspiel", "oshi_zumo"}
"""Games whose longest episode is shorter than OpenSpiel says, at least with some parameters."""

ALL_NAMES = [name for names in (NAMES, MORE_NAMES) for some in names.values() for name in some]
LARGEST_BATCH = 2**26
"""Bytes of observations that are kept at once."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Step:
    """What a history shows before its action, each `[T, B, ...]`."""

    player: jax.Array
    legal: jax.Array
    terminal: jax.Array
    truncated: jax.Array
    rewards: jax.Array
    chance: jax.Array
    observation: dict[str, jax.Array]
    action: jax.Array
    refuses: jax.Array
    """Whether an action that is not legal leaves the state as it is, without rewards."""


def tensors(game: pyspiel.Game) -> list[str]:
    """Which of the two tensors OpenSpiel's game has."""
    kind = game.get_type()
    return [name for name in OBSERVATIONS if getattr(kind, f"provides_{name}_tensor")]


def history(games, key) -> Step:
    """One history of random moves, and as many steps past its end as the longest has decisions.

    `games` are one game with each of its observations, played with the same keys and actions.
    """
    which, first = next(iter(games.items()))
    start_key, *keys = jax.random.split(key, first.max_length + 2)

    def step(states, key):
        state = states[which]
        action_key, any_key, key = jax.random.split(key, 3)
        chances = jnp.where(state.legal, jax.random.uniform(action_key, state.legal.shape), -1.0)
        action = jnp.argmax(chances).astype(jnp.int32)
        any_action = jax.random.randint(any_key, (), -1, first.num_actions + 1)
        is_legal = (state.legal & (jnp.arange(first.num_actions) == any_action)).any()
        refused = first.step(state, any_action, key)
        silent = dataclasses.replace(state, rewards=jnp.zeros(first.num_players))
        unchanged = jnp.array(jax.tree.leaves(jax.tree.map(jnp.array_equal, refused, silent))).all()
        shown = Step(
            player=state.player,
            legal=state.legal,
            terminal=state.terminal,
            truncated=state.truncated,
            rewards=state.rewards,
            chance=first.chance(state),
            observation={name: game.observe(states[name]) for name, game in games.items()},
            action=action,
            refuses=unchanged | is_legal,
        )
        following = {name: game.step(states[name], action, key) for name, game in games.items()}
        return following, shown

    start = {name: game.init(start_key) for name, game in games.items()}
    return jax.lax.scan(step, start, jnp.stack(keys))[1]


def batches(games, number: int):
    """At least `number` histories, some at a time, `[B, T, ...]` in NumPy."""
    first = next(iter(games.values()))
    entries = sum(game.observation_size for game in games.values())
    size = min(number, max(1, LARGEST_BATCH // (4 * entries * (first.max_length + 1))))
    play = jax.jit(jax.vmap(lambda key: history(games, key)))
    for start in range(0, number, size):
        keys = jax.random.split(jax.random.fold_in(jax.random.key(7), start), size)
        yield jax.tree.map(np.asarray, play(keys))


class Tally:
    """How often chance chose each outcome, beside how often it should have."""

    def __init__(self):
        self.excess, self.variance = defaultdict(float), defaultdict(float)

    def add(self, place: int, outcome: int, outcomes: list[tuple[int, float]]) -> None:
        for other, probability in outcomes:
            self.excess[place, other] += (other == outcome) - probability
            self.variance[place, other] += probability * (1 - probability)

    def check(self) -> None:
        for case, variance in self.variance.items():
            if variance > 3:
                errors = self.excess[case] / variance**0.5
                assert abs(errors) < 5, (case, errors)


def check_history(game: pyspiel.Game, shown: Step, row: int, tally: Tally) -> None:
    """OpenSpiel's game replays a history, and is equal at every state."""
    state, outcomes = game.new_initial_state(), 0
    returns = np.zeros(game.num_players())
    for t, action in enumerate(shown.action[row]):
        while state.is_chance_node():
            outcome, known = int(shown.chance[row, t, outcomes]), state.chance_outcomes()
            assert outcome in dict(known), state
            tally.add(outcomes, outcome, known)
            state.apply_action(outcome)
            outcomes += 1
        assert (shown.chance[row, t, outcomes:] == -1).all(), state
        assert shown.terminal[row, t] == state.is_terminal(), state
        returns += shown.rewards[row, t]
        np.testing.assert_allclose(returns, state.returns(), rtol=1e-6, err_msg=str(state))
        if state.is_terminal():
            return
        player = state.current_player()
        assert shown.player[row, t] == player, state
        assert np.flatnonzero(shown.legal[row, t]).tolist() == state.legal_actions(), state
        for name, observation in shown.observation.items():
            tensor = np.asarray(getattr(state, f"{name}_tensor")(player), np.float32)
            np.testing.assert_array_equal(observation[row, t], tensor, err_msg=str(state))
        state.apply_action(int(action))
    raise AssertionError("the longest history goes on")


def check(name: str, number: int) -> None:
    """Plays `number` histories beside OpenSpiel."""
    game = load_openspiel(name)
    games = {tensor: native_game(name, tensor) for tensor in tensors(game)}
    tally = Tally()
    for shown in batches(games, number):
        for row in range(len(shown.action)):
            check_history(game, shown, row, tally)
        ended = shown.terminal
        assert (ended[:, 1:] >= ended[:, :-1]).all()
        assert not shown.truncated.any()
        assert not shown.legal[ended].any()
        assert not shown.player[ended].any()
        assert not shown.rewards[:, 1:][ended[:, :-1]].any()
        assert not any(observation[ended].any() for observation in shown.observation.values())
        assert shown.refuses.all()
    tally.check()


@pytest.mark.parametrize(
    ("name", "outcomes"), [("kuhn_poker", 6), ("leduc_poker", 120), ("liars_dice(numdice=2)", 1296)]
)
def test_words_of_equal_distance_deal_every_outcome_once(name, outcomes):
    """So the deal of a uniform word is uniform, as that of `init` is."""
    game = native_game(name)
    assert game.begins_with_deals
    words = (np.arange(outcomes, dtype=np.uint64) * 2**32 // outcomes + 1).astype(np.uint32)
    dealt = jax.jit(jax.vmap(lambda word: game.deal(jax.random.key(1), word)))(words)
    chance = np.asarray(dealt.rolls if "dice" in name else dealt.cards)
    assert len(np.unique(chance, axis=0)) == outcomes
    assert chance.min() == 0 and chance.max() == (5 if outcomes > 6 else 2)
    if "dice" not in name:
        assert (np.diff(np.sort(chance, axis=1)) > 0).all()  # no card twice
    shapes = [jax.eval_shape(begin, jax.random.key(1)) for begin in (game.init, _first_deal(game))]
    assert jax.tree.all(
        jax.tree.map(lambda a, b: (a.shape, a.dtype) == (b.shape, b.dtype), *shapes)
    )


def _first_deal(game):
    return lambda key: game.deal(key, jnp.uint32(0))


def test_games_of_too_many_deals_begin_by_a_key():
    game = native_game("liars_dice(numdice=5)")
    assert not game.begins_with_deals
    begun = [
        jax.jit(begin)(jax.random.key(3))
        for begin in (game.init, lambda key: game.deal(key, jnp.uint32(5)))
    ]
    jax.tree.map(np.testing.assert_array_equal, *begun)


def test_every_native_game_is_tested():
    assert set(NAMES) == set(NATIVE)
    assert set(MORE_NAMES) | set(REFUSED) <= set(NATIVE)


@pytest.mark.parametrize("name", [name for names in NAMES.values() for name in names])
def test_plays_as_openspiel(name):
    check(name, 40)


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_plays_as_openspiel_at_large(name):
    check(name, 40)


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL_NAMES)
def test_plays_as_openspiel_in_ten_thousand_histories(name):
    check(name, 10_000)


@pytest.mark.parametrize("name", ALL_NAMES)
def test_describes_itself_as_openspiel(name):
    game = load_openspiel(name)
    for tensor in tensors(game):
        native = native_game(name, tensor)
        assert native.num_players == game.num_players()
        assert native.num_actions == game.num_distinct_actions()
        assert native.max_length <= game.max_game_length()
        if name.split("(")[0] not in FEWER_MOVES:
            assert native.max_length == game.max_game_length()
        assert native.max_return == max(-game.min_utility(), game.max_utility())
        assert native.observation_size == np.prod(getattr(game, f"{tensor}_tensor_shape")())
        assert native.utility_sum == game.utility_sum()
        assert native.tree is None
    assert native_game(native.name).name == native.name
    assert str(load_openspiel(native.name)) == str(game)


@pytest.mark.parametrize("name", [name for names in REFUSED.values() for name in names])
def test_refuses_what_it_does_not_play(name):
    with pytest.raises(GameError):
        native_game(name)


def test_refuses_games_without_native_rules():
    with pytest.raises(GameError, match="no native game plays 'tiny_hanabi'; native are .*phantom"):
        native_game("tiny_hanabi")
    with pytest.raises(GameError, match="unknown observation 'pixels'"):
        native_game("phantom_ttt", "pixels")
