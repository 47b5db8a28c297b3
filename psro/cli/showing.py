"""`psro plot`, `psro report`, `psro watch` and `psro export`."""

from __future__ import annotations

import contextlib

import tyro

from psro.cli.process import UsageError


def plot(
    folders: tyro.conf.Positional[tuple[str, ...]],
    out: str | None = None,
    x: str = "iterations",
    payoffs: bool = False,
) -> None:
    """Draw one or many experiment folders.

    Draws how the exploitability falls (or the gap to a correlated equilibrium, where the
    meta-strategy is one). Folders that differ only in their seed become one curve with a band.

    Args:
        folders: Experiment folders, or files that `psro export` wrote.
        out: The picture to write, PNG or SVG by its ending; exploitability.png by default.
        x: Horizontal axis: iterations, decisions or seconds.
        payoffs: Draw the payoff table between the populations of one folder instead, as heat maps,
            by default to payoffs.png.
    """
    if not folders:
        raise UsageError("name at least one experiment folder")
    if payoffs and len(folders) > 1:
        raise UsageError(f"--payoffs draws one folder, not {len(folders)}")
    from psro.runs import archive
    from psro.runs import folder as run_folder
    from psro.runs.storage import ExperimentError
    from psro.views import plots

    with contextlib.ExitStack() as stack:
        errors = (ExperimentError, plots.PlotError)
        read = [stack.enter_context(archive.as_folder(folder, errors)) for folder in folders]
        if payoffs:
            run = run_folder.snapshot(read[0], foreign=archive.is_file(folders[0]))
            print(plots.save_figure(plots.payoffs_figure(run), out or "payoffs.png"))
        else:
            figure = plots.exploitability_figure(read, x=x)
            print(plots.save_figure(figure, out or "exploitability.png"))


def export_run(folder: tyro.conf.Positional[str], file: tyro.conf.Positional[str]) -> None:
    """Write an experiment to one file, which eval, plot, report and resume accept like a folder.

    Args:
        folder: An experiment folder, also of a run that is still training.
        file: The file to make, which must not exist: run.psro.
    """
    from psro.runs.export import export

    print(export(folder, file))


def write_page(folders: tyro.conf.Positional[tuple[str, ...]], out: str = "report.html") -> None:
    """Write a run, or several beside each other, as one web page that needs no other file.

    Args:
        folders: Experiment folders, or files that `psro export` wrote.
        out: The page to write.
    """
    from psro.views import page

    print(page.write(page.report(folders), out))


def watch_run(folder: tyro.conf.Positional[str], port: int = 0) -> None:
    """Show a run's page while it goes on, to a browser on this machine.

    Args:
        folder: An experiment folder.
        port: Of 127.0.0.1; 0 takes a free one.
    """
    from psro.views import watch

    watch.watch(folder, port=port)
