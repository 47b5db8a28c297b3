"""Many seeds side by side: every folder is that of a run alone."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import safetensors
import safetensors.numpy
import scipy.stats

import psro
from psro import cli
from psro.oracles import CONFIGS, ORACLES, BestResponse, FullWidthConfig
from psro.runs import experiment, seeds
from psro.runs.config import RunConfig
from psro.runs.intervals import half_interval
from psro.runs.storage import ExperimentError
from psro.variants.expansions import EXPANSIONS
from psro.views import plots
from psro.views.curves import FLOOR

PLAIN = RunConfig(game="kuhn_poker", oracle="best_response", iterations=4, tolerance=0.0)
# Here the seed makes a difference from iteration 3 on, by the breaking of ties.
EXACT = dataclasses.replace(PLAIN, meta_solver="least_exploitable", expansion="candidates")
CONVERGING = dataclasses.replace(EXACT, iterations=20, tolerance=1e-6)
NETWORK = {"game": "kuhn_poker", "iterations": 2, "hidden_size": 8, "tolerance": 0.0}
SAMPLED = {"decisions": 2048, "evaluations": 2, "num_envs": 32, "num_strata": 4}
SMALL = {
    "ppo": {**SAMPLED, "sequence_length": 4, "num_minibatches": 2, "epochs": 2},
    **dict.fromkeys(("a2c", "reinforce", "dqn", "r2d2", "pqn", "sac", "dreamer"), SAMPLED),
    **dict.fromkeys(("full_width", "distill", "conditional"), {"steps": 60}),
}


def config_of(oracle):
    more = {"expansion": "hierarchy", "levels": 2} if oracle == "conditional" else {}
    return RunConfig(oracle=oracle, **NETWORK, **more, **{oracle: CONFIGS[oracle](**SMALL[oracle])})


def left_by(folder):
    """All that a run leaves, bit for bit, but for wall seconds."""
    with safetensors.safe_open(folder / "payoffs.safetensors", framework="numpy") as file:
        info = json.loads(file.metadata()["psro"])
    for record in info["records"]:
        del record["seconds"]
    metrics = pd.read_csv(folder / "metrics.csv", dtype=str)
    tensors = safetensors.numpy.load_file(folder / "payoffs.safetensors")
    return {
        "files": sorted(str(path.relative_to(folder)) for path in folder.rglob("*")),
        "config": json.loads((folder / "config.json").read_text()),
        "policies": {path.name: path.read_bytes() for path in (folder / "policies").iterdir()},
        "metrics": metrics.loc[:, ~metrics.columns.str.startswith("seconds_")].to_csv(),
        "records": (info["records"], info["policies"]),
        "tensors": {name: (each.shape, each.tobytes()) for name, each in tensors.items()},
    }


def alone(config, seed, folder, like=None):
    """What a run by itself leaves; `like` spares compiling its oracle again."""
    run = experiment.create(dataclasses.replace(config, seed=seed), folder, like)
    for _ in run.train():
        pass
    return left_by(folder)


@pytest.fixture(scope="module")
def exact(tmp_path_factory):
    """Four runs of double oracle, which do not converge in the same iteration."""
    return psro.run_many(CONVERGING, 4, tmp_path_factory.mktemp("exact") / "runs")


@pytest.mark.parametrize(
    "oracle",
    [
        name if name == "full_width" else pytest.param(name, marks=pytest.mark.slow)
        for name in ORACLES
        if name != "best_response"
    ],
)
def test_networks_are_those_of_runs_alone(tmp_path, oracle):
    config = config_of(oracle)
    runs = psro.run_many(config, 2, tmp_path / "runs")
    first, second = (left_by(each.folder) for each in runs.experiments)
    assert first["policies"] != second["policies"]
    for seed, together in enumerate((first, second)):
        folder, like = tmp_path / f"alone-{seed}", runs.experiments[0]
        assert together == alone(config, seed, folder, like)


TINY = {
    "hidden_size": 4,
    "levels": 1,
    "rounds": 2,
    "full_width": {"steps": 2, "steps_per_round": 2},
}


@pytest.mark.parametrize(
    "expansion",
    [
        pytest.param(name, marks=pytest.mark.slow if "self_play" in expansion.uses else ())
        for name, expansion in EXPANSIONS.items()
    ],
)
def test_networks_of_every_expansion_are_those_of_runs_alone(tmp_path, expansion):
    """Which compile for another number of jobs."""
    steps = FullWidthConfig(steps=2, steps_per_round=2)
    settings = NETWORK | TINY | {"expansion": expansion, "full_width": steps}
    config = RunConfig(oracle="full_width", **settings)
    runs = psro.run_many(config, 2, tmp_path / "runs")
    assert left_by(runs.experiments[1].folder) == alone(config, 1, tmp_path / "alone")


def test_tables_are_those_of_runs_alone(exact, tmp_path):
    lengths = {len(each.records) for each in exact.experiments}
    assert len(lengths) > 1  # some had ended while others went on
    for seed, each in enumerate(exact.experiments):
        assert each.folder == exact.folder / f"seed-{seed}"
        assert left_by(each.folder) == alone(CONVERGING, seed, tmp_path / str(seed))


def test_runs_with_room_for_different_numbers_of_policies_go_on_together(tmp_path):
    """One alone was to go on for longer, so that its populations are read with more room."""
    config = dataclasses.replace(EXACT, iterations=2, tolerance=0.0)
    folder = psro.run_many(config, 2, tmp_path / "runs").folder
    experiment.reopen(folder / "seed-1", iterations=9)
    runs = seeds.reopen_many(folder, iterations=5)
    assert len({run.setup.capacity for run in runs.experiments}) == 2
    for _ in runs.train():
        pass
    longer = dataclasses.replace(config, iterations=5)
    for seed, run in enumerate(runs.experiments):
        assert left_by(run.folder) == alone(longer, seed, tmp_path / str(seed))


@pytest.mark.parametrize("expansion", ["rectified", "stochastic"])
def test_runs_that_do_not_ask_alike(tmp_path, expansion):
    """For as many best responses, or as often."""
    config = dataclasses.replace(EXACT, expansion=expansion, iterations=3, rounds=3)
    runs = psro.run_many(config, 2, tmp_path / "runs")
    for seed, each in enumerate(runs.experiments):
        assert left_by(each.folder) == alone(config, seed, tmp_path / str(seed))


def test_the_first_seed_is_the_config_s(tmp_path):
    config = dataclasses.replace(EXACT, seed=7, iterations=1)
    runs = psro.run_many(config, 2, tmp_path / "runs")
    assert [each.config.seed for each in runs.experiments] == [7, 8]
    assert sorted(path.name for path in runs.folder.iterdir()) == [
        "seed-7", "seed-8", "summary.csv",
    ]  # fmt: skip


# The summary


def test_means_and_intervals(exact):
    table = pd.read_csv(exact.folder / "summary.csv")
    curves = [pd.read_csv(each.folder / "metrics.csv") for each in exact.experiments]
    length = max(map(len, curves))
    assert table.iteration.tolist() == list(range(length))
    assert (table.seeds == 4).all()
    for name in ("distance", "exploitability"):
        # What has ended stays what it came to.
        values = np.array(
            [np.pad(curve[name], (0, length - len(curve)), mode="edge") for curve in curves]
        )
        np.testing.assert_allclose(table[f"{name}_mean"], values.mean(axis=0))
        some = values.std(axis=0) > 1e-12
        assert some.sum() >= 2
        low, high = scipy.stats.t.interval(
            0.95, 3, loc=values.mean(axis=0), scale=np.maximum(scipy.stats.sem(values), 1e-300)
        )
        np.testing.assert_allclose(2 * table[f"{name}_ci95"][some], (high - low)[some])


def test_the_figure_s_band_is_the_summary_s_interval(exact):
    """On the logarithmic axis. Runs that have converged count on in both with what they came to."""
    (axes,) = plots.exploitability_figure([each.folder for each in exact.experiments]).axes
    (line,), (band,) = axes.lines, axes.collections
    summary = pd.read_csv(exact.folder / "summary.csv")
    mean, half = summary.exploitability_mean, summary.exploitability_ci95
    np.testing.assert_allclose(line.get_ydata(), mean, atol=2 * FLOOR)
    x, y = band.get_paths()[0].vertices.T
    for at in np.flatnonzero(mean > 1e-6):
        ends = mean[at] * np.exp(half[at] / mean[at] * np.array([-1, 1]))
        np.testing.assert_allclose([y[x == at].min(), y[x == at].max()], ends, rtol=1e-4)
    assert (half > 0.001).any() and "95 % interval" in line.get_label()


def test_the_interval_holds_the_mean_as_often_as_it_says():
    samples = np.random.default_rng(0).normal(size=(4000, 5))
    held = [abs(each.mean()) <= half_interval(list(each)) for each in samples]
    assert abs(np.mean(held) - 0.95) < 3 * np.sqrt(0.95 * 0.05 / 4000)


def test_one_seed_has_no_interval(tmp_path):
    runs = psro.run_many(dataclasses.replace(EXACT, iterations=1), 1, tmp_path / "runs")
    assert pd.read_csv(runs.folder / "summary.csv").distance_ci95.isna().all()


# Stopping and going on


@pytest.fixture
def stopped(tmp_path):
    runs = seeds.create_many(EXACT, 2, tmp_path / "stopped")
    training = runs.train()
    while next(training) < 2:
        pass
    training.close()
    assert [len(each.records) for each in runs.experiments] == [3, 3]
    return runs


def test_one_goes_on_alone(stopped, tmp_path):
    left = left_by(stopped.folder / "seed-0")
    assert len(psro.load(stopped.folder / "seed-1").records) == 3
    psro.resume(stopped.folder / "seed-1")
    assert left_by(stopped.folder / "seed-1") == alone(EXACT, 1, tmp_path / "alone")
    assert left_by(stopped.folder / "seed-0") == left


def test_all_go_on_from_wherever_they_are(stopped, tmp_path):
    psro.resume(stopped.folder / "seed-1")
    runs = seeds.reopen_many(stopped.folder)
    assert list(runs.train())[-1] == len(runs.summary()) - 1
    for seed in range(2):
        assert left_by(stopped.folder / f"seed-{seed}") == alone(EXACT, seed, tmp_path / str(seed))


def test_a_stopped_experiment_has_its_own_oracle_again(stopped, tmp_path):
    for _ in stopped.experiments[0].train():
        pass
    assert left_by(stopped.folder / "seed-0") == alone(EXACT, 0, tmp_path / "alone")


class Diverging(BestResponse):
    """Meets a number that is not finite in the second call, for the second run."""

    calls = 0

    def __call__(self, jobs):
        results = super().__call__(jobs)
        self.calls += 1
        if self.calls != 2:
            return results
        return dataclasses.replace(results, diverged=jobs.populations.group == 1)


def test_a_run_that_diverges_stops_no_other(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(ORACLES, "best_response", Diverging)
    arguments = ["--oracle", "best_response", "--iterations", "4", "--tolerance", "0"]
    folder = tmp_path / "runs"
    with pytest.raises(SystemExit) as end:
        cli.main(["run", *arguments, "--seeds", "3", "--out", str(folder)])
    assert end.value.code == 2
    (sentence,) = capsys.readouterr().err.splitlines()
    assert "seed 1" in sentence and "diverged in iteration 2" in sentence
    assert f"{folder / 'seed-1'} keeps the 2 iterations before" in sentence
    monkeypatch.undo()
    config = PLAIN
    for seed in (0, 2):
        (folder / f"seed-{seed}" / "exploitability.png").unlink()
        assert left_by(folder / f"seed-{seed}") == alone(config, seed, tmp_path / str(seed))
    assert pd.read_csv(folder / "summary.csv").seeds.tolist() == [3, 3, 2, 2, 2]
    psro.resume(folder / "seed-1")  # by an oracle that does not diverge
    (folder / "seed-1" / "exploitability.png").unlink()
    assert left_by(folder / "seed-1") == alone(config, 1, tmp_path / "1")


def test_what_is_no_failure_of_one_run_stops_all(tmp_path, monkeypatch):
    runs = seeds.create_many(EXACT, 2, tmp_path / "runs")
    monkeypatch.setattr(
        runs.experiments[1], "_commit", lambda *_: (_ for _ in ()).throw(MemoryError("none"))
    )
    with pytest.raises(MemoryError):
        list(runs.train())
    assert len(psro.load(runs.folder / "seed-0").records) == 1


# The command


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--seeds", "0"], "between 1 and"),
        (["--seeds", "-3"], "between 1 and"),
        (["--seeds", "2", "--seed", str(2**32 - 1)], "2**32 - 1"),
        (["--seeds", "2", "--game", "kuhn_pocker"], "kuhn_poker"),
    ],
)
def test_bad_input_makes_no_folder(tmp_path, capsys, arguments, words):
    with pytest.raises(SystemExit) as end:
        cli.main(["run", *arguments, "--out", str(tmp_path / "runs")])
    assert end.value.code == 2
    assert words in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_what_exists_is_left_alone(tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["run", "--seeds", "2", "--out", str(tmp_path)])
    assert end.value.code == 2
    assert f"{tmp_path} exists already" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_no_folder(tmp_path, monkeypatch):
    create = experiment.create

    def full(config, out, like):
        if config.seed == 2:
            raise ExperimentError("no space left")
        return create(config, out, like)

    monkeypatch.setattr(experiment, "create", full)
    with pytest.raises(ExperimentError, match="no space"):
        seeds.create_many(EXACT, 3, tmp_path / "runs")
    assert list(tmp_path.iterdir()) == []


def test_runs_of_different_settings_do_not_go_on_together(exact, tmp_path, capsys):
    folder = shutil.copytree(exact.folder, tmp_path / "copy")
    fields = json.loads((folder / "seed-1" / "config.json").read_text())
    fields["run"]["patience"] += 1
    (folder / "seed-1" / "config.json").write_text(json.dumps(fields))
    with pytest.raises(SystemExit) as end:
        cli.main(["resume", str(folder)])
    assert end.value.code == 2
    assert "differ in more than their seed" in capsys.readouterr().err


def test_the_command_and_its_interruption(tmp_path):
    """By the real command: a line an iteration, Ctrl-C, and on to where it would have come to."""
    folder = tmp_path / "runs"
    arguments = ["--oracle", "best_response", "--tolerance", "0", "--out", str(folder)]
    command = [str(Path(sys.executable).with_name("python")), "-m", "psro"]
    process = subprocess.Popen(
        [*command, "run", "--seeds", "2", "--iterations", "63", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")},
    )
    lines = iter(process.stdout.readline, "")
    assert any("±" in line for line in lines)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130, err
    assert err.splitlines()[-1] == f"or continue all seeds with: psro resume {folder}"
    for seed in range(2):
        done = len(psro.load(folder / f"seed-{seed}").records) - 1
        assert f"up to iteration {done}; continue with: psro resume {folder}/seed-{seed}" in err
    done = max(len(psro.load(folder / f"seed-{seed}").records) for seed in range(2)) + 1
    cli.main(["resume", str(folder), "--iterations", str(done)])
    assert {path.name for path in folder.iterdir()} == {
        "exploitability.png", "seed-0", "seed-1", "summary.csv",
    }  # fmt: skip
    config = dataclasses.replace(PLAIN, iterations=done)
    for seed in range(2):
        (folder / f"seed-{seed}" / "exploitability.png").unlink()
        assert left_by(folder / f"seed-{seed}") == alone(config, seed, tmp_path / str(seed))
