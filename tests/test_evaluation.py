"""All measures of one population agree with each other, for any number of players."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from probes import random_populations

import games
from psro import exact
from psro.exact.sequence_form import SequenceFormError
from psro.measure import evaluation
from psro.measure.evaluation import Evaluation, evaluate
from psro.metagame import joint_gaps, ratings
from psro.metagame.exact_meta_game import ExactMetaGame
from psro.metagame.strategy import MetaStrategy

load = cache(games.load)


def evaluated(name: str, counts, **options) -> Evaluation:
    """Random populations under random meta-strategies."""
    tree, generator = load(name), np.random.default_rng(0)
    plans = random_populations(tree, counts, seed=0)
    strategy = MetaStrategy.of([generator.dirichlet(np.ones(count)) for count in counts])
    return evaluate(ExactMetaGame.of(tree, plans), strategy, **options)


@pytest.mark.parametrize("name", ["kuhn_poker", "leduc_poker"])
def test_zero_sum_measures_stand_in_order(name):
    """The game's value lies between what policies are worth at worst, and no policy is less
    exploitable than the best mixture, nor the best mixture than the equilibrium."""
    tree, found = load(name), evaluated(name, (4, 4))
    value, least = found.equilibrium.value, found.population.measured
    assert found.omitted == ()
    assert 0 <= least.exploitability <= found.mixture.exploitability
    for k, own in enumerate(found.policies):
        assert own.exploitability >= least.exploitability - 1e-9
        for p in range(2):
            assert found.worst_case[p, k] <= value[p] + 1e-9
            assert found.worst_case[p, k] <= own.value[p] + 1e-9
    # Exploitability is how far both worst cases are from the value, on average.
    gaps = (value[:, None] - found.worst_case).sum(axis=0) / 2
    np.testing.assert_allclose([each.exploitability for each in found.policies], gaps, atol=1e-9)
    plans = random_populations(tree, (4, 4), seed=0)
    worst = [plans[0][2], exact.best_response(tree, 1, [plans[0][2], plans[1][0]]).plan]
    assert found.worst_case[0, 2] == pytest.approx(exact.returns(tree, worst)[0])


@pytest.mark.parametrize(
    ("name", "counts"), [("kuhn_poker(players=3)", (2, 2, 2)), ("matrix_bos", (3, 3))]
)
def test_other_games_have_the_other_measures(name, counts):
    found = evaluated(name, counts)
    assert found.worst_case is found.nash_average is found.population is found.equilibrium is None
    assert "two-player zero-sum" in found.omitted[0]
    assert len(found.policies) == counts[0] and len(found.elo_like.ratings) == len(counts)
    assert (found.diversity > 0).all() and (found.diversity < counts).all()
    with pytest.raises(SequenceFormError):
        evaluated(name, counts, programs=True)


def test_a_joint_meta_strategy_has_gaps_of_its_own():
    tree = load("kuhn_poker")
    plans = random_populations(tree, (3, 3), seed=0)
    meta_game, strategy = ExactMetaGame.of(tree, plans), MetaStrategy.of(np.eye(3) / 3)
    found = evaluate(meta_game, strategy)
    assert found.cce_gap == joint_gaps.coarse_correlated_gap(meta_game, strategy).gap
    assert found.ce_gap == joint_gaps.correlated_gap(meta_game, strategy).gap
    assert found.ce_gap > found.cce_gap
    alone = evaluate(meta_game, MetaStrategy.of(strategy.marginals))
    assert alone.cce_gap == alone.ce_gap == alone.mixture.nash_conv == found.mixture.nash_conv


def test_large_games_are_solved_when_asked(monkeypatch):
    monkeypatch.setattr(evaluation, "MAX_SEQUENCES", 25)
    unasked = evaluated("kuhn_poker", (2, 2))
    assert unasked.equilibrium is unasked.population is None and "26" in unasked.omitted[0]
    assert unasked.worst_case is not None and unasked.nash_average is not None
    assert evaluated("kuhn_poker", (2, 2), programs=True).equilibrium is not None


def test_what_cannot_be_averaged_is_left_out_with_its_reason(monkeypatch):
    def lost(payoffs):
        raise ratings.RatingError("the path was lost")

    monkeypatch.setattr(ratings, "nash_average", lost)
    found = evaluated("kuhn_poker", (2, 2))
    assert found.nash_average is None
    assert found.omitted == ("no Nash averaging: the path was lost",)
