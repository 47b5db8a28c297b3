"""Runs that differ only in their seed, trained side by side.

In one process they advance in lockstep: when all active runs have asked for best responses, one
call of their common oracle trains them all (`executors.Local`). With workers, every iteration of
every run is a task (`psro.runs.tasks`). Each run's folder is the same as if it had
trained alone, except for its wall seconds, which are those of all runs together.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import shutil
from collections.abc import Collection, Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from psro.errors import SettingsError
from psro.metagame.solvers import MetaSolverError
from psro.oracles import Results
from psro.runs import disk, experiment
from psro.runs import folder as run_folder
from psro.runs.config import RunConfig
from psro.runs.description import Described, say_iteration
from psro.runs.experiment import Experiment
from psro.runs.intervals import half_interval
from psro.runs.seed_folders import seed_folder, seed_folders
from psro.runs.storage import ExperimentError
from psro.runs.tasks import advancing
from psro.training.executors import Ask, Local
from psro.training.growth import TrainingDiverged
from psro.training.pool import Pool
from psro.training.record import DISTANCES, Record

if TYPE_CHECKING:
    import pandas as pd

SUMMARY = "summary.csv"
STOPS_A_RUN = (TrainingDiverged, MetaSolverError)
"""Errors that end a run, and would end it again."""
Training = Generator[Any, Any, None]
"""Of a run: see `Experiment.training`."""
MOST_SEEDS = 1_000
"""Every seed needs a folder, and jobs in each call of the oracle."""


class Seeds(Described):
    """Experiments that differ in their seed, and the folder that holds their folders `seed-N` and
    their `summary.csv`. `create_many` and `reopen_many` make one, `run_many` makes and trains one.

    Attributes:
        folder: the folder of all runs.
        experiments: one per seed.
        failed: the errors of runs that could not finish, by the index of the experiment.
    """

    def __init__(self, folder: Path, experiments: list[Experiment]):
        self.folder = folder
        self.experiments = experiments
        self.failed: dict[int, TrainingDiverged | MetaSolverError] = {}

    def train(self, pool: Pool | None = None) -> Iterator[int]:
        """Trains until all runs have ended or failed. Yields the number of an iteration when every
        active run has finished it and all is on disk. A run that fails does not stop the others.

        Args:
            pool: workers that compute whole iterations, each of one run; by default all runs train
                side by side in this process.
        """
        with contextlib.ExitStack() as stack:
            held = stack.enter_context(disk.hold(self.folder))
            loops = [
                None if pool is None else functools.partial(advancing, e.setup)
                for e in self.experiments
            ]
            runs = [
                stack.enter_context(contextlib.closing(e.training(loop)))
                for e, loop in zip(self.experiments, loops, strict=True)
            ]
            shown = 0
            for active in self._together(runs) if pool is None else self._apart(runs, pool):
                going = active or range(len(runs))
                done = (min if active else max)(
                    len(self.experiments[number].records) for number in going
                )
                if done > shown:
                    self.write_summary(held)
                    yield from range(shown, done)
                    shown = done

    def _together(self, runs: Sequence[Training]) -> Iterator[Collection[int]]:
        """Answers the requests of all active runs by one call. Yields the numbers of these runs
        before every call, and after the last."""
        executor = Local(self.experiments[0].setup, len(self.experiments))
        answers: dict[int, Results | None] = dict.fromkeys(range(len(runs)))
        while answers:
            asks: dict[int, Ask] = {}
            for number, answer in answers.items():
                ask = self._go_on(number, runs[number], answer)
                if ask is not None:
                    asks[number] = ask
            yield asks
            results = executor.respond(list(asks.values())) if asks else []
            answers = dict(zip(asks, results, strict=True))

    def _apart(self, runs: Sequence[Training], pool: Pool) -> Iterator[Collection[int]]:
        """Answers the requests of each run as soon as workers have. Yields the numbers of the
        active runs after every answer."""
        owners: dict[int, int] = {}

        def go_on(number: int, answer: Any) -> None:
            task = self._go_on(number, runs[number], answer)
            if task is not None:
                owners[pool.submit(task)] = number

        for number in range(len(runs)):
            go_on(number, None)
        while owners:
            task, answer = pool.finished()
            number = owners.pop(task)
            if not isinstance(answer, Exception):
                go_on(number, answer)
            elif isinstance(answer, STOPS_A_RUN):
                self.failed[number] = answer
            else:
                raise answer
            yield set(owners.values())

    def _go_on(self, number: int, training: Training, answer: Any) -> Any:
        """Sends a run its `answer` (None to begin). Returns its next request; None if it has ended
        or failed."""
        try:
            while isinstance(said := training.send(answer), Record):
                answer = None
            return said
        except StopIteration:
            return None
        except STOPS_A_RUN as error:
            self.failed[number] = error
            return None

    def summary(self) -> pd.DataFrame:
        """One row per iteration: the number of `seeds`, and the mean and half the 95 % interval
        (Student's t, NaN for one seed) of `distance` and of `exploitability`. Sampled runs have the
        players' values and `nash_conv_bound` instead, as in metrics.csv: a bound for the
        meta-strategy of the iteration before. A run that has ended counts in later rows with its
        last record. A run that failed or was stopped does not."""
        import pandas as pd  # here, not above: it takes a third of a second

        rows = []
        for number in range(max(len(run.records) for run in self.experiments)):
            records = [
                run.records[min(number, len(run.records) - 1)]
                for run in self.experiments
                if number < len(run.records) or run.ended
            ]
            row = {"iteration": number, "seeds": len(records), "concept": records[0].concept}
            for name, values in _summarised(records).items():
                row[f"{name}_mean"] = np.mean(values)
                row[f"{name}_ci95"] = half_interval(values)
            rows.append(row)
        return pd.DataFrame(rows)

    def frame(self) -> pd.DataFrame:
        """The same as `summary`."""
        return self.summary()

    def facts(self) -> dict[str, str]:
        first, last = self.experiments[0], self.experiments[-1]
        facts = {**first.identity(), "seeds": f"{first.config.seed} to {last.config.seed}"}
        facts["iterations"] = " / ".join(str(len(run.records) - 1) for run in self.experiments)
        if any(run.records for run in self.experiments):
            facts |= self.means(self.summary().iloc[-1])
        return facts

    def means(self, row: pd.Series) -> dict[str, str]:
        """The means in a row of the summary, with their intervals if there are several seeds."""
        first = self.experiments[0]
        if first.is_exact:
            return {f"mean {DISTANCES[first.concept]}": _mean(row, "distance")}
        players = first.rules.num_players
        means = {f"mean value {p}": _mean(row, f"value_{p}") for p in range(players)}
        if not np.isnan(row.nash_conv_bound_mean):
            means["mean lower bound of the NashConv before"] = _mean(row, "nash_conv_bound")
        return means

    def write_summary(self, held: disk.Held | None = None) -> None:
        """Writes `summary.csv` with the finished iterations, to the `held` folder if given."""
        with disk.writing(self.folder):
            disk.write(self.folder / SUMMARY, self.summary().to_csv(index=False), held)


def _summarised(records: Sequence[Record]) -> dict[str, list[float]]:
    """The numbers of several runs' records that a summary has the means of."""
    if records[0].kind == "exact":
        names = ("distance", "exploitability")
        return {name: [getattr(record, name) for record in records] for name in names}
    values = {
        f"value_{p}": [record.value[p] for record in records] for p in range(len(records[0].value))
    }
    bounds = [record.nash_conv_bound for record in records]
    return values | {"nash_conv_bound": [np.nan if bound is None else bound for bound in bounds]}


def _mean(row: pd.Series, name: str) -> str:
    interval = f" ± {row[f'{name}_ci95']:.2g}" if row.seeds > 1 else ""
    return f"{row[f'{name}_mean']:.6g}{interval}"


def create_many(config: RunConfig, seeds: int, out: str | os.PathLike | None = None) -> Seeds:
    """New experiments and their folders, one for each of `seeds` seeds. The first seed is the
    config's.

    Args:
        config: the settings of all runs, except the seed.
        seeds: the number of seeds.
        out: the folder for their folders. It must not exist. By default it is
            `experiments/<game>-<variant>-<time>`.

    Raises:
        ExperimentError: the folder exists or cannot be made.
        ValueError: the number of seeds is below 1 or above `MOST_SEEDS`, or a seed is too large.
    """
    if not 1 <= seeds <= MOST_SEEDS:
        raise SettingsError(f"seeds = {seeds} must be between 1 and {MOST_SEEDS:,}")
    configs = [dataclasses.replace(config, seed=config.seed + n) for n in range(seeds)]
    folder = Path(out) if out is not None else run_folder.default_folder(config)
    disk.check_free(folder, "choose another --out")
    made: list[Experiment] = []
    try:
        for config in configs:
            like = made[0] if made else None
            made.append(experiment.create(config, folder / seed_folder(config.seed), like))
    except BaseException:
        for run in made:
            shutil.rmtree(run.folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            folder.rmdir()
        raise
    return Seeds(folder, made)


def reopen_many(folder: str | os.PathLike, iterations: int | None = None) -> Seeds:
    """Opens the experiments in a folder of `create_many`, to continue each from where it stopped;
    see `experiment.reopen`.

    Raises:
        ExperimentError: one cannot be read, or they differ in more than their seed.
    """
    folder = Path(folder)
    experiments = [experiment.reopen(path, iterations) for path in seed_folders(folder)]
    for run in experiments:
        config = experiments[0].config  # a converged run keeps its number of iterations
        same = {"seed": config.seed, "iterations": config.iterations}
        if dataclasses.replace(run.config, **same) != config:
            raise ExperimentError(
                f"{run.folder} and {experiments[0].folder} differ in more than their seed; resume "
                "them one by one"
            )
    return Seeds(folder, experiments)


def run_many(
    config: RunConfig | None = None,
    seeds: int = 5,
    out: str | os.PathLike | None = None,
    *,
    progress: bool = False,
    pool: Pool | None = None,
) -> Seeds:
    """Trains new experiments of `seeds` seeds to their ends, side by side. `Seeds.failed` has the
    runs that could not finish. See `create_many`, `experiment.run` for `progress`, and
    `Seeds.train` for `pool`."""
    made = create_many(config or RunConfig(), seeds, out)
    first = made.experiments[0]
    for number in made.train(pool):
        if progress:
            say_iteration(first.config, number, made.means(made.summary().iloc[number]))
    return made
