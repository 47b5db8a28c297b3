"""Reads files as strangers, bad disks and bad programs may leave them, through every reader.

    python experiments/trust/fuzz_files.py --inputs 10000 --seed 0

Real runs and games are changed by hypothesis (see hostile.py) and read in worker processes: what
`psro.load`, `psro resume`, eval, play, report, watch, plot, export and a comparison of two runs do,
and `games.load`. It is a failure when a reader raises anything but one of our own ValueErrors with
one printable sentence, takes longer than `SECONDS`, more memory than `MEMORY`, or dies; when it
changes what it reads, leaves a temporary file, writes outside the place that it was given, starts a
process, connects, or unpickles. What failed is kept under --keep. Exit code 1 says that something
did.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import dataclasses
import hashlib
import io
import itertools
import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import hostile
import hypothesis
import jax
import numpy as np
from hypothesis import strategies as st

import games
import psro
from psro import exact
from psro.measure import comparison, evaluation
from psro.play import match
from psro.play import terminal as play
from psro.runs import archive, config_file, disk, experiment, storage
from psro.runs import export as sharing
from psro.runs import folder as run_folder
from psro.views import page, plots, tables, watch

SECONDS = 120
"""The most that one reader may take for one input, by the clock: the machine may be busy."""
MEMORY = 512 << 20
"""Bytes that one input may add to the process; what a Kuhn run needs is a hundredth."""
ADDRESSES = 4 << 30
"""Bytes of address space beyond which the system refuses memory, touched or not."""
LONGEST = 1_000
"""Characters of a sentence."""
CACHE = "compiled"
"""The folder where JAX keeps what it compiled, beside the workers' boxes."""
BATCH = 500
"""Inputs of one process."""

KINDS = {
    "config.json": 15,
    "payoffs.safetensors": 15,
    "policies": 12,
    "metrics.csv": 8,
    "game of a run": 5,
    "folder": 5,
    "export": 16,
    "game.efg": 7,
    "game.nfg": 5,
    "game.csv": 4,
    "game.npy": 5,
    "game.npz": 3,
}
"""Kinds of files, with their shares of all inputs in hundredths."""

EFG = b"""EFG 2 R "Two cards" { "Ann" "Bob" }
"a comment"
c "deal" 1 "(0,1)" { "high" 1/2 "low" 0.5 } 0
p "" 1 1 "high" { "bet" "pass" } 1 "ante" { 0 0 }
p "" 2 1 "Bob" { "call" "fold" } 0
t "" 2 "win" { 2, -2 }
t "" 3 "steal" { 1 -1 }
t "" 4 "even" { 1/2, -1/2 }
p "" 1 2 "low" { "bet" "pass" } 0
p "" 2 1 { "call" "fold" } 0
t "" 5 "lose" { -2 2 }
t "" 3
t "" 6 "give" { -1 1 }
"""
NFG = b"""NFG 1 R "Chicken" { "Ann" "Bob" }
{ { "swerve" "go" } { "swerve" "go" } }
"a comment"
{ { "both" 0, 0 } { "Ann" 1 -1 } { "Bob" -1 1 } { "crash" -10 -10 } }
1 2 3 4
"""
NFG_BARE = b"""NFG 1 R "Prisoner's dilemma" { "Ann" "Bob" } { 2 2 }
-1 -1 0 -3 -3 0 -2 -2
"""
CSV = b"0,-1,1.5\n1,0,-1\n-1.5,1e0,0\n"

Files = dict[str, bytes | Callable[[Path], None]]
"""The files of an input by their names; or what makes one that is not just bytes."""


# Originals


