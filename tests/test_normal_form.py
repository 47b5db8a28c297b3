"""Normal-form games: the same numbers as the tree of every history, without its terminals."""

from __future__ import annotations

import dataclasses
import tracemalloc

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_exact import random_plans, random_profile, to_plans

import games
from games import GameError, GameTree, NormalForm
from games.tree_game import TreeGame
from psro import exact
from psro.metagame.exact_meta_game import ExactMetaGame

SHAPES = [(2, 3, 4), (1, 3, 4), (3, 2, 3, 4), (2, 2, 3, 2), (2, 1, 5), (4, 2, 1, 3, 2)]


def random_game(shape: tuple[int, ...], seed: int = 0) -> NormalForm:
    return NormalForm(np.random.default_rng(seed).normal(size=shape), name=f"random {shape}")


def laid_out(game: NormalForm) -> GameTree:
    """The same game as an ordinary tree, which `exact` goes through terminal by terminal."""
    fields = {field.name: getattr(game, field.name) for field in dataclasses.fields(GameTree)}
    return GameTree(**fields)


@pytest.mark.parametrize(
    "name", ["matrix_rps", "matrix_bos", "matrix_shapleys_game", "matching_pennies_3p"]
)
def test_it_is_the_tree_that_openspiel_s_matrix_games_have(name):
    theirs = games.load(name)
    payoffs = np.zeros((theirs.num_players, *(p.num_sequences - 1 for p in theirs.players)))
    payoffs[(slice(None), *(theirs.sequence.T - 1))] = theirs.terminal_returns.T
    ours = NormalForm(payoffs)
    for field in (
        "num_histories", "num_terminals", "num_decisions", "num_actions", "max_length",
        "max_return", "is_constant_sum", "observation_kind", "identity", "observation_size",
    ):  # fmt: skip
        assert getattr(ours, field) == getattr(theirs, field), field
    for mine, other in zip(ours.players, theirs.players, strict=True):
        for field in dataclasses.fields(other):
            value, expected = getattr(mine, field.name), getattr(other, field.name)
            np.testing.assert_array_equal(value, expected)
            assert np.asarray(value).dtype == np.asarray(expected).dtype
    by_sequence = np.lexsort(theirs.sequence.T[::-1])
    np.testing.assert_array_equal(ours.sequence, theirs.sequence[by_sequence])
    np.testing.assert_array_equal(ours.terminal_returns, theirs.terminal_returns[by_sequence])


@pytest.mark.parametrize("shape", SHAPES)
def test_products_of_matrices_are_sums_over_terminals(shape):
    game = random_game(shape)
    tree = laid_out(game)
    assert type(tree) is GameTree
    plans = to_plans(tree, random_profile(tree, 1))
    np.testing.assert_allclose(exact.returns(game, plans), exact.returns(tree, plans), atol=1e-12)
    for player in range(tree.num_players):
        for ours, theirs in zip(
            exact.gains_and_reach(game, player, plans),
            exact.gains_and_reach(tree, player, plans),
            strict=True,
        ):
            np.testing.assert_allclose(ours, theirs, atol=1e-12)
        ours, theirs = (exact.best_response(each, player, plans) for each in (game, tree))
        assert ours.value == pytest.approx(theirs.value, abs=1e-12)
        np.testing.assert_array_equal(ours.plan, theirs.plan)
    counts = range(2, 2 + tree.num_players)
    many = [random_plans(tree, p, count, seed=2) for p, count in enumerate(counts)]
    np.testing.assert_allclose(exact.payoffs(game, many), exact.payoffs(tree, many), atol=1e-12)
    none = [each[: 0 if p == 1 else 2] for p, each in enumerate(many)]
    assert exact.payoffs(game, none).shape == exact.payoffs(tree, none).shape


def test_the_last_player_of_a_zero_sum_game_gets_what_the_others_lose():
    short = random_game((2, 3, 2, 4))
    whole = NormalForm(np.concatenate([short.table, -short.table.sum(axis=0)[None]]))
    np.testing.assert_array_equal(short.terminal_returns, whole.terminal_returns)
    assert short.is_constant_sum and whole.is_constant_sum
    assert short.max_return == whole.max_return == np.abs(whole.terminal_returns).max()
    assert not random_game((3, 2, 2, 2)).is_constant_sum


def test_a_meta_game_of_pure_strategies_is_the_game():
    game = random_game((2, 3, 3))
    meta_game = ExactMetaGame.empty(game)
    for action in range(3):
        pure = np.append(1.0, np.eye(3)[action])
        meta_game = meta_game.add([pure, pure])
    np.testing.assert_allclose(meta_game.payoffs, game.table, atol=1e-12)


@pytest.mark.parametrize("shape", [(2, 3, 4), (2, 2, 3, 2)])
def test_it_can_be_played(shape):
    game = random_game(shape)
    playing = TreeGame(game)
    step, key = jax.jit(playing.step), jax.random.key(0)
    for profile in np.ndindex(shape[1:]):
        state = playing.init(key)
        for seat, action in enumerate(profile):
            assert int(state.player) == seat and not bool(state.terminal)
            np.testing.assert_array_equal(state.legal, np.arange(max(shape[1:])) < shape[1 + seat])
            np.testing.assert_array_equal(playing.observe(state), game.players[seat].observation[0])
            state = step(state, jnp.int32(action), key)
        assert bool(state.terminal)
        np.testing.assert_allclose(
            state.rewards, [game.payoffs_of(p)[profile] for p in range(len(shape) - 1)], rtol=1e-6
        )


def test_a_large_matrix_costs_no_more_memory_than_itself():
    """Exploitability, best responses and the payoffs of many strategies."""
    size = 1000
    matrix = np.random.default_rng(0).normal(size=(1, size, size))
    tracemalloc.start()
    game = NormalForm(matrix, max_histories=10_000)
    plans = to_plans(game, random_profile(game, 0))
    exact.exploitability(game, plans)
    exact.payoffs(game, [np.tile(plan, (20, 1)) for plan in plans])
    assert game.is_constant_sum
    assert tracemalloc.get_traced_memory()[1] < 0.5 * matrix.nbytes
    tracemalloc.stop()
    with pytest.raises(GameError, match=r"1,001,001 histories.*10,000"):
        _ = game.terminal_returns
    with pytest.raises(GameError, match="too large to enumerate"):
        TreeGame(game).init(jax.random.key(0))


@pytest.mark.parametrize(
    "payoffs, complaint",
    [
        (np.zeros((2, 3)), "shape"),
        (np.zeros((5, 3, 3)), "shape"),
        (np.zeros((1, 3, 3, 3)), "shape"),
        (np.zeros((2, 3, 0)), "no action"),
        (np.full((2, 3, 3), np.nan), "not a number up to 1e.300"),
    ],
)
def test_payoffs_that_are_no_game_are_refused(payoffs, complaint):
    with pytest.raises(GameError, match=complaint):
        NormalForm(payoffs)
