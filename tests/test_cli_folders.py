"""The command on folders of several seeds and on folders that exist, what it says to do next, and
its standard streams."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import psro
from psro import cli
from psro.cli.training import _differing
from psro.runs.config import RunConfig
from psro.runs.seeds import reopen_many, run_many
from psro.views import watch

EXACT = ("--oracle", "best_response", "--iterations", "3", "--tolerance", "0")
CONFIG = RunConfig(oracle="best_response", iterations=3, tolerance=0.0)
SEEDS = 3


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder of several seeds of a game whose meta-strategies are not all the same."""
    folder = tmp_path_factory.mktemp("trained") / "seeds"
    run_many(CONFIG, SEEDS, folder)
    return folder


@pytest.fixture
def folder(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "seeds")


def psro_main(capsys, *arguments):
    """Exit code, standard output and standard error of the command in this process."""
    capsys.readouterr()
    try:
        cli.main([str(argument) for argument in arguments])
        code = 0
    except SystemExit as end:
        code = end.code
    return code, *capsys.readouterr()


def contents(folder):
    """Every file below a folder, with its bytes."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_eval_compares_the_seeds_and_their_mean(capsys, trained, tmp_path):
    code, out, err = psro_main(capsys, "eval", trained, "--json", "--csv", tmp_path / "seeds.csv")
    assert (code, err) == (0, "") and out.count("\n") == 1
    measured = json.loads(out)
    alone = [psro.load(trained / f"seed-{seed}").exploitability() for seed in range(SEEDS)]
    assert measured["exploitability"] == alone and measured["seeds"] == [0, 1, 2]
    assert measured["exploitability_mean"] == pytest.approx(np.mean(alone))
    summary = psro_main(capsys, "eval", trained)[1]
    for number in (*alone, np.mean(alone), measured["exploitability_ci95"]):
        assert f"{number:.6f}" in summary
    table = pd.read_csv(tmp_path / "seeds.csv")
    assert table["exploitability"].tolist() == pytest.approx(alone) and len(table) == SEEDS


def test_eval_calls_players_as_the_game_s_file_does(capsys, tmp_path):
    game = str(Path(__file__).parent / "data" / "labels.efg")
    run_many(dataclasses.replace(CONFIG, game=game, iterations=1), 2, tmp_path / "seeds")
    assert re.search("value Alice +value Bob", psro_main(capsys, "eval", tmp_path / "seeds")[1])


def test_several_folders_of_seeds_are_all_compared(capsys, trained):
    arguments = ("--json", "--cfr-iterations", 0)
    together = json.loads(psro_main(capsys, "eval", trained, trained / "seed-1", *arguments)[1])
    runs = [str(trained / f"seed-{seed}") for seed in range(SEEDS)]
    assert together["names"][:SEEDS] == runs


def test_names_of_folders_are_shown_and_not_obeyed(capsys, tmp_path, monkeypatch):
    """On every line, of output and of errors; and what to type next is quoted."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("builtins.input", lambda: "q")
    run, seeds, exported = "a \x1b[2Jrun", "a \x1b[2Jfolder", "\x1b[2J.psro"
    for command in (
        ("run", *EXACT, "--out", run),
        ("run", *EXACT, "--out", seeds, "--seeds", 2),
        ("resume", run),
        ("eval", run),
        ("eval", run, seeds, "--cfr-iterations", 0),
        ("report", run, "--out", "\x1b[2J.html"),
        ("plot", run, "--out", "\x1b[2J.png"),
        ("export", run, exported),
        ("play", seeds),
    ):
        code, out, err = psro_main(capsys, *command)
        assert (code, err) == (0, "") and "\x1b[2J" not in out, command
        assert r"\x1b[2J" in out, command
        if command[0] == "run":
            folder = command[command.index("--out") + 1].replace("\x1b", r"\x1b")
            assert f"psro plot '{folder}'" in out
    assert psro_main(capsys, "export", run, exported)[0] == 2


def test_plot_and_report_take_all_seeds(capsys, trained, tmp_path):
    runs = [trained / f"seed-{seed}" for seed in range(SEEDS)]
    for name, folders in (("together", [trained]), ("one by one", runs)):
        assert psro_main(capsys, "plot", *folders, "--out", tmp_path / f"{name}.png")[0] == 0
    pictures = [(tmp_path / f"{name}.png").read_bytes() for name in ("together", "one by one")]
    assert pictures[0] == pictures[1]
    for name, folders in (("together", [trained]), ("one by one", runs)):
        assert psro_main(capsys, "report", *folders, "--out", tmp_path / f"{name}.html")[0] == 0
    pages = [(tmp_path / f"{name}.html").read_text("utf-8") for name in ("together", "one by one")]
    assert pages[0] == pages[1]


@pytest.mark.parametrize("command", ["plot --payoffs", "export"])
def test_what_is_for_one_run_names_one(capsys, trained, tmp_path, command):
    name, *options = command.split()
    more = [tmp_path / "run.psro"] if name == "export" else []
    code, out, err = psro_main(capsys, name, trained, *more, *options)
    assert (code, out) == (2, "") and str(trained / "seed-0") in err and err.count("\n") == 1


