"""Populations against each other by episodes, beside the exact comparison."""

import csv
import dataclasses
import json

import jax
import numpy as np
import pytest
from test_cli import assert_refused, psro_main

import psro
from psro.measure import across_seeds, comparison, sampled_evaluation
from psro.measure.cross_play import between_members, cross_play, mixtures
from psro.measure.mixtures import expected_returns, mixture_of
from psro.metagame.meta_game import MetaGame
from psro.metagame.strategy import MetaStrategy
from psro.oracles import PPOConfig
from psro.runs.config import RunConfig
from psro.runs.storage import ExperimentError
from psro.training.matches import Matches
from psro.views import seed_tables, tables


def trained(folder, **settings):
    return psro.run(RunConfig(**{"oracle": "full_width", "iterations": 2} | settings), folder)


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """Two exact runs with different networks."""
    root = tmp_path_factory.mktemp("cross_play")
    runs = [
        trained(root / "small", hidden_size=3, cell="gru", seed=1),
        trained(root / "large", hidden_size=8),
    ]
    return [(run.folder, run) for run in runs]


@pytest.fixture(scope="module")
def sampled(tmp_path_factory):
    """Folders of two sampled runs."""
    root = tmp_path_factory.mktemp("cross_play")
    config = RunConfig(
        iterations=1,
        evaluation="sampled",
        hidden_size=4,
        payoff_episodes=128,
        payoff_error=1.0,
        ppo=PPOConfig(decisions=512, num_envs=32, num_strata=2, evaluations=1),
    )
    first = psro.run(config, root / "first")
    second = psro.run(dataclasses.replace(config, hidden_size=3), root / "second")
    return first.folder, second.folder


def test_cross_play_is_the_exact_comparison_within_its_errors(opened):
    tree, game = opened[0][1].tree, opened[0][1].setup.game
    others, _ = comparison.baselines(tree, cfr_iterations=0)
    plans = comparison.mixtures(opened) | {"uniform": others["uniform"]}
    truth = comparison.compare(tree, plans)
    contenders, _ = mixtures(opened)
    played = cross_play(game, contenders, episodes=8_192)
    assert played.names == truth.names
    assert (np.abs(played.returns - truth.returns) <= 4 * played.standard_error).all()
    assert (np.abs(played.average - truth.average) <= 4 * played.average_error + 1e-12).all()
    assert played.standard_error.max() < 0.05


def test_the_error_is_honest_however_profiles_are_drawn(opened):
    """Both with matches of its own for each profile and with profiles that are drawn."""
    _, run = opened[1]
    mixture = mixture_of(run, MetaStrategy(marginals=(np.full(3, 1 / 3),) * 2))
    truth = run.payoffs.mean(axis=(1, 2))
    for episodes_of_a_match in (16, 128):
        matches = Matches(run.setup.game, mixture.policy, episodes=episodes_of_a_match)
        distances = []
        for number in range(20):
            earned = expected_returns(
                matches, mixture.params, mixture.weights, episodes=1_024,
                key=jax.random.key(number),
            )  # fmt: skip
            assert earned.episodes == 1_024
            distances.append((earned.mean[0] - truth[0]) / earned.standard_error[0])
        assert abs(np.mean(distances)) < 4 / np.sqrt(20)
        assert 0.5 < np.std(distances) < 1.6


def test_late_policies_against_early_ones(opened):
    _, run = opened[1]
    played = between_members(run, [0], [0, 1, 2], episodes=4_096)
    assert played.names == ("earlier", "later")
    assert played.average[1, 0] > 2 * played.average_error[1, 0]  # later wins
    early, error = run.payoffs[:, 0, 0], played.standard_error[:, 0, 0]
    assert (np.abs(played.returns[:, 0, 0] - early) <= 4 * error).all()


