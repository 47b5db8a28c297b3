"""`psro plot`, `psro report`, `psro watch` and `psro export`."""

from __future__ import annotations

import contextlib
from pathlib import Path

from games.printing import printable
from psro.cli.arguments import (
    File,
    Flag,
    Folder,
    Folders,
    MaybeFile,
    Name,
    NewFile,
    Number,
    explained,
)
from psro.cli.folders import one_run, runs_in, shell
from psro.cli.process import UsageError, hint


@explained
def plot(
    folders: Folders,
    out: MaybeFile = None,
    x: Name = "iterations",
    payoffs: Flag = False,
) -> None:
    """Draw how the exploitability of one or many runs falls.

    For a correlated meta-strategy, the curve shows the gap to a correlated equilibrium. Runs that
    differ only in their seed become one curve with a band.

    Args:
        folders: Experiment folders, folders of several seeds, or files that `psro export` wrote.
        out: The picture to write. Its ending chooses PNG or SVG. By default exploitability.png, or
            payoffs.png with --payoffs.
        x: Horizontal axis: iterations, decisions or seconds.
        payoffs: Draw heat maps of the payoffs between the populations of one run instead.
    """
    runs = [one_run(folder, "--payoffs") for folder in folders] if payoffs else None
    runs = runs or runs_in(folders)
    if payoffs and len(runs) > 1:
        raise UsageError(f"--payoffs draws one folder, not {len(runs)}")
    from psro.runs import archive, learner
    from psro.runs import folder as run_folder
    from psro.runs.storage import ExperimentError
    from psro.views import plots

    if any(map(learner.is_learner, runs)):
        _plot_learners(runs, out, x, payoffs)
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
    hint(f"psro report {shell(folders)}")


def _plot_learners(runs: list[str], out: str | None, x: str, payoffs: bool) -> None:
    from psro.runs import learner
    from psro.views import plots, returns

    if payoffs or x not in ("iterations", "decisions", "seconds"):
        raise UsageError("of learners, plot draws the return, along decisions or seconds")
    figure = returns.figure([learner.snapshot(run) for run in runs], x=x)
    _print_path(plots.save_figure(figure, out or learner.PICTURE))


@explained
def export_run(folder: Folder, file: NewFile) -> None:
    """Write a run to one file. The other commands accept the file in place of the folder.

    Args:
        folder: An experiment folder. The run may still be training.
        file: The new file, such as run.psro. It must not exist.
    """
    from psro.runs.export import export

    _print_path(export(one_run(folder, "psro export"), file))
    hint(f"psro eval {shell([file])}, on any machine")


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
    more = f"psro play {shell(folders)}" if len(runs) == 1 else f"psro eval {shell(folders)}"
    hint(f"open {out} in a browser, or {more}")


@explained
def watch_run(folder: Folder, port: Number = 0) -> None:
    """Show the page of a run that is still training, in a browser on this machine.

    Args:
        folder: An experiment folder.
        port: Port of the page on 127.0.0.1. 0 = a free port.
    """
    run = one_run(folder, "psro watch")
    from psro.views import watch

    watch.watch(run, port=port)


def _print_path(path: Path) -> None:
    """Prints the path of a new file alone on a line, because programs may read it."""
    print(printable(str(path)))
