"""Sends a run's records to loggers while it trains: `--log tensorboard wandb`. metrics.csv is
always written. A logger is a class here and a line in `LOGGERS`. Its package is the extra of that
name.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from psro.errors import PsroError
from psro.runs import commit, disk, learner_folder
from psro.runs.learner_config import LearnerConfig
from psro.runs.naming import in_use
from psro.runs.seed_folders import seed_folder
from psro.training.evaluation_record import Evaluation
from psro.training.record import Record


class LoggerError(PsroError):
    """A logger does not exist, or its package is not installed. One sentence says so."""


class Logged(Protocol):
    """What is logged: a run of `psro run` or a learner of `psro train`, open or as a snapshot."""

    folder: Path
    config: Any
    records: Sequence[Record | Evaluation]


class Logger(Protocol):
    """Receives the records of a run."""

    def log(self, record: Record | Evaluation) -> None:
        """Receives one iteration or evaluation. They come in order from 0, also when a run is
        resumed."""

    def close(self) -> None:
        """Ends the log."""


class TensorBoard:
    """Scalars in event files under `tensorboard/` in the run's folder; `tensorboard --logdir`."""

    package = "tensorboardX"

    def __init__(self, run: Logged):
        import tensorboardX

        # All records are written again from step 0, so those of an earlier process are purged.
        self._writer = tensorboardX.SummaryWriter(str(run.folder / "tensorboard"), purge_step=0)

    def log(self, record: Record | Evaluation) -> None:
        for name, value in scalars(record).items():
            self._writer.add_scalar(name, value, step(record))
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


class WandB:
    """A run of Weights & Biases in project `psro`, with its files under `wandb/` in the run's
    folder. Its environment variables apply (WANDB_MODE=offline, WANDB_PROJECT). Each process makes
    a new run there. Runs are grouped by the folder's name; several seeds form one group, named
    after their common folder."""

    package = "wandb"

    def __init__(self, run: Logged):
        import wandb

        group, name = names(run)
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "psro"),
            name=name,
            group=group.name,
            dir=str(run.folder),
            config=dataclasses.asdict(run.config),
            reinit="create_new",  # seeds are runs side by side in one process
        )

    def log(self, record: Record | Evaluation) -> None:
        self._run.log(scalars(record), step=step(record))

    def close(self) -> None:
        self._run.finish()


class MLflow:
    """A run in MLflow's experiment `psro` (or MLFLOW_EXPERIMENT_NAME). It is sent to
    MLFLOW_TRACKING_URI. By default it is written to files under `mlflow/` in the run's folder, or
    in the common folder of several seeds, and nothing is sent. Each process makes a new run."""

    package = "mlflow"

    def __init__(self, run: Logged):
        # Read at the import: by default MLflow reports its use, and refuses its own files.
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        from mlflow.entities import Metric, Param
        from mlflow.tracking import MlflowClient

        group, name = names(run)
        store = group / "mlflow"
        if kind := disk.kind_of(store):
            raise LoggerError(f"{store} is {kind}")
        uri = os.environ.get("MLFLOW_TRACKING_URI") or store.as_uri()
        experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME", "psro")
        self._metric, self._client = Metric, MlflowClient(tracking_uri=uri)
        known = self._client.get_experiment_by_name(experiment)
        number = known.experiment_id if known else self._client.create_experiment(experiment)
        self._run = self._client.create_run(number, run_name=name).info.run_id
        is_learner = isinstance(run.config, LearnerConfig)
        settings = run.config.in_use() if is_learner else in_use(run.config)
        self._client.log_batch(
            self._run, params=[Param(name, str(value)) for name, value in settings.items()]
        )

    def log(self, record: Record | Evaluation) -> None:
        at, now = step(record), int(1000 * time.time())
        metrics = [self._metric(name, value, now, at) for name, value in scalars(record).items()]
        self._client.log_batch(self._run, metrics=metrics)

    def close(self) -> None:
        self._client.set_terminated(self._run)