def make_originals(root: Path) -> None:
    """Runs and games to start from."""
    root.mkdir(parents=True)
    for name, content in (
        ("game.efg", EFG),
        ("game.nfg", NFG),
        ("bare.nfg", NFG_BARE),
        ("game.csv", CSV),
    ):
        (root / name).write_bytes(content)
    payoffs = np.random.default_rng(0).normal(size=(2, 3, 3))
    np.save(root / "game.npy", payoffs[0])
    np.save(root / "everybody.npy", payoffs)
    np.savez(root / "game.npz", row=payoffs[0], column=payoffs[1])
    np.savez(root / "payoffs.npz", payoffs=payoffs)
    table = psro.RunConfig(oracle="best_response", iterations=2, tolerance=0.0)
    runs = {
        "table": table,
        "joint": dataclasses.replace(table, meta_solver="mgcce", evaluation_solver="mgce"),
        "csv": dataclasses.replace(table, game=str(root / "game.csv")),
        "efg": dataclasses.replace(table, game=str(root / "game.efg")),
        "network": dataclasses.replace(table, oracle="distill", hidden_size=4),
    }
    for name, config in runs.items():
        training = experiment.create(config, root / name).train()
        next(training)  # a network's iteration 0 needs no oracle, which would take long to compile
        if name != "network":
            collections.deque(training, maxlen=0)
        training.close()
        psro.export(root / name, root / f"{name}.psro")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Originals:
    """What `make_originals` made: the files of every run, and every game, as bytes."""

    root: Path
    runs: dict[str, dict[str, bytes]]
    games: dict[str, bytes]

    @classmethod
    def read(cls, root: Path) -> Originals:
        return cls(
            root=root,
            runs={
                folder.name: {
                    str(path.relative_to(folder)): path.read_bytes()
                    for path in sorted(folder.rglob("*"))
                    if path.is_file()
                }
                for folder in sorted(root.iterdir())
                if folder.is_dir()
            },
            games={
                path.name: path.read_bytes()
                for path in sorted(root.iterdir())
                if path.is_file() and path.suffix != ".psro"
            },
        )


# Inputs


@st.composite
def inputs(draw: hostile.Draw, kind: str, originals: Originals) -> tuple[str, Files | bytes]:
    """The name of an input and its files, or its bytes where it is one file."""
    if kind.startswith("game."):
        return kind, draw(game_bytes(kind, originals))
    runs = originals.runs
    if kind == "game of a run":
        name = draw(st.sampled_from(["csv", "efg"]))
    else:
        # A network takes ten times as long to load as a table.
        name = draw(
            st.sampled_from(
                ["table"] * 11 + ["joint"] * 4 + ["csv", "csv", "efg", "efg", "network"]
            )
        )
    files: Files = dict(runs[name])
    if kind != "export":
        return "run", draw(_CHANGES[kind](files))
    outside = str(originals.root.parent / "evil")
    if draw(st.booleans()):
        members = {each: content for each, content in files.items() if each != disk.LOCK}
        return "run.psro", draw(
            hostile.archive_bytes(members, originals.games["game.npy"], outside)
        )
    inner = draw(st.sampled_from([each for each in _CHANGES if each != "folder"]))
    if inner == "game of a run" and name not in ("csv", "efg"):
        inner = "config.json"
    files = draw(_CHANGES[inner](files))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as made:
        for each, content in files.items():
            if archive.MEMBERS.fullmatch(each):
                made.writestr(zipfile.ZipInfo(each), content)
    return "run.psro", packed.getvalue()


@st.composite
def game_bytes(draw: hostile.Draw, kind: str, originals: Originals) -> bytes:
    suffix = Path(kind).suffix
    own = [name for name in originals.games if name.endswith(suffix)]
    original = originals.games[draw(st.sampled_from(own))]
    other = originals.games[draw(st.sampled_from(sorted(originals.games)))]
    if suffix == ".npy":
        return draw(hostile.npy(original, other))
    if suffix == ".csv":
        return draw(hostile.table(original, other))
    if suffix != ".npz":
        return draw(hostile.words(original, other))
    with zipfile.ZipFile(io.BytesIO(original)) as opened:
        members = {each: opened.read(each) for each in opened.namelist()}
    if draw(st.booleans()):
        place = draw(st.sampled_from(sorted(members)))
        members[place] = draw(hostile.npy(members[place], other))
    return draw(hostile.archive_bytes(members, other, str(originals.root.parent / "evil.npy")))


