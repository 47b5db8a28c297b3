"""Names come from strangers: they are texts on a terminal, in tables, pages and spreadsheets."""

import csv
import dataclasses
import json
import os
import shutil

import pandas as pd
import pytest
from test_cli import psro_main

import psro
from games.readers.nodes import nodes
from psro.cli import process
from psro.runs.config import RunConfig
from psro.views import tables, watch

CONFIG = RunConfig(game="kuhn_poker", oracle="best_response", iterations=1, tolerance=0.0)
NAMES = (
    "[red]x[blink]", "a[\\b]", "[/b]", ":bomb:", "\x1b[2J\x1b]0;title\x07", "back\\",
    os.fsdecode(b"\xff\xfe"), "\u202etxt", "$x$ %{y}", "=1+1", "漢字",
)  # fmt: skip
SHOWN = {"\x1b[2J\x1b]0;title\x07": r"\x1b[2J\x1b]0;title\x07", "\u202etxt": r"\u202etxt"}
SHOWN[os.fsdecode(b"\xff\xfe")] = r"\udcff\udcfe"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return psro.run(CONFIG, tmp_path_factory.mktemp("trained") / "run").folder


@pytest.mark.parametrize("name", NAMES)
def test_the_name_of_a_folder_is_text_everywhere(trained, tmp_path, monkeypatch, capsys, name):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(trained, name)
    other, shown = shutil.copytree(trained, "other"), SHOWN.get(name, name)
    path = f"./{name}"
    for arguments in (
        ("resume", path, "--iterations", "2"),
        ("resume", path),
        ("eval", path, other, "--cfr-iterations", "0"),
        ("plot", path, other, "--out", f"{name}.png"),
        ("report", path, other, "--out", f"{name}.html"),
        ("export", path, f"{name}.psro"),
        ("export", path, f"{name}.psro"),  # which is there already
        ("eval", f"{path}/none"),
    ):
        code, out, err = psro_main(capsys, *arguments)
        said = out + err
        assert "Traceback" not in said and "MarkupError" not in said
        assert shown in said, arguments
        assert all(letter.isprintable() or letter == "\n" for letter in said)
        assert code == (
            2
            if arguments == ("export", path, f"{name}.psro")
            and err
            or arguments[1].endswith("none")
            else 0
        )


@pytest.mark.parametrize("name", NAMES)
def test_a_watcher_of_any_folder_gets_a_page(trained, tmp_path, name):
    watched = watch.Watched(shutil.copytree(trained, tmp_path / name))
    document = json.loads(watched.document().encode())
    assert document["subtitle"].endswith(SHOWN.get(name, name.split("/")[-1]))


def test_what_is_said_keeps_its_own_lines(capsys):
    process.say("one\ntwo \x1b[2J")
    process.complain("three \x1b[2J")
    out, err = capsys.readouterr()
    assert (out, err) == ("one\ntwo \\x1b[2J\n", "psro: three \\x1b[2J\n")


@pytest.mark.parametrize(("text", "cell"), [
    ("=cmd", "'=cmd"), ("@SUM(1)", "'@SUM(1)"), ("+1", "'+1"), ("-1", "'-1"), (" =1", "' =1"),
    ("＝1", "'＝1"), ("'=1", "''=1"), ("\t=1", r"\t=1"), ("runs/x", "runs/x"), ("'x'", "'x'"),
])  # fmt: skip
def test_a_cell_that_a_spreadsheet_would_compute_is_text(tmp_path, text, cell):
    tables.write_columns({text: [text, "x"], "number": [-1.5, 2.0]}, tmp_path / "t.csv")
    with open(tmp_path / "t.csv", newline="") as file:
        assert list(csv.reader(file)) == [[cell, "number"], [cell, "-1.5"], ["x", "2.0"]]


def test_eval_writes_texts(trained, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("=cmd", "@SUM(1)"):
        shutil.copytree(trained, name)
    arguments = ("eval", "=cmd", "@SUM(1)", "--csv", "t.csv", "--cfr-iterations", "0")
    assert psro_main(capsys, *arguments)[0] == 0
    table = pd.read_csv("t.csv")
    assert list(table.name[:2]) == ["'=cmd", "'@SUM(1)"]
    assert not any(name.startswith(("=", "@")) for name in table.columns)


def test_settings_of_a_stranger_are_texts(trained, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where a report and a picture are written
    folder = shutil.copytree(trained, tmp_path / "run")
    fields = json.loads((folder / "config.json").read_text())
    for setting, value in (("observation", "[/b]\x1b[2J"), ("meta_solver", "[/b]\x1b[2J")):
        changed = fields | {"run": fields["run"] | {setting: value}}
        (folder / "config.json").write_text(json.dumps(changed))
        for command in ("eval", "report", "plot", "resume"):
            code, out, err = psro_main(capsys, command, folder)
            assert "Traceback" not in out + err and "\x1b" not in out + err
            assert code in (0, 2)
    assert dataclasses.asdict(psro.load(trained).config)["observation"] is None


def test_the_csv_of_one_run_names_players_as_the_file_does(tmp_path, capsys):
    config = RunConfig(game="tests/three.nfg", oracle="best_response", iterations=1)
    run = psro.run(config, tmp_path / "run")
    code, _, _ = psro_main(capsys, "eval", run.folder, "--csv", tmp_path / "table.csv")
    columns = pd.read_csv(tmp_path / "table.csv").columns
    assert code == 0 and {"weight_Ann", "weight_Bob", "rating_Cy"} <= set(columns)
    names = [node.outcome for node in nodes(run.tree) if node.terminal is not None]
    assert {"best", "worst", ""} == set(names)
