"""The notebooks of examples/, progress in a notebook, and what the public objects show there."""

import json
import runpy
import sys
import types
from pathlib import Path

import pytest

import psro
from psro.runs import notebook

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted(path.stem for path in (ROOT / "examples").glob("*.ipynb"))


def cells(name):
    return json.loads((ROOT / "examples" / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]


@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_the_cells_run(name, tmp_path, monkeypatch):
    """One after another, in one namespace, as a kernel does."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    space = {"__name__": "__main__"}
    for cell in cells(name):
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), name, "exec"), space)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_a_page(name):
    """It was executed without an error, and the site shows it."""
    for cell in cells(name):
        outputs = cell.get("outputs", [])
        assert all(output["output_type"] != "error" for output in outputs)
        assert cell["cell_type"] != "code" or cell["execution_count"] is not None
        assert all(str(ROOT) not in json.dumps(output) for output in outputs)
    page = (ROOT / "docs" / "notebooks" / f"{name}.md").read_text()
    assert page.strip() == f"<!-- notebook: {name} -->"
    hook = runpy.run_path(str(ROOT / "docs" / "notebooks.py"))
    made = hook["on_page_markdown"](page, None, None, None)
    assert made.startswith("# ") and "````python" in made and "<style" not in made
    assert f"notebooks/{name}.md" in (ROOT / "mkdocs.yml").read_text()


def test_progress_is_a_bar_in_a_notebook(monkeypatch):
    shown = []

    class Handle:
        def update(self, drawn):
            shown.append(drawn)

    def display(drawn, display_id):
        shown.append(drawn)
        return Handle()

    assert notebook.bar(4) is None
    interactive, displays = types.ModuleType("IPython"), types.ModuleType("IPython.display")
    displays.HTML, displays.display = str, display
    shell = types.SimpleNamespace(kernel=None)
    interactive.get_ipython = lambda: shell
    monkeypatch.setitem(sys.modules, "IPython", interactive)
    monkeypatch.setitem(sys.modules, "IPython.display", displays)
    bar = notebook.bar(4)
    bar(0, {"exploitability": "1"})
    bar(1, {"<b>": "0.5"})
    assert len(shown) == 2 and "value='1' max='4'" in shown[1] and "&lt;b&gt; 0.5" in shown[1]
    del shell.kernel  # IPython in a terminal
    assert notebook.bar(4) is None


def test_results_are_tables_in_a_notebook(tmp_path):
    file = tmp_path / "game.nfg"
    players, strategies = '{ "<b>Ann" "Bob" }', '{ { "up" "down" } { "left" "right" } }'
    file.write_text(f'NFG 1 R "x" {players} {strategies}\n2 1 0 0 0 0 1 2\n')
    solved = psro.solve(str(file), all_equilibria=True)
    shown = solved._repr_html_()
    assert "&lt;b&gt;Ann" in shown and "<b>" not in shown
    assert "up 1" in shown and "solution 3 of 3" in shown
    assert repr(solved).startswith("<Solved ") and "3 solutions" in repr(solved)
    measured = psro.load("zoo:goofspiel").measure()
    assert "<th style='text-align: left'>exploitability</th>" in measured._repr_html_()