@st.composite
def _config(draw: hostile.Draw, files: Files) -> Files:
    return files | {"config.json": draw(hostile.json_bytes(files["config.json"]))}


@st.composite
def _metrics(draw: hostile.Draw, files: Files) -> Files:
    return files | {"metrics.csv": draw(hostile.table(files["metrics.csv"], files["config.json"]))}


@st.composite
def _commit(draw: hostile.Draw, files: Files) -> Files:
    return files | draw(_tensor_file(files, "payoffs.safetensors"))


@st.composite
def _policies(draw: hostile.Draw, files: Files) -> Files:
    names = [name for name in files if name.startswith("policies/")]
    name = draw(st.sampled_from(names))
    changed = draw(_tensor_file(files, name))
    if draw(st.integers(0, 4)):  # the commit names what is there now
        commit, info = _read(files["payoffs.safetensors"])
        with contextlib.suppress(psro.ExperimentError):
            info["policies"][int(Path(name).stem)] = _read(changed[name])[1]["sha256"]
            changed["payoffs.safetensors"] = _written(commit, info)
    return files | changed


@st.composite
def _tensor_file(draw: hostile.Draw, files: Files, name: str) -> Files:
    """One safetensors file, changed: its bytes or header, or its contents, signed again."""
    if draw(st.integers(0, 2)) == 0:
        other = files["config.json"]
        return {name: draw(hostile.safetensors_bytes(files[name], other))}
    try:
        return {name: _written(*draw(hostile.tensors(*_read(files[name]))))}
    except (ValueError, TypeError, storage.safetensors.SafetensorError):
        hypothesis.reject()  # such a file cannot be written


def _read(content: bytes) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "read"
        path.write_bytes(content)
        tensors, info = storage.read_tensors(path)
    return tensors, info


def _written(tensors: Mapping[str, np.ndarray], info: Mapping[str, Any]) -> bytes:
    info = {name: each for name, each in info.items() if name not in ("sha256", "format_version")}
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "written"
        storage.write_tensors(path, tensors, info)
        return path.read_bytes()


@st.composite
def _game_copy(draw: hostile.Draw, files: Files) -> Files:
    name = next(name for name in files if name.startswith("game."))
    strategy = hostile.table if name == "game.csv" else hostile.words
    changed = {name: draw(strategy(files[name], files["config.json"]))}
    if draw(st.integers(0, 3)):  # config.json names what is there now
        fields = json.loads(files["config.json"])
        fields["game_sha256"] = hashlib.sha256(changed[name]).hexdigest()
        changed["config.json"] = json.dumps(fields).encode()
    return files | changed


@st.composite
def _folder(draw: hostile.Draw, files: Files) -> Files:
    """Files that are missing, links, pipes, folders, holes, exchanged, or too many."""
    changed = dict(files)
    for _ in range(draw(st.integers(1, 2))):
        name = draw(st.sampled_from([*files, "policies/0007.safetensors", "exploitability.png"]))
        change = draw(st.sampled_from(
            ["gone", "empty", "folder", "to nothing", "to itself", "out", "pipe", "hole", "other"]
        ))  # fmt: skip
        if change == "gone":
            changed.pop(name, None)
        elif change == "empty":
            changed[name] = b""
        elif change == "folder":
            changed[name] = lambda path: path.mkdir()
        elif change == "to nothing":
            changed[name] = lambda path: path.symlink_to("nothing")
        elif change == "to itself":
            changed[name] = lambda path: path.symlink_to(path.name)
        elif change == "out":
            changed[name] = lambda path: path.symlink_to(sys.executable)
        elif change == "pipe":
            changed[name] = lambda path: os.mkfifo(path)
        elif change == "hole":
            size = draw(st.sampled_from([1, 1 << 21, 3 << 30, 1 << 40]))
            kept = files.get(name, b"")
            changed[name] = lambda path, size=size, kept=kept: _hole(path, size, kept)
        else:
            changed[name] = files[draw(st.sampled_from(sorted(files)))]
    return changed


def _hole(path: Path, size: int, content: bytes) -> None:
    """A file that ends in so many zeros, which take no place on the disk."""
    path.write_bytes(content)
    os.truncate(path, len(content) + size)


