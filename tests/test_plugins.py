"""`--import MODULE`: plug-ins of one's own on the command line, and in saved runs."""

import json
import sys

import pytest

import psro
from psro import oracles
from psro.cli import main
from psro.cli.folders import proposed
from psro.cli.plugins import import_modules
from psro.cli.process import UsageError
from psro.errors import PsroError, SettingsError
from psro.metagame.solvers import META_SOLVERS

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


def test_proposed_commands_import_what_was_imported(plugin, monkeypatch, capsys):
    """A command that is printed works as it is."""
    words = f"games python_kuhn_poker --import {plugin}".split()
    monkeypatch.setattr(sys, "argv", ["psro", *words])
    main(words)
    assert f"next: psro run --game python_kuhn_poker --import {plugin}\n" in capsys.readouterr().out
    assert proposed("eval", "a b") == f"psro eval 'a b' --import {plugin}"
    monkeypatch.setattr(sys, "argv", ["psro", "games"])
    assert proposed("eval", "run") == "psro eval run"


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
    (tmp_path / "folder").mkdir()
    for after in ("folder", "no_module_but_a_game", "kuhn_poker(players=3)", "runs/mine"):
        assert import_modules(["eval", "--import", plugin, after]) == ["eval", after]
        assert import_modules(["eval", after, "--import", plugin, "json"]) == ["eval", after]
    assert import_modules(["run", "--import", plugin, "--seed", "1"]) == [
        "run", "--seed", "1", "--import", plugin,
    ]  # fmt: skip


ORACLE = """
import dataclasses
from psro.oracles import ORACLES
from psro.oracles.best_response import BestResponse

@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    sharpness: float = 2.0
    \"\"\"How sharp it is.\"\"\"

    def __post_init__(self):
        if not self.sharpness > 0:
            raise ValueError(f"sharpness = {self.sharpness} must be above 0")

class Sharp(BestResponse):
    settings = Settings
    built_with = []

    def __init__(self, game, policy, config):
        Sharp.built_with.append(config.sharpness)
        super().__init__(game, policy, None)
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An installed package, whose entry points are an oracle and a meta-solver."""
    site = tmp_path / "site"
    (site / "sharp-1.5.dist-info").mkdir(parents=True)
    (site / "sharp_plugin.py").write_text(ORACLE)
    (site / "sharp-1.5.dist-info/METADATA").write_text("Name: sharp\nVersion: 1.5\n")
    (site / "sharp-1.5.dist-info/entry_points.txt").write_text(
        "[psro.oracles]\nsharp = sharp_plugin:Sharp\nbroken = sharp_plugin:Missing\n"
        "[psro.meta_solvers]\nfirst = psro.metagame.solvers.last:last\nseven = sys:maxsize\n"
    )
    monkeypatch.syspath_prepend(site)
    monkeypatch.chdir(tmp_path)
    yield
    sys.modules.pop("sharp_plugin", None)
    oracles.ORACLES.pop("sharp", None)
    META_SOLVERS.pop("first", None)


@pytest.mark.slow
def test_an_entry_point_is_found_by_name_with_its_settings(package, tmp_path, capsys):
    words = "run --oracle sharp --sharp.sharpness 3.5 --iterations 1 --out run"
    main(words.split())
    fields = json.loads((tmp_path / "run/config.json").read_text())
    assert fields["run"]["settings"] == {"sharpness": 3.5}
    assert fields["packages"] == ["sharp 1.5"]
    assert sys.modules["sharp_plugin"].Sharp.built_with == [3.5]
    assert psro.load("run").config.settings.sharpness == 3.5
    capsys.readouterr()
    main(["run", "--config", "run/config.json", "--out", "again"])
    assert psro.load("again").config.settings.sharpness == 3.5
    game = psro.RunConfig(oracle="best_response", meta_solver="first", iterations=1)
    assert psro.run(game, tmp_path / "solver").meta_strategy[0][-1] == 1
    for more, sentence in (
        ("--meta-solver seven", "of no use: int cannot be called"),
        ("--oracle sharp --sharp.sharpness -1", "sharpness = -1.0 must be above 0"),
        ("--oracle broken", "the plug-in broken of the package sharp 1.5 cannot be loaded"),
        ("--oracle unheard", "unknown oracle 'unheard'"),
    ):
        with pytest.raises(SystemExit):
            main(f"run --out no {more}".split())
        assert sentence in capsys.readouterr().err


def test_a_folder_without_its_package_says_what_it_needs(package, tmp_path, monkeypatch):
    psro.run(psro.RunConfig(oracle="sharp", iterations=1), tmp_path / "run")
    oracles.ORACLES.pop("sharp")
    monkeypatch.setattr(sys, "path", [p for p in sys.path if "site" not in p or ".venv" in p])
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **_: ())
    with pytest.raises(PsroError, match="needs plug-ins of sharp 1.5, and unknown oracle 'sharp'"):
        psro.load("run")


def test_a_file_is_imported_by_its_path_and_opening_says_how(tmp_path, monkeypatch):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/filed_plugin.py").write_text(ORACLE + "\nORACLES['filed'] = Sharp\n")
    (tmp_path / "json.py").write_text("")
    monkeypatch.setattr(sys, "path", list(sys.path))
    config = psro.RunConfig(oracle="best_response", iterations=1)
    path = tmp_path / "deep/filed_plugin.py"
    psro.run(config, tmp_path / "run", imports=[path])
    filed = psro.RunConfig(oracle="filed", iterations=1, settings={"sharpness": 1.5})
    run = psro.run(filed, tmp_path / "filed", imports=["filed_plugin", path])
    assert run.config.imports == ("filed_plugin",)
    assert run.config.settings.sharpness == 1.5
    sys.modules.pop("filed_plugin")
    oracles.ORACLES.pop("filed")
    for folder in ("run", "filed"):
        with pytest.raises(PsroError, match="add --import filed_plugin"):
            psro.load(tmp_path / folder)
    assert psro.load(tmp_path / "filed", imports=[path]).records
    oracles.ORACLES.pop("filed")
    sys.modules.pop("filed_plugin")
    for wrong, sentence in (
        (tmp_path / "json.py", "another module is called json"),
        (tmp_path / "missing.py", "no such file"),
    ):
        with pytest.raises(PsroError, match=sentence):
            psro.run(config, tmp_path / "no", imports=[wrong])
