"""The Python code of these pages runs as it is, with smaller networks and fewer decisions."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import pytest

import psro
from psro.variants.expansions import EXPANSIONS

ROOT = Path(__file__).resolve().parent.parent
PAGES = ["README.md", "docs/running.md", "docs/variants.md"]
BLOCKS = [
    (page, block)
    for page in PAGES
    for block in re.findall(
        r"^```python\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.M | re.S
    )
]


@pytest.mark.parametrize("page", PAGES)
def test_there_is_code(page):
    assert any(where == page and "psro.run(" in block for where, block in BLOCKS)


def test_the_example_of_a_variant_is_short():
    (block,) = [block for page, block in BLOCKS if page == "docs/variants.md"]
    assert len(block.splitlines()) < 60


@pytest.mark.parametrize("page, block", BLOCKS)
def test_code_runs(page, block, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    small = functools.partial(psro.RunConfig, hidden_size=8, ppo=psro.PPOConfig(decisions=2_048))
    monkeypatch.setattr(psro, "RunConfig", small)
    names: dict[str, object] = {}
    exec(compile(block, page, "exec"), names)
    EXPANSIONS.pop("hedged", None)  # the example's own
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) >= block.count("print(")
