"""`psro run` and `psro resume`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import arg

from psro.cli.arguments import Folder, MaybeFolder, MaybeNumber, MaybeSeconds, Names, explained
from psro.cli.folders import proposed
from psro.cli.learning import resume_learners
from psro.cli.options import (
    LOCAL,
    Workers,
    config_and_rest,
    executing_of,
    run_options,
    settings_of,
)
from psro.cli.process import UsageError, note_disagreement, say
from psro.runs.origin import Origin
from psro.training.executor_settings import ExecutorConfig

if TYPE_CHECKING:
    from psro.cli.options import Made
    from psro.cli.progress import How
    from psro.runs.config import RunConfig
    from psro.runs.experiment import Experiment


_RUN = """Train a population and save it as an experiment folder.

Most runs need only the options in the first box.
"""


def run_with(arguments: list[str]) -> Callable[..., None]:
    """The command `run`. A variant and a config file in `arguments` set its defaults."""
    if arguments[:1] != ["run"]:

        def run() -> None:
            """Used if another command runs: then the options of `run` are not needed."""

        run.__doc__ = _RUN
        return run
    settings = settings_of(arguments)
    options = run_options(settings)

    def run(options: Any = options) -> None:
        config, *rest = config_and_rest(options)
        if settings.get("origin") and config.start_from == settings.get("start_from"):
            origin = Origin.from_json(settings["origin"])
            config = dataclasses.replace(config, origin=origin)
        _run(config, *rest)

    run.__doc__ = _RUN
    run.__annotations__ = {"options": Annotated[type(options), arg(name="")], "return": None}
    return run


def _run(config: RunConfig, made: Made, executing: ExecutorConfig) -> None:
    from psro.cli import progress
    from psro.runs import experiment, loggers
    from psro.runs import seeds as seed_runs

    how = progress.How(log=made.log, executing=executing, wall_limit=made.wall_limit)

    loggers.check(made.log)
    if made.or_resume and made.out is None:
        raise UsageError("--or-resume needs the folder of the run; name it with --out")
    if made.or_resume and Path(made.out).exists():
        _resume_same(config, made, how)
    elif made.seeds is None:
        progress.train(experiment.create(config, made.out), how)
    else:
        progress.train_many(seed_runs.create_many(config, made.seeds, made.out), how)


def _resume_same(config: RunConfig, made: Made, how: How) -> None:
    """Continues the run, or the runs of several seeds, in a folder. Refuses other runs."""
    from psro.runs import folder as run_folder
    from psro.runs.seed_folders import is_many, seed_folder, seed_folders

    folder = Path(made.out)
    if is_many(folder) != (made.seeds is not None):
        holds = "runs of several seeds" if made.seeds is None else "one run"
        raise UsageError(f"{folder} holds {holds}; --or-resume continues only the same run")
    seeds = range(config.seed, config.seed + (made.seeds or 1))
    parts = [folder / seed_folder(seed) for seed in seeds] if made.seeds else [folder]
    if made.seeds and len(parts) != len(seed_folders(folder)):
        raise UsageError(f"{folder} does not hold the {made.seeds} seeds from {config.seed} on")
    for part, seed in zip(parts, seeds, strict=True):
        saved = run_folder.read_run(part)
        differing = _differing(dataclasses.replace(config, seed=seed), saved)
        if differing:
            raise UsageError(f"{part} holds another run, with other {', '.join(differing)}")
    _resume(made.out, config.iterations, None, how)


def _differing(config: RunConfig, saved: RunConfig) -> list[str]:
    """The settings in which a saved run differs from the requested run. Settings that the game
    decides are None or auto in the request and do not count; nor do iterations, which may be
    added."""
    from psro.oracles.sampled_settings import SampledConfig
    from psro.runs.config import DECIDED

    undecided = dict.fromkeys(DECIDED, (None, "auto"))

    def same(name: str, requested: Any, kept: Any) -> bool:
        if requested in undecided.get(name, (None,)) or requested == kept:
            return True
        return isinstance(requested, SampledConfig) and requested.for_sampled_game() == kept

    return [
        field.name.replace("_", "-")
        for field in dataclasses.fields(config)
        if field.name != "iterations"
        and not same(field.name, getattr(config, field.name), getattr(saved, field.name))
    ]


@explained
def resume(
    folder: Folder,
    iterations: MaybeNumber = None,
    out: MaybeFolder = None,
    log: Names = (),
    wall_limit: MaybeSeconds = None,
    workers: Workers = LOCAL,
) -> None:
    """Continue a run that was stopped. The result is that of a run that never stopped.

    Args:
        folder: An experiment folder, the folder of several seeds, or a file that `psro export`
            wrote.
        iterations: Train to iteration N. By default N is the number in the run's config.
        out: New folder for the contents of an exported file. It must not exist. By default it is
            next to the file and has the file's name without the ending.
        log: Write records also to file (log.jsonl), tensorboard, wandb, mlflow, or several of them.
            metrics.csv is always written.
        wall_limit: Stop after this number of seconds, with exit code 75, and everything saved. By
            default there is no limit.
        workers: Where the work is done.
    """
    from psro.cli.progress import How

    how = How(log=log, executing=executing_of(workers), wall_limit=wall_limit)
    _resume(folder, iterations, out, how)


def _resume(folder: str, iterations: int | None, out: str | None, how: How) -> None:
    from psro.cli import progress
    from psro.runs import experiment, loggers
    from psro.runs import seeds as seed_runs
    from psro.runs.learner_folder import is_learner
    from psro.runs.seed_folders import is_many, seed_folders

    parts = seed_folders(folder) if is_many(folder) else [folder]
    if is_learner(parts[0]):
        if iterations is not None:
            raise UsageError(
                f"{folder} holds learners of psro train, which have no iterations; their number of "
                "decisions is fixed, because their schedules depend on it"
            )
        if how.executing != ExecutorConfig():
            raise UsageError(
                "--executor is for populations; learners of psro train run in one process"
            )
        resume_learners(parts, out, how.log)
        return
    loggers.check(how.log)
    if is_many(folder):
        if out is not None:
            raise UsageError("--out is for an exported file; leave it out")
        runs = seed_runs.reopen_many(folder, iterations)
        for run in runs.experiments:
            note_disagreement(run)
        progress.train_many(runs, how)
        return
    opened = experiment.reopen(folder, iterations, out)
    note_disagreement(opened)
    if opened.ended:
        _say_ended(opened)
    else:
        progress.train(opened, how)


def _say_ended(opened: Experiment) -> None:
    """Says why the run has ended, and how to train further."""
    from psro.cli import progress
    from psro.cli.display import why

    progress.draw_missing(opened)
    say(f"{opened.folder} has ended: {why(opened)}")
    folder = str(opened.folder)
    if opened.ended == "budget":
        more = 2 * opened.config.iterations
        again = proposed("resume", folder, "--iterations", str(more))
        say(f"train longer with: {again}")
    else:
        limits = ["--tolerance", "0"]
        if opened.ended != "converged":
            limits += ["--patience", str(opened.config.iterations)]
        say(
            "more iterations would change nothing; train further with other limits: "
            + proposed("run", "--config", f"{folder}/config.json", *limits)
        )
