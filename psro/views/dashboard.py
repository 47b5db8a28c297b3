"""Several runs and learners at once in the terminal: while several seeds train, and for folders
that other processes train (`psro watch --terminal`).

On a terminal it is a table that is drawn anew. Elsewhere, following prints a line for each record.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import rich.console
import rich.live
import rich.progress_bar
import rich.text

from games.printing import printable
from psro.runs import archive, learner_folder
from psro.runs import folder as run_folder
from psro.runs.learner_config import LearnerConfig
from psro.runs.storage import ExperimentError
from psro.training.evaluation_record import Evaluation
from psro.training.record import DISTANCES, Record
from psro.views import curves, tables
from psro.views.numbers import three_digits

_BLOCKS = "▁▂▃▄▅▆▇█"
_TREND, _BAR = 16, 20
"""Characters of a small curve, and of a bar."""
_POLL = 1.0
"""Seconds between two looks at folders."""


class Shown(Protocol):
    """What is shown of a run or of a learner."""

    folder: Path
    config: Any
    records: Sequence[Record | Evaluation]

    @property
    def ended(self) -> str | None: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One run in the table.

    Attributes:
        label: its folder.
        done: finished iterations or evaluations.
        total: how many there will be at most.
        measure: the last record's measure, in words.
        trend: the measure of every record; lower bounds and values that are not known left out.
        seconds: wall seconds so far.
        status: `waiting`, `training`, or why it has ended.
    """

    label: str
    done: int
    total: int
    measure: str
    trend: Sequence[float]
    seconds: float
    status: str


def row(run: Shown, label: str) -> Row:
    """What the table says of a run."""
    records = run.records
    is_learner = isinstance(run.config, LearnerConfig)
    return Row(
        label=label,
        done=max(0, len(records) - 1),
        total=run.config.evaluations if is_learner else run.config.iterations,
        measure=_measure(records[-1]) if records else "",
        trend=[height for height in map(_height, records) if height is not None],
        seconds=sum(sum(record.seconds.values()) for record in records),
        status=f"ended: {run.ended}" if run.ended else "training" if records else "waiting",
    )


def _measure(record: Record | Evaluation) -> str:
    if isinstance(record, Evaluation):
        error = three_digits(record.return_standard_error)
        return f"return {three_digits(record.mean_return)} ± {error}"
    name = DISTANCES[record.concept]
    if record.distance is not None:
        return f"{name} {three_digits(record.distance)}"
    if record.bound is not None:
        value, error = map(three_digits, record.bound)
        return f"{name} before ≥ {value} ± {error}"
    return f"value {three_digits(record.value[0])} ± {three_digits(record.value_error[0])}"


def _height(record: Record | Evaluation) -> float | None:
    """The height of a record's mark in the small curve."""
    if isinstance(record, Evaluation):
        return record.mean_return
    if record.distance is not None:
        return math.log(max(record.distance, curves.FLOOR))
    return None if record.bound is None else record.bound[0]


def trend(values: Sequence[float]) -> str:
    """A curve of one line of text, from its lowest to its highest value: the last of each of
    `_TREND` equal parts."""
    if not values:
        return ""
    parts = min(_TREND, len(values))
    kept = [values[(n + 1) * len(values) // parts - 1] for n in range(parts)]
    low, high = min(kept), max(kept)
    scale = (len(_BLOCKS) - 1) / (high - low) if high > low else 0.0
    return "".join(_BLOCKS[round((value - low) * scale)] for value in kept)


def labels(folders: Sequence[Path]) -> list[str]:
    """The folders, without the path that they share."""
    paths = [folder.absolute() for folder in folders]
    if len(paths) == 1:
        return [printable(paths[0].name)]
    shared = os.path.commonpath([path.parent for path in paths])
    return [printable(os.path.relpath(path, shared)) for path in paths]


def table(runs: Sequence[Shown]) -> rich.console.RenderableType:
    """The table of all runs."""
    made = tables.table("run", "", "done", "measure", "trend", "seconds", "")
    for column in (1, 4, 6):
        made.columns[column].justify = "left"
    names = labels([run.folder for run in runs])
    for own in map(row, runs, names):
        bar = rich.progress_bar.ProgressBar(total=own.total, completed=own.done, width=_BAR)
        seconds = three_digits(own.seconds)
        cells = (own.label, f"{own.done}/{own.total}", own.measure, trend(own.trend), seconds)
        label, done, measure, curve, seconds = (rich.text.Text(cell) for cell in cells)
        made.add_row(label, bar, done, measure, curve, seconds, rich.text.Text(own.status))
    return made


@contextlib.contextmanager
def live(runs: Sequence[Shown]) -> Iterator[Callable[[], None]]:
    """Shows the table below whatever is printed meanwhile, and yields a function that draws it
    anew. It does nothing if the output is no terminal."""
    console = tables.console()
    if not console.is_terminal:
        yield lambda: None
        return
    with rich.live.Live(table(runs), console=console, refresh_per_second=4) as shown:
        yield lambda: shown.update(table(runs))


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Read:
    """A folder as of its last commit."""

    folder: Path
    config: Any
    records: Sequence[Record | Evaluation]
    ended: str | None
    version: tuple[int, ...]


def _read(folder: Path, before: _Read | None = None) -> _Read:
    """The folder as it is now; `before` itself if nothing has changed since. Raises
    ExperimentError."""
    version = _version(folder)
    if before is not None and before.version == version:
        return before
    if learner_folder.is_learner(folder):
        read = learner_folder.snapshot(folder)
        why = read.ended
    else:
        read = curves.read(folder)
        why = run_folder.ended(read.records, read.config)
    return _Read(
        folder=folder, config=read.config, records=read.records, ended=why, version=version
    )


def _version(folder: Path) -> tuple[int, ...]:
    """Numbers that change with every commit."""
    numbers: list[int] = []
    for name in (run_folder.CONFIG, run_folder.COMMIT, learner_folder.STATE):
        with contextlib.suppress(OSError):
            file = os.lstat(folder / name)
            numbers += [file.st_ino, file.st_mtime_ns, file.st_size]
    return tuple(numbers)


def follow(folders: Sequence[str | os.PathLike]) -> None:
    """Shows folders that other processes train, until all have ended.

    Raises:
        ExperimentError: a folder is no experiment, or is damaged, or an exported file.
    """
    for folder in folders:
        if archive.is_file(folder):
            raise ExperimentError(f"{folder} is an exported run, which does not change")
    runs = [_read(Path(folder)) for folder in folders]
    names = labels([run.folder for run in runs])
    told = [0] * len(runs)
    with live(runs) as refresh:
        plain = not tables.console().is_terminal
        while True:
            for number, run in enumerate(runs):
                if plain and len(run.records) > told[number]:
                    print(_line(row(run, names[number])), flush=True)
                told[number] = len(run.records)
            refresh()
            if all(run.ended for run in runs):
                return
            time.sleep(_POLL)
            runs[:] = [_read(run.folder, run) for run in runs]


def _line(own: Row) -> str:
    done = f"{own.done}/{own.total}"
    return f"{own.label}  {done:>9}  {own.measure}  {three_digits(own.seconds)} s  {own.status}"
