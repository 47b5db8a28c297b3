"""Settings of meta-solvers, in brackets after the name: `projected_replicator(gamma=0.05)`."""

from __future__ import annotations

import inspect
import json

import numpy as np
import pytest

import psro
from psro import cli
from psro.metagame.solvers import META_SOLVERS, MetaSolverError, meta_solver, settings_of

EACH = [
    (solver, setting) for solver in META_SOLVERS for setting in settings_of(META_SOLVERS[solver])
]


def payoffs(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(len(shape), *shape))


@pytest.mark.parametrize("solver", META_SOLVERS)
def test_every_keyword_argument_is_a_setting_with_a_type_and_a_rule(solver):
    """A newcomer's too: what is not annotated could not be set."""
    parameters = list(inspect.signature(META_SOLVERS[solver].function).parameters.values())[1:]
    assert [each.name for each in parameters] == list(settings_of(META_SOLVERS[solver]))
    for each in parameters:
        kind, rule = settings_of(META_SOLVERS[solver])[each.name]
        assert kind in (int, float)
        assert rule.allows(each.default)


@pytest.mark.parametrize("solver, setting", EACH)
def test_a_setting_at_its_default_changes_nothing(solver, setting):
    default = inspect.signature(META_SOLVERS[solver].function).parameters[setting].default
    table = payoffs(3, 3)
    if META_SOLVERS[solver].symmetric:
        table[1] = table[0].T
    with_setting = meta_solver(f"{solver}({setting}={default})")
    np.testing.assert_array_equal(with_setting(table), META_SOLVERS[solver](table))
    facts = ("concept", "joint", "num_players", "symmetric")
    assert all(getattr(with_setting, f) == getattr(META_SOLVERS[solver], f) for f in facts)


def test_settings_reach_the_solver():
    last = meta_solver(" last_k ( k = 2 ) ")(payoffs(4, 5))
    np.testing.assert_array_equal(last[0], [0, 0, 1 / 2, 1 / 2])
    table = payoffs(3, 4, 2)
    for strategy in meta_solver("projected_replicator(gamma=1,step=0.5,iterations=7)")(table):
        assert strategy.min() >= 1 / (len(strategy) + 1) - 1e-12
    for strategy in meta_solver("qre(precision=0)")(table):
        np.testing.assert_allclose(strategy, 1 / len(strategy))
    once = meta_solver("fictitious_play(iterations=1)")(table)  # a best response to uniform play
    assert all(sorted(each)[:-1] == [0] * (len(each) - 1) for each in once)


@pytest.mark.parametrize("text", ["nash", "nash()", " nash ( ) "])
def test_brackets_may_be_empty(text):
    table = payoffs(3, 3)
    np.testing.assert_array_equal(meta_solver(text)(table), META_SOLVERS["nash"](table))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nsh", ["unknown meta-solver 'nsh'", "did you mean nash?", "known: nash, uniform"]),
        ("nsh(k=3)", ["did you mean nash?"]),
        ("", ["must be a name"]),
        ("last_k(k=3", ["must be a name or name(setting=value,...)"]),
        ("last_k k=3", ["must be a name"]),
        ("last_k(3)", ["each setting once", "last_k(setting=value,...)"]),
        ("last_k(k=3,k=4)", ["each setting once"]),
        ("last_k(k=3,)", ["each setting once"]),
        ("nash(gamma=1)", ["nash has no setting 'gamma'; it has none"]),
        (
            "projected_replicator(gama=0.1)",
            ["has no setting 'gama'; did you mean gamma? known: gamma, step, iterations"],
        ),
        ("last_k(k=2.5)", ["k = 2.5 of meta-solver last_k must be a whole number, at least 1"]),
        ("last_k(k=0)", ["k = 0", "at least 1"]),
        ("last_k(k=)", ["k =  of", "whole number"]),
        ("projected_replicator(gamma=1.5)", ["gamma = 1.5", "between 0 and 1"]),
        ("projected_replicator(gamma=nan)", ["gamma = nan", "between 0 and 1"]),
        ("projected_replicator(step=0)", ["step = 0", "above 0"]),
        ("replicator(time=inf)", ["time = inf", "finite"]),
        ("qre(precision=much)", ["precision = much", "a number"]),
        ("alpha_rank(alpha=-1)", ["alpha = -1", "above 0"]),
    ],
)
def test_what_is_none_is_refused_in_a_sentence(text, words):
    with pytest.raises(MetaSolverError) as error:
        meta_solver(text)
    assert all(word in str(error.value) for word in words), error.value
    assert "\n" not in str(error.value)


def test_a_run_keeps_its_settings(tmp_path, capsys):
    """From TOML to config.json to `resume` and `eval`, for training and evaluation alike."""
    toml = tmp_path / "run.toml"
    toml.write_text(
        'game = "kuhn_poker"\noracle = "best_response"\niterations = 3\n'
        'meta_solver = "projected_replicator(gamma=1)"\nevaluation_solver = "last_k(k=2)"\n'
    )
    folder = tmp_path / "run"
    cli.main(["run", "--config", str(toml), "--out", str(folder), "--iterations", "2"])
    saved = json.loads((folder / "config.json").read_text())["run"]
    assert saved["meta_solver"] == "projected_replicator(gamma=1)"
    run = psro.load(folder)
    np.testing.assert_array_equal(run.meta_strategy[0], [0, 1 / 2, 1 / 2])
    cli.main(["resume", str(folder), "--iterations", "3"])
    np.testing.assert_array_equal(psro.load(folder).meta_strategy[0], [0, 0, 1 / 2, 1 / 2])
    cli.main(["eval", str(folder), "--json"])
    assert "projected_replicator(gamma=1)" in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--meta-solver", "--evaluation-solver"])
def test_the_command_refuses_in_a_sentence(tmp_path, capsys, option):
    out = tmp_path / "run"
    with pytest.raises(SystemExit) as stop:
        cli.main(["run", option, "projected_replicator(gama=0.1)", "--out", str(out)])
    assert stop.value.code == 2
    assert "did you mean gamma?" in capsys.readouterr().err
    assert not out.exists()


def test_what_is_said_of_a_solver_holds_with_settings(tmp_path):
    with pytest.raises(ValueError, match="add --symmetric"):
        psro.run(psro.RunConfig(meta_solver="alpha_rank_single(alpha=5)"), tmp_path / "run")
    with pytest.raises(ValueError, match="evaluation_solver = 3 must be a string"):
        psro.RunConfig(evaluation_solver=3)
