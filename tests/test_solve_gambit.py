"""`psro solve` beside pygambit, where that is installed."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

FILE = Path(__file__).resolve().parent.parent / "experiments" / "solving" / "against_gambit.py"


@pytest.mark.slow
def test_equal_to_pygambit():
    """Equilibria as sets, the logit correspondence and regrets on 16 random games and on pygambit's
    own files; the script compares as many as it is told."""
    pytest.importorskip("pygambit")
    spec = importlib.util.spec_from_file_location("against_gambit", FILE)
    module = sys.modules["against_gambit"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    ends, wrong = module.compare(4)
    assert not wrong
    assert sum(number for (_, _, end), number in ends.items() if end == "equal") > 120
