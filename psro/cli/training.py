"""`psro run` and `psro resume`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Annotated

import tyro

from psro.cli.options import RunOptions, defaults_of
from psro.cli.process import UsageError
from psro.runs.config import RunConfig


def run(
    options: Annotated[RunOptions, tyro.conf.arg(name="")],
    variant: str | None = None,
    config: str | None = None,
    out: str | None = None,
    log: tuple[str, ...] = (),
    seeds: int | None = None,
) -> None:
    """Train a population and save it as an experiment folder.

    Args:
        options: the run.
        variant: A published member of the PSRO family, a name for settings; psro variants lists
            them. Those of --config and of the command line win.
        config: TOML or JSON file with settings, such as a run's config.json; those on the command
            line win.
        out: Folder to make, which must not exist; experiments/<game>-<timestamp> by default.
        log: Where records go besides metrics.csv: tensorboard, wandb, or both.
        seeds: Train so many runs side by side, with --seed and the seeds after it, in folders
            seed-N of that folder, beside a summary of their means with 95 % intervals.
    """
    from psro.cli import progress
    from psro.runs import experiment, loggers
    from psro.runs import seeds as seed_runs

    loggers.check(log)
    settings = RunConfig.from_json(dataclasses.asdict(options))
    if seeds is None:
        progress.train(experiment.create(settings, out), log)
    else:
        progress.train_many(seed_runs.create_many(settings, seeds, out), log)


def run_with(arguments: list[str]) -> Callable[..., None]:
    """`run`, with the defaults that a variant and a file name."""
    defaults = defaults_of(arguments)
    if defaults is None:
        return run

    def with_defaults(
        options: Annotated[RunOptions, tyro.conf.arg(name="")] = defaults,
        variant: str | None = None,
        config: str | None = None,
        out: str | None = None,
        log: tuple[str, ...] = (),
        seeds: int | None = None,
    ) -> None:
        run(options, variant, config, out, log, seeds)

    with_defaults.__doc__ = run.__doc__
    return with_defaults


def resume(
    folder: tyro.conf.Positional[str],
    iterations: int | None = None,
    out: str | None = None,
    log: tuple[str, ...] = (),
) -> None:
    """Go on with a run that was stopped; the result is that of a run that never stopped.

    Args:
        folder: An experiment folder, the folder of several that differ in their seed, or a file
            that `psro export` wrote.
        iterations: Train to this iteration, instead of the one that the folder's config names.
        out: Folder to unpack a file to, which must not exist; by default beside it, with its name
            less the ending.
        log: Where records go besides metrics.csv: tensorboard, wandb, or both.
    """
    from psro.cli import progress
    from psro.cli.display import why
    from psro.runs import experiment, loggers
    from psro.runs import seeds as seed_runs

    loggers.check(log)
    if seed_runs.is_many(folder):
        if out is not None:
            raise UsageError("--out is for an exported file; leave it out")
        progress.train_many(seed_runs.reopen_many(folder, iterations), log)
        return
    opened = experiment.reopen(folder, iterations, out)
    if opened.ended:
        progress.draw(opened)
        print(f"{opened.folder} has ended: {why(opened)}")
        if opened.ended == "budget":
            print(f"--iterations {2 * opened.config.iterations} would go on")
        return
    progress.train(opened, log)
