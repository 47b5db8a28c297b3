"""What is loaded before it is needed: nothing that takes long."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import psro

HEAVY = {
    "flashbax", "flax", "jax", "jaxlib", "matplotlib", "nashpy", "networkx",
    "open_spiel", "optax", "pandas", "plotly", "pyspiel", "scipy.optimize", "scipy.stats",
}  # fmt: skip
"""Libraries that cost a tenth of a second or more to import, most of them, with all they import."""

PROGRAM = """
import contextlib, io, json, sys
loaded = {}
import psro
loaded["import psro"] = sorted(sys.modules)
psro.RunConfig(game="leduc_poker", cell="gru", init="perturbed")
loaded["RunConfig"] = sorted(sys.modules)
from psro import cli
for arguments in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            cli.main(arguments)
        except SystemExit:
            pass
    loaded["psro " + " ".join(arguments)] = sorted(sys.modules)
print(json.dumps(loaded))
"""
COMMANDS = (["--help"], ["runn"], ["run", "--gmae", "x"], ["run", "--help"], ["eval", "--help"])


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """All modules in one process after each step, by the step's name."""
    folder = tmp_path_factory.mktemp("loaded")
    run = psro.RunConfig(game="matrix_rps", oracle="best_response", iterations=1)
    psro.run(run, folder / "run")
    drawn = ["plot", "run", "--out", "curve.svg"]
    out = subprocess.check_output(
        [sys.executable, "-c", PROGRAM, json.dumps([*COMMANDS, drawn, ["eval", "run"]])],
        text=True,
        cwd=folder,
    )
    assert (folder / "curve.svg").exists()
    return {step: set(modules) for step, modules in json.loads(out).items()}


def test_help_typos_and_settings_load_no_heavy_library(loaded):
    steps = ["RunConfig", *(f"psro {' '.join(arguments)}" for arguments in COMMANDS)]
    for step in steps:
        assert sorted(loaded[step] & HEAVY) == [], step


def test_a_curve_is_drawn_by_matplotlib_alone(loaded):
    assert loaded["psro plot run --out curve.svg"] & HEAVY == {"matplotlib"}


def test_a_run_is_measured_without_what_trains_it(loaded):
    assert {"flashbax", "pandas", "plotly", "psro.oracles.known"} & loaded["psro eval run"] == set()
    assert "jax" in loaded["psro eval run"]


def test_importing_the_package_loads_no_room_of_it(loaded):
    assert {name for name in loaded["import psro"] if name.startswith("psro.")} == set()
    assert "games" in loaded["import psro"]  # else no modules were told
