"""What a user is told in a sentence, and what stays a traceback."""

import importlib
import inspect
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest
from test_cli import assert_refused, psro_main

import games
import psro
from psro import exact
from psro.errors import PsroError
from psro.exact import on_devices
from psro.oracles import ORACLES
from psro.runs import experiment
from psro.runs.config import RunConfig
from psro.training.growth import TrainingDiverged

CONFIG = RunConfig(game="kuhn_poker", oracle="best_response", iterations=1, tolerance=0.0)
INTERNAL = {
    "games.readers.walk.ImperfectRecall",
    "psro.measure.arena.forfeits.Forfeit",
    "psro.measure.arena.guest.Unusable",
    "psro.play.terminal._Quit",
    "psro.runs.archive._Refused",
    "psro.runs.storage.Damaged",
    "psro.training.pool.TaskFailed",
    "psro.views.server.Refused",
}
"""Caught within the package, and never told to anybody."""


def modules():
    for package in (games, psro):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not found.name.endswith("__main__"):
                yield importlib.import_module(found.name)


def test_every_error_that_is_told_has_one_of_two_bases():
    """What is neither is no Exception, such as an interrupt, or is caught where it is raised."""
    errors = {
        f"{kind.__module__}.{kind.__name__}": kind
        for module in modules()
        for kind in vars(module).values()
        if inspect.isclass(kind)
        and issubclass(kind, Exception)
        and kind.__module__.split(".")[0] in ("psro", "games")
    }
    told = {n for n, kind in errors.items() if issubclass(kind, PsroError | games.GameError)}
    assert {"psro.errors.SettingsError", "psro.runs.disk.ExperimentError"} <= told
    private = {name for name in errors if name not in told}
    assert private == INTERNAL


@pytest.mark.parametrize("kind", [ValueError, TypeError, KeyError])
def test_an_error_of_ours_keeps_its_traceback(tmp_path, monkeypatch, capsys, kind):
    """It is no mistake of the user's, and no damage to a folder."""
    psro.run(CONFIG, tmp_path / "run")

    def broken(*_, **__):
        raise kind("operands could not be broadcast together")

    with monkeypatch.context() as patch:
        patch.setattr(exact, "gains", broken)
        patch.setattr(exact, "returns", broken)
        patch.setattr(exact, "payoffs", broken)
        with pytest.raises(kind, match="broadcast"):
            psro_main(capsys, "run", "--oracle", "best_response", "--out", tmp_path / "new")
    for place in ("psro.runs.commit._record", "psro.runs.commit.MetaStrategy.of"):
        with monkeypatch.context() as patch:
            patch.setattr(place, broken)
            with pytest.raises(kind, match="broadcast"):
                psro_main(capsys, "eval", tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr("psro.runs.folder.check_sizes", broken)
        with pytest.raises(kind, match="broadcast"):
            psro_main(capsys, "report", tmp_path / "run", "--out", tmp_path / "page.html")


def test_an_error_of_a_plug_in_keeps_its_traceback(tmp_path, monkeypatch, capsys):
    class Plugin:
        tabular, conditional = True, False

        def __init__(self, game, policy, settings):
            raise ValueError("a plug-in's")

    monkeypatch.setitem(ORACLES, "mine", Plugin)
    with pytest.raises(ValueError, match="a plug-in's") as error:
        psro_main(capsys, "run", "--oracle", "mine", "--out", tmp_path / "run")
    assert not isinstance(error.value, PsroError) and not list(tmp_path.iterdir())


@pytest.mark.parametrize("wrong", ["kuhn_poker", {"game": "kuhn_poker"}, 7])
def test_what_is_no_config_is_told_in_a_sentence(tmp_path, wrong):
    with pytest.raises(PsroError, match="is not a RunConfig"):
        psro.run(wrong, tmp_path / "run")
    with pytest.raises(PsroError, match="is not a RunConfig|must be a PPOConfig"):
        psro.run(RunConfig(ppo=wrong), tmp_path / "run")


def test_training_that_diverges_is_told():
    assert issubclass(TrainingDiverged, PsroError)


@pytest.mark.parametrize("raised", [RuntimeError("Unable to initialize backend"), AssertionError()])
def test_no_device_is_a_sentence_and_leaves_nothing(tmp_path, monkeypatch, capsys, raised):
    """JAX raises either, by whether it knows the platform's name."""

    def none(platform=None):
        raise raised

    monkeypatch.setattr(on_devices.jax, "devices", none)
    out = tmp_path / "new" / "run"
    sentence = assert_refused(psro_main(capsys, "run", "--out", out))
    assert "JAX_PLATFORMS" in sentence and not list(tmp_path.iterdir())
    monkeypatch.undo()
    folder = experiment.create(CONFIG, tmp_path / "run").folder
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    monkeypatch.setattr(on_devices.jax, "devices", none)
    for command in ("resume", "eval"):
        assert "JAX_PLATFORMS" in assert_refused(psro_main(capsys, command, folder))
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("platforms", ["cuda", "nonsense"])
def test_platforms_that_are_not_here(tmp_path, platforms):
    if platforms == "cuda" and on_devices.jax.default_backend() != "cpu":
        pytest.skip("there is one")
    done = subprocess.run(
        [sys.executable, "-m", "psro", "run", "--out", str(tmp_path / "run")],
        env=os.environ
        | {"JAX_PLATFORMS": platforms, "PYTHONPATH": str(Path(psro.__file__).parents[1])},
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert f"JAX_PLATFORMS={platforms}" in done.stderr and not list(tmp_path.iterdir())