def test_only_runs_of_one_game_that_see_the_same_can_play(opened, tmp_path):
    other = trained(tmp_path / "dice", game="leduc_poker", oracle="ppo", iterations=1,
                    ppo=PPOConfig(decisions=64, num_envs=16, evaluations=1))  # fmt: skip
    with pytest.raises(ExperimentError, match="only runs of one game"):
        mixtures([*opened, (other.folder, other)])
    seen = trained(tmp_path / "seen", observation="observation", iterations=1)
    with pytest.raises(ExperimentError, match="in different ways"):
        mixtures([*opened, (seen.folder, seen)])


def test_the_regret_has_an_interval():
    payoffs = np.array([[[0.0, 1.0], [-1.0, 0.5]], [[0.0, -1.0], [1.0, -0.5]]])
    error = np.full(payoffs.shape, 0.1)
    episodes = np.full((2, 2), 128)
    meta_game = MetaGame(payoffs=payoffs, standard_error=error, episodes=episodes)
    pure = MetaStrategy(marginals=(np.array([0.0, 1.0]), np.array([0.0, 1.0])))
    (regret,) = sampled_evaluation.gains(payoffs[None], pure)
    assert regret == 1.5 == max(1.0 - 0.5, 1.0 + 0.5)
    low, high = sampled_evaluation.regret_interval(meta_game, pure, constant_sum=True)
    # The better of the two deviations is clear: the difference of two cells.
    assert (low, high) == pytest.approx((1.5 - 0.277, 1.5 + 0.277), abs=0.02)
    exactly = dataclasses.replace(meta_game, standard_error=np.zeros_like(error))
    assert sampled_evaluation.regret_interval(exactly, pure, constant_sum=False) == (1.5, 1.5)
    joint = MetaStrategy.of(np.array([[0.0, 0.0], [0.0, 1.0]]))
    assert sampled_evaluation.gains(payoffs[None], joint) == 1.5


def test_the_command_measures_one_sampled_run(capsys, sampled, tmp_path):
    folder, table = sampled[0], tmp_path / "policies.csv"
    code, out, _ = psro_main(capsys, "eval", folder, "--json", "--csv", table)
    assert code == 0
    result = json.loads(out)
    for name in (
        "value", "value_standard_error", "value_ci95", "meta_regret", "meta_regret_interval",
        "exploitability_lower_bound", "exploitability_lower_bound_standard_error",
        "payoffs_standard_error", "support_size", "expected_cardinality", "payoff_episodes",
    ):  # fmt: skip
        assert result[name] is not None
    assert result["exploitability"] is None
    with open(table) as file:
        assert len(list(csv.DictReader(file))) == 2
    code, out, _ = psro_main(capsys, "eval", folder)
    assert code == 0 and "lower bound" in out and "95 % interval" in out
    for option, words in (
        (("--equilibrium",), "--exploiter DECISIONS gives a lower bound"),
        (("--device", "cpu"), "leave it out"),
    ):
        assert words in assert_refused(psro_main(capsys, "eval", folder, *option))


def test_the_command_plays_sampled_runs(capsys, sampled, tmp_path):
    table = tmp_path / "played.csv"
    arguments = ("eval", *sampled, "--episodes", 256)
    code, out, _ = psro_main(capsys, *arguments, "--json", "--csv", table)
    assert code == 0
    result = json.loads(out)
    assert result["names"] == ["first", "second", "uniform"]
    assert np.shape(result["returns"]) == np.shape(result["returns_standard_error"]) == (2, 3, 3)
    assert np.array(result["average_ci95"]).diagonal() == pytest.approx(0)
    with open(table) as file:
        assert [row["name"] for row in csv.DictReader(file)] == result["names"]
    code, out, _ = psro_main(capsys, *arguments)
    assert code == 0 and "± 95 %" in out and "no CFR+" in out


def test_seeds_of_sampled_runs_show_bounds(capsys, sampled):
    measured = across_seeds.measure([psro.load(folder) for folder in sampled])
    seed_tables.print_json(measured)
    result = json.loads(capsys.readouterr().out)
    assert result["kind"] == "sampled" and "exploitability" not in result
    assert len(result["exploitability_lower_bound_standard_error"]) == 2
    seed_tables.print_table(measured, tables.console())
    assert "measured by episodes" in capsys.readouterr().out
