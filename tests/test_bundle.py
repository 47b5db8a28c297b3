"""Mixtures that hold on to the last one, self-play before best responses, and training that knows
nothing of a game but its episodes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import psro
from games.public.tree import PublicTree
from games.tree import GameTree
from games.walked.tree import WalkedTree
from psro.metagame.level_step import level_step
from psro.metagame.solvers import META_SOLVERS
from psro.oracles import PPOConfig
from psro.oracles.self_play_settings import MMDConfig

PPO = PPOConfig(decisions=64, evaluations=1, num_envs=8, num_strata=2, rollout_length=4,
                sequence_length=4, epochs=1, num_minibatches=1)  # fmt: skip
SELF_PLAY = MMDConfig(
    decisions=64, num_envs=8, rollout_length=4, sequence_length=4, epochs=1, num_minibatches=1
)


def grid(size: int, parts: int) -> np.ndarray:
    """All distributions of `size` probabilities that are multiples of 1 / parts."""
    rows = [
        row for row in itertools.product(range(parts + 1), repeat=size - 1) if sum(row) <= parts
    ]
    return np.array([[*row, parts - sum(row)] for row in rows]) / parts


@pytest.mark.parametrize("ambition", [0.3, 0.7])
def test_a_step_is_the_nearest_mixture_that_is_good_enough(ambition):
    generator, mixtures = np.random.default_rng(0), grid(3, 200)
    for _ in range(5):
        payoffs, center = generator.normal(size=(3, 5)), generator.dirichlet(np.ones(3))
        sure = (mixtures @ payoffs).min(axis=1)
        held = (center @ payoffs).min()
        level = held + ambition * (sure.max() - held)
        nearest = np.square(mixtures[sure >= level] - center).sum(axis=1).min()
        step = level_step(center, payoffs, ambition)
        assert step.min() >= 0 and step.sum() == pytest.approx(1)
        assert (step @ payoffs).min() >= level - 0.02 * np.ptp(payoffs)  # of the grid
        assert (
            np.sqrt(np.square(step - center).sum()) <= np.sqrt(nearest) + 0.01
        )  # which is not as sure


def test_a_mixture_without_ambition_stays_and_with_all_of_it_is_an_equilibrium():
    payoffs, center = np.random.default_rng(1).normal(size=(6, 6)), np.full(6, 1 / 6)
    np.testing.assert_allclose(level_step(center, payoffs, 0.0), center, atol=1e-6)
    equilibrium = META_SOLVERS["nash"](np.stack([payoffs, -payoffs]))[0]
    sure = (level_step(center, payoffs, 1.0) @ payoffs).min()
    assert sure == pytest.approx((equilibrium @ payoffs).min(), abs=1e-5)
    np.testing.assert_allclose(level_step(center, np.zeros((6, 2))), center)


def test_best_responses_to_such_mixtures_solve_kuhn_poker(tmp_path):
    config = psro.RunConfig(
        oracle="best_response", expansion="bundle", iterations=14, tolerance=0.0, patience=99
    )
    assert psro.run(config, tmp_path / "run").records[-1].exploitability < 1e-3


@pytest.mark.parametrize(
    "expansion", [pytest.param("union", marks=pytest.mark.slow), "fictitious", "anytime"]
)
def test_training_by_episodes_reads_nothing_exact(tmp_path, monkeypatch, expansion):
    """Every exact figure needs a form of the game: none can be made."""

    def refuse(*args, **kwargs):
        raise AssertionError("training looked at the whole game")

    for form in (GameTree, WalkedTree, PublicTree):
        monkeypatch.setattr(form, "__init__", refuse)
    config = psro.RunConfig(
        game="kuhn_poker", evaluation="sampled", expansion=expansion, iterations=4, rounds=2,
        backend="native", hidden_size=4, payoff_episodes=128, payoff_error=1.0, self_play="mmd",
        mmd=SELF_PLAY, ppo=PPO, tolerance=0.0, patience=99,
    )  # fmt: skip
    run = psro.run(config, tmp_path / "run")
    assert run.setup.form is None and run.setup.tree is None
    assert len(run.records) == 5 and run.records[-1].kind == "sampled"
    if expansion != "anytime":  # two iterations of self-play, of two networks each
        assert [record.size for record in run.records] == [1, 3, 5, 6, 7]
        first = psro.load(tmp_path / "run").records[2]
        assert first.support_size == (1, 1)
    if expansion == "fictitious":  # each best response counts as one step of 30 + 2
        for weights in run.measured_strategy.marginals:
            np.testing.assert_allclose(weights[[3, 5, 6]], np.array([30, 1, 1]) / 32)
