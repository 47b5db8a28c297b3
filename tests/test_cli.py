"""The command `psro`: in this process where possible, as a process where it is about processes."""

import dataclasses
import io
import itertools
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pytest
import rich.console

import games
import psro
from psro import cli
from psro.cli import options, progress
from psro.cli import process as cli_process
from psro.exact.restricted_game import METHODS
from psro.measure import evaluation
from psro.metagame.solvers import META_SOLVERS, Solver
from psro.metagame.solvers.regret_minimisers import REGRET_MINIMISERS
from psro.metagame.solving import GAME_SOLVERS
from psro.oracles import ORACLES, Results
from psro.policies.initial import INITS
from psro.policies.networks import CELLS
from psro.runs import experiment
from psro.runs.config import TABLES, RunConfig
from psro.variants.diversity import TERMS
from psro.variants.expansions import EXPANSIONS
from psro.variants.published import VARIANTS
from psro.views import tables
from psro.views.numbers import three_digits

COMMAND = str(Path(sys.executable).with_name("psro"))
TINY = [  # as in test_experiment.py, so that the compiled code is shared through the cache
    *("--game", "kuhn_poker", "--hidden-size", "8", "--ppo.decisions", "2048"),
    *("--ppo.num-envs", "32", "--ppo.num-strata", "4", "--ppo.rollout-length", "8"),
    *("--ppo.sequence-length", "4", "--ppo.num-minibatches", "2", "--ppo.epochs", "2"),
    *("--ppo.learning-rate", "0.03", "--ppo.evaluations", "2", "--tolerance", "0"),
]
# Runs of which only the process matters: with exact best responses they compile next to nothing.
EXACT = ["--game", "kuhn_poker", "--oracle", "best_response", "--tolerance", "0"]
LONG = 63  # iterations of a run that is to be stopped; the populations' capacity is 64


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    """Folders of two short runs that differ in their seed."""
    root = tmp_path_factory.mktemp("seeds")
    folders = [root / f"seed{seed}" for seed in range(2)]
    for seed, folder in enumerate(folders):
        cli.main(["run", *TINY, "--iterations", "5", "--seed", str(seed), "--out", str(folder)])
    return folders


@pytest.fixture
def copy(seeds, tmp_path):
    return shutil.copytree(seeds[0], tmp_path / "copy")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """A long run by the real command: its folder, what it printed, and its seconds."""
    folder = tmp_path_factory.mktemp("uninterrupted") / "run"
    began = time.monotonic()
    done = command("run", *EXACT, "--iterations", LONG, "--out", folder)
    assert (done.returncode, done.stderr) == (0, "")
    return folder, done.stdout, time.monotonic() - began


class Untrained:
    """An oracle with nothing to compile: its best responses are the fresh networks."""

    tabular = False
    conditional = False

    def __init__(self, game, policy, config):
        pass

    def __call__(self, jobs):
        none = np.zeros(len(jobs.player), int)
        return Results(
            params=jobs.initial,
            decisions=none,
            episodes=none,
            diverged=none > 0,
            curve=np.zeros((len(jobs.player), 1)),
        )


@pytest.fixture
def untrained(monkeypatch):
    monkeypatch.setitem(ORACLES, "ppo", Untrained)


def psro_main(capsys, *arguments):
    """Exit code, standard output and standard error of the command in this process."""
    capsys.readouterr()
    code = 0
    try:
        cli.main([str(each) for each in arguments])
    except SystemExit as end:
        code = end.code
    except KeyboardInterrupt:  # which would stop pytest itself
        pytest.fail("the interrupt came out of main: Python would print a traceback")
    out, err = capsys.readouterr()
    return code, out, err


def assert_refused(result):
    """Exit code 2 and one sentence of ours, or the usage in the box that tyro draws; returned."""
    code, _, err = result
    assert code == 2
    assert "Traceback" not in err and "__tyro" not in err
    if "For full helptext" in err:
        err = re.sub("\x1b\\[[0-9;]*m|[─-╿]|-{9,}", " ", err)  # colours and the box
        err = " ".join(err.split())  # without its line breaks
    else:
        assert err.startswith("psro: ") and err.endswith("\n") and err.count("\n") == 1
    assert len(err) > 20
    return err


def command(*arguments, **options):
    """The finished process of the real command."""
    return subprocess.run(
        [COMMAND, *map(str, arguments)], capture_output=True, text=True, **options
    )


def start(*arguments, prelude="", **options):
    """The real command as a process; `prelude` is Python that runs before it, in the same one."""
    arguments = [COMMAND, *map(str, arguments)]
    if prelude:
        code = f"import os, resource; {prelude}; os.execv({COMMAND!r}, {arguments!r})"
        arguments = [sys.executable, "-c", code]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | options
    return subprocess.Popen(arguments, **options)


def outcome(folder):
    """All that a run leaves, bit for bit, but for wall times and the picture of the curve."""
    loaded = psro.load(folder)
    metrics = pd.read_csv(folder / "metrics.csv", dtype=str)  # as text: every digit counts
    return (
        loaded.config,
        sorted({path.name for path in folder.iterdir()} - {"exploitability.png"}),
        {path.name: path.read_bytes() for path in (folder / "policies").iterdir()},
        loaded.payoffs.tobytes(),
        [each.tobytes() for each in loaded.meta_strategy],
        metrics.loc[:, ~metrics.columns.str.startswith("seconds_")].to_csv(),
    )


# What works