def test_watch_shows_all_seeds_on_one_page(trained):
    watched = watch.Watched(*(trained / f"seed-{seed}" for seed in range(SEEDS)))
    shown = json.loads(watched.document())
    assert shown["ended"] and shown["status"] == f"{SEEDS} of {SEEDS} have ended"
    assert f"{SEEDS} seeds" in json.dumps(shown["sections"])


def test_play_takes_the_least_exploitable_seed(capsys, trained, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda: "q")
    code, out, err = psro_main(capsys, "play", trained)
    last = {
        seed: psro.load(trained / f"seed-{seed}").records[-1].exploitability
        for seed in range(SEEDS)
    }
    best = min(last, key=last.get)
    assert (code, err) == (0, "") and out.startswith(str(trained / f"seed-{best}"))


@pytest.fixture(scope="module")
def converged(tmp_path_factory):
    folder = tmp_path_factory.mktemp("converged") / "run"
    psro.run(RunConfig(oracle="best_response", iterations=12, tolerance=0.01), folder)
    return folder


def test_a_converged_run_is_left_as_it_is(capsys, converged):
    before = {path: path.stat() for path in [converged, *converged.rglob("*")]}
    psro_main(capsys, "resume", converged)  # draws the curve, which is missing
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in before}
    for more in ([], ["--iterations", 20]):
        code, out, err = psro_main(capsys, "resume", converged, *more)
        assert (code, err) == (0, "") and "has ended: converged" in out
        assert "psro run --config" in out and "--tolerance 0" in out  # how to go on
    assert before == {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in before}
    assert psro.resume(converged, iterations=20).config.iterations == 12


def test_what_a_converged_run_says_goes_further(capsys, converged, tmp_path):
    psro_main(capsys, "resume", converged)
    said = psro_main(capsys, "resume", converged)[1]
    words = said[said.index("psro run") :].split()[1:]
    assert psro_main(capsys, *words, "--out", tmp_path / "further")[0] == 0
    further = psro.load(tmp_path / "further")
    assert len(further.records) > len(psro.load(converged).records)


def test_a_run_of_several_seeds_goes_on_where_some_have_converged(capsys, tmp_path):
    tolerance = 0.02  # which some seeds come to before others
    config = RunConfig(oracle="best_response", iterations=3, tolerance=tolerance)
    run_many(config, SEEDS, tmp_path / "seeds")
    assert psro_main(capsys, "resume", tmp_path / "seeds", "--iterations", 30)[0] == 0
    for seed in range(SEEDS):
        assert psro.load(tmp_path / "seeds" / f"seed-{seed}").ended == "converged"


def test_folders_are_named_after_the_variant_and_config_json_too(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ("run", "--oracle", "best_response", "--iterations", 1)
    for variant, named in (("psro_rn", "-psro_rn-"), ("default", "-default-")):
        assert psro_main(capsys, *arguments, "--variant", variant)[0] == 0
        (folder,) = tmp_path.glob(f"experiments/kuhn_poker{named}*")
        assert json.loads((folder / "config.json").read_text())["variant"] == variant


def test_a_run_describes_itself(converged):
    run = psro.load(converged)
    said = repr(run)
    assert str(converged) in said and "kuhn_poker" in said and "converged" in said
    assert f"exploitability {run.records[-1].exploitability:.6g}" in said
    frame = run.frame()
    assert frame["exploitability"].tolist() == [each.exploitability for each in run.records]
    page = run._repr_html_()
    assert page.startswith("<table>") and "kuhn_poker" in page and "exploitability" in page


def test_runs_of_several_seeds_describe_themselves(trained):
    runs = reopen_many(trained)
    assert "seeds 0 to 2" in repr(runs) and str(trained) in repr(runs)
    assert runs.frame()["distance_mean"].tolist() == runs.summary()["distance_mean"].tolist()
    assert "±" in runs._repr_html_()


def test_text_of_strangers_is_no_markup_in_a_notebook(converged):
    run = psro.load(converged)
    run.folder = run.folder.with_name("<script>")
    assert "<script>" not in run._repr_html_() and "&lt;script&gt;" in run._repr_html_()


def test_progress_is_told_on_standard_error(capsys, tmp_path):
    psro.run(CONFIG, tmp_path / "silent")
    assert capsys.readouterr() == ("", "")
    run = psro.run(CONFIG, tmp_path / "told", progress=True)
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == len(run.records) == 4
    assert err.splitlines()[-1].startswith("iteration 3 of 3: exploitability ")
    psro.run_many(CONFIG, 2, tmp_path / "many", progress=True)
    assert "mean exploitability" in capsys.readouterr().err


def test_or_resume_makes_the_run_and_then_goes_on_with_it(capsys, tmp_path):
    arguments = ("run", *EXACT, "--out", tmp_path / "run", "--or-resume")
    assert psro_main(capsys, *arguments)[0] == 0
    code, out, err = psro_main(capsys, *arguments)
    assert (code, err) == (0, "") and "has ended" in out
    assert psro_main(capsys, *arguments, "--iterations", 4)[0] == 0
    gone_on, alone = psro.load(tmp_path / "run"), tmp_path / "alone"
    assert psro_main(capsys, "run", *EXACT, "--iterations", 4, "--out", alone)[0] == 0
    assert len(gone_on.records) == 5
    assert (gone_on.payoffs == psro.load(alone).payoffs).all()


def test_or_resume_of_several_seeds(capsys, folder):
    before = contents(folder)
    arguments = ("run", *EXACT, "--out", folder, "--or-resume")
    assert psro_main(capsys, *arguments, "--seeds", SEEDS)[0] == 0
    weights = {path: held for path, held in before.items() if path.suffix == ".safetensors"}
    assert weights.items() <= contents(folder).items()
    for more in (("--seeds", 2), ("--seeds", 4), ("--seeds", SEEDS, "--seed", 1), ()):
        code, out, err = psro_main(capsys, *arguments, *more)
        assert (code, out) == (2, "") and str(folder) in err


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (("--meta-solver", "uniform"), "other meta-solver"),
        (("--seed", 7), "other seed"),
        (("--game", "leduc_poker"), "other game"),
    ],
)
def test_or_resume_refuses_another_run(capsys, folder, more, says):
    run = folder / "seed-0"
    before = contents(run)
    code, out, err = psro_main(capsys, "run", *EXACT, *more, "--out", run, "--or-resume")
    assert (code, out) == (2, "") and says in err and err.count("\n") == 1
    assert contents(run) == before


