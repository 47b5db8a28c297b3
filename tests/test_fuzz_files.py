"""A small part of `experiments/trust/fuzz_files.py`, and what the whole of it has found."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import psro
from psro.runs import config_file, storage
from psro.runs import folder as run_folder
from psro.runs.config import RunConfig
from psro.runs.storage import ExperimentError
from psro.views import plots

ROOT = Path(__file__).parents[1]
CONFIG = RunConfig(game="kuhn_poker", oracle="best_response", iterations=1, tolerance=0.0)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return psro.run(CONFIG, tmp_path_factory.mktemp("trained") / "run").folder


@pytest.fixture
def copy(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "copy")


def refused(kind, call):
    """The sentence of a refusal, short and fit to print."""
    with pytest.raises(kind) as error:
        call()
    sentence = str(error.value)
    assert sentence.isprintable() and len(sentence) < 600
    return sentence


def fuzzed(tmp_path, *options):
    """The last line of a fuzz run in which nothing failed."""
    command = [sys.executable, "experiments/trust/fuzz_files.py", "--keep", str(tmp_path / "kept")]
    done = subprocess.run(
        [*command, *options],
        capture_output=True,
        text=True,
        errors="replace",
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stdout[-3_000:] + done.stderr[-3_000:]
    assert not (tmp_path / "kept").exists()
    return done.stdout.splitlines()[-1]


@pytest.mark.slow
def test_some_hostile_files(tmp_path):
    kinds = ("config.json", "export", "game.npy")
    last = fuzzed(tmp_path, "--inputs", "12", "--processes", "1", "--kinds", *kinds)
    assert last.startswith("12 inputs") and last.endswith(" 0 failures")


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_many_hostile_files(tmp_path):
    assert fuzzed(tmp_path, "--inputs", "2000", "--seed", "1").startswith("2,000 inputs")


@pytest.mark.parametrize("shape", [(0, 2, 2), (1, 2, 2), (2, 0, 0), (2, 2), (2,) * 12], ids=str)
def test_payoffs_that_are_no_table_are_refused(copy, shape):
    path = copy / "payoffs.safetensors"
    tensors, info = storage.read_tensors(path)
    del info["sha256"], info["format_version"]
    storage.write_tensors(path, tensors | {"payoffs": np.zeros(shape)}, info)
    assert "damaged" in refused(ExperimentError, lambda: run_folder.snapshot(copy))


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e308])
def test_payoffs_beyond_all_sums_are_refused(copy, value):
    path = copy / "payoffs.safetensors"
    tensors, info = storage.read_tensors(path)
    del info["sha256"], info["format_version"]
    tensors["payoffs"] = np.full_like(tensors["payoffs"], value)
    storage.write_tensors(path, tensors, info)
    assert "damaged" in refused(ExperimentError, lambda: run_folder.snapshot(copy))


def test_a_file_that_memory_cannot_map(copy, monkeypatch):
    def full(*arguments, **options):
        raise MemoryError("Cannot allocate memory (os error 12)")

    monkeypatch.setattr("safetensors.safe_open", full)
    assert "needs more memory" in refused(ExperimentError, lambda: run_folder.snapshot(copy))


@pytest.mark.parametrize(
    "changes",
    [
        {"format_version": "\x1b[2J"},
        {"format_version": 10**4_000},
        {"format_version": True},
        {"run": {"\x1b[2J": 1}},
        {"run": {"a" * 20_000: 1}},
        {"run": {"ppo": ["x" * 20_000]}},
    ],
    ids=["escape", "digits", "bool", "setting", "long setting", "table"],
)
def test_what_a_config_says_is_quoted_short_and_printable(copy, changes):
    path = copy / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    refused(ExperimentError, lambda: psro.load(copy))
    if "run" in changes:
        refused(ExperimentError, lambda: config_file.read_config(path))
    else:
        refused(ExperimentError, lambda: plots.exploitability_figure([copy]))


@pytest.mark.parametrize("name", ["config.json", "config.toml"])
def test_settings_that_nest_too_deep(tmp_path, name):
    path = tmp_path / name
    path.write_text("a = " * name.endswith("toml") + "[" * 100_000)
    refused(ExperimentError, lambda: config_file.read_config(path))
