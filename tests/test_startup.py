"""What is loaded before it is needed: nothing that takes long."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

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
from psro import cli
for arguments in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            cli.main(arguments)
        except SystemExit:
            pass
    loaded["psro " + " ".join(arguments)] = sorted(sys.modules)
psro.RunConfig(game="leduc_poker", cell="gru", init="perturbed")
loaded["RunConfig"] = sorted(sys.modules)
print(json.dumps(loaded))
"""
COMMANDS = (["--help"], ["runn"], ["run", "--gmae", "x"], ["run", "--help"], ["eval", "--help"])


@pytest.fixture(scope="module")
def loaded():
    """All modules in one process after each step, by the step's name."""
    out = subprocess.check_output(
        [sys.executable, "-c", PROGRAM, json.dumps(COMMANDS)], text=True, timeout=120
    )
    return {step: set(modules) for step, modules in json.loads(out).items()}


def test_help_typos_and_settings_load_no_heavy_library(loaded):
    assert len(loaded) == 2 + len(COMMANDS)
    for step, modules in loaded.items():
        assert sorted(modules & HEAVY) == [], step


def test_importing_the_package_loads_no_room_of_it(loaded):
    assert {name for name in loaded["import psro"] if name.startswith("psro.")} == set()
    assert "games" in loaded["import psro"]  # else no modules were told