def test_run_makes_a_folder(seeds):
    for seed, folder in enumerate(seeds):
        loaded = psro.load(folder)
        assert loaded.config.seed == seed
        assert loaded.config.ppo.decisions == 2048 and loaded.config.ppo.learning_rate == 0.03
        assert len(loaded.records) == 6
        assert (folder / "exploitability.png").read_bytes().startswith(b"\x89PNG")


def test_run_prints_every_iteration(uninterrupted):
    folder, out, _ = uninterrupted
    records = psro.load(folder).records
    printed = [line.split()[:2] for line in out.splitlines() if line[:9].strip().isdigit()]
    assert printed == [[str(r.iteration), f"{r.exploitability:.6f}"] for r in records]
    assert f"psro eval {folder}" in out


def screen(text):
    """What is seen of a terminal's output: without colours and movements of the cursor."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def test_a_name_that_is_no_text_is_printed_as_escapes(seeds, tmp_path):
    """A name is bytes; these are no UTF-8."""
    folder = shutil.copytree(seeds[0], tmp_path / "run\udcff")
    printed = command("eval", folder, seeds[1], "--csv", tmp_path / "\udcff.csv")
    assert (printed.returncode, printed.stderr) == (0, "") and "run\\udcff" in printed.stdout
    assert "run\\udcff" in (tmp_path / "\udcff.csv").read_text()
    page = tmp_path / "\udcff.html"
    printed = command("report", folder, folder, "--out", page)
    assert (printed.returncode, printed.stderr) == (0, "") and "\\udcff.html" in printed.stdout
    assert r"run\\udcff" in page.read_text()  # within JSON, where a backslash is two


@pytest.mark.parametrize("code, late", [(2, "late\n"), (143, "")])
def test_an_interrupted_process_leaves_nothing_to_do_at_its_end(code, late):
    """A compilation may still go on then."""
    program = f"""
import atexit, os, sys
from psro import cli
atexit.register(os.write, 1, b"late\\n")
cli.main = lambda: (print("said"), sys.exit({code}))
cli.command()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (code, "")
    assert sorted(done.stdout.splitlines()) == sorted(["said", *late.split()])


def test_the_package_is_the_command(capsys):
    module = [sys.executable, "-m", "psro", "variants"]
    assert subprocess.check_output(module, text=True) == psro_main(capsys, "variants")[1]


def test_a_terminal_shows_a_table_and_a_progress_bar(capsys, tmp_path, monkeypatch, untrained):
    monkeypatch.setenv("FORCE_COLOR", "1")  # to rich, any output is a terminal then
    folder = tmp_path / "run"
    few = ("run", "--game", "matrix_rps", "--iterations", 2, "--tolerance", 0, "--out", folder)
    code, out, err = psro_main(capsys, *few)
    assert (code, err) == (0, "") and "\x1b[" in out
    shown = screen(out)
    assert "iteration 0 of 2" in shown and "iteration 2 of 2" in shown
    assert "compiling, then training" in shown
    rows = [line.split()[:2] for line in shown.splitlines() if line.split()[:1] in (["0"], ["2"])]
    records = psro.load(folder).records
    assert rows[-2:] == [[str(r.iteration), f"{r.distance:.6f}"] for r in records[::2]]
    # Going on, the table begins with what has been done.
    code, out, err = psro_main(capsys, "resume", folder, "--iterations", 3)
    assert (code, err) == (0, "")
    first = screen(out).split("iteration 2 of 3")[0]
    assert f"{records[2].distance:.6f}" in first
    assert "iteration 3 of 3" in screen(out) and len(psro.load(folder).records) == 4


def test_run_chooses_a_folder(capsys, tmp_path, monkeypatch, untrained):
    monkeypatch.chdir(tmp_path)
    code, out, err = psro_main(capsys, "run", "--game", "matrix_rps", "--iterations", 1)
    (folder,) = Path("experiments").iterdir()
    assert (code, err) == (0, "")
    assert folder.name.startswith("matrix_rps-") and str(folder) in out
    assert len(psro.load(folder).records) == 2


def test_resume_goes_on(capsys, copy):
    code, out, err = psro_main(capsys, "resume", copy)
    assert (code, err) == (0, "") and "all 5 iterations are done" in out
    code, out, err = psro_main(capsys, "resume", copy, "--iterations", 6)
    assert (code, err) == (0, "") and "after 6 iterations" in out
    assert len(psro.load(copy).records) == 7


def test_resume_draws_the_picture_that_a_kill_prevented(capsys, copy):
    (copy / "exploitability.png").unlink()
    assert psro_main(capsys, "resume", copy)[0] == 0
    assert (copy / "exploitability.png").exists()


def test_eval_prints_one_json_object(capsys, seeds):
    code, out, err = psro_main(capsys, "eval", seeds[0], "--json")
    assert (code, err) == (0, "") and out.count("\n") == 1
    printed, loaded = json.loads(out), psro.load(seeds[0])
    measured = loaded.measure()
    assert printed["game"] == "kuhn_poker" and printed["iteration"] == 5
    assert printed["exploitability"] == measured.exploitability
    assert printed["nash_conv"] == measured.nash_conv
    assert printed["value"] == measured.value.tolist()
    assert printed["meta_strategy"] == [each.tolist() for each in loaded.meta_strategy]
    assert printed["payoffs"] == loaded.payoffs.tolist()
    # The mixture of iteration 0 was its only policy.
    assert printed["policy_exploitability"][0] == pytest.approx(loaded.records[0].exploitability)
    assert printed["cce_gap"] == printed["ce_gap"] == measured.nash_conv  # independent draws
    assert printed["game_value"] == pytest.approx([-1 / 18, 1 / 18])
    assert printed["population_exploitability"] <= measured.exploitability + 1e-9
    for name in ["least_exploitable", "policy_worst_case", "rating", "nash_average"]:
        assert [len(each) for each in printed[name]] == [6, 6]
    assert printed["omitted"] == [] and len(printed["expected_cardinality"]) == 2