_CHANGES = {
    "config.json": _config,
    "payoffs.safetensors": _commit,
    "policies": _policies,
    "metrics.csv": _metrics,
    "game of a run": _game_copy,
    "folder": _folder,
}


def lay_out(content: Files | bytes, path: Path) -> None:
    """Puts an input on disk."""
    if isinstance(content, bytes):
        path.write_bytes(content)
        return
    (path / "policies").mkdir(parents=True)
    for name, each in content.items():
        if callable(each):
            each(path / name)
        else:
            (path / name).write_bytes(each)


# Readers: each reads `path`, may write in `out`, and gets the run if it could be loaded


def _resume(path: Path, out: Path) -> None:
    if path.is_file():
        experiment.reopen(path, out=out / "resumed")
        return
    shutil.copytree(path, out / "copy", symlinks=True, copy_function=_copy_sparse)
    experiment.reopen(out / "copy")


def _copy_sparse(source: str, target: str, *, follow_symlinks: bool = True) -> None:
    """Links what a copy would not end with."""
    if os.stat(source).st_size > 1 << 24 or not Path(source).is_file():
        os.link(source, target)
    else:
        shutil.copyfile(source, target)


def _settings(path: Path) -> None:
    """As `psro run --config` does."""
    config_file.read_config(path / "config.json")


def _report(path: Path) -> None:
    page.report([path])


def _watch(path: Path) -> None:
    watch.Watched(path).document()


def _plot(path: Path) -> None:
    with archive.as_folder(path, (psro.ExperimentError, plots.PlotError)) as folder:
        plots.exploitability_figure([folder])


def _plot_payoffs(path: Path) -> None:
    with archive.as_folder(path, (psro.ExperimentError, plots.PlotError)) as folder:
        plots.payoffs_figure(run_folder.snapshot(folder, foreign=archive.is_file(path)))


def _export(path: Path, out: Path) -> None:
    sharing.export(path, out / "again.psro")


def _eval(opened: experiment.Experiment) -> None:
    measured = evaluation.evaluate(opened.meta_game, opened.measured_strategy)
    tables.print_json(opened, measured)
    tables.print_tables(opened, measured, tables.console())


def _play(opened: experiment.Experiment) -> None:
    sys.stdin = io.StringIO("1\n" * 9 + "q\n" * 9)
    play.in_terminal(match.Match(opened, 0, 0), tables.console())


def _compare(opened: experiment.Experiment, original: experiment.Experiment) -> None:
    mixtures = comparison.mixtures([("a", original), ("b", opened)])
    others, omitted = comparison.baselines(opened.tree, cfr_iterations=2)
    compared = comparison.compare(opened.tree, mixtures | others, omitted)
    tables.print_comparison_json(compared, opened.config.game)
    tables.print_comparison(compared, tables.console(), opened.config.game)


def _measure(tree: games.GameTree) -> None:
    """What every use of a game begins with."""
    plans = [exact.realization_plan(each, exact.uniform_behaviour(each)) for each in tree.players]
    exact.exploitability(tree, plans)


# One input


class Hang(BaseException):
    """A reader took too long."""


@dataclasses.dataclass(kw_only=True)
class Verdict:
    """What came of an input.

    Attributes:
        readers: `read` or `refused`, by reader.
        failures: what went wrong: a sentence or a traceback, by what sets it apart from others.
        seconds: of the slowest reader.
        memory: bytes that it added at its peak.
    """

    readers: dict[str, str] = dataclasses.field(default_factory=dict)
    failures: dict[str, str] = dataclasses.field(default_factory=dict)
    seconds: float = 0.0
    memory: int = 0

    @property
    def outcome(self) -> str:
        if self.failures:
            return "failed"
        return "refused" if "refused" in self.readers.values() else "read"


