"""`psro plot`, `psro report`, `psro watch`, `psro log` and `psro export`."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from games.printing import printable
from psro.cli.arguments import (
    File,
    Flag,
    Folder,
    Folders,
    MaybeFile,
    MaybeNumber,
    Name,
    Names,
    NewFile,
    explained,
)
from psro.cli.folders import one_run, proposed, runs_in
from psro.cli.process import UsageError, complain, hint, say


@explained
def plot(
    folders: Folders,
    out: MaybeFile = None,
    x: Name = "iterations",
    payoffs: Flag = False,
) -> None:
    """Draw how the exploitability of one or many runs falls, or how the return of learners rises.

    For a correlated meta-strategy, the curve shows the gap to a correlated equilibrium. Runs that
    differ only in their seed become one curve with a band.

    Args:
        folders: Experiment folders, folders of several seeds, or files that `psro export` wrote.
        out: The picture to write. Its ending chooses PNG or SVG. By default exploitability.png, or
            payoffs.png with --payoffs, or return.png for learners of psro train.
        x: Horizontal axis: iterations, decisions or seconds. For learners of psro train: decisions,
            seconds or cpu_seconds.
        payoffs: Draw heat maps of the payoffs between the populations of one run instead.
    """
    runs = [one_run(folder, "--payoffs") for folder in folders] if payoffs else None
    runs = runs or runs_in(folders)
    if payoffs and len(runs) > 1:
        raise UsageError(f"--payoffs draws one folder, not {len(runs)}")
    from psro.runs import archive
    from psro.runs import folder as run_folder
    from psro.runs.learner_folder import is_learner
    from psro.runs.storage import ExperimentError
    from psro.views import plots

    if all(map(is_learner, runs)):
        _plot_learners(runs, out, x, payoffs)
        hint(proposed("report", *folders))
        return
    with contextlib.ExitStack() as stack:
        errors = (ExperimentError, plots.PlotError)
        read = [stack.enter_context(archive.as_folder(run, errors)) for run in runs]
        if payoffs:
            run = run_folder.snapshot(read[0], foreign=archive.is_file(runs[0]))
            _print_path(plots.save_figure(plots.payoffs_figure(run), out or "payoffs.png"))
        else:
            figure = plots.exploitability_figure(read, x=x)
            _print_path(plots.save_figure(figure, out or "exploitability.png"))
    hint(proposed("report", *folders))


def _plot_learners(runs: list[str], out: str | None, x: str, payoffs: bool) -> None:
    from psro.runs import learner_folder
    from psro.views import plots, returns

    if payoffs:
        raise UsageError("--payoffs is for populations, not for learners of psro train")
    read = [learner_folder.snapshot(run) for run in runs]
    for run in read:
        if not run.records:
            raise plots.PlotError(f"{run.folder} has no finished evaluation yet")
    figure = returns.figure(read, x="decisions" if x == "iterations" else x)
    _print_path(plots.save_figure(figure, out or learner_folder.PICTURE))


@explained
def export_run(
    folder: Folder,
    file: NewFile,
    efg: Flag = False,
    nfg: Flag = False,
    json: Flag = False,
    html: Flag = False,
) -> None:
    """Write a run to one file. The other commands accept the file in place of the folder. Or write
    its game and what its mixture does, for other programs, or a page to play against it.

    Args:
        folder: An experiment folder. The run may still be training.
        file: The new file, such as run.psro, or play.html with --html. It must not exist.
        efg: Write the game in Gambit's extensive form instead, and the mixture's profile in a file
            beside it that ends in .profile.
        nfg: Write the game's reduced strategic form in Gambit's format instead.
        json: Write the mixture's strategies by name instead, with reach, values and regrets, and
            the meta-game.
        html: Write a page instead, on which a person plays against the population. It needs no
            server, no network and no other file.
    """
    asked = (("efg", efg), ("nfg", nfg), ("json", json), ("html", html))
    kinds = [kind for kind, given in asked if given]
    if len(kinds) > 1:
        raise UsageError(f"--{' and --'.join(kinds)} are different files; give one of them")
    if html:
        _export_page(one_run(folder, "psro export"), Path(file))
        return
    if kinds:
        _export_game(one_run(folder, "psro export"), Path(file), kinds[0])
        return
    from psro.runs.export import export

    _print_path(export(one_run(folder, "psro export"), file))
    hint(f"{proposed('eval', file)}, on any machine")


def _export_page(folder: str, file: Path) -> None:
    """Writes a page to play on."""
    if os.path.lexists(file):
        raise UsageError(f"{file} exists already; choose another name")
    from psro.play import offline
    from psro.runs import experiment

    _print_path(offline.write(experiment.load(folder), file))
    hint(f"open {file} in a browser")


def _export_game(folder: str, file: Path, kind: str) -> None:
    """Writes a run's game or mixture for other programs."""
    from psro.runs import disk, experiment
    from psro.views import game_files

    run = experiment.load(folder)
    texts = {file: game_files.text_of(run, kind)}
    if kind == "efg":
        texts[file.with_suffix(".profile")] = game_files.profile(run)
    if len(texts) < (2 if kind == "efg" else 1):
        raise UsageError(f"{file} would be both the game and its profile; name it .efg")
    for path in texts:
        if os.path.lexists(path):
            raise UsageError(f"{path} exists already; choose another name")
    for path, text in texts.items():
        with disk.writing(path):
            disk.write(path, text)
        _print_path(path)


@explained
def write_page(folders: Folders, out: File = "report.html") -> None:
    """Write one or several runs as one web page that needs no other file.

    Args:
        folders: Experiment folders, folders of several seeds, or files that `psro export` wrote.
        out: The page to write.
    """
    runs = runs_in(folders)
    from psro.views import page

    _print_path(page.write(page.report(runs), out))
    more = proposed("play" if len(runs) == 1 else "eval", *folders)
    hint(f"open {out} in a browser, or {more}")


@explained
def watch_run(folders: Folders, port: MaybeNumber = None, terminal: Flag = False) -> None:
    """Show runs that are still training, on a page in a browser on this machine.

    Args:
        folders: Experiment folders, or folders of several seeds.
        port: Port of the page on 127.0.0.1. By default a free port.
        terminal: Show a table in the terminal instead, with a line for each run, until all runs
            have ended. If the output is no terminal, print a line for each new record.
    """
    runs = runs_in(folders)
    if terminal:
        if port is not None:
            raise UsageError(f"--port {port} is for the page; leave out --terminal")
        from psro.views import dashboard

        dashboard.follow(runs)
        return
    from psro.views import watch

    watch.watch(*runs, port=port or 0)


@explained
def log_runs(folders: Folders, to: Names) -> None:
    """Send the records of finished runs to loggers, as --log does while a run trains.

    Args:
        folders: Experiment folders, or folders of several seeds.
        to: The loggers: file, tensorboard, wandb or mlflow.
    """
    from psro.runs import archive, loggers
    from psro.views.page import reading

    loggers.check(to)
    if not to:
        raise UsageError(f"name at least one logger with --to; known: {', '.join(loggers.LOGGERS)}")
    folders = runs_in(folders)
    for folder in folders:
        if archive.is_file(folder):
            raise UsageError(
                f"{folder} is an exported run, and logs stand in a run's folder; unpack it with "
                "psro resume"
            )
    for run in [reading.read(folder) for folder in folders]:
        with loggers.logging(to, run, complain=complain):
            say(f"{run.folder}: {len(run.records)} records to {', '.join(to)}")


def _print_path(path: Path) -> None:
    """Prints the path of a new file alone on a line, because programs may read it."""
    print(printable(str(path)))
