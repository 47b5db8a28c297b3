"""Gaps of joint meta-strategies: against brute force, and where theory says what they are."""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np
import pytest
from probes import random_populations

import games
from games.tree import GameTree
from psro import exact
from psro.metagame import joint_gaps
from psro.metagame.exact_meta_game import ExactMetaGame
from psro.metagame.joint_gaps import JointError
from psro.metagame.solvers import joint_of
from psro.metagame.strategy import MetaStrategy

load = cache(games.load)

POPULATIONS = [
    ("kuhn_poker", (3, 4)),
    ("matrix_bos", (4, 2)),
    ("kuhn_poker(players=3)", (2, 3, 4)),
    ("kuhn_poker(players=3)", (4, 1, 2)),
    ("matching_pennies_3p", (3, 3, 3)),
    ("kuhn_poker(players=4)", (2, 3, 1, 2)),
]


def random_joint(counts, seed: int) -> np.ndarray:
    """With zeros: half of the profiles are never drawn, and player 0's policy 0 rarely is."""
    generator = np.random.default_rng(seed)
    joint = generator.exponential(size=counts) * (generator.random(counts) < 0.5)
    joint[(-1,) * len(counts)] += 1
    return joint / joint.sum()


def pure_plans(tree: GameTree, player: int) -> np.ndarray:
    """All of a player's pure strategies, `[number of them, S]`."""
    mine = tree.players[player]
    choices = [range(*mine.first_sequence[i : i + 2]) for i in range(mine.num_info_states)]
    plans = []
    for chosen in itertools.product(*choices):
        behaviour = np.zeros(mine.num_sequences)
        behaviour[[0, *chosen]] = 1
        plans.append(exact.realization_plan(mine, behaviour))
    return np.array(plans)


def pure_populations(tree: GameTree) -> ExactMetaGame:
    """Every player's pure strategies, and their payoffs."""
    return ExactMetaGame.of(tree, [pure_plans(tree, p) for p in range(tree.num_players)])


@pytest.mark.parametrize(("name", "counts"), POPULATIONS)
def test_the_others_reach_is_a_sum_over_their_profiles(name, counts):
    tree, plans = load(name), random_populations(load(name), counts, seed=1)
    for p in range(tree.num_players):
        others = [q for q in range(tree.num_players) if q != p]
        weights = random_joint([counts[q] for q in others], seed=p)
        expected = np.zeros(tree.num_terminals)
        for profile in np.ndindex(*weights.shape):
            share = weights[profile] * tree.chance
            for q, k in zip(others, profile, strict=True):
                share = share * plans[q][k][tree.sequence[:, q]]
            expected += share
        meta_game = ExactMetaGame.of(tree, plans)
        reach = joint_gaps.joint_opponent_reach(meta_game, p, weights)
        np.testing.assert_allclose(reach, expected, atol=1e-14)


@pytest.mark.parametrize(("name", "counts"), POPULATIONS)
def test_gaps_of_a_product_are_the_nash_conv(name, counts):
    """Who draws alone tells the others nothing by it."""
    tree, plans = load(name), random_populations(load(name), counts, seed=2)
    meta_game, generator = ExactMetaGame.of(tree, plans), np.random.default_rng(0)
    strategies = [generator.dirichlet(np.ones(count)) for count in counts]
    strategy = MetaStrategy.of(joint_of(strategies))
    expected = exact.exploitability(
        tree, [exact.mix(*each) for each in zip(plans, strategies, strict=True)]
    )
    coarse = joint_gaps.coarse_correlated_gap(meta_game, strategy)
    assert strategy.joint.shape == counts
    assert coarse.gap == pytest.approx(expected.nash_conv, abs=1e-12)
    np.testing.assert_allclose(coarse.value, expected.value, atol=1e-12)
    np.testing.assert_allclose(coarse.best_response_value, expected.best_response_value, atol=1e-12)
    # The best response is the same whatever is recommended, so the parts add up to the same.
    fine = joint_gaps.correlated_gap(meta_game, strategy)
    assert fine.gap == pytest.approx(expected.nash_conv, abs=1e-12)
    np.testing.assert_allclose(fine.gains, coarse.gains, atol=1e-12)