def test_eval_prints_tables(capsys, seeds):
    code, out, err = psro_main(capsys, "eval", seeds[0])
    loaded = psro.load(seeds[0])
    assert (code, err) == (0, "")
    assert three_digits(loaded.exploitability()) in out
    assert all(three_digits(payoff, sign=True) in out for payoff in loaded.payoffs[0].flat)
    for shown in ["least exploitable", "-0.0556", "rating 0", "Nash average 1", "of 6 policies"]:
        assert shown in out
    assert "note:" not in out


def test_eval_solves_large_games_when_asked(capsys, seeds, monkeypatch):
    monkeypatch.setattr(evaluation, "MAX_SEQUENCES", 25)  # Kuhn poker has 26
    _, out, _ = psro_main(capsys, "eval", seeds[0])
    assert "least exploitable" not in out and "--equilibrium" in out
    _, out, _ = psro_main(capsys, "eval", seeds[0], "--json")
    printed = json.loads(out)
    assert printed["game_value"] is printed["population_exploitability"] is None
    assert "--equilibrium" in printed["omitted"][0]
    _, out, _ = psro_main(capsys, "eval", seeds[0], "--equilibrium")
    assert "least exploitable" in out and "note:" not in out


def test_eval_fits_a_terminal(seeds):
    """At 80 columns numbers stay whole: only headers are wrapped."""
    loaded = psro.load(seeds[0])
    measured = evaluation.evaluate(loaded.meta_game, loaded.measured_strategy)
    out = rich.console.Console(width=80, record=True, file=io.StringIO())
    tables.print_tables(loaded, measured, out)
    lines = out.export_text().splitlines()
    assert max(map(len, lines)) <= 80 and not any("…" in line for line in lines)
    for number in (*measured.worst_case.flat, *measured.mixture.value):
        assert any(three_digits(number, sign=True) in line for line in lines)


def test_eval_of_many_policies_prints_those_of_most_weight(capsys, uninterrupted):
    folder, *_ = uninterrupted
    code, out, err = psro_main(capsys, "eval", folder)
    assert (code, err) == (0, "") and "12 with most weight" in out
    assert max(map(len, out.splitlines())) < 200


def test_eval_of_three_players(capsys, tmp_path, untrained):
    game = "kuhn_poker(players=3)"
    arguments = ["--game", game, "--iterations", 1, "--meta-solver", "uniform", "--hidden-size", 4]
    assert psro_main(capsys, "run", *arguments, "--out", tmp_path / "run")[0] == 0
    code, out, err = psro_main(capsys, "eval", tmp_path / "run")
    assert (code, err) == (0, "")
    assert game in out and "(3, 2, 2, 2)" in out
    assert "note: no population exploitability" in out and "rating 2" in out
    assert psro_main(capsys, "eval", tmp_path / "run", "--json")[0] == 0
    refused = assert_refused(psro_main(capsys, "eval", tmp_path / "run", "--equilibrium"))
    assert "two-player zero-sum" in refused


