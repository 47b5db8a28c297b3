"""Records go to several loggers at once, and none of them can stop a run."""

import json
import math
import os
import socket
import struct
import subprocess
import sys
import types
from pathlib import Path

import pandas as pd
import pytest
from test_cli import assert_refused, psro_main

import psro
from psro.runs import experiment, loggers
from psro.runs.config import RunConfig
from psro.training.record import Record

CONFIG = RunConfig(game="kuhn_poker", oracle="best_response", iterations=3, tolerance=0.0)
ARGUMENTS = ("--game", "kuhn_poker", "--oracle", "best_response", "--tolerance", "0")


def events(folder):
    """(tag, step, value) of every scalar in event files, in their order; steps from a purge on,
    `SessionLog.START`, take back those before. Format: length, its checksum, event, checksum."""
    from tensorboardX.proto.event_pb2 import Event, SessionLog

    found = []
    for path in sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns):
        content = path.read_bytes()
        while content:
            (length,) = struct.unpack("<Q", content[:8])
            event = Event.FromString(content[12 : 12 + length])
            content = content[16 + length :]
            if event.session_log.status == SessionLog.START:
                found = [each for each in found if each[1] < event.step]
            found += [(each.tag, event.step, each.simple_value) for each in event.summary.value]
    return found


class Listener:
    """A logger that remembers, or fails where it is told to."""

    package = "json"
    fails_at = None

    def __init__(self, opened):
        self.heard = type(self).heard = []
        self._act("open")

    def _act(self, what):
        if what == self.fails_at:
            raise OSError("the network is down")
        self.heard.append(what)

    def log(self, record):
        self._act(record.iteration)

    def close(self):
        self._act("close")


@pytest.fixture
def listeners(monkeypatch):
    """Two loggers, the first of which may be made to fail."""
    kinds = [type(name, (Listener,), {}) for name in ("first", "second")]
    for kind in kinds:
        monkeypatch.setitem(loggers.LOGGERS, kind.__name__, kind)
    return kinds


def test_several_loggers_hear_every_record(capsys, tmp_path, listeners):
    run = ["run", *ARGUMENTS, "--iterations", 3, "--out", tmp_path / "run"]
    code, _, err = psro_main(capsys, *run, "--log", "first", "second")
    assert (code, err) == (0, "")
    for kind in listeners:
        assert kind.heard == ["open", 0, 1, 2, 3, "close"]
    code, *_ = psro_main(capsys, "resume", tmp_path / "run", "--iterations", 5, "--log", "first")
    assert code == 0 and listeners[0].heard == ["open", *range(6), "close"]


@pytest.mark.parametrize("fails_at", ["open", 0, 2, "close"])
def test_a_logger_that_fails_stops_nothing(capsys, tmp_path, listeners, fails_at):
    listeners[0].fails_at = fails_at
    run = ["run", *ARGUMENTS, "--iterations", 3, "--out", tmp_path / "run"]
    code, _, err = psro_main(capsys, *run, "--log", "first", "second")
    assert (code, err) == (0, "psro: first is switched off: OSError: the network is down\n")
    assert listeners[1].heard == ["open", 0, 1, 2, 3, "close"]
    assert len(psro.load(tmp_path / "run").records) == 4


def test_scalars_are_the_metrics(tmp_path):
    run = psro.run(CONFIG, tmp_path / "run")
    table = pd.read_csv(run.folder / "metrics.csv")
    for row, record in zip(table.to_dict("records"), run.records, strict=True):
        numbers = {k: v for k, v in row.items() if isinstance(v, int | float) and v == v}
        assert loggers.scalars(record) | {"iteration": record.iteration} == numbers


def sampled_record(iteration):
    """As sampled runs write it; nothing is trained in iteration 0, so nothing is bounded."""
    first = iteration == 0
    return Record(
        iteration=iteration,
        kind="sampled",
        concept="nash",
        meaning="the profile is a Nash equilibrium",
        **dict.fromkeys(("exploitability", "nash_conv", "cce_gap", "ce_gap")),
        **dict.fromkeys(("best_response_value", "gap")),
        value=(0.3, -0.3),
        value_error=(0.01, 0.01),
        achieved_value=None if first else (0.4, 0.1),
        improvement=None if first else (0.1, 0.4),
        improvement_error=None if first else (0.02, 0.03),
        nash_conv_bound=None if first else 0.5,
        nash_conv_bound_error=None if first else 0.036,
        meta_regret=0.0,
        size=iteration + 1,
        support_size=(1, 1),
        decisions=(512, 512),
        episodes=(60, 60),
        seconds={"oracle": 1.0},
        payoff_episodes=128,
    )