class Box:
    """A folder for one input after another: `source` to be read, `out` to be written, and a working
    and a temporary folder, which must be as empty in the end as they were before."""

    def __init__(self, root: Path, originals: Originals):
        self.root, self.originals = root, originals
        self.watching = False
        self.broken: list[str] = []
        sys.addaudithook(self._audit)
        self._compared: dict[str, experiment.Experiment] = {}

    def fresh(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)
        for name in ("source", "out", "cwd", "tmp"):
            (self.root / name).mkdir(parents=True)
        os.chdir(self.root / "cwd")
        tempfile.tempdir = str(self.root / "tmp")

    def judge(self, path: Path, readers: st.DataObject | None = None) -> Verdict:
        """Every reader of a game, or of a run; where that can be loaded, one of the slow ones."""
        verdict = Verdict()
        if path.name.startswith("game."):
            tree = self._try(verdict, "games.load", lambda: games.load(str(path)))
            if tree is not None:
                self._try(verdict, "measure", lambda: _measure(tree))
            return verdict
        out = self.root / "out"
        opened = self._try(verdict, "load", lambda: psro.load(path))
        self._try(verdict, "plot", lambda: _plot(path))
        self._try(verdict, "plot --payoffs", lambda: _plot_payoffs(path))
        slow = {
            "resume": lambda: _resume(path, out),
            "report": lambda: _report(path),
            "export": lambda: _export(path, out),
        }
        if path.is_dir():
            slow["watch"] = lambda: _watch(path)
            self._try(verdict, "run --config", lambda: _settings(path))
        if opened is not None:
            slow |= {
                "eval": lambda: _eval(opened),
                "play": lambda: _play(opened),
                "compare": lambda: _compare(opened, self._like(opened)),
            }
        if readers is not None and opened is not None:
            slow = {name: slow[name] for name in [readers.draw(st.sampled_from(sorted(slow)))]}
        for name in slow:
            self._try(verdict, name, slow[name])
        return verdict

    def _like(self, opened: experiment.Experiment) -> experiment.Experiment:
        """A sound run, of the same game if that came from a file."""
        suffix = Path(opened.config.game).suffix.removeprefix(".")
        name = suffix if suffix in ("csv", "efg") else "table"
        if name not in self._compared:
            self._compared[name] = psro.load(self.originals.root / name)
        return self._compared[name]

    def _try(self, verdict: Verdict, reader: str, call: Callable[[], Any]) -> Any:
        """What a reader returns, or None; what came of it is noted."""
        before = self._fingerprint()
        memory, began = _peak_memory(reset=True), time.monotonic()
        self.broken.clear()
        result = None
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        self.watching = True
        try:
            result = call()
            verdict.readers[reader] = "read"
        except Hang:
            verdict.failures[f"{reader}: hang"] = traceback.format_exc()
        except Exception as error:
            wrong = _wrong(error)
            if wrong:
                place = traceback.extract_tb(error.__traceback__)[-1]
                where = f"{Path(place.filename).name}:{place.lineno}"
                verdict.failures[f"{wrong} at {where}"] = f"{reader}: {traceback.format_exc()}"
            else:
                verdict.readers[reader] = "refused"
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            self.watching = False
        verdict.seconds = max(verdict.seconds, time.monotonic() - began)
        added = _peak_memory() - memory
        verdict.memory = max(verdict.memory, added)
        if added > MEMORY:
            verdict.failures[f"{reader}: memory"] = f"{reader}: {added:,} bytes"
        for each in self.broken:
            verdict.failures[f"{reader}: {each.split()[0]}"] = f"{reader}: {each}"
        if self._fingerprint() != before:
            verdict.failures[f"{reader}: changes"] = (
                f"{reader} changed what it reads, or left files"
            )
        if reader in ("resume", "export") and verdict.readers.get(reader) == "refused":
            self._check_refused(verdict, reader)
        shutil.rmtree(self.root / "out")
        (self.root / "out").mkdir()
        return result

    def _check_refused(self, verdict: Verdict, reader: str) -> None:
        """Nothing is made of what is refused; the copy of a folder is ours."""
        left = [each.name for each in (self.root / "out").iterdir() if each.name != "copy"]
        if left:
            verdict.failures[f"{reader}: left"] = f"{reader} refused it, and left {left}"

    def _fingerprint(self) -> list[tuple]:
        """Of all that readers must not change."""
        found = []
        for name in ("source", "cwd", "tmp"):
            for path in sorted((self.root / name).rglob("*")):
                about = path.lstat()
                found.append(
                    (str(path), about.st_mode, about.st_size, about.st_mtime_ns, about.st_ino)
                )
        outside = [each.name for each in self.root.parent.iterdir() if "evil" in each.name]
        return [*found, outside, os.getcwd()]

    def _audit(self, event: str, arguments: tuple) -> None:
        if not self.watching:
            return
        if event == "open":
            path, mode, flags = arguments
            if isinstance(path, int) or not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                return
            self._check_path(event, path, -1)
        elif event in ("os.mkdir", "os.remove", "os.rmdir", "os.chmod", "os.truncate"):
            self._check_path(event, arguments[0], -1 if event == "os.truncate" else arguments[-1])
        elif event in ("os.rename", "os.link", "os.symlink"):
            self._check_path(event, arguments[1], arguments[-1])
        elif event in _FORBIDDEN:
            self.broken.append(f"{event} {arguments!r}"[:300])

    def _check_path(self, event: str, path: Any, dir_fd: int) -> None:
        path = os.fsdecode(path) if not isinstance(path, int) else f"/proc/self/fd/{path}"
        base = os.getcwd() if dir_fd < 0 else os.readlink(f"/proc/self/fd/{dir_fd}")
        whole = os.path.normpath(os.path.join(base, path))
        places = f"{self.root}/", f"{self.root.parent.parent}/{CACHE}"
        if not whole.startswith(places) and whole != os.devnull:
            self.broken.append(f"{event} {whole}"[:300])


