"""`psro sweep`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from psro.cli.arguments import Flag, Imports, MaybeFolder, MaybeSeconds, explained
from psro.cli.folders import proposed
from psro.cli.options import LOCAL, Workers, executing_of
from psro.cli.process import UsageError, complain, exit_code, note, noting_interrupts, say

if TYPE_CHECKING:
    import pandas as pd

    from psro.runs.sweep import Job
    from psro.runs.sweep_file import Sweep

File = Annotated[Positional[str], arg(metavar="FILE")]
Part = Annotated[str | None, arg(metavar="K/N", help_behavior_hint="")]
_SHOWN = 20
"""Combinations that are printed."""
FIGURE = "sweep.png"


@explained
def sweep(
    file: File,
    out: MaybeFolder = None,
    part: Part = None,
    collect: Flag = False,
    wall_limit: MaybeSeconds = None,
    imports: Imports = (),
    workers: Workers = LOCAL,
) -> None:
    """Train all combinations of settings in a TOML file, with several seeds, in one folder.

    Everything is checked before anything runs. A sweep that was stopped goes on with the same
    command. A run that fails does not stop the others.

    Args:
        file: A TOML file: [run] has the settings of all runs, [grid] lists of values of which every
            combination is run, [random] ranges or lists from which `draws` values are drawn, and
            `seeds` is how often each is run.
        out: The folder. By default experiments/NAME, after the file's name.
        part: Run only the K-th of N parts, such as 3/10, for the jobs of a cluster, which share the
            folder.
        collect: Run nothing. Only write the tables and the figure of what there is.
        wall_limit: Stop after this number of seconds, with exit code 75, and everything saved. By
            default there is no limit.
        imports: Modules that register games, oracles or other plug-ins. All runs name them.
        workers: Where the work is done.
    """
    from psro.runs import sweep as sweeps
    from psro.runs.sweep_file import read_sweep

    share = _part(part)
    read = read_sweep(file, imports)
    folder = Path(out) if out is not None else Path("experiments") / read.name
    if not collect and not (folder / sweeps.SWEEP).exists():
        say(
            f"{read.name}: {len(read.combinations)} combinations of settings, "
            f"{len(read.seeds)} seeds each; checking all of them"
        )
        sweeps.check(read)
    jobs = sweeps.prepare(read, Path(file), folder)
    chosen = [job for number, job in enumerate(jobs) if number % share[1] == share[0]]
    interrupted = None
    if not collect:
        interrupted = _run(chosen, executing_of(workers), wall_limit)
    table, means = sweeps.write_tables(folder, jobs)
    drawn = _draw(folder, read, table, means)
    _print(read, means)
    say(f"saved in {folder}: {', '.join([sweeps.RESULTS, sweeps.SUMMARY, *drawn])}")
    if interrupted is not None:
        again = proposed("sweep", file, *(["--out", out] if out else []))
        note(f"\nstopped; continue with: {again}")
        raise SystemExit(exit_code(interrupted))
    failed = int((table.status == "failed").sum())
    if failed and not collect:
        complain(f"{failed} of {len(table)} runs failed; {folder / sweeps.RESULTS} says why")
        raise SystemExit(1)


def _part(text: str | None) -> tuple[int, int]:
    """The number of a part, from 0, and of all parts."""
    if text is None:
        return 0, 1
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise UsageError(f"--part {text} must be K/N, with K from 1 to N, such as 3/10")
    return int(match[1]) - 1, int(match[2])


def _run(jobs: Sequence[Job], executing, wall_limit: float | None) -> KeyboardInterrupt | None:
    """Runs what is not finished, and says when a run has ended. Returns what interrupted it."""
    from psro.cli.progress import How
    from psro.runs import sweep as sweeps

    how, done = How(executing=executing, wall_limit=wall_limit), 0
    jobs = [job for job in jobs if job.failed is None and not sweeps.has_ended(job)]
    try:
        with how.pool() as pool, noting_interrupts() as interrupts, how.limited() as lap:
            for job, said in sweeps.run(jobs, pool):
                if said is None or isinstance(said, str):
                    done += 1
                    told = f"{job.combination.label}, seed {job.seed}"
                    say(f"{done} of {len(jobs)}: {told}: {'ended' if said is None else said}")
                if interrupts:
                    raise interrupts[0]
                if done < len(jobs):
                    lap()
    except KeyboardInterrupt as error:
        return error
    return None


def _draw(folder: Path, read: Sweep, table: pd.DataFrame, means: pd.DataFrame) -> list[str]:
    """Draws the figure. Returns the name of its file, or nothing if no run has ended."""
    from psro.runs.sweep_file import names_of
    from psro.views import plots
    from psro.views.sweep_plot import sweep_figure

    figure = sweep_figure(table, means, names_of(read.combinations))
    if figure is None:
        return []
    plots.save_figure(figure, folder / FIGURE)
    return [FIGURE]


def _print(read: Sweep, means: pd.DataFrame) -> None:
    import numpy as np
    from rich.markup import escape

    from psro.runs.sweep_file import shown
    from psro.views import tables
    from psro.views.numbers import three_digits

    def measured(row, column: str) -> str:
        mean, half = row[column], row[f"{column}_half_interval"]
        if np.isnan(mean):
            return "–"
        return three_digits(mean) + ("" if np.isnan(half) else f" ± {three_digits(half)}")

    varied = {one.number + 1: one.varied for one in read.combinations}
    rows = tables.table("settings", "distance", "lower bound", "runs ended", "failed")
    for _, row in means.head(_SHOWN).iterrows():
        own = varied[int(row.combination)]
        label = ", ".join(f"{name} {shown(value)}" for name, value in own.items()) or "run"
        rows.add_row(
            escape(label),
            measured(row, "distance"),
            measured(row, "bound"),
            f"{row.ended:.0f} of {row.runs:.0f}",
            f"{row.failed:.0f}",
        )
    tables.console().print(rows)
    if len(means) > _SHOWN:
        say(f"{len(means) - _SHOWN} more in the summary")