@pytest.mark.parametrize("iteration", [0, 1])
def test_what_is_sampled_is_logged_with_its_error_and_nothing_as_exact(iteration):
    told = loggers.scalars(sampled_record(iteration))
    assert all(map(math.isfinite, told.values()))
    measured = {"value_0": "value_error_0", "value_1": "value_error_1"}
    if iteration:
        measured |= {f"improvement_{p}": f"improvement_error_{p}" for p in range(2)}
        measured |= {"nash_conv_bound": "nash_conv_bound_error"}
    assert {name for name in told if "_error" in name} == set(measured.values())
    assert set(measured) <= set(told)
    exact = ("exploitability", "nash_conv", "cce_gap", "ce_gap", "distance")
    assert not [name for name in told if name in exact or name.startswith(("gap", "best_"))]


def test_tensorboard_holds_every_number_once(tmp_path):
    pytest.importorskip("tensorboardX")
    folder = tmp_path / "run"
    for iterations in (2, 3):  # the second goes on, in a new event file
        opened = (
            experiment.reopen(folder, iterations)
            if folder.exists()
            else experiment.create(RunConfig(**{**vars(CONFIG), "iterations": 2}), folder)
        )
        with loggers.logging(["tensorboard"], opened, complain=pytest.fail) as tell:
            for record in opened.train():
                tell(record)
    found = events(folder / "tensorboard")
    expected = [
        (name, record.iteration, pytest.approx(value, rel=1e-6))
        for record in opened.records
        for name, value in loggers.scalars(record).items()
    ]
    assert found == expected and len(opened.records) == 4
    assert psro.load(folder).records == opened.records  # the folder is one all the same
    exported = psro.export(folder, tmp_path / "run.psro")
    assert len(psro.load(exported).records) == 4


@pytest.mark.parametrize("command", ["run", "resume"])
def test_a_missing_package_is_named_before_training(capsys, tmp_path, monkeypatch, command):
    monkeypatch.setattr(loggers.importlib.util, "find_spec", lambda name: None)
    arguments = [*ARGUMENTS, "--out", tmp_path / "run"] if command == "run" else [tmp_path / "run"]
    sentence = assert_refused(psro_main(capsys, command, *arguments, "--log", "wandb"))
    assert "pip install 'psro[wandb]'" in sentence and not list(tmp_path.iterdir())


def test_an_unknown_logger_is_refused(capsys, tmp_path):
    run = ["run", *ARGUMENTS, "--out", tmp_path / "run", "--log", "tensorboard", "neptune"]
    assert "known: file, tensorboard, wandb, mlflow" in assert_refused(psro_main(capsys, *run))
    assert not list(tmp_path.iterdir())


def test_what_wandb_is_told(tmp_path, monkeypatch):
    """By a stand-in with wandb's names, as the package is large; the next test has the real one."""
    told = []
    fake = types.SimpleNamespace(
        init=lambda **options: (
            told.append(options)
            or types.SimpleNamespace(
                log=lambda row, step: told.append((step, row)), finish=lambda: told.append("end")
            )
        ),
    )
    monkeypatch.setitem(sys.modules, "wandb", fake)
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    run = psro.run(CONFIG, tmp_path / "run")
    with loggers.logging(["wandb"], run, complain=pytest.fail):
        pass
    assert told[0]["project"] == "psro" and told[0]["config"]["game"] == "kuhn_poker"
    assert told[1:-1] == [(each.iteration, loggers.scalars(each)) for each in run.records]
    assert told[-1] == "end"


NO_NETWORK = """
import runpy, socket, sys

def forbidden(event, arguments):
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        raise RuntimeError(f"asks for the address of {arguments[0]}")
    if event in ("socket.connect", "socket.sendto") and arguments[0].family != socket.AF_UNIX:
        if not str(arguments[1][0]).startswith("127."):
            raise RuntimeError(f"sends to {arguments[1]}")

sys.addaudithook(forbidden)
sys.argv[1:2], code = [], sys.argv[1]
if code == "import":
    import wandb
else:
    runpy.run_module("psro", run_name="__main__")
"""
"""Python that neither asks for an address nor sends anything beyond this machine."""