_FORBIDDEN = (
    "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "socket.connect",
    "pickle.find_class", "os.chown", "os.kill", "ctypes.dlopen",
)  # fmt: skip


def _wrong(error: Exception) -> str | None:
    """What is wrong with how an input is refused, if anything is."""
    kind = type(error)
    if not isinstance(error, ValueError) or kind is ValueError:
        return kind.__name__
    if kind.__module__.split(".")[0] not in ("psro", "games"):
        return f"{kind.__module__}.{kind.__name__}"
    sentence = str(error)
    if not sentence or len(sentence) > LONGEST or not sentence.isprintable():
        return f"{kind.__name__} whose sentence is empty, long, or cannot be printed"
    return None


def _peak_memory(*, reset: bool = False) -> int:
    """Bytes that were resident at the peak since the last reset."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    name = "VmRSS" if reset else "VmHWM"
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split(f"{name}:")[1].split()[0])


# Processes


def work(
    answers: Connection, kind: str, seed: int, count: int, root: Path, made: Path, log: Path
) -> None:
    """Judges `count` inputs of a kind; before and after each it tells so."""
    with open(log, "w") as silent:
        os.dup2(silent.fileno(), 1)
        os.dup2(silent.fileno(), 2)
    sys.dont_write_bytecode = True
    warnings.simplefilter("ignore")
    os.fsync = lambda descriptor: None  # nothing here outlives the machine, and it takes long
    originals = Originals.read(made)
    # As the commands have it: the same networks are compiled again and again.
    jax.config.update("jax_compilation_cache_dir", str(root / CACHE))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    box = Box(root / f"{kind}-{seed}".replace(" ", "-") / "box", originals)
    signal.signal(signal.SIGALRM, _alarm)
    box.fresh()
    warm = originals.root / ("table" if not kind.startswith("game.") else kind)
    box.judge(Path(shutil.copytree(warm, box.root / "source" / "run") if warm.is_dir()
                   else shutil.copy(warm, box.root / "source")))  # fmt: skip
    status = Path("/proc/self/status").read_text()
    used = 1024 * int(status.split("VmSize:")[1].split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (used + ADDRESSES, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    done = 0

    def one(drawn: tuple[str, Files | bytes], data: st.DataObject) -> None:
        nonlocal done
        if done >= count:
            return
        done += 1
        box.fresh()
        name, content = drawn
        path = box.root / "source" / name
        lay_out(content, path)
        answers.send(("begin", str(path)))
        answers.send(("end", box.judge(path, data)))

    for again in itertools.count():
        if done >= count:
            break
        settings = hypothesis.settings(
            max_examples=count - done, database=None, deadline=None,
            phases=(hypothesis.Phase.generate,), suppress_health_check=list(hypothesis.HealthCheck),
        )  # fmt: skip
        given = hypothesis.given(inputs(kind, originals), st.data())
        hypothesis.seed(1_000_003 * seed + again)(settings(given(one)))()
    answers.send(("done", None))


def _alarm(number, frame) -> None:
    raise Hang


@dataclasses.dataclass(kw_only=True)
class Worker:
    """A process, and what it is at."""

    kind: str
    left: int
    process: multiprocessing.process.BaseProcess
    answers: Connection
    log: Path
    at: str | None = None
    since: float = dataclasses.field(default_factory=time.monotonic)


@dataclasses.dataclass(kw_only=True)
class Tally:
    """Counts of outcomes by kind, of readers' answers, and of failures."""

    keep: Path
    outcomes: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    readers: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    failures: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    seconds: float = 0.0
    memory: int = 0

    def add(self, kind: str, verdict: Verdict, path: str) -> None:
        self.outcomes[kind, verdict.outcome] += 1
        if self.outcomes.total() % 500 == 0:
            print(f"{self.outcomes.total():,} inputs, {self.failures.total()} failures", flush=True)
        self.readers.update(verdict.readers.items())
        self.seconds = max(self.seconds, verdict.seconds)
        self.memory = max(self.memory, verdict.memory)
        for name, text in verdict.failures.items():
            self.failures[kind, name] += 1
            if self.failures[kind, name] == 1:
                self._keep(kind, name, text, Path(path))

    def _keep(self, kind: str, name: str, text: str, path: Path) -> None:
        print(f"FAILURE in {kind}: {name}\n{text}", flush=True)
        place = self.keep / f"{len(self.failures):03d}"
        place.mkdir(parents=True)
        (place / "why.txt").write_text(f"{kind}: {name}\n{text}\n", "utf-8", "backslashreplace")
        with contextlib.suppress(OSError, shutil.Error):
            if path.is_file() and path.stat().st_size < 1 << 26:
                shutil.copy(path, place)
            elif path.is_dir():
                shutil.copytree(path, place / "run", symlinks=True, copy_function=_copy_small)

    def print(self, seconds: float) -> None:
        total = sum(self.outcomes.values())
        print(f"\n{'kind':20} {'inputs':>7} {'read':>7} {'refused':>7} {'failed':>7}")
        for kind in [*dict.fromkeys(kind for kind, _ in self.outcomes), None]:
            counts = [
                sum(n for (k, o), n in self.outcomes.items() if kind in (k, None) and o == outcome)
                for outcome in ("read", "refused", "failed")
            ]
            print(f"{kind or 'all':20} {sum(counts):7} " + " ".join(f"{each:7}" for each in counts))
        print(f"\n{'reader':20} {'read':>7} {'refused':>7}")
        for reader in dict.fromkeys(reader for reader, _ in self.readers):
            counts = [self.readers[reader, outcome] for outcome in ("read", "refused")]
            print(f"{reader:20} " + " ".join(f"{each:7}" for each in counts))
        for (kind, name), count in self.failures.items():
            print(f"FAILED {count:5} times in {kind}: {name}")
        print(
            f"\n{total:,} inputs in {seconds:.0f} s; the slowest reader took {self.seconds:.1f} s, "
            f"the most memory added was {self.memory / 2**20:.0f} MiB; "
            f"{sum(self.failures.values())} failures"
        )