@pytest.mark.parametrize("name", ["kuhn_poker", "matrix_bos", "matrix_sh", "matching_pennies_3p"])
@pytest.mark.parametrize("seed", range(3))
def test_gaps_are_those_of_the_normal_form(name, seed):
    """All pure strategies of the game, and the definitions."""
    tree = load(name)
    pure = [pure_plans(tree, p) for p in range(tree.num_players)]
    plans = random_populations(tree, (3,) * tree.num_players, seed)
    joint, meta_game = random_joint((3,) * tree.num_players, seed), ExactMetaGame.of(tree, plans)
    payoffs, strategy = meta_game.payoffs, MetaStrategy.of(joint)
    coarse = joint_gaps.coarse_correlated_gap(meta_game, strategy)
    fine = joint_gaps.correlated_gap(meta_game, strategy)
    value = np.array([(joint * table).sum() for table in payoffs])
    np.testing.assert_allclose(coarse.value, value, atol=1e-12)
    for p in range(tree.num_players):
        deviations = [*plans[:p], pure[p], *plans[p + 1 :]]
        table = np.moveaxis(exact.payoffs(tree, deviations)[p], p, 0)  # [pure, others...]
        others = joint.sum(axis=p)
        refusing = max((row * others).sum() for row in table) - value[p]
        assert coarse.gains[p] == pytest.approx(max(0, refusing), abs=1e-12)
        for k in range(3):
            drawn = np.take(joint, k, axis=p)
            obeying = (np.take(payoffs[p], k, axis=p) * drawn).sum()
            leaving = max((row * drawn).sum() for row in table) - obeying
            assert fine.recommendation_gains[p][k] == pytest.approx(leaving, abs=1e-12)
    assert fine.gap >= coarse.gap - 1e-12
    assert fine.gap > 0.01


def test_a_coordinated_coin_is_a_correlated_equilibrium_of_battle_of_the_sexes():
    """Aumann (1974): both go where the coin says. No product has these values and no gap."""
    meta_game, strategy = pure_populations(load("matrix_bos")), MetaStrategy.of(np.eye(2) / 2)
    assert joint_gaps.correlated_gap(meta_game, strategy).gap == 0
    coarse = joint_gaps.coarse_correlated_gap(meta_game, strategy)
    assert coarse.gap == 0
    assert (coarse.best_response_value < coarse.value - 0.1).all()  # refusing costs
    np.testing.assert_allclose(coarse.value, meta_game.payoffs[:, [0, 1], [0, 1]].mean(axis=1))


def test_a_coarse_equilibrium_need_not_be_a_correlated_one():
    """Rock, paper, scissors with both told the same: refusing wins nothing, but who is told
    "rock" knows that the other plays it, and wins 1 by paper. So 1 for each player."""
    meta_game, strategy = pure_populations(load("matrix_rps")), MetaStrategy.of(np.eye(3) / 3)
    fine = joint_gaps.correlated_gap(meta_game, strategy)
    assert joint_gaps.coarse_correlated_gap(meta_game, strategy).gap == 0
    assert fine.gap == pytest.approx(2)
    for gains in fine.recommendation_gains:
        np.testing.assert_allclose(gains, 1 / 3)


def test_policies_never_recommended_have_no_gain():
    tree = load("kuhn_poker")
    plans = random_populations(tree, (3, 3), seed=0)
    joint = np.zeros((3, 3))
    joint[1, 2] = 1
    fine = joint_gaps.correlated_gap(ExactMetaGame.of(tree, plans), MetaStrategy.of(joint))
    assert fine.recommendation == [1, 2]
    assert fine.recommendation_gains[0][[0, 2]].tolist() == [0, 0]


@pytest.mark.parametrize(
    "joint",
    [np.full((2, 3), 1 / 6), np.full((3, 3), 1.0), np.eye(3) - 2 / 9, np.full((3, 3), np.nan)],
    ids=["shape", "sum", "negative", "nan"],
)
@pytest.mark.parametrize("gap", [joint_gaps.coarse_correlated_gap, joint_gaps.correlated_gap])
def test_no_distribution_is_refused(gap, joint):
    tree = load("kuhn_poker")
    plans = random_populations(tree, (3, 3), seed=0)
    with pytest.raises(JointError):
        gap(ExactMetaGame.of(tree, plans), MetaStrategy.of(joint))