@pytest.fixture
def without_network():
    """Runs a process as above, which Weights & Biases is told to keep offline. That has a program
    of its own, not in Python: whatever it would send comes to a socket of ours, and fails here."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "WANDB_BASE_URL")
        names += tuple(each.lower() for each in names[:3])
        yield lambda *arguments: subprocess.run(
            [sys.executable, "-c", NO_NETWORK, *map(str, arguments)],
            env=os.environ
            | dict.fromkeys(names, address)
            | {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "NO_PROXY": "", "no_proxy": ""},
            cwd=Path(psro.__file__).parents[1],
            capture_output=True,
            text=True,
        )
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):  # nobody has come
            listener.accept()


def records_of(wandb_file):
    """What `wandb.log` was told, by step, read from a run's own file: 7 bytes, then a LevelDB log
    of blocks of 32,768 bytes, whose pieces are a checksum, a length, a kind and content."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, at, whole, rows = wandb_file.read_bytes(), 7, b"", {}
    while at < len(content):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        length, kind = struct.unpack("<HB", content[at + 4 : at + 7])
        whole += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # all of it, or its last piece
            record, whole = Record.FromString(whole), b""
            if record.WhichOneof("record_type") == "history":
                rows[record.history.step.num] = {
                    each.key or ".".join(each.nested_key): json.loads(each.value_json)
                    for each in record.history.item
                }
    return rows


@pytest.mark.slow
def test_wandb_offline_for_several_seeds(tmp_path, without_network):
    """The package itself: each seed's folder holds all its numbers, and nothing is sent."""
    pytest.importorskip("wandb", reason="the extra wandb is not installed")
    folder = tmp_path / "run"
    done = without_network(
        "run", "run", *ARGUMENTS, "--iterations", 2, "--out", folder, "--log", "wandb",
        "--seeds", 2,
    )  # fmt: skip
    assert done.returncode == 0 and "given up" not in done.stderr, done.stderr
    for seed in range(2):
        (file,) = (folder / f"seed-{seed}" / "wandb").glob("offline-run-*/*.wandb")
        rows, run = records_of(file), psro.load(folder / f"seed-{seed}")
        assert sorted(rows) == [each.iteration for each in run.records] == [0, 1, 2]
        for record in run.records:
            assert loggers.scalars(record).items() <= rows[record.iteration].items()


def test_mlflow_keeps_files_for_several_seeds(tmp_path, without_network):
    """The package itself: a run for each seed in one store, with all its numbers and settings, and
    nothing is sent."""
    pytest.importorskip("mlflow", reason="the extra mlflow is not installed")
    folder = tmp_path / "run"
    done = without_network(
        "run", "run", *ARGUMENTS, "--iterations", 2, "--out", folder, "--log", "mlflow", "file",
        "--seeds", 2,
    )  # fmt: skip
    assert done.returncode == 0 and "switched off" not in done.stderr, done.stderr
    stores = [path.parent for path in (folder / "mlflow").glob("*/*/params/seed")]
    assert sorted((path / "seed").read_text() for path in stores) == ["0", "1"]
    for store in stores:
        run = psro.load(folder / f"seed-{(store / 'seed').read_text()}")
        assert (store / "game").read_text() == "kuhn_poker" and not list(store.glob("dqn.*"))
        for name in loggers.scalars(run.records[-1]):
            lines = (store.parent / "metrics" / name).read_text().split("\n")[:-1]
            told = {int(line.split()[2]): float(line.split()[1]) for line in lines}
            assert told == {
                r.iteration: v
                for r in run.records
                if (v := loggers.scalars(r).get(name)) is not None
            }


def test_wandb_is_imported_without_network(without_network):
    pytest.importorskip("wandb", reason="the extra wandb is not installed")
    done = without_network("import")
    assert done.returncode == 0, done.stderr


def test_every_seed_has_loggers_of_its_own(capsys, tmp_path, monkeypatch):
    heard = {}

    class Each(Listener):
        def __init__(self, opened):
            self.heard = heard.setdefault(opened.config.seed, [])
            self._act("open")

    class Broken(Each):
        fails_at = 1

    monkeypatch.setitem(loggers.LOGGERS, "each", Each)
    run = ["run", *ARGUMENTS, "--iterations", 3, "--out", tmp_path / "run", "--seeds", 2]
    assert psro_main(capsys, *run, "--log", "each")[0] == 0
    assert heard == {seed: ["open", 0, 1, 2, 3, "close"] for seed in range(2)}
    heard.clear()
    monkeypatch.setitem(loggers.LOGGERS, "each", Broken)
    go_on = ["resume", tmp_path / "run", "--iterations", 5, "--log", "each"]
    code, _, err = psro_main(capsys, *go_on)
    assert code == 0 and heard == {seed: ["open", 0] for seed in range(2)}
    assert err == "".join(
        f"psro: seed {seed}: each is switched off: OSError: the network is down\n"
        for seed in range(2)
    )
    for seed in range(2):
        assert len(psro.load(tmp_path / "run" / f"seed-{seed}").records) == 6
