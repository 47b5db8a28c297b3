"""Sweeps: many runs of one file in one folder."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import psro
from psro.cli import main
from psro.runs import sweep as sweeps
from psro.runs.sweep_file import SweepError, names_of, read_sweep
from psro.training.executor_settings import ExecutorConfig

FILE = """
seeds = [3, 5]
draws = 2
[run]
game = "kuhn_poker"
oracle = "best_response"
iterations = 2
[grid]
meta_solver = ["uniform", "fictitious_play"]
[random]
patience = { low = 10, high = 90 }
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "some.toml"
    path.write_text(FILE)
    return path


def test_a_file_is_every_combination_of_a_grid_and_of_draws(file):
    sweep = read_sweep(file)
    assert [one.varied["meta_solver"] for one in sweep.combinations] == [
        "uniform", "uniform", "fictitious_play", "fictitious_play",
    ]  # fmt: skip
    drawn = [one.varied["patience"] for one in sweep.combinations]
    assert drawn[:2] == drawn[2:] and all(10 <= value <= 90 for value in drawn)
    assert sweep.seeds == (3, 5) and names_of(sweep.combinations) == ["meta_solver", "patience"]
    again = read_sweep(file)
    assert again == sweep
    file.write_text(FILE + '[run.ppo]\ngamma = 0.9\n[grid."network"]\nlayer_norm = [true]\n')
    assert read_sweep(file).combinations[0].config.network.layer_norm
    assert read_sweep(file, ["os"]).combinations[0].config.imports == ("os",)
    file.write_text(FILE.replace("fictitious_play", "last"))
    assert read_sweep(file).digest != sweep.digest


def test_the_page_s_file_is_a_sweep(tmp_path):
    page = (Path(__file__).parent.parent / "docs/how_to/sweep.md").read_text()
    text = page.split('```toml title="oracles.toml"\n')[1].split("```")[0]
    (tmp_path / "oracles.toml").write_text(text)
    sweep = read_sweep(tmp_path / "oracles.toml")
    assert len(sweep.combinations) == 2 * 2 * 2 * 4 and len(sweep.seeds) == 3
    assert {one.config.expansion for one in sweep.combinations} == {"best_response", "rectified"}


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("seeds = [3, 5]", "seeds = 0", "seeds = 0 must be"),
        ("seeds = [3, 5]", "seeds = [3, 3]", "a seed is given twice"),
        ("seeds = [3, 5]", "seedz = 1", "'seedz' is not known"),
        ("draws = 2", "draws = 20000", "has 80,000 runs"),
        ('"uniform"', '"unifrom"', "combination 1 .meta_solver unifrom, .*unknown meta-solver"),
        ("high = 90", "high = 9", "low below high"),
        ("iterations = 2", "iterations = 2\nvariant = 'psro_r'", "did you mean psro_rn. known"),
        ("patience = {", "patient = {", "patient is not a setting"),
        ("[grid]", "[run]", "no TOML file"),
        ("iterations = 2", "iterations = 2\nmeta_solver = 'last'", "given twice"),
        ("iterations = 2", "iterations = 0", "iterations = 0"),
        ("[random]", "[random", "no TOML file"),
    ],
)
def test_a_file_that_is_wrong_is_refused(file, before, after, sentence):
    file.write_text(FILE.replace(before, after))
    with pytest.raises(SweepError, match=sentence):
        read_sweep(file)


