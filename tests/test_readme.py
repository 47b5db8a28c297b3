"""The README's Python code runs as it stands, with smaller networks and fewer decisions."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import pytest

import psro

README = Path(__file__).resolve().parent.parent / "README.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.M | re.S)


def test_there_is_code():
    assert BLOCKS and any("psro.run(" in block for block in BLOCKS)


@pytest.mark.parametrize("block", BLOCKS)
def test_code_runs(block, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    small = functools.partial(psro.RunConfig, hidden_size=8, ppo=psro.PPOConfig(decisions=2_048))
    monkeypatch.setattr(psro, "RunConfig", small)
    names: dict[str, object] = {}
    exec(compile(block, str(README), "exec"), names)
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) >= block.count("print(")