class File:
    """A line of JSON for each record, in `log.jsonl` in the run's folder, for programs that follow
    a run: a line is there as soon as the record is."""

    package = None

    def __init__(self, run: Logged):
        path = run.folder / "log.jsonl"
        disk.write(path, "")  # all records are written again; a link there is replaced
        self._file = open(path, "a", encoding="utf-8")  # noqa: SIM115

    def log(self, record: Record | Evaluation) -> None:
        self._file.write(json.dumps({"step": step(record), **scalars(record)}) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


LOGGERS = {"file": File, "tensorboard": TensorBoard, "wandb": WandB, "mlflow": MLflow}


def names(run: Logged) -> tuple[Path, str]:
    """The folder that a run is grouped by, which is the common folder of several seeds, and the
    run's name."""
    folder = run.folder.resolve()
    if folder.name == seed_folder(run.config.seed):
        return folder.parent, f"{folder.parent.name}/{folder.name}"
    return folder, folder.name


def step(record: Record | Evaluation) -> int:
    """The place of a record in its log: the iteration, or the decisions of a learner."""
    return record.decisions if isinstance(record, Evaluation) else record.iteration


def scalars(record: Record | Evaluation) -> dict[str, float]:
    """The numbers of a record, by the names of the columns of metrics.csv. None is left out, and so
    is the `step`."""
    is_learner = isinstance(record, Evaluation)
    table = (learner_folder if is_learner else commit).metrics_table([record])
    (row,) = table.to_dict("records")
    return {
        name: value
        for name, value in row.items()
        if isinstance(value, int | float) and name != ("decisions" if is_learner else "iteration")
    }


def check(chosen: Sequence[str]) -> None:
    """Raises LoggerError for a logger that cannot be used, before anything is trained."""
    for name in chosen:
        if name not in LOGGERS:
            raise LoggerError(f"unknown logger {name!r}; known: {', '.join(LOGGERS)}")
        package = LOGGERS[name].package
        if package and importlib.util.find_spec(package) is None:
            raise LoggerError(
                f"--log {name} needs the package {package}: pip install 'psro[{name}]'"
            )


@contextlib.contextmanager
def logging(
    chosen: Sequence[str], run: Logged, complain: Callable[[str], None]
) -> Iterator[Callable[[Record | Evaluation], None]]:
    """A function that sends a record to all loggers. The records that the run has are sent first. A
    logger that fails is no longer used, and `complain` says so. The run continues, and its own
    files are written before."""
    loggers: dict[str, Logger] = {}

    def attempt(name: str, do: Callable[[], None]) -> None:
        try:
            do()
        except Exception as error:  # of any kind: networks, disks, accounts
            loggers.pop(name, None)
            complain(f"{name} is switched off: {type(error).__name__}: {error}".splitlines()[0])

    def tell(record: Record | Evaluation) -> None:
        for name, logger in list(loggers.items()):
            attempt(name, lambda logger=logger: logger.log(record))

    for name in dict.fromkeys(chosen):
        attempt(name, lambda name=name: loggers.__setitem__(name, LOGGERS[name](run)))
    try:
        for record in run.records:
            tell(record)
        yield tell
    finally:
        for name, logger in list(loggers.items()):
            attempt(name, logger.close)


@contextlib.contextmanager
def logging_many(
    chosen: Sequence[str], runs: Sequence[Logged], complain: Callable[[str], None]
) -> Iterator[Callable[[], None]]:
    """A function that sends the new records of several runs, each to its own loggers
    (`logging`)."""
    with contextlib.ExitStack() as stack:
        told = [len(run.records) for run in runs]
        tells = [
            stack.enter_context(
                logging(chosen, run, lambda said, e=run: complain(f"seed {e.config.seed}: {said}"))
            )
            for run in runs
        ]

        def tell() -> None:
            for number, run in enumerate(runs):
                for record in run.records[told[number] :]:
                    tells[number](record)
                told[number] = len(run.records)

        yield tell
