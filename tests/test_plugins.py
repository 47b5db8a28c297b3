"""`--import MODULE`: plug-ins of one's own on the command line, and in saved runs."""

import json
import sys

import pytest

import psro
from psro.cli import main
from psro.cli.plugins import import_modules
from psro.cli.process import UsageError
from psro.errors import PsroError, SettingsError

PLUGIN = """
import open_spiel.python.games.kuhn_poker
TIMES = globals().get("TIMES", 0) + 1
"""


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """A module in the working directory that registers OpenSpiel's Python game of Kuhn poker."""
    (tmp_path / "one_plugin.py").write_text(PLUGIN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield "one_plugin"
    sys.modules.pop("one_plugin", None)


def test_a_python_game_of_a_module_runs_and_its_folder_names_the_module(plugin, tmp_path, capsys):
    main(
        "run --game python_kuhn_poker --oracle best_response --iterations 2 --out run"
        f" --import {plugin}".split()
    )
    assert json.loads((tmp_path / "run/config.json").read_text())["run"]["imports"] == [plugin]
    assert "iteration" in capsys.readouterr().out
    main(f"eval run --import {plugin}".split())
    assert "exploitability" in capsys.readouterr().out


def test_opening_a_run_never_imports_its_modules(plugin, tmp_path, capsys):
    main(f"run --oracle best_response --iterations 1 --out run --import={plugin}".split())
    sys.modules.pop(plugin)
    with pytest.raises(PsroError, match=f"--import {plugin}"):
        psro.load("run")
    assert plugin not in sys.modules
    path = tmp_path / "run/config.json"
    fields = json.loads(path.read_text())
    for names in (["os; x"], ["../x"], "x", [7], ["x" * 300], [""]):
        fields["run"]["imports"] = names
        path.write_text(json.dumps(fields))
        with pytest.raises(PsroError):
            psro.load("run")


def test_what_cannot_be_imported_is_refused_in_a_sentence(plugin, tmp_path):
    (tmp_path / "broken_plugin.py").write_text("1 / 0")
    for words, sentence in (
        (["games", "--import"], "needs the name of a module"),
        (["games", "--import", "no_such_module_here"], "cannot import no_such_module_here"),
        (["games", "--import", "broken_plugin"], "ZeroDivisionError"),
        (["games", "--import", "a b"], "cannot be the name of a module"),
    ):
        with pytest.raises((UsageError, SettingsError), match=sentence):
            import_modules(words)
    assert import_modules(["eval", "--import", plugin, "--json"]) == ["eval", "--json"]
    assert import_modules(["run", "--import", plugin, "--seed", "1"]) == [
        "run", "--seed", "1", "--import", plugin,
    ]  # fmt: skip
