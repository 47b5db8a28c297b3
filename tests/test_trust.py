"""Two processes on one folder, disks that are full or read-only, clocks, power that fails."""

import builtins
import dataclasses
import datetime
import errno
import functools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import power_loss
import pytest
from test_cli import assert_refused, psro_main
from test_experiment import outcome, refused, train_until

import games
import psro
from psro import cli
from psro.oracles import ORACLES, PPOConfig
from psro.runs import experiment
from psro.runs import folder as run_folder
from psro.runs.config import RunConfig
from psro.runs.storage import ExperimentError

CONFIG = RunConfig(game="kuhn_poker", oracle="best_response", iterations=4, tolerance=0.0)
"""An exact oracle: nothing about files depends on the oracle."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return psro.run(CONFIG, tmp_path_factory.mktemp("trained") / "run")


@pytest.fixture
def stopped(tmp_path):
    """A folder whose run stopped after iteration 1."""
    train_until(1, tmp_path / "run", CONFIG)
    return tmp_path / "run"


# Two processes


HOLDER = """
import sys, time
from pathlib import Path
from psro.runs import disk
with disk.lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(100)
"""


def test_two_processes_on_one_folder(trained, stopped, tmp_path, capsys):
    root = Path(psro.__file__).parents[1]
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(stopped)], stdout=subprocess.PIPE, cwd=root
    ) as holder:
        try:
            assert holder.stdout.readline() == b"held\n"
            before = outcome(stopped)
            with pytest.raises(SystemExit) as end:
                cli.main(["resume", str(stopped)])
            err = capsys.readouterr().err
            assert end.value.code == 2 and "another psro" in err and err.count("\n") == 1
            assert "another psro" in refused(lambda: psro.resume(stopped, iterations=9))
            assert outcome(stopped) == before
            cli.main(["eval", str(stopped), "--json"])  # reading asks nobody
            psro.export(stopped, tmp_path / "run.psro")
            copied = shutil.copytree(stopped, tmp_path / "copied")  # nor is a copy held
            psro.resume(copied)
            assert outcome(copied) == outcome(trained.folder)
        finally:
            holder.send_signal(signal.SIGKILL)
    psro.resume(stopped)  # the system let go
    assert outcome(stopped) == outcome(trained.folder)


def test_two_experiments_of_one_process(trained, stopped):
    first, second = experiment.reopen(stopped), experiment.reopen(stopped)
    training = first.train()
    next(training)
    before = outcome(stopped)
    assert "another psro" in refused(lambda: next(second.train()))
    training.close()
    # What it knows is no longer so, and going on from it would lose an iteration.
    assert "has changed since" in refused(lambda: next(second.train()))
    assert outcome(stopped) == before
    psro.resume(stopped)
    assert outcome(stopped) == outcome(trained.folder)


def test_a_file_system_without_locks_is_used_without(trained, stopped, monkeypatch):
    def unsupported(*_):
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(psro.runs.disk.fcntl, "flock", unsupported)
    psro.resume(stopped)
    assert outcome(stopped) == outcome(trained.folder)


# Disks and clocks


@pytest.mark.parametrize("kind", [errno.EROFS, errno.EACCES])
def test_a_read_only_folder_is_read_and_not_trained(stopped, monkeypatch, kind):
    """As a mount that is read-only does it; root may write wherever permission bits forbid it."""
    real_open, real_os_open = builtins.open, os.open

    def forbid(path):
        raise OSError(kind, os.strerror(kind), str(path))

    def checked_open(file, mode="r", *rest, **options):
        if (
            set(mode) & set("wax+")
            and isinstance(file, str | Path)
            and stopped in Path(file).parents
        ):
            forbid(file)
        return real_open(file, mode, *rest, **options)

    def checked_os_open(path, flags, *rest, **options):
        if (folder := options.get("dir_fd")) is not None:
            full = Path(os.readlink(f"/proc/self/fd/{folder}")) / path
        else:
            full = Path(path)
        if flags & (os.O_RDWR | os.O_WRONLY | os.O_CREAT) and stopped in full.parents:
            forbid(full)
        return real_os_open(path, flags, *rest, **options)

    before = outcome(stopped)
    opened = psro.load(stopped)
    with monkeypatch.context() as patch:
        patch.setattr(builtins, "open", checked_open)
        patch.setattr(os, "open", checked_os_open)
        assert psro.load(stopped).records == opened.records
        for call in (lambda: psro.resume(stopped), lambda: next(opened.train())):
            sentence = refused(call)
            assert os.strerror(kind) in sentence and str(stopped) in sentence
    assert outcome(stopped) == before


@pytest.mark.parametrize("seed", range(4))
def test_a_disk_that_fills_up_at_any_moment(trained, tmp_path, monkeypatch, seed):
    """The disk is full from one call on, for as long as the run tries; then there is room again."""
    folder, calls, fails_at = tmp_path / "run", 0, random.Random(seed).randrange(5, 40)

    def filling(call):
        def checked(*arguments, **options):
            nonlocal calls
            calls += 1
            if calls >= fails_at:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return call(*arguments, **options)

        return checked

    opened = experiment.create(CONFIG, folder)
    with monkeypatch.context() as patch:
        for name in ("fsync", "replace"):
            patch.setattr(os, name, filling(getattr(os, name)))
        sentence = refused(lambda: list(opened.train()))
    assert os.strerror(errno.ENOSPC) in sentence and "intact" in sentence
    assert not list(folder.rglob("*.tmp"))
    assert experiment.reopen(folder).records == opened.records
    psro.resume(folder)
    assert outcome(folder) == outcome(trained.folder)


@pytest.mark.parametrize(
    "options",
    [
        ("--quick", "--sizes", "4"),
        pytest.param(("--sizes", "10"), marks=[pytest.mark.slow, pytest.mark.timeout(1200)]),
    ],
)
def test_real_disks_that_are_too_small_or_read_only(options):
    root = Path(psro.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "experiments/trust/faults.py", *options],
        env=os.environ | {"PYTHONPATH": str(root)},
        cwd=root,
        capture_output=True,
        text=True,
    )
    if done.returncode == 3:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    last = done.stdout.splitlines()[-1]
    assert "0 folders were lost" in last and int(last.split()[0]) > 1, last


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_onto_a_full_disk(trained, tmp_path):
    """Of a run nothing is lost but its words; what is all words ends with a sentence."""
    psro_command = [sys.executable, "-m", "psro"]
    begin = ["run", "--game", "kuhn_poker", "--oracle", "best_response", "--iterations", "4"]
    begin += ["--tolerance", "0", "--out", str(tmp_path / "run")]
    with open("/dev/full", "w") as full:
        for arguments, code in ((begin, 0), (["eval", str(trained.folder)], 2)):
            done = subprocess.run(
                [*psro_command, *arguments],
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                cwd=Path(psro.__file__).parents[1],
            )
            assert done.returncode == code and os.strerror(errno.ENOSPC) in done.stderr
            assert done.stderr.startswith("psro: ") and done.stderr.count("\n") == 1
    (tmp_path / "run" / "exploitability.png").unlink()
    assert outcome(tmp_path / "run") == outcome(trained.folder)


def test_a_clock_that_jumps_back(trained, tmp_path, monkeypatch):
    """Nothing is decided by the time of day: a name that is taken gets a number."""
    monkeypatch.chdir(tmp_path)

    class Clock(datetime.datetime):
        hour_now = 12

        @classmethod
        def now(cls):
            return cls(2026, 1, 1, cls.hour_now)

    monkeypatch.setattr(run_folder.datetime, "datetime", Clock)
    first = experiment.create(CONFIG).folder
    for record in experiment.reopen(first).train():
        if record.iteration == 2:
            break
    for path in [first, *first.rglob("*")]:
        os.utime(path, (4_000_000_000, 4_000_000_000))  # written in the year 2096
    Clock.hour_now = 11
    earlier = experiment.create(CONFIG).folder
    Clock.hour_now = 12
    again = experiment.create(CONFIG).folder
    assert len({first, earlier, again}) == 3
    psro.resume(first)
    assert outcome(first) == outcome(trained.folder)


def test_a_folder_is_the_same_elsewhere(trained, stopped, tmp_path):
    moved = stopped.rename(tmp_path / "moved")
    assert psro.load(moved).config == trained.config
    psro.resume(moved)
    assert outcome(moved) == outcome(trained.folder)


@pytest.mark.parametrize("command", ["eval", "resume", "plot", "report", "export", "watch"])
def test_a_folder_of_a_newer_version_is_named_so(stopped, tmp_path, capsys, command):
    path = stopped / "config.json"
    newer = psro.runs.storage.FORMAT_VERSION + 1
    fields = json.loads(path.read_text()) | {"format_version": newer}
    path.write_text(json.dumps(fields))
    before = outcome(stopped)
    more = [tmp_path / "run.psro"] if command == "export" else []
    sentence = assert_refused(psro_main(capsys, command, stopped, *more))
    assert f"format {newer}" in sentence and "install a newer psro" in sentence
    assert str(stopped) in sentence
    assert outcome(stopped) == before and list(tmp_path.iterdir()) == [stopped]


# Power


class States:
    """What power loss may leave at any moment of a run that is made, trained, stopped and resumed:
    states of the disk, each with how many records had been shown by then (-1: no folder yet)."""

    def __init__(self, root, monkeypatch, config=CONFIG):
        self.found, self.name, shown = [], "runs/new/run", -1
        chance = random.Random(0)

        def at_moment():
            self.found.append((shown, disk.survivors(chance)))

        with monkeypatch.context() as patch:
            disk = power_loss.PowerLoss(root, patch, at_moment)
            try:
                folder = root / self.name
                opened = experiment.create(config, folder)
                for stop_at in (2, config.iterations):
                    shown = max(shown, 0)
                    training = opened.train()
                    for record in training:
                        shown = record.iteration + 1
                        if record.iteration == stop_at:
                            break
                    training.close()
                    opened = experiment.reopen(folder)
                at_moment()
            finally:
                disk.close()


PPO = RunConfig(
    game="kuhn_poker",
    iterations=4,
    hidden_size=4,
    tolerance=0.0,
    ppo=PPOConfig(decisions=512, num_envs=16, rollout_length=8),
)


@pytest.fixture
def one_oracle_a_game(monkeypatch):
    """Tracing an oracle is nearly all that a tiny run costs, and it is a pure function of its
    arguments: experiments of one game share theirs, and its tree."""
    monkeypatch.setattr(games, "load", functools.cache(games.load))
    for name, oracle in ORACLES.items():
        monkeypatch.setitem(ORACLES, name, _Shared(oracle))


class _Shared:
    """An oracle, made once for each tree."""

    def __init__(self, oracle):
        self.tabular, self.conditional = oracle.tabular, oracle.conditional
        self._oracle, self._made = oracle, {}

    def __call__(self, game, policy, config):
        if game.tree not in self._made:
            self._made[game.tree] = self._oracle(game, policy, config)
        return self._made[game.tree]


@pytest.mark.parametrize(
    ("game", "oracle", "times"),
    [
        ("kuhn_poker", "best_response", 15),
        *(
            pytest.param(game, oracle, times, marks=pytest.mark.slow)
            for game in ("kuhn_poker", "leduc_poker")
            for oracle, times in (("best_response", 60), ("ppo", 30))
        ),
    ],
)
def test_power_fails_at_random_moments(
    tmp_path, monkeypatch, one_oracle_a_game, game, oracle, times
):
    """Every folder is loaded and resumed to the same bits, and has lost nothing that was shown."""
    config = dataclasses.replace(PPO, game=game, oracle=oracle)
    trained = psro.run(config, tmp_path / "trained")
    (tmp_path / "disk").mkdir()
    states = States(tmp_path / "disk", monkeypatch, config)
    assert len(states.found) > 100
    none = torn = behind = 0
    for number, (shown, left) in enumerate(random.Random(times).sample(states.found, times)):
        root = tmp_path / f"after{number}"
        power_loss.write(left, root)
        folder = root / states.name
        if not folder.exists():
            assert shown == -1
            none += 1
            continue
        opened = experiment.reopen(folder)
        size = len(opened.records)
        assert size >= shown
        behind += shown < config.iterations + 1
        torn += any(".tmp" in name for name in left)
        if size:
            np.testing.assert_array_equal(
                psro.load(folder).payoffs, trained.payoffs[:, :size, :size]
            )
        for _ in opened.train():
            pass
        assert outcome(folder) == outcome(trained.folder)
    assert behind > times / 2 and torn > 0  # or nothing was tried
    print(
        f"power loss, {game}, {oracle}: {times} states; {none} before there was a folder, {torn} "
        f"with a file half written; {times - none} loaded and resumed to the same bits"
    )


def test_the_double_notices_what_is_not_synced(tmp_path, monkeypatch):
    """Without syncs of contents, or of names, some folder is damaged or has lost what was shown."""
    for number, skipped in enumerate((Path.is_file, Path.is_dir)):
        disk, fsync = tmp_path / f"disk{number}", os.fsync
        disk.mkdir()
        with monkeypatch.context() as patch:
            patch.setattr(
                psro.runs.storage.os,
                "fsync",
                lambda fd, skipped=skipped, fsync=fsync: (
                    None if skipped(Path(os.readlink(f"/proc/self/fd/{fd}"))) else fsync(fd)
                ),
            )
            # The double is told of no sync that is skipped.
            told = power_loss.PowerLoss._synced
            patch.setattr(
                power_loss.PowerLoss,
                "_synced",
                lambda self, fd, skipped=skipped, told=told: (
                    None if skipped(Path(os.readlink(f"/proc/self/fd/{fd}"))) else told(self, fd)
                ),
            )
            states = States(disk, patch)
        losses = 0
        for each, (shown, left) in enumerate(random.Random(1).sample(states.found, 25)):
            root = tmp_path / f"after{number}-{each}"
            power_loss.write(left, root)
            try:
                losses += len(psro.load(root / states.name).records) < shown
            except ExperimentError:
                losses += shown > 0
        assert losses > 0