def _copy_small(source: str, target: str, *, follow_symlinks: bool = True) -> None:
    if Path(source).is_file() and os.stat(source).st_size < 1 << 26:
        shutil.copyfile(source, target)


def fuzz(
    plan: Iterator[tuple[str, int, int]], root: Path, originals: Path, tally: Tally, processes: int
) -> None:
    """Has workers judge every (kind, seed, count) of the plan; one that dies or does not answer is
    a failure of the input that it was at, and another takes over the rest."""
    context = multiprocessing.get_context("forkserver")  # which imports everything once
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)  # and is not told our sys.path
    context.set_forkserver_preload(["fuzz_files"])
    waiting, workers = list(plan), []
    numbers = itertools.count()
    try:
        while waiting or workers:
            while waiting and len(workers) < processes:
                kind, seed, count = waiting.pop(0)
                number = next(numbers)
                ours, theirs = context.Pipe(duplex=False)
                log = root / f"worker-{number}.log"
                arguments = (theirs, kind, seed, count, root, originals, log)
                process = context.Process(target=work, args=arguments, daemon=True)
                process.start()
                theirs.close()
                workers.append(
                    Worker(kind=kind, left=count, process=process, answers=ours, log=log)
                )
            for ready in wait([each.answers for each in workers], timeout=1):
                worker = next(each for each in workers if each.answers is ready)
                if not _answer(worker, tally):
                    workers.remove(worker)
                    if worker.left:
                        waiting.insert(0, (worker.kind, 500_000 + next(numbers), worker.left))
            for worker in workers:
                if time.monotonic() - worker.since > 3 * SECONDS:
                    worker.process.kill()  # its end is an answer
    finally:
        for worker in workers:
            worker.process.kill()


