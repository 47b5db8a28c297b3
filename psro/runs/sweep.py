"""Sweeps: many runs in one folder. Each combination of settings has a folder, and each seed a
folder in it, which is that of an ordinary run.

    sweep.toml                  a copy of the file
    sweep.json                  what tells this sweep apart
    0000/seed-0/, ...           the runs
    results.csv, summary.csv    a row for each run, and for each combination
    sweep.png                   the summary as a picture

Everything is in the runs' own folders, so a sweep that was stopped goes on with the same command.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from games import GameError
from psro.errors import PsroError
from psro.metagame.solvers import MetaSolverError
from psro.runs import disk, experiment, storage
from psro.runs import folder as run_folder
from psro.runs.experiment import Experiment
from psro.runs.intervals import half_interval
from psro.runs.seed_folders import seed_folder
from psro.runs.setup import Setup
from psro.runs.sweep_file import Combination, Sweep, SweepError, names_of
from psro.runs.tasks import advancing
from psro.training.growth import TrainingDiverged
from psro.training.pool import Pool
from psro.training.record import Record

if TYPE_CHECKING:
    import pandas as pd

SWEEP, TOML, RESULTS, SUMMARY = "sweep.json", "sweep.toml", "results.csv", "summary.csv"
FAILED = "failed.txt"
"""In a combination's folder for a seed that failed: why."""
_FAILS = (TrainingDiverged, MetaSolverError)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """One run of a sweep."""

    combination: Combination
    seed: int
    folder: Path

    @property
    def failed(self) -> str | None:
        """Why it failed; None if it did not."""
        path = self.folder.with_name(f"{self.folder.name}-{FAILED}")
        with contextlib.suppress(OSError):
            return path.read_text(encoding="utf-8").strip()[:1_000] or "it failed"
        return None

    def fail(self, error: Exception) -> None:
        path = self.folder.with_name(f"{self.folder.name}-{FAILED}")
        path.parent.mkdir(parents=True, exist_ok=True)
        disk.write(path, storage.sentence(error) + "\n")


def check(sweep: Sweep) -> None:
    """Makes every combination's game, networks and oracle, before anything runs.

    Raises:
        SweepError: a combination cannot run; the sentence names it.
    """
    for one in sweep.combinations:
        try:
            config = one.config
            source = None
            if config.start_from is not None or config.origin is not None:
                from psro.runs import starting

                source = starting.source_of(config.start_from, experiment.load)
                config = starting.with_origin(config, source)
            setup = Setup(config, config.game)
            setup.check_oracles()
            if source is not None:
                starting.members_of(source, setup, one.config.origin)
        except (PsroError, GameError) as error:
            sentence = storage.sentence(error)
            raise SweepError(
                f"combination {one.number + 1} ({one.label}) cannot run: {sentence}; nothing has "
                "been run"
            ) from None


def prepare(sweep: Sweep, file: Path, folder: Path) -> list[Job]:
    """Makes the folder of a sweep, or opens that of the same sweep, and lists its runs.

    Raises:
        SweepError: the folder holds something else.
    """
    with disk.writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / SWEEP
        if path.exists():
            try:
                saved = storage.read_json(path)
            except storage.Damaged as error:
                raise SweepError(f"{path} is damaged: {error}") from None
            if not isinstance(saved, dict) or saved.get("sha256") != sweep.digest:
                raise SweepError(
                    f"{folder} holds another sweep; choose another --out, or use the file that it "
                    f"was made from, {folder / TOML}"
                )
        elif any(folder.iterdir()):
            raise SweepError(f"{folder} is not empty, and holds no sweep; choose another --out")
        else:
            disk.write(folder / TOML, file.read_bytes())
            disk.write(path, json.dumps({"sha256": sweep.digest, "name": sweep.name}) + "\n")
    return [
        Job(
            combination=one,
            seed=seed,
            folder=folder / f"{one.number:04d}" / seed_folder(seed),
        )
        for one in sweep.combinations
        for seed in sweep.seeds
    ]


def run(jobs: Sequence[Job], pool: Pool | None = None) -> Iterator[tuple[Job, Record | str | None]]:
    """Runs everything that is not finished. Yields each job with a record when it is on disk, with
    None when the run has ended, and with a sentence when it failed. A failed run does not stop the
    others, and is not begun again.

    Args:
        jobs: the runs. Those that have ended or failed are left out.
        pool: workers, each of which computes iterations of one run; by default this process runs
            one after the other.
    """
    waiting = [job for job in jobs if job.failed is None and not has_ended(job)]
    if pool is None:
        like: dict[int, Experiment] = {}
        for job in waiting:
            yield from _alone(job, like)
        return
    yield from _spread(waiting, pool)


def has_ended(job: Job) -> bool:
    """Whether a run has nothing left to do. A folder that cannot be read is opened, which says
    why."""
    with contextlib.suppress(PsroError):
        return os.path.lexists(job.folder) and run_folder.snapshot(job.folder).ended is not None
    return False


def _alone(job: Job, like: dict[int, Experiment]) -> Iterator[tuple[Job, Record | str | None]]:
    """One run, in this process. Runs of a combination share the code that is compiled."""
    try:
        opened = _opened(job, like)
        for record in opened.train():
            yield job, record
    except _FAILS as error:
        job.fail(error)
        yield job, str(error)
    except (PsroError, GameError) as error:
        yield job, str(error)
    else:
        yield job, None


