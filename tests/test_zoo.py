"""The populations that come with the package, and runs as folders for a model hub."""

import json
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest
from test_cli import psro_main

import psro
from psro.play import publishing
from psro.play.publishing import PublishError
from psro.runs import archive, zoo
from psro.runs.storage import ExperimentError

MOST_BYTES = 300_000


def test_every_population_has_a_card_and_is_small():
    names = list(zoo.cards())
    files = sorted(path.stem for path in zoo.card("kuhn").file.parent.glob("*.psro"))
    assert sorted(names) == files
    for card in zoo.cards().values():
        assert card.file.stat().st_size <= MOST_BYTES
        assert card.game in card.command.replace("'", "").split() and "--seed 0" in card.command


def test_a_population_is_loaded_by_its_name():
    run, card = psro.load("zoo:goofspiel"), zoo.card("goofspiel")  # tables: nothing is compiled
    assert run.exploitability() == pytest.approx(card.exploitability, abs=1e-9)
    assert run.config.game == card.game and run.meta_game.size == card.policies
    assert str(run.folder) == "zoo:goofspiel"


@pytest.mark.slow
@pytest.mark.parametrize("name", zoo.cards())
def test_the_exploitability_on_a_card_is_the_exact_one(name, capsys):
    card = zoo.card(name)
    exact = [] if psro.load(f"zoo:{name}").is_exact else ["--exact"]
    code, out, _ = psro_main(capsys, "eval", f"zoo:{name}", "--json", *exact)
    assert code == 0
    assert json.loads(out)["exploitability"] == pytest.approx(card.exploitability, rel=1e-3)


def test_the_zoo_on_the_command_line(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = psro_main(capsys, "zoo")
    assert code == 0 and all(f"zoo:{name}" in out for name in zoo.cards())
    code, out, _ = psro_main(capsys, "zoo", "zoo:kuhn")
    assert code == 0 and "--hidden-size 16" in out.replace("\n", " ")
    code, _, err = psro_main(capsys, "eval", "zoo:kun")
    assert code == 2 and "did you mean zoo:kuhn?" in err and err.count("\n") == 1
    assert archive.beside(Path("zoo:kuhn")) == Path("kuhn")
    (tmp_path / "zoo:kuhn").mkdir()
    code, _, err = psro_main(capsys, "eval", "zoo:kuhn")  # what exists goes first
    assert code == 2 and "zoo:kuhn" in err


def test_a_published_folder_is_read_like_any_other(capsys, tmp_path):
    code, out, _ = psro_main(capsys, "publish", "zoo:goofspiel", tmp_path / "made")
    assert code == 0 and "README.md" in out
    again, before = psro.load(tmp_path / "made"), psro.load("zoo:goofspiel")
    assert again.exploitability() == before.exploitability()
    assert again.payoffs.tolist() == before.payoffs.tolist()
    card = (tmp_path / "made" / "README.md").read_text()
    (model,) = metadata_of(card)["model-index"]
    assert model["results"][0]["metrics"][0]["value"] == again.exploitability()
    assert before.config.game in card
    names = {path.name for path in (tmp_path / "made").iterdir()}
    assert {"README.md", "play.html", "config.json", "policies"} <= names
    code, _, err = psro_main(capsys, "publish", "zoo:goofspiel", tmp_path / "made")
    assert code == 2 and "exists already" in err


def metadata_of(card):
    """The values in front of a card, which are YAML in one line each."""
    lines = card.split("---\n")[1].splitlines()
    return {name: json.loads(value) for name, _, value in (line.partition(": ") for line in lines)}


@pytest.mark.parametrize("name", ["`a` | <b>", "---\n# x", "plain", "``"])
def test_names_are_only_text_in_a_card(name):
    shown = publishing.in_code(name)
    assert "\n" not in shown and "|" not in shown
    ticks = len(shown) - len(shown.lstrip("`"))
    inside = shown[ticks:-ticks]
    assert "`" * ticks not in inside


def test_what_is_uploaded(monkeypatch, tmp_path):
    """The folder that is written locally, once a repository is there; with errors as sentences."""
    seen = []
    hub = types.ModuleType("huggingface_hub")
    hub.create_repo = lambda name, exist_ok: seen.append((name, exist_ok))

    def upload_folder(repo_id, folder_path):
        seen.append((repo_id, sorted(p.name for p in Path(folder_path).iterdir())))
        if repo_id == "me/refused":
            raise RuntimeError("401\nwho are you?")
        return "https://hub/me/kuhn"

    hub.upload_folder = upload_folder
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    assert publishing.upload("zoo:goofspiel", "hf://me/kuhn") == "https://hub/me/kuhn"
    assert seen[0] == ("me/kuhn", True) and "README.md" in seen[1][1]
    with pytest.raises(PublishError, match="401 who are you"):
        publishing.upload("zoo:goofspiel", "hf://me/refused")
    with pytest.raises(PublishError, match="OWNER/NAME"):
        publishing.upload("zoo:goofspiel", "hf://../x/y")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(PublishError, match="pip install"):
        publishing.upload("zoo:goofspiel", "hf://me/kuhn")


def test_an_unknown_name_is_an_error():
    with pytest.raises(ExperimentError, match="known: zoo:kuhn"):
        psro.load("zoo:chess")


@pytest.mark.slow
def test_a_few_hostile_names_and_damaged_files():
    """The recipe, shortly: no traceback and no hang."""
    script = Path(__file__).resolve().parent.parent / "experiments" / "trust" / "fuzz_pages.py"
    said = subprocess.check_output([sys.executable, script, "--count", "20"], text=True)
    assert "20 in" in said and not re.search("traceback|hang|exit", said)
