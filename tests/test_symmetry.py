"""Symmetric games are found, others are refused, and the view of one is the same game."""

import dataclasses
import itertools

import numpy as np
import pyspiel
import pytest
from open_spiel.python.algorithms import expected_game_score

import games
from games import GameTree, NormalForm, SymmetryError, symmetric_view
from psro import exact

GOOFSPIEL = "goofspiel(imp_info=True,num_cards=4,points_order=descending)"
SYMMETRIC = [
    "matrix_rps",
    "matrix_pd",
    "matrix_shapleys_game",
    "blotto(coins=4,fields=3)",
    "blotto(players=3,coins=3,fields=2)",
    GOOFSPIEL,
    "goofspiel(imp_info=True,num_cards=3,points_order=random)",
    "goofspiel(players=3,imp_info=True,num_cards=3,points_order=descending)",
    "goofspiel(players=3,num_cards=3)",
    "oshi_zumo(coins=4,size=1,horizon=6)",
    "first_sealed_auction(max_value=3)",
    "first_sealed_auction(players=3,max_value=2)",  # ties are broken by chance
    "repeated_game(stage_game=matrix_rps(),num_repetitions=2)",
]
OTHERS = [
    "kuhn_poker",
    "kuhn_poker(players=3)",
    "leduc_poker",
    "liars_dice(numdice=1,dice_sides=2)",
    "matrix_bos",
    "matrix_mp",
    "matching_pennies_3p",
    "tiny_hanabi",
]


def random_behaviours(tree, rng):
    behaviours = []
    for player in tree.players:
        weights = rng.exponential(size=player.num_sequences)
        total = np.bincount(player.info_state[1:], weights=weights[1:])
        behaviours.append(np.append(1.0, weights[1:] / total[player.info_state[1:]]))
    return behaviours


def as_tree(game):
    """A normal form with its terminals laid out, as any other tree."""
    fields = dataclasses.fields(GameTree)
    return GameTree(**{field.name: getattr(game, field.name) for field in fields})


def found(tree):
    try:
        symmetric_view(tree)
    except SymmetryError:
        return False
    return True


@pytest.mark.parametrize("name", SYMMETRIC)
def test_whoever_sits_where_earns_the_same(name):
    view = symmetric_view(games.load(name))
    rng, players = np.random.default_rng(0), range(view.num_players)
    plans = [
        exact.realization_plan(player, behaviour)
        for player, behaviour in zip(view.players, random_behaviours(view, rng), strict=True)
    ]
    returns = exact.returns(view, plans)
    for turn in players:
        moved = exact.returns(view, [plans[(p - turn) % len(plans)] for p in players])
        np.testing.assert_allclose(moved, np.roll(returns, turn), atol=1e-12)
    for player in view.players:
        assert player.observation is view.players[0].observation


@pytest.mark.parametrize("name", SYMMETRIC)
def test_the_view_is_openspiels_game(name):
    """Different policies for every player, by OpenSpiel's own traversal of its own game."""
    tree = symmetric_view(games.load(name))
    behaviours = random_behaviours(tree, np.random.default_rng(1))
    game = pyspiel.load_game(name)
    if game.get_type().dynamics == pyspiel.GameType.Dynamics.SIMULTANEOUS:
        game = pyspiel.convert_to_turn_based(game)
    policy = games.TreePolicy(tree, dict(enumerate(behaviours)))
    score = expected_game_score.policy_value(game.new_initial_state(), [policy] * tree.num_players)
    plans = [
        exact.realization_plan(player, behaviour)
        for player, behaviour in zip(tree.players, behaviours, strict=True)
    ]
    np.testing.assert_allclose(exact.returns(tree, plans), score, atol=1e-9)


@pytest.mark.parametrize("name", [GOOFSPIEL, "first_sealed_auction(max_value=3)"])
def test_the_view_has_the_trees_exploitability(name):
    """Uniform play is the same whatever info states are called."""
    tree = games.load(name)
    measured = [
        exact.exploitability(
            each, [exact.realization_plan(p, exact.uniform_behaviour(p)) for p in each.players]
        )
        for each in (tree, symmetric_view(tree))
    ]
    np.testing.assert_allclose(measured[0].value, measured[1].value, atol=1e-12)
    np.testing.assert_allclose(
        measured[0].best_response_value, measured[1].best_response_value, atol=1e-12
    )


@pytest.mark.parametrize("name", OTHERS)
def test_games_whose_seats_differ_are_refused(name):
    with pytest.raises(SymmetryError, match="is not symmetric"):
        symmetric_view(games.load(name))