def _opened(job: Job, like: dict[int, Experiment]) -> Experiment:
    """The run of a job, as far as it is, or a new one."""
    if os.path.lexists(job.folder):
        return experiment.reopen(job.folder)
    config = dataclasses.replace(job.combination.config, seed=job.seed)
    opened = experiment.create(config, job.folder, like.get(job.combination.number))
    like.clear()  # one setup at a time
    like[job.combination.number] = opened
    return opened


def _spread(jobs: list[Job], pool: Pool) -> Iterator[tuple[Job, Record | str | None]]:
    """Many runs side by side, whose iterations are tasks of workers."""
    jobs, owners = list(reversed(jobs)), {}
    with contextlib.ExitStack() as stack:

        def begin() -> Iterator[tuple[Job, Record | str | None]]:
            while jobs and len(owners) < 2 * pool.size:
                job = jobs.pop()
                try:
                    opened = _opened(job, {})
                    loop = _advancing(opened)
                    training = stack.enter_context(contextlib.closing(opened.training(loop)))
                except (PsroError, GameError) as error:
                    yield job, str(error)
                    continue
                yield from go_on(job, training, None)

        def go_on(job: Job, training: Any, answer: Any) -> Iterator[Any]:
            try:
                while isinstance(said := training.send(answer), Record):
                    yield job, said
                    answer = None
                owners[pool.submit(said)] = job, training
            except StopIteration:
                yield job, None
            except _FAILS as error:
                job.fail(error)
                yield job, str(error)
            except (PsroError, GameError) as error:
                yield job, str(error)

        yield from begin()
        while owners:
            task, answer = pool.finished()
            job, training = owners.pop(task)
            if isinstance(answer, _FAILS):
                job.fail(answer)
                training.close()
                yield job, str(answer)
            elif isinstance(answer, Exception):
                if not isinstance(answer, PsroError | GameError):
                    raise answer
                training.close()
                yield job, str(answer)
            else:
                yield from go_on(job, training, answer)
            yield from begin()


def _advancing(opened: Experiment) -> Any:
    def loop(*arguments: Any) -> Any:
        return advancing(opened.setup, *arguments)

    return loop


def results(jobs: Sequence[Job]) -> pd.DataFrame:
    """A row for each run: its varied settings, how far it is, and its last record. `distance` is
    exact, or `bound` is a sampled lower bound of it, with its standard error."""
    import pandas as pd

    names = names_of([job.combination for job in jobs])
    return pd.DataFrame([_row(job, names) for job in jobs])


def _row(job: Job, names: Sequence[str]) -> dict[str, Any]:
    row: dict[str, Any] = {"combination": job.combination.number + 1}
    row |= {name: job.combination.varied.get(name) for name in names}
    row |= {"seed": job.seed, "status": "not begun", "iterations": 0}
    empty = dict.fromkeys(("distance", "bound", "bound_error", "decisions", "seconds"), np.nan)
    row |= empty | {"size": 0, "error": job.failed or "", "folder": str(job.folder)}
    try:
        if os.path.lexists(job.folder):
            snapshot = run_folder.snapshot(job.folder)
            row["status"] = snapshot.ended or "running"
            if snapshot.records:
                row |= _last(snapshot.records)
    except PsroError as error:
        row |= {"status": "damaged", "error": str(error)}
    if job.failed:
        row["status"] = "failed"
    return row


def _last(records: Sequence[Record]) -> dict[str, Any]:
    last = records[-1]
    bound, error = last.bound or (np.nan, np.nan)
    return {
        "iterations": last.iteration,
        "size": last.size,
        "distance": np.nan if last.distance is None else last.distance,
        "bound": bound,
        "bound_error": error,
        "decisions": float(sum(sum(record.decisions) for record in records)),
        "seconds": float(sum(sum(record.seconds.values()) for record in records)),
    }


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """A row for each combination: its settings, how many of its runs ended and failed, and means
    over seeds with half of their 95 % intervals (Student's t). The best is first: the smallest
    mean distance, or bound where there are no distances."""
    import pandas as pd

    names = [name for name in table.columns[1 : table.columns.get_loc("seed")]]
    rows = []
    for number, own in table.groupby("combination", sort=True):
        ended = own[~own.status.isin(["not begun", "running", "failed", "damaged"])]
        row: dict[str, Any] = {"combination": number}
        row |= {name: own[name].iloc[0] for name in names}
        row |= {
            "runs": len(own), "ended": len(ended), "failed": int((own.status == "failed").sum()),
        }  # fmt: skip
        for column in ("distance", "bound", "decisions", "seconds"):
            known = ended[column].dropna().to_numpy(float)
            row[column] = known.mean() if len(known) else np.nan
            row[f"{column}_half_interval"] = half_interval(known) if len(known) else np.nan
        rows.append(row)
    frame = pd.DataFrame(rows)
    return frame.sort_values(["distance", "bound"], kind="stable", na_position="last").reset_index(
        drop=True
    )


def write_tables(folder: Path, jobs: Sequence[Job]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Writes results.csv and summary.csv, and returns both."""
    table = results(jobs)
    means = summary(table)
    with disk.writing(folder):
        disk.write(folder / RESULTS, table.to_csv(index=False))
        disk.write(folder / SUMMARY, means.to_csv(index=False))
    return table, means