@pytest.mark.parametrize("axis", ["iterations", "decisions", "seconds"])
@pytest.mark.parametrize(("ending", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_plot_writes_a_picture(capsys, seeds, tmp_path, axis, ending, start):
    path = tmp_path / f"figure.{ending}"
    code, out, err = psro_main(capsys, "plot", *seeds, "--out", path, "--x", axis)
    assert (code, out, err) == (0, f"{path}\n", "")
    assert path.read_bytes().startswith(start) and path.stat().st_size > 5000


def test_plot_draws_payoffs_of_one_folder(capsys, seeds, tmp_path):
    path = tmp_path / "payoffs.png"
    code, out, err = psro_main(capsys, "plot", seeds[0], "--payoffs", "--out", path)
    assert (code, out, err) == (0, f"{path}\n", "")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert "one folder" in assert_refused(psro_main(capsys, "plot", *seeds, "--payoffs"))


def test_games_lists_sizes(capsys):
    code, out, err = psro_main(capsys, "games")
    assert (code, err) == (0, "")
    assert all(name in out for name in (*games.GAMES, *games.LARGE_GAMES))
    code, out, err = psro_main(capsys, "games", "kuhn_poker(players=3)", "kuhn_poker")
    assert (code, err) == (0, "")
    tree = games.load("kuhn_poker")
    assert all(str(n) in out for n in (tree.num_histories, tree.num_terminals)) and "6 + 6" in out


def test_games_that_are_refused_leave_the_others_in_the_list(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    last, other = "[red]x[blink]\x1b[2J.csv", "x.agg"
    Path(last).write_text("1,2,3\n4,5,6\n")
    code, out, err = psro_main(capsys, "games", "kuhn_poker", other, "matrix_rsp", last)
    assert code == 2 and "\x1b" not in out + err
    assert re.search(r"^ *kuhn_poker +2 +", out, re.M)
    assert re.search(r"\[red\]x\[blink\]\\x1b\[2J\.csv +2 +", out)
    first, second = err.splitlines()
    assert first.startswith("psro: no game is called") and "'.agg' are not read" in first
    assert second.startswith("psro: no game is called 'matrix_rsp'")
    assert psro_main(capsys, "games", other, "matrix_rsp")[:2] == (2, "")


def test_games_that_are_not_enumerated_are_listed_as_they_are_played(capsys):
    code, out, err = psro_main(capsys, "games", "leduc_poker", "negotiation", "--max-histories", 10)
    assert (code, err) == (0, "") and "by episodes" in out and "default run" not in out
    assert re.search(r"leduc_poker +2 +\S.*3 +30 +8 +native, openspiel +[\d.e-]+ s", out)
    assert re.search(r"negotiation +2 +not known .* openspiel +[\d.e-]+ s", out)
    code, out, err = psro_main(capsys, "games", "kuhn_poker")
    assert (code, err) == (0, "") and "played by tree, native, openspiel" in out


def test_games_lists_files(capsys, tmp_path):
    np.save(tmp_path / "large.npy", np.zeros((2000, 3000)))
    entry = Path(__file__).parent / "entry.efg"
    code, out, err = psro_main(capsys, "games", entry, tmp_path / "large.npy")
    assert (code, err) == (0, "")
    assert "entry.efg" in out and "2 + 1 + 1" in out
    assert "large.npy" in out and "6,000,000" in out  # which nobody has enumerated


@pytest.mark.parametrize("subcommand", ["", "run", "resume", "eval", "plot", "games"])
def test_help(capsys, subcommand):
    code, out, err = psro_main(capsys, *subcommand.split(), "--help")
    assert (code, err) == (0, "")
    for word in {"": ["run", "resume", "eval", "plot", "games"],
                 "run": ["--game", "--ppo.clip", "--meta-solver", "nash", "lstm"],
                 "plot": ["--x", "decisions"]}.get(subcommand, []):  # fmt: skip
        assert word in out


def options_in(text):
    """The options that a help text explains, in its order, each with its explanation."""
    explained = {}
    for line in text.splitlines():
        words = line.strip("│ ").split()
        if words and re.match(r"--[a-z]", words[0]):
            option = words[0]
            explained[option] = line
        elif explained and line.startswith(("│   ", "    ")):
            explained[option] += " " + " ".join(words)
    return explained


@pytest.mark.parametrize(
    "subcommand",
    [
        "run",
        "resume",
        "eval",
        "arena",
        "plot",
        "report",
        "watch",
        "play",
        "export",
        "games",
        "variants",
    ],
)
def test_help_is_for_people(capsys, subcommand):
    """No types of Python, no defaults that are none, and no line that breaks before it is full."""
    out = psro_main(capsys, subcommand, "--help")[1]
    for word in ("STR", "INT", "{None}", "(default: None)", "(default: )", "(default: False)",
                 "unasked"):  # fmt: skip
        assert word not in out, word
    for line, following in itertools.pairwise(out.splitlines()):
        column = len(following) - len(following.lstrip("│ "))
        if column > 10 and following.strip("│ ") and re.match(r"  \S", line[column - 2 :]):
            room = len(following) - 2 - len(line.rstrip("│ "))
            assert len(following.strip("│ ").split()[0]) >= room, line


def test_the_help_of_run_begins_with_what_most_runs_need(capsys):
    explained = options_in(psro_main(capsys, "run", "--help")[1])
    assert [*explained][:10] == [f"--{name.replace('_', '-')}" for name in options.FIRST]
    fields = {field.name for field in dataclasses.fields(RunConfig)} - {
        *TABLES,
        "imports",
        "origin",
        "settings",
    }
    assert {f"--{name.replace('_', '-')}" for name in (*fields, "import")} <= set(explained)


@pytest.mark.parametrize(
    ("option", "names"),
    [
        ("--oracle", ORACLES), ("--meta-solver", {**META_SOLVERS, **GAME_SOLVERS}),
        ("--expansion", EXPANSIONS), ("--diversity", TERMS), ("--init", INITS), ("--cell", CELLS),
        ("--restricted-solver", METHODS), ("--regret-minimiser", REGRET_MINIMISERS),
    ],
)  # fmt: skip
def test_help_names_every_choice(capsys, option, names):
    text = options_in(psro_main(capsys, "run", "--help")[1])[option]
    assert [name for name in names if name not in text] == []


def test_plug_ins_are_named_too(capsys, monkeypatch):
    for option, registry in (("--meta-solver", META_SOLVERS), ("--cell", CELLS)):
        monkeypatch.setitem(registry, "one_s_own", next(iter(registry.values())))
        assert "one_s_own" in options_in(psro_main(capsys, "run", "--help")[1])[option]


def test_the_real_command(seeds):
    done = command("eval", seeds[0], "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["exploitability"] == psro.load(seeds[0]).exploitability()
    done = command("run", "--game", "kuhn_pokr")
    assert_refused((done.returncode, done.stdout, done.stderr))


@pytest.mark.parametrize("arguments", [["eval", "--json"], ["games", "kuhn_poker"]])
def test_a_reader_that_has_seen_enough(seeds, arguments):
    process = start(*arguments, *seeds[:1] * (arguments[0] == "eval"))
    process.stdout.close()  # as `| head` does
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait() == 0


def test_a_run_whose_reader_has_seen_enough(tmp_path):
    process = start("run", *EXACT, "--iterations", 5, "--out", tmp_path / "run")
    process.stdout.readline()
    process.stdout.close()
    process.stderr.read()
    process.stderr.close()
    # It may go on without its reader or stop, but not stop and claim to have succeeded.
    if process.wait() == 0:
        assert len(psro.load(tmp_path / "run").records) == 6


# What is refused


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--game", "kuhn_pokr"], "kuhn_poker"),
        (["--game", "no such game"], "no"),
        (["--game", ""], "game"),
        (["--game", "kuhn_poker(cards=7)"], "kuhn_poker"),
        (["--game", "kuhn_poker(players=99)"], "kuhn_poker"),
        (["--game", "missing.csv"], "there is no file"),
        (["--game", str(Path(__file__).parent / "three.nfg"), "--meta-solver", "nash"], "mgcce"),
        (["--game", "kuhn_poker("], "kuhn_poker"),
        (["--game", "mfg_crowd_modelling"], "mean-field"),
        (["--game", "tic_tac_toe", "--max-histories", "10", "--evaluation", "exact"], "10"),
        (["--game", "chess", "--max-histories", "1000", "--evaluation", "exact"], "1,000"),
        (["--game", "kuhn_poker(players=3)", "--meta-solver", "nash"], "mgcce"),
        (["--game"], "--game"),
        (["--cell", "transformer"], "lstm"),
        (["--cell", "ltsm"], "lstm"),
        (["--oracle", "trpo"], "ppo"),
        (["--meta-solver", "nahs"], "nash"),
        (["--observation", "pixels"], "information_state"),
        (["--diversity", ""], "diversity"),
        (["--seeds", "1001"], "1,000"),
        (["--hidden-size", "0"], "hidden_size"),
        (["--iterations", "0"], "iterations"),
        (["--iterations", "many"], "many"),
        (["--iterations", "2.5"], "2.5"),
        (["--seed", "-1"], "-1"),
        (["--seed", "4294967296"], "4294967296"),
        (["--max-histories", "0"], "max_histories"),
        (["--ppo.clip", "-1"], "clip"),
        (["--ppo.num-minibatches", "3"], "num_minibatches"),
        (["--ppo.num-strata", "5"], "num_strata"),
        (["--ppo.sequence-length", "5"], "sequence_length"),
        (["--ppo.decisions", "0"], "decisions"),
        (["--ppo.gamma", "1.5"], "gamma"),
        (["--ppo.learning-rate", "fast"], "fast"),
        (["--ppo.learning-rate", "nan"], "learning_rate"),
        (["--nonsense", "1"], "nonsense"),
        (["kuhn_poker"], "kuhn_poker"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_run_refuses(capsys, tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    result = psro_main(capsys, "run", *arguments)
    assert says in assert_refused(result)
    assert result[1] == ""
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["train"],
        ["--nonsense"],
        ["eval"],
        ["resume"],
        ["plot"],
        ["plot", "missing"],
        ["plot", "file"],
        ["eval", "missing"],
        ["eval", "file"],
        ["eval", "empty"],
        ["eval", "missing", "--json"],
        ["eval", "empty", "empty"],
        ["resume", "missing"],
        ["resume", "file"],
        ["resume", "empty"],
        ["games", "kuhn_pokr"],
        ["games", "missing.efg"],
        ["games", "leduc_poker", "--max-histories", "0"],
        ["games", "tarok"],
        ["games", "mnk", "--max-histories", "-10"],
        ["games", "kuhn_poker", "--observation", "pixels"],
        ["run", "--out", "empty"],
        ["run", "--out", "file"],
        ["run", "--out", "file/run"],
        ["run", "--out", "x" * 300],
        ["eval", "x" * 300],
        ["eval", "x" * 5_000],
        ["resume", "x" * 5_000],
        ["eval", "a\nb\x97"],
        ["plot", "x" * 300],
        ["run", "--out", ""],
    ],
    ids=lambda arguments: " ".join(arguments)[:40],
)
def test_everything_refuses(capsys, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("no folder")
    Path("empty").mkdir()
    result = psro_main(capsys, *arguments)
    assert_refused(result)
    assert result[1] == ""
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["empty", "file"]
    assert Path("file").read_text() == "no folder"


@pytest.mark.parametrize(
    "arguments",
    [
        ["plot", "--out", "a.gif"],
        ["plot", "--out", "no/a.png"],
        ["plot", "--x", "days"],
        ["plot", "missing"],
        ["resume", "--iterations", "2"],
        ["resume", "--iterations", "0"],
        ["resume", "--iterations", "-1"],
    ],
    ids=" ".join,
)
def test_what_a_good_folder_is_not_asked_for(capsys, copy, monkeypatch, arguments):
    monkeypatch.chdir(copy.parent)
    before = outcome(copy)
    assert_refused(psro_main(capsys, *arguments, copy))
    assert outcome(copy) == before
    assert [path.name for path in copy.parent.iterdir()] == ["copy"]


@pytest.mark.parametrize("subcommand", ["eval", "resume", "plot"])
@pytest.mark.parametrize("damage", ["config", "policy", "newer format", "metrics", "game"])
def test_a_damaged_folder(capsys, copy, monkeypatch, subcommand, damage):
    monkeypatch.chdir(copy.parent)
    path = copy / {"policy": "policies/0003.safetensors", "metrics": "metrics.csv"}.get(
        damage, "config.json"
    )
    if damage in ("newer format", "game"):
        fields = json.loads(path.read_text())
        if damage == "game":
            fields["run"]["game"] = "kuhn_pokr"
        else:
            fields["format_version"] = 99
        path.write_text(json.dumps(fields))
    else:
        os.truncate(path, 40)  # in the middle of the first thing that it says
    result = psro_main(capsys, subcommand, copy)
    # Each reads no more than it needs: nothing reads the metrics, and `resume` writes them again.
    needed = {
        "eval": {"config", "policy", "newer format", "game"},
        "resume": {"config", "policy", "newer format", "game"},
        "plot": {"config", "newer format"},
    }
    if damage in needed[subcommand]:
        assert str(copy) in assert_refused(result)
    else:
        assert result[0] == 0


def test_run_into_an_experiment(capsys, copy):
    before = outcome(copy)
    assert f"psro resume {copy}" in assert_refused(
        psro_main(capsys, "run", *TINY, "--iterations", 5, "--out", copy)
    )
    assert outcome(copy) == before


@pytest.mark.slow
def test_training_that_diverges(capsys, tmp_path):
    arguments = [*TINY, "--iterations", 5, "--ppo.learning-rate", "1e30"]  # the last one counts
    result = psro_main(capsys, "run", *arguments, "--out", tmp_path / "run")
    sentence = assert_refused(result)
    assert "diverged in iteration 1" in sentence and str(tmp_path / "run") in sentence
    assert len(psro.load(tmp_path / "run").records) == 1


class Diverging(Untrained):
    """Its training never comes to numbers."""

    def __call__(self, jobs):
        return dataclasses.replace(super().__call__(jobs), diverged=np.ones(len(jobs.player), bool))


def test_an_oracle_that_diverges(capsys, tmp_path, monkeypatch):
    monkeypatch.setitem(ORACLES, "ppo", Diverging)
    folder = tmp_path / "run"
    sentence = assert_refused(psro_main(capsys, "run", "--game", "matrix_rps", "--out", folder))
    assert "diverged in iteration 1" in sentence
    assert (
        f"{folder} keeps the 1 iterations before it; a smaller learning rate may help" in sentence
    )
    assert len(psro.load(folder).records) == 1
    assert (folder / "exploitability.png").exists() is False


def test_an_error_that_is_not_ours_keeps_its_traceback(monkeypatch):
    def broken(*_):
        raise ValueError("a bug")

    monkeypatch.setattr(experiment, "create", broken)
    with pytest.raises(ValueError, match="a bug"):
        cli.main(["run"])


@pytest.mark.parametrize(
    ("solver", "says"),
    [
        ("loose", r"note: the meta-solver missed its equilibrium by up to 0\.\d+ \(meta_regret\)"),
        ("mgcce", r"CCE gap \d\.\d{6} after 1 iteration\n  \(.*\)\nended: budget"),
    ],
)
def test_a_run_says_what_its_number_is_worth(
    capsys, tmp_path, monkeypatch, untrained, solver, says
):
    loose = Solver(function=META_SOLVERS["uniform"], concept="nash")  # aims there, and misses
    monkeypatch.setitem(META_SOLVERS, "loose", loose)
    few = ("run", "--game", "kuhn_poker", "--iterations", 1, "--tolerance", 0, "--hidden-size", 8)
    few += ("--init", "scratch")  # or the untrained oracle's policy would be the one before
    code, out, err = psro_main(capsys, *few, "--meta-solver", solver, "--out", tmp_path / "run")
    assert (code, err) == (0, "") and re.search(says, out)


# Stopping


def test_interrupted_before_there_is_anything_to_save(capsys, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(experiment, "create", interrupted)
    code, _, err = psro_main(capsys, "run", *TINY, "--out", tmp_path / "run")
    assert code == 130 and "Traceback" not in err


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_that_is_swallowed_stops_the_run_all_the_same(capsys, tmp_path, monkeypatch):
    # Python drops what is raised in a callback of its garbage collector, and JAX has one.
    class Callback:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)

    class Interrupted(Untrained):
        def __call__(self, jobs):
            Callback()
            return super().__call__(jobs)

    monkeypatch.setitem(ORACLES, "ppo", Interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        arguments = ["--game", "matrix_rps", "--iterations", 9, "--out", tmp_path / "run"]
        code, _, err = psro_main(capsys, "run", *arguments)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert code == 130 and "psro resume" in err and "Exception ignored" not in err
    assert len(psro.load(tmp_path / "run").records) <= 2


def test_control_c(capsys, uninterrupted, tmp_path):
    folder = tmp_path / "run"
    process = start("run", *EXACT, "--iterations", LONG, "--out", folder)
    for line in process.stdout:
        if line.split()[:1] == ["1"]:
            break
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130
    assert f"psro resume {folder}" in err and "Traceback" not in err
    last = psro.load(folder).records[-1].iteration
    assert 1 <= last < LONG and f"up to iteration {last};" in err
    assert psro_main(capsys, "resume", folder)[0] == 0
    assert outcome(folder) == outcome(uninterrupted[0])


@pytest.mark.slow
def test_sigterm_stops_as_control_c_does(capsys, uninterrupted, tmp_path):
    folder = tmp_path / "run"
    process = start("run", *EXACT, "--iterations", LONG, "--out", folder)
    for line in process.stdout:
        if line.split()[:1] == ["1"]:
            break
    process.terminate()
    _, err = process.communicate()
    assert process.returncode == 128 + signal.SIGTERM
    last = psro.load(folder).records[-1].iteration
    assert f"saved up to iteration {last}; continue with: psro resume {folder}" in err
    assert "Traceback" not in err and not list(folder.rglob("*.tmp"))
    assert psro_main(capsys, "resume", folder)[0] == 0
    assert outcome(folder) == outcome(uninterrupted[0])


def test_sigterm_before_there_is_anything_to_save(capsys, tmp_path, monkeypatch):
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(experiment, "create", lambda *_: signal.raise_signal(signal.SIGTERM))
    code, _, err = psro_main(capsys, "run", *TINY, "--out", tmp_path / "run")
    assert (code, err) == (143, "\nstopped\n")
    assert signal.getsignal(signal.SIGTERM) is before


def test_control_c_before_the_first_iteration(uninterrupted, tmp_path):
    folder = tmp_path / "run"
    process = start("run", *TINY, "--iterations", LONG, "--out", folder)
    for line in process.stdout:
        if line.strip() == str(folder):  # printed when training begins, which starts by compiling
            break
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130
    assert f"psro resume {folder}" in err and "Traceback" not in err


@pytest.mark.slow
def test_a_file_that_may_not_grow(capsys, uninterrupted, tmp_path):
    # A real error of the operating system: files are limited to 16 kB, which the table of payoffs
    # and records exceeds in the middle of the run. Nothing is put into the shared cache meanwhile.
    folder = tmp_path / "run"
    process = start(
        *("run", *EXACT, "--iterations", LONG, "--out", folder),
        prelude="resource.setrlimit(resource.RLIMIT_FSIZE, (16384, 16384))",
        env=os.environ | {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "1000"},
    )
    out, err = process.communicate()
    assert str(folder) in assert_refused((process.returncode, out, err))
    printed = [line.split()[0] for line in out.splitlines() if line[:9].strip().isdigit()]
    assert len(psro.load(folder).records) == len(printed) > 5
    assert psro_main(capsys, "resume", folder)[0] == 0
    assert outcome(folder) == outcome(uninterrupted[0])


@pytest.mark.parametrize("kills", [1, pytest.param(10, marks=pytest.mark.slow)])
def test_killed_at_random_moments(uninterrupted, tmp_path, kills):
    expected, _, seconds = uninterrupted
    folder, moments = tmp_path / "run", random.Random(kills)
    commit = folder / "payoffs.safetensors"

    def go_on(**options):
        if (folder / "config.json").exists():
            return start("resume", folder, **options)
        return start("run", *EXACT, "--iterations", LONG, "--out", folder, **options)

    for kill in range(kills):
        before = commit.stat().st_ino if commit.exists() else None
        process = go_on(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if kill % 2:  # any moment; most of a short run is importing and compiling
            time.sleep(moments.uniform(0, seconds))
        else:  # a moment amid the iterations
            while process.poll() is None and (
                not commit.exists() or commit.stat().st_ino == before
            ):
                time.sleep(0.001)
            time.sleep(moments.uniform(0, 0.2))
        process.kill()
        process.wait()
        if commit.exists():
            psro.load(folder)
    process = go_on()
    _, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    assert outcome(folder) == outcome(expected)


# Variants


@pytest.fixture
def configured(monkeypatch):
    """The configs of runs that were asked for and not made."""
    configs = []
    monkeypatch.setattr(experiment, "create", lambda config, out: config)
    monkeypatch.setattr(progress, "train", lambda config, log: configs.append(config))
    return configs


@pytest.mark.parametrize("name", ["psro", "epsro", "dpp_psro", "neupl"])
def test_a_variant_is_the_settings_that_are_listed(capsys, configured, name):
    assert psro_main(capsys, "run", "--variant", name)[0] == 0
    listed = psro_main(capsys, "variants")[1]
    lines = options.typed(VARIANTS[name].settings).splitlines()
    assert VARIANTS[name].source in listed and all(line in listed for line in lines)
    assert psro_main(capsys, "run", *" ".join(lines).split())[0] == 0
    variant, typed = configured
    assert variant == typed != RunConfig(meta_solver="uniform")


def test_files_win_over_variants_and_the_command_line_over_both(capsys, configured, tmp_path):
    path = tmp_path / "run.toml"
    path.write_text("levels = 5\niterations = 3\n")
    arguments = ("--config", path, "--variant", "dch", "--iterations", 2)
    assert psro_main(capsys, "run", *arguments)[0] == 0
    (config,) = configured
    assert (config.expansion, config.levels, config.iterations) == ("hierarchy", 5, 2)


def test_a_file_keeps_what_a_variant_says_of_the_same_oracle(capsys, configured, tmp_path):
    path = tmp_path / "run.toml"
    path.write_text("[ppo]\ndecisions = 8192\n")
    arguments = ("--variant", "dpp_psro", "--config", path, "--ppo.num-envs", 128)
    assert psro_main(capsys, "run", *arguments)[0] == 0
    (config,) = configured
    assert (config.ppo.tabulated, config.ppo.decisions, config.ppo.num_envs) == (True, 8192, 128)
    assert config.diversity == "expected_cardinality"


def test_the_default_variant_is_a_run_without_one(capsys, configured):
    for arguments in (["--variant", "default"], []):
        assert psro_main(capsys, "run", *arguments)[0] == 0
    named, plain = configured
    assert named == plain == RunConfig()


@pytest.mark.parametrize("option", ["--variant", "--config"])
@pytest.mark.parametrize("form", ["{} {}", "{}={}"])
def test_what_is_named_twice(capsys, option, form):
    arguments = [word for name in ("apsro", "dch") for word in form.format(option, name).split()]
    sentence = assert_refused(psro_main(capsys, "run", *arguments))
    assert option in sentence and "apsro" in sentence and "dch" in sentence


def test_an_unknown_variant(capsys):
    sentence = assert_refused(psro_main(capsys, "run", "--variant", "psro_r"))
    assert "unknown variant 'psro_r'; did you mean psro_rn?" in sentence and "neupl" in sentence


# Settings in files


def test_settings_come_from_a_file_and_the_command_line_wins(capsys, tmp_path, untrained):
    path = tmp_path / "run.toml"
    path.write_text('game = "matrix_rps"\niterations = 3\n[ppo]\nclip = 0.3\nepochs = 2\n')
    arguments = ["--config", path, "--ppo.epochs", 7, "--out", tmp_path / "one"]
    code, _, err = psro_main(capsys, "run", *arguments)
    assert (code, err) == (0, "")
    config = psro.load(tmp_path / "one").config
    assert (config.game, config.iterations) == ("matrix_rps", 3)
    assert (config.ppo.clip, config.ppo.epochs) == (0.3, 7)
    # what a run saved runs again as it is
    saved = tmp_path / "one" / "config.json"
    code, _, err = psro_main(capsys, "run", f"--config={saved}", "--out", tmp_path / "two")
    assert (code, err) == (0, "")
    assert psro.load(tmp_path / "two").config == config


@pytest.mark.parametrize(
    "content", [None, "iteratons = 3", "{", "[ppo]\nclip = -1", "seed = " + "[" * 5_000]
)
@pytest.mark.parametrize("ending", ["toml", "json"])
def test_a_bad_file_of_settings(capsys, tmp_path, content, ending):
    path = tmp_path / f"run.{ending}"
    if content is not None:
        path.write_text(content)
    assert str(path) in assert_refused(psro_main(capsys, "run", "--config", path))


def test_commands_keep_trees_in_the_user_s_cache_folder_unless_told_otherwise(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PSRO_TREE_CACHE", "")  # off
    cli_process.use_caches()
    assert os.environ["PSRO_TREE_CACHE"] == ""
    monkeypatch.delenv("PSRO_TREE_CACHE")
    cli_process.use_caches()
    assert os.environ["PSRO_TREE_CACHE"] == str(tmp_path / "psro" / "trees")


def test_commands_keep_compiled_code_there_unless_told_otherwise(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
    told = [getattr(jax.config, name) for name in names]
    try:
        cli_process.use_caches()
        assert [getattr(jax.config, name) for name in names] == told  # conftest.py has told it
        jax.config.update("jax_compilation_cache_dir", None)
        cli_process.use_caches()
        assert jax.config.jax_compilation_cache_dir == str(tmp_path / "psro" / "jax")
    finally:
        for name, value in zip(names, told, strict=True):
            jax.config.update(name, value)
    assert not list(tmp_path.iterdir())


def test_what_a_tree_has_to_note_is_said(capsys, tmp_path, untrained):
    game = "pig(horizon=3)"
    (note, *_) = games.load(game).notes()
    code, out, err = psro_main(capsys, "games", game)
    assert (code, err) == (0, "") and f"note: {note}" in " ".join(out.split())
    few = ("run", "--game", game, "--iterations", 1, "--hidden-size", 8, "--meta-solver", "uniform")
    code, _, err = psro_main(capsys, *few, "--out", tmp_path / "run")
    assert code == 0 and f"note: {note}\n" in err


def test_supports_of_three_players_stay_in_their_column(capsys, tmp_path):
    out = ("--out", tmp_path / "three")
    three = ("--game", "kuhn_poker(players=3)", "--meta-solver", "mgcce", "--iterations", 12)
    _, printed, _ = psro_main(capsys, "run", *three, "--oracle", "best_response", *out)
    rows = printed.splitlines()[3:17]
    assert rows[0].split()[0] == "iteration" and rows[-1].split()[0] == "12"
    assert max(map(len, re.findall(r"\d+ / \d+ / \d+", printed))) > 9
    assert len(set(map(len, rows))) == 1


def test_a_game_s_name_is_no_markup(capsys):
    tables.console().print(tables.title("[red]x[blink]\x1b[2J[/b].csv"))
    said = capsys.readouterr().out
    assert "[red]x[blink]" in said and "[/b].csv" in said and "\x1b" not in said


def test_no_payoff_is_less_than_zero_and_zero(capsys, seeds):
    opened = experiment.load(seeds[0])
    opened.payoffs[0, 0, 0] = -1e-13
    tables.print_payoffs(tables.console(), opened, [0], "")
    assert capsys.readouterr().out.split()[-2:] == ["0", "0"]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory"),
    ],
    ids=["numpy", "jax"],
)
def test_too_little_memory_is_said_in_a_sentence(capsys, tmp_path, monkeypatch, error):
    def full(*arguments):
        raise error

    monkeypatch.setattr(experiment, "create", full)
    code, out, err = psro_main(capsys, "run", "--out", tmp_path / "run")
    assert code == 2 and "this needs more memory than there is" in err and err.count("\n") == 1


def test_an_error_of_the_compiler_s_is_ours_to_mend(tmp_path, monkeypatch):
    def broken(*arguments):
        raise jax.errors.JaxRuntimeError("INTERNAL: no")

    monkeypatch.setattr(experiment, "create", broken)
    with pytest.raises(jax.errors.JaxRuntimeError):
        cli.main(["run", "--out", str(tmp_path / "run")])