def _answer(worker: Worker, tally: Tally) -> bool:
    """Takes one message of a worker; False where it was the last."""
    try:
        what, content = worker.answers.recv()
    except EOFError:
        worker.process.join()
        if worker.at is None:
            shown = [line[:300] for line in worker.log.read_text().splitlines()[-100:]]
            raise RuntimeError("a worker failed:\n" + "\n".join(shown)) from None
        code = worker.process.exitcode
        name = "a hang that no signal ends" if code == -signal.SIGKILL else f"dies with {code}"
        verdict = Verdict(failures={name: worker.log.read_text(errors="replace")[-2_000:]})
        tally.add(worker.kind, verdict, worker.at)
        worker.left -= 1
        return False
    worker.since = time.monotonic()
    if what == "begin":
        worker.at = content
    elif what == "end":
        tally.add(worker.kind, content, worker.at)
        worker.at, worker.left = None, worker.left - 1
    else:
        worker.process.join()
    return what != "done"


def planned(total: int, seed: int, kinds: Mapping[str, int]) -> Iterator[tuple[str, int, int]]:
    """Kind, seed and number of inputs of every batch."""
    whole, given = sum(kinds.values()), 0
    for place, kind in enumerate(kinds):
        shares = sum(list(kinds.values())[: place + 1])
        count = total * shares // whole - given
        given += count
        for number, start in enumerate(range(0, count, BATCH)):
            yield kind, 1_000 * seed + number, min(BATCH, count - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--originals", type=Path, help="where they are, or are to be made and kept")
    parser.add_argument("--keep", type=Path, help="a new folder, for what fails")
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as place:
        root = Path(place)
        keep = (options.keep or Path(tempfile.gettempdir()) / f"fuzz-kept-{os.getpid()}").absolute()
        originals = (options.originals or root / "originals").absolute()
        making = multiprocessing.get_context("forkserver").Process(
            target=make_originals, args=(originals,)
        )
        if not originals.exists():
            making.start()  # elsewhere: a process in which JAX has begun cannot be forked
            making.join()
        if making.exitcode:
            raise SystemExit("the originals could not be made")
        kinds = {kind: share for kind, share in KINDS.items() if kind in options.kinds}
        plan = list(planned(options.inputs, options.seed, kinds))
        random.Random(options.seed).shuffle(plan)  # so that kinds share the machine
        tally = Tally(keep=keep)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with contextlib.suppress(KeyboardInterrupt):  # the counts so far are told
            fuzz(plan, root, originals, tally, options.processes)
    tally.print(time.monotonic() - began)
    if tally.failures:
        print(f"what failed is in {keep}")
        raise SystemExit(1)


if __name__ == "__main__":
    main()
