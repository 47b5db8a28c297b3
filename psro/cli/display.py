"""The output of a run while it trains: a live table with a progress bar, or plain lines."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import rich.console
import rich.live
import rich.progress

from psro.cli.process import say
from psro.runs.experiment import Experiment
from psro.training.record import DISTANCES, Record
from psro.views import settings, tables
from psro.views.numbers import decimals

_NO_GAP = 5e-6
"""A gap of at most this share of the payoffs' span is zero up to float32's rounding."""


@contextlib.contextmanager
def display(opened: Experiment) -> Iterator[Any]:
    """A live table with a progress bar on a terminal; otherwise plain lines."""
    console = tables.console()
    config, folder, distance = opened.config, opened.folder, DISTANCES[opened.concept]
    unit = opened.tree.span
    say(f"{title(opened)}, seed {config.seed}")
    say(f"{folder}")
    if not console.is_terminal:
        wide = 5 * opened.tree.num_players - 1  # of the supports: up to two digits each
        say(f"{'iteration':>9} {distance:>14} {'gap':>10} {'support':>{wide}} {'seconds':>8}")

        def line(record: Record) -> None:
            number, value, gap, support, seconds = _cells(record, unit)
            say(f"{number:>9} {value:>14} {gap:>10} {support:>{wide}} {seconds:>8}")

        for record in opened.records:
            line(record)
        yield line
        return
    progress = rich.progress.Progress(
        rich.progress.TextColumn("iteration {task.completed:.0f} of {task.total:.0f}"),
        rich.progress.BarColumn(),
        rich.progress.TimeElapsedColumn(),
        rich.progress.TextColumn("[dim]{task.fields[doing]}"),
        console=console,
    )
    task = progress.add_task("", total=config.iterations, doing="compiling, then training")
    records = list(opened.records)

    def view() -> rich.console.Group:
        table = tables.table("iteration", distance, "gap", "support", "seconds")
        for record in records[-max(4, console.height - 10) :]:
            table.add_row(*_cells(record, unit))
        return rich.console.Group(table, progress)

    with rich.live.Live(view(), console=console, refresh_per_second=4) as live:

        def update(record: Record) -> None:
            records.append(record)
            progress.update(
                task,
                completed=record.iteration,
                doing="" if record.iteration else "compiling, then training",
            )
            live.update(view())

        if records:
            progress.update(task, completed=records[-1].iteration)
        yield update


def title(opened: Experiment) -> str:
    """The game, and the method that trains for it."""
    config = opened.config
    return (
        f"{config.game}: {opened.tree.num_histories:,} histories, "
        f"{opened.tree.num_info_states:,} info states\n"
        f"{settings.trained(config)}"
    )


def _cells(record: Record, unit: float) -> tuple[str, str, str, str, str]:
    """Iteration, distance, largest gap of a best response, supports, seconds; `unit` is the span of
    the game's payoffs."""
    gap = None if record.gap is None else max(record.gap)
    return (
        str(record.iteration),
        decimals(record.distance, unit=unit),
        "" if gap is None else decimals(gap if gap > _NO_GAP * unit else 0.0, 5, unit=unit),
        " / ".join(map(str, record.support_size)),
        f"{sum(record.seconds.values()):.2f}",
    )


def why(opened: Experiment) -> str:
    """Why a run has ended, with the numbers."""
    config = opened.config
    return {
        "converged": f"converged, {DISTANCES[opened.concept]} within the tolerance of "
        f"{config.tolerance:g}",
        "no oracle improves": f"no oracle improves by more than the tolerance of "
        f"{config.tolerance:g} in {config.patience} iterations",
        "budget": f"budget, all {config.iterations} iterations are done",
    }[opened.ended]


def mean(row: Any, unit: float) -> str:
    """The mean distance in a row of the summary, with its interval if there are several seeds."""
    interval = f" ± {decimals(row.distance_ci95, unit=unit)}" if row.seeds > 1 else ""
    return f"{decimals(row.distance_mean, unit=unit)}{interval}"
