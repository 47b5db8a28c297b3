"""The payoff table grows a policy at a time, and never computes a cell twice."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from probes import random_behaviours

import games
from games.tree import GameTree
from psro import exact
from psro.metagame.exact_meta_game import ExactMetaGame

NAMES = ["kuhn_poker", "kuhn_poker(players=3)"]

load = cache(games.load)


def grown(tree: GameTree, count: int) -> ExactMetaGame:
    meta_game = ExactMetaGame.empty(tree)
    for k in range(count):
        meta_game = meta_game.add(random_behaviours(tree, k))
    return meta_game


@pytest.fixture
def computed(monkeypatch) -> list[int]:
    """How many profiles each call of `exact.payoffs` computed."""
    cells, original = [], exact.payoffs

    def counting(tree, plans):
        table = original(tree, plans)
        cells.append(table[0].size)
        return table

    monkeypatch.setattr(exact, "payoffs", counting)
    return cells


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_meta_game_has_no_profile(name):
    tree = load(name)
    meta_game = ExactMetaGame.empty(tree)
    assert meta_game.payoffs.shape == (tree.num_players, *(0,) * tree.num_players)
    assert [plans.shape for plans in meta_game.plans] == [
        (0, player.num_sequences) for player in tree.players
    ]


@pytest.mark.parametrize("name", NAMES)
def test_one_at_a_time_is_all_at_once(name):
    tree, count = load(name), 4
    meta_game = grown(tree, count)
    assert meta_game.payoffs.shape == (tree.num_players, *(count,) * tree.num_players)
    for player, plans in enumerate(meta_game.plans):
        mine = [random_behaviours(tree, k)[player] for k in range(count)]
        expected = exact.realization_plan(tree.players[player], np.stack(mine))
        np.testing.assert_allclose(plans, expected, atol=1e-15)
    np.testing.assert_allclose(
        meta_game.payoffs, exact.payoffs(tree, meta_game.plans), rtol=0, atol=1e-12
    )
    for profile in np.ndindex(*meta_game.payoffs.shape[1:]):  # the same, from first principles
        members = [plans[k] for plans, k in zip(meta_game.plans, profile, strict=True)]
        np.testing.assert_allclose(
            meta_game.payoffs[(slice(None), *profile)],
            exact.returns(tree, members),
            rtol=0,
            atol=1e-12,
        )


@pytest.mark.parametrize("name", NAMES)
def test_only_missing_cells_are_computed(name, computed):
    tree = load(name)
    meta_game = ExactMetaGame.empty(tree)
    for k in range(4):
        before = meta_game.payoffs[0].size
        computed.clear()
        meta_game = meta_game.add(random_behaviours(tree, k))
        assert sum(computed) == meta_game.payoffs[0].size - before
        assert sum(computed) == (k + 1) ** tree.num_players - k**tree.num_players


@pytest.mark.parametrize("name", NAMES)
def test_known_cells_are_kept_as_they_are(name):
    """Bit for bit, and without touching the smaller meta-game."""
    tree = load(name)
    small = grown(tree, 2)
    before = small.payoffs.copy()
    large = small.add(random_behaviours(tree, 2))
    known = (slice(None), *(slice(0, 2),) * tree.num_players)
    np.testing.assert_array_equal(large.payoffs[known], before)
    np.testing.assert_array_equal(small.payoffs, before)
    assert [len(plans) for plans in small.plans] == [2] * tree.num_players


def test_a_known_table_is_taken_instead(computed):
    """A resumed run reads its table from a file."""
    tree = load("kuhn_poker")
    from_file = np.arange(8.0).reshape(2, 2, 2)
    meta_game = grown(tree, 1)
    computed.clear()
    meta_game = meta_game.add(random_behaviours(tree, 1), payoffs=from_file)
    assert computed == []
    np.testing.assert_array_equal(meta_game.payoffs, from_file)
    assert [len(plans) for plans in meta_game.plans] == [2, 2]
    larger = meta_game.add(random_behaviours(tree, 2))
    np.testing.assert_array_equal(larger.payoffs[:, :2, :2], from_file)
    assert sum(computed) == 9 - 4


@pytest.mark.parametrize("name", NAMES)
def test_a_mixture_is_worth_what_the_table_says(name):
    """The table contracted with the meta-strategies is the value of the mixed plans."""
    tree, generator = load(name), np.random.default_rng(0)
    meta_game = grown(tree, 3)
    strategies = [generator.dirichlet(np.ones(3)) for _ in tree.players]
    mixture = meta_game.mixture(strategies)
    for player, plan in enumerate(mixture):
        by_hand = sum(
            w * each for w, each in zip(strategies[player], meta_game.plans[player], strict=True)
        )
        np.testing.assert_allclose(plan, by_hand, atol=1e-15)
    expected = meta_game.payoffs
    for strategy in reversed(strategies):
        expected = expected @ strategy
    np.testing.assert_allclose(exact.returns(tree, mixture), expected, atol=1e-12)


def test_a_number_may_not_be_left_out():
    tree = games.load("kuhn_poker")
    behaviours = [random_behaviours(tree, k) for k in range(2)]
    with pytest.raises(IndexError, match=r"slots \[1, 2\] leave a gap after 0 policies"):
        ExactMetaGame.empty(tree).put([1, 2], behaviours)
