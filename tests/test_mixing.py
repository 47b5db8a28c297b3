"""Mixing a finished population anew."""

import json

import numpy as np
import pytest
from test_cli import assert_refused, psro_main

from psro.exact import sequence_form
from psro.measure.mixing import mixed
from psro.oracles import FullWidthConfig, PPOConfig
from psro.runs import experiment
from psro.runs.config import RunConfig


def test_it_comes_close_to_the_best_mixture_of_the_same_policies(tmp_path):
    config = RunConfig(
        game="kuhn_poker", oracle="full_width", iterations=4, hidden_size=8, tolerance=0.0,
        meta_solver="uniform", evaluation_solver="same", full_width=FullWidthConfig(steps=50),
    )  # fmt: skip
    run = experiment.run(config, tmp_path / "run")
    again = mixed(run, 20, tmp_path / "mixed")
    size, weights = run.meta_game.size, again.measured_strategy.marginals
    assert again.meta_game.size == size + 1  # the exploiters, which have no weight
    assert [own[size] for own in weights] == [0, 0]
    np.testing.assert_allclose([own.sum() for own in weights], 1)
    before, after = (one.records[-1].exploitability for one in (run, again))
    best = sequence_form.population_exploitability(run.tree, run.meta_game.plans)
    least = best.measured.exploitability
    assert least - 1e-9 <= after < before
    assert after - least < 0.5 * (before - least)


@pytest.fixture
def sampled(tmp_path):
    config = RunConfig(
        game="kuhn_poker", evaluation="sampled", iterations=1, hidden_size=4, payoff_episodes=64,
        payoff_error=10.0, ppo=PPOConfig(decisions=2_048, evaluations=1),
    )  # fmt: skip
    experiment.run(config, tmp_path / "run")
    return tmp_path / "run"


def test_the_command_measures_the_new_mixture_and_leaves_the_run(sampled, capsys):
    before = {path: path.read_bytes() for path in sampled.rglob("*") if path.is_file()}
    code, out, _ = psro_main(capsys, "eval", sampled, "--mix", 2, "--exact", "--json")
    printed = json.loads(out)
    assert code == 0 and printed["exploitability_kind"] == "exact" and printed["exploitability"] > 0
    assert {path: path.read_bytes() for path in sampled.rglob("*") if path.is_file()} == before
    for arguments, words in (
        ((sampled, sampled, "--mix", 2), "--mix is for one run"),
        ((sampled, "--mix", 0), "--mix 0 must be at least 1"),
    ):
        assert words in assert_refused(psro_main(capsys, "eval", *arguments))


def test_exact_figures_may_be_off_by_what_is_said(sampled, capsys):
    exactly, roughly = (
        json.loads(psro_main(capsys, "eval", sampled, "--exact", *more, "--json")[1])
        for more in ((), ("--within", 0.25))
    )
    assert (exactly["exploitability_error"], roughly["exploitability_error"]) == (0, 0.25)
    assert abs(exactly["exploitability"] - roughly["exploitability"]) <= 0.25
    assert (
        "exploitability certain to 0.25"
        in psro_main(capsys, "eval", sampled, "--exact", "--within", 0.25)[1]
    )
    for arguments, words in (
        (("--within", 0.25), "--within is for --exact"),
        (("--exact", "--within", 0), "--within 0.0 must be more than 0"),
    ):
        assert words in assert_refused(psro_main(capsys, "eval", sampled, *arguments))
