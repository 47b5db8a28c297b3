"""Sends a run's records to loggers while it trains: `--log tensorboard wandb`. metrics.csv is
always written. A logger is a class here and a line in `LOGGERS`. Its package is the extra of that
name.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from psro.errors import PsroError
from psro.runs.commit import metrics_table
from psro.runs.experiment import Experiment
from psro.runs.seeds import Seeds, seed_folder
from psro.training.record import Record


class LoggerError(PsroError):
    """A logger does not exist, or its package is not installed. One sentence says so."""


class Logger(Protocol):
    """Receives the records of a run."""

    def log(self, record: Record) -> None:
        """Receives one iteration. Iterations come in order from 0, also when a run is resumed."""

    def close(self) -> None:
        """Ends the log."""


class TensorBoard:
    """Scalars in event files under `tensorboard/` in the run's folder; `tensorboard --logdir`."""

    package = "tensorboardX"

    def __init__(self, opened: Experiment):
        import tensorboardX

        # All records are written again from iteration 0, so those of an earlier process are purged.
        self._writer = tensorboardX.SummaryWriter(str(opened.folder / "tensorboard"), purge_step=0)

    def log(self, record: Record) -> None:
        for name, value in scalars(record).items():
            self._writer.add_scalar(name, value, record.iteration)
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


class WandB:
    """A run of Weights & Biases in project `psro`, with its files under `wandb/` in the run's
    folder. Its environment variables apply (WANDB_MODE=offline, WANDB_PROJECT). Each process makes
    a new run there. Runs are grouped by the folder's name; several seeds form one group, named
    after their common folder."""

    package = "wandb"

    def __init__(self, opened: Experiment):
        import wandb

        folder = opened.folder.resolve()
        is_seed = folder.name == seed_folder(opened.config.seed)
        group = folder.parent.name if is_seed else folder.name
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "psro"),
            name=f"{group}/{folder.name}" if is_seed else group,
            group=group,
            dir=str(opened.folder),
            config=dataclasses.asdict(opened.config),
            reinit="create_new",  # seeds are runs side by side in one process
        )

    def log(self, record: Record) -> None:
        self._run.log(scalars(record), step=record.iteration)

    def close(self) -> None:
        self._run.finish()


LOGGERS = {"tensorboard": TensorBoard, "wandb": WandB}


def scalars(record: Record) -> dict[str, float]:
    """The numbers of a record, by the names of the columns of metrics.csv. None is left out."""
    (row,) = metrics_table([record]).to_dict("records")
    return {
        name: value
        for name, value in row.items()
        if isinstance(value, int | float) and name != "iteration"
    }


def check(names: Sequence[str]) -> None:
    """Raises LoggerError for a logger that cannot be used, before anything is trained."""
    for name in names:
        if name not in LOGGERS:
            raise LoggerError(f"unknown logger {name!r}; known: {', '.join(LOGGERS)}")
        package = LOGGERS[name].package
        if importlib.util.find_spec(package) is None:
            raise LoggerError(
                f"--log {name} needs the package {package}: pip install 'psro[{name}]'"
            )


@contextlib.contextmanager
def logging(
    names: Sequence[str], opened: Experiment, complain: Callable[[str], None]
) -> Iterator[Callable[[Record], None]]:
    """A function that sends a record to all loggers. A logger that fails is no longer used, and
    `complain` says so. The run continues, and its own files are written before."""
    loggers: dict[str, Logger] = {}

    def attempt(name: str, do: Callable[[], None]) -> None:
        try:
            do()
        except Exception as error:  # of any kind: networks, disks, accounts
            loggers.pop(name, None)
            complain(f"{name} is switched off: {type(error).__name__}: {error}".splitlines()[0])

    def tell(record: Record) -> None:
        for name, logger in list(loggers.items()):
            attempt(name, lambda logger=logger: logger.log(record))

    for name in dict.fromkeys(names):
        attempt(name, lambda name=name: loggers.__setitem__(name, LOGGERS[name](opened)))
    try:
        for record in opened.records:
            tell(record)
        yield tell
    finally:
        for name, logger in list(loggers.items()):
            attempt(name, logger.close)


@contextlib.contextmanager
def logging_many(
    names: Sequence[str], runs: Seeds, complain: Callable[[str], None]
) -> Iterator[Callable[[], None]]:
    """A function that sends the new records of several runs, each to its own loggers
    (`logging`)."""
    with contextlib.ExitStack() as stack:
        told = [len(run.records) for run in runs.experiments]
        tells = [
            stack.enter_context(
                logging(names, run, lambda said, e=run: complain(f"seed {e.config.seed}: {said}"))
            )
            for run in runs.experiments
        ]

        def tell() -> None:
            for number, run in enumerate(runs.experiments):
                for record in run.records[told[number] :]:
                    tells[number](record)
                told[number] = len(run.records)

        yield tell