def test_or_resume_knows_settings_that_a_sampled_game_decided():
    asked = psro.RunConfig(evaluation="sampled")
    saved = dataclasses.replace(asked, ppo=asked.ppo.for_sampled_game())
    assert _differing(asked, saved) == []
    other = dataclasses.replace(saved, ppo=dataclasses.replace(saved.ppo, decisions=9))
    assert _differing(asked, other) == ["ppo"]


@pytest.mark.parametrize("more", [(), ("--seeds", 2)])
def test_a_wall_limit_stops_with_everything_saved(capsys, monkeypatch, tmp_path, more):
    monkeypatch.setattr("psro.cli.progress.signal.setitimer", lambda *_: None)
    arguments = ("run", *EXACT, *more, "--out", tmp_path / "run", "--or-resume")
    for _ in range(2):  # one iteration each time: a second would not fit
        code, out, err = psro_main(capsys, *arguments, "--wall-limit", 1e-3)
        assert code == 75 and "continue" in err
    folder = tmp_path / "run" / ("seed-0" if more else "")
    assert len(psro.load(folder).records) == 2
    assert psro_main(capsys, *arguments)[0] == 0
    code, out, err = psro_main(capsys, *arguments, "--wall-limit", 0)
    assert (code, out) == (2, "") and "--wall-limit 0.0 must be above 0" in err


def test_or_resume_needs_a_folder(capsys):
    code, out, err = psro_main(capsys, "run", *EXACT, "--or-resume")
    assert (code, out) == (2, "") and "--out" in err


@pytest.mark.parametrize("command", ["plot", "report", "export"])
def test_what_to_type_next_is_for_people_at_a_terminal(capsys, trained, tmp_path, command):
    run, out = trained / "seed-0", tmp_path / "out.png"
    arguments = [command, run, out] if command == "export" else [command, run, "--out", out]
    assert psro_main(capsys, *arguments)[1:] == (f"{out}\n", "")
    out.unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stderr.isatty", lambda: True)
        code, written, said = psro_main(capsys, *arguments)
    assert (code, written) == (0, f"{out}\n") and "psro " in said and said.count("\n") == 1


def test_games_lists_what_it_can_and_says_why_not_the_rest(capsys):
    code, out, err = psro_main(capsys, "games", "kuhn_poker", "kuhn_pokr", "matrix_rps")
    assert code == 2 and "kuhn_poker" in out and "matrix_rps" in out
    assert err.startswith("psro: no game is called 'kuhn_pokr'") and err.count("\n") == 1


@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_closed_streams(tmp_path, closed):
    """Nothing of what a run says lands in a file that got a stream's number."""
    program = f"import sys; from psro.cli import main; main({['run', *EXACT, '--out', 'run']})"
    done = subprocess.run(
        ["sh", "-c", f'"$0" -c "$1" {closed}', sys.executable, program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(psro.load(tmp_path / "run").records) == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_a_platform_that_is_not_there(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "psro", "run", "--iterations", "1", "--out", "run"],
        cwd=tmp_path,
        env={**os.environ, "JAX_PLATFORMS": "cuda"},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert (done.returncode, done.stdout) == (2, "") and not list(tmp_path.iterdir())
    assert "JAX_PLATFORMS=cuda" in done.stderr and done.stderr.count("\n") == 1