def test_one_combination_that_cannot_run_stops_all_before_any(file, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    file.write_text(FILE.replace('"fictitious_play"', '"alpha_rank_single"'))
    with pytest.raises(SystemExit):
        main(["sweep", "some.toml"])
    told = capsys.readouterr().err
    assert "combination 3 (meta_solver alpha_rank_single" in told and "nothing has been run" in told
    assert not (tmp_path / "experiments").exists()


@pytest.mark.slow
def test_a_sweep_goes_on_where_it_was_stopped(file, tmp_path, monkeypatch, capsys):
    """What a stopped sweep has in the end is, bit for bit, what one without a stop has. A run that
    failed is told, and is not begun again."""
    monkeypatch.chdir(tmp_path)
    main(["sweep", "some.toml", "--out", "whole"])
    told = capsys.readouterr().out
    assert "8 of 8" in told and "2 of 2" in told
    jobs = sweeps.prepare(read_sweep(file), file, tmp_path / "stopped")
    going = sweeps.run(jobs)
    for _ in range(5):
        next(going)
    going.close()
    jobs[-1].fail(ValueError("it went wrong"))
    with pytest.raises(SystemExit) as ended:
        main(["sweep", "some.toml", "--out", "stopped"])
    assert ended.value.code == 1
    whole, stopped = (pd.read_csv(tmp_path / name / "results.csv") for name in ("whole", "stopped"))
    assert list(stopped.status) == ["budget"] * 7 + ["failed"]
    assert np.array_equal(whole.distance[:7], stopped.distance[:7])
    assert stopped.error[7] == "it went wrong"
    for job in jobs[:2]:
        other = tmp_path / "whole" / job.folder.relative_to(tmp_path / "stopped")
        assert np.array_equal(psro.load(job.folder).payoffs, psro.load(other).payoffs)
    means = pd.read_csv(tmp_path / "stopped/summary.csv")
    assert list(means.distance) == sorted(means.distance) and means.failed.sum() == 1
    assert (tmp_path / "whole/sweep.png").exists()
    file.write_text(FILE.replace("[3, 5]", "[3]"))
    with pytest.raises(SweepError, match="holds another sweep"):
        sweeps.prepare(read_sweep(file), file, tmp_path / "whole")
    (tmp_path / "other").mkdir()
    shutil.copy(file, tmp_path / "other")
    with pytest.raises(SweepError, match="not empty"):
        sweeps.prepare(read_sweep(file), file, tmp_path / "other")


@pytest.mark.slow
def test_parts_workers_and_one_process_make_the_same_runs(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    main(["sweep", "some.toml", "--out", "alone"])
    for part in ("1/2", "2/2"):
        main(f"sweep some.toml --out parts --part {part}".split())
    main(["sweep", "some.toml", "--out", "parts", "--collect"])
    jobs = sweeps.prepare(read_sweep(file), file, tmp_path / "spread")
    with ExecutorConfig(executor="processes", workers=2).open() as pool:
        ends = [said for _, said in sweeps.run(jobs, pool) if not isinstance(said, psro_record())]
    assert ends == [None] * 8
    sweeps.write_tables(tmp_path / "spread", jobs)
    tables = [
        pd.read_csv(tmp_path / name / "results.csv").drop(columns=["seconds", "folder"])
        for name in ("alone", "parts", "spread")
    ]
    pd.testing.assert_frame_equal(tables[0], tables[1])
    pd.testing.assert_frame_equal(tables[0], tables[2])


def psro_record():
    from psro.training.record import Record

    return Record


@pytest.mark.slow
def test_a_run_that_diverges_does_not_stop_the_others(tmp_path):
    file = tmp_path / "some.toml"
    file.write_text(
        'seeds = 1\n[run]\ngame = "kuhn_poker"\niterations = 1\nhidden_size = 8\n'
        "ppo = { decisions = 1024, num_envs = 16 }\n"
        "[grid]\n" + '"ppo.learning_rate" = [1e30, 1e-3]\n'
    )
    sweep = read_sweep(file)
    jobs = sweeps.prepare(sweep, file, tmp_path / "out")
    said = [told for _, told in sweeps.run(jobs) if not dataclasses.is_dataclass(told)]
    assert "not finite" in said[0] and said[1] is None
    table, _ = sweeps.write_tables(tmp_path / "out", jobs)
    assert list(table.status) == ["failed", "budget"]
    assert json.loads((tmp_path / "out/sweep.json").read_text())["sha256"] == sweep.digest