def shuffled(tree, player, rng):
    """The same game, with a player's info states numbered in another order of each level."""
    mine = tree.players[player]
    order = np.concatenate(
        [rng.permutation(np.arange(*ends)) for ends in itertools.pairwise(mine.level_start)]
    )  # [I], new to old
    number = np.argsort(order)
    counts = np.diff(mine.first_sequence)[order]
    first = np.concatenate([[1], 1 + np.cumsum(counts)]).astype(np.int32)
    owner = mine.info_state[1:]
    rank = np.arange(1, mine.num_sequences) - mine.first_sequence[owner]
    sequence = np.append(0, first[number[owner]] + rank).astype(np.int32)  # old to new
    back = np.argsort(sequence)
    players, sequences = list(tree.players), tree.sequence.copy()
    players[player] = dataclasses.replace(
        mine,
        observation=mine.observation[order],
        num_actions=mine.num_actions,
        parent=sequence[mine.parent[order]],
        first_sequence=first,
        info_state=np.append(-1, number[mine.info_state[back[1:]]]).astype(np.int32),
        action=mine.action[back],
        names=tuple(mine.names[i] for i in order),
        keys=tuple(mine.keys[i] for i in order),
    )
    sequences[:, player] = sequence[sequences[:, player]]
    states = tree.decision_info_state.copy()
    moves = tree.decision_player == player
    states[moves] = number[states[moves]]
    return dataclasses.replace(
        tree, players=tuple(players), sequence=sequences, decision_info_state=states
    )


@pytest.mark.parametrize("name", [GOOFSPIEL, SYMMETRIC[7]])
def test_the_order_of_info_states_does_not_matter(name):
    tree = games.load(name)
    expected = symmetric_view(tree)
    view = symmetric_view(shuffled(tree, 1, np.random.default_rng(2)))
    assert tuple(view.players[1].keys) == tuple(expected.players[1].keys)
    np.testing.assert_array_equal(view.sequence, expected.sequence)
    np.testing.assert_array_equal(view.decision_info_state, expected.decision_info_state)


def test_one_terminal_makes_the_difference():
    tree = games.load(GOOFSPIEL)
    for change, symmetric in ((1e-3, False), (1e-13, True)):
        returns = tree.terminal_returns.copy()
        returns[137, 0] += change
        assert found(dataclasses.replace(tree, terminal_returns=returns)) == symmetric


def same_from_every_seat(payoffs):
    """Brute force: cell by cell, all players moved one seat on."""
    num_players = len(payoffs)
    return all(
        abs(payoffs[(p, *cell)] - payoffs[((p + 1) % num_players, *cell[-1:], *cell[:-1])]) < 1e-9
        for cell in np.ndindex(payoffs.shape[1:])
        for p in range(num_players)
    )


@pytest.mark.parametrize("num_players", [2, 3])
@pytest.mark.parametrize("seed", range(8))
def test_normal_forms_by_brute_force(seed, num_players):
    """Also as trees, with every terminal laid out; and with one player's actions renamed."""
    rng = np.random.default_rng(seed)
    size = 2 if seed % 2 else 3
    own = rng.integers(-2, 3, (size,) * num_players) / 3
    seats = np.arange(num_players)
    payoffs = np.stack([own.transpose(np.roll(seats, p)) for p in seats])
    renamed = np.take(payoffs, rng.permutation(size), axis=num_players)
    other = payoffs.copy()
    other[(0,) * (num_players + 1)] += 0.5
    for table in (payoffs, renamed, other):
        symmetric = same_from_every_seat(table)
        assert found(NormalForm(table)) == symmetric
        assert found(as_tree(NormalForm(table))) == symmetric
    assert same_from_every_seat(payoffs)
    assert not same_from_every_seat(other)


def test_a_zero_sum_matrix_keeps_one_table():
    table = np.random.default_rng(3).normal(size=(4, 4))
    view = symmetric_view(NormalForm((table - table.T)[None]))
    assert len(view.table) == 1
    with pytest.raises(SymmetryError, match="one seat on"):
        symmetric_view(NormalForm(table[None]))
    with pytest.raises(SymmetryError, match="4 and 3 actions"):
        symmetric_view(NormalForm(table[None, :, :3]))


@pytest.mark.parametrize("factor", [1e-11, 1.0, 1e11])
def test_symmetry_knows_no_units(factor):
    """Also in payoffs so small that any two of them differ by less than any fixed tolerance."""
    row = np.array([[3.0, 0.0], [5.0, 1.0]])
    symmetric_view(games.NormalForm(factor * np.stack([row, row.T])))
    with pytest.raises(games.SymmetryError, match="they earn something else"):
        symmetric_view(games.NormalForm(factor * np.stack([row, row])))
    tree = games.load("kuhn_poker")
    returns = factor * tree.terminal_returns
    with pytest.raises(games.SymmetryError):
        symmetric_view(dataclasses.replace(tree, terminal_returns=returns))
    tree = games.load("goofspiel(imp_info=True,num_cards=3,points_order=descending)")
    symmetric_view(dataclasses.replace(tree, terminal_returns=factor * tree.terminal_returns))
