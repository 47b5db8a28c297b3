"""The output of a run while it trains: a live table with a progress bar, or plain lines."""

from __future__ import annotations

import contextlib
import math
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
    config, folder = opened.config, opened.folder
    unit, columns = opened.rules.span, _columns(opened)
    say(f"{title(opened)}, seed {config.seed}")
    say(f"{folder}")
    if not console.is_terminal:
        say(" ".join(f"{name:>{width}}" for name, width in columns.items()))

        def line(record: Record) -> None:
            cells = zip(_cells(record, unit), columns.values(), strict=True)
            say(" ".join(f"{cell:>{width}}" for cell, width in cells))

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
        table = tables.table(*columns)
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


def _columns(opened: Experiment) -> dict[str, int]:
    """The columns of the table, and their widths as plain text."""
    players = opened.rules.num_players
    support = {"support": 5 * players - 1}  # up to two digits each
    if not opened.is_exact:
        value = {"value": 20 * min(players, 3)}
        return {"iteration": 9, "improvement": 20, **value, **support, "seconds": 8}
    return {"iteration": 9, DISTANCES[opened.concept]: 14, "gap": 10, **support, "seconds": 8}


def title(opened: Experiment) -> str:
    """The game, and the method that trains for it."""
    config, rules = opened.config, opened.rules
    form = opened.setup.form
    if form is None:
        size = f"{rules.num_players} players, {rules.num_actions} actions, measured by episodes"
    else:
        size = f"{form.num_histories:,} histories, {form.num_info_states:,} info states"
    return f"{config.game}: {size}\n{settings.trained(config)}"


def _cells(record: Record, unit: float) -> tuple[str, str, str, str, str]:
    """Iteration, distance, largest gap of a best response, supports, seconds; where games are
    sampled, the sum of improvements and the values in place of distance and gap. `unit` is the span
    of the game's payoffs."""
    support = " / ".join(map(str, record.support_size))
    seconds = f"{sum(record.seconds.values()):.2f}"
    if record.distance is None:
        improvement = ""
        if record.nash_conv_bound is not None:
            improvement = _with_error(record.nash_conv_bound, record.nash_conv_bound_error, unit)
        return str(record.iteration), improvement, values(record, unit), support, seconds
    gap = None if record.gap is None else max(record.gap)
    return (
        str(record.iteration),
        decimals(record.distance, unit=unit),
        "" if gap is None else decimals(gap if gap > _NO_GAP * unit else 0.0, 5, unit=unit),
        support,
        seconds,
    )


def values(record: Record, unit: float) -> str:
    """The players' values with their standard errors; only the first where all add up to zero."""
    pairs = list(zip(record.value, record.value_error, strict=True))
    if abs(sum(record.value)) < 1e-9 * unit and len(pairs) == 2:
        pairs = pairs[:1]
    return ", ".join(_with_error(value, error, unit) for value, error in pairs)


def bound(record: Record, unit: float) -> str:
    """A lower bound of the distance before, with its standard error."""
    return _with_error(*record.bound, unit)


def _with_error(value: float, error: float, unit: float) -> str:
    return f"{decimals(value, 4, unit=unit)} ± {decimals(error, 4, unit=unit)}"


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


class MeansTable:
    """The means over seeds that are printed while several seeds train, as plain lines."""

    def __init__(self, first: Experiment):
        """`first` is one of the runs."""
        rules = first.rules
        self._gap, self._unit = DISTANCES[first.concept], rules.span
        self._names, self._places = {"distance": self._gap}, 6  # columns of the summary, and titles
        if not first.is_exact:
            shown = 1 if rules.num_players == 2 and rules.is_constant_sum else rules.num_players
            values = {f"value_{p}": "value" if shown == 1 else f"value {p}" for p in range(shown)}
            self._names, self._places = {"nash_conv_bound": "improvement", **values}, 4

    def head(self) -> str:
        titles = " ".join(f"{title + ', 95 %':>23}" for title in self._names.values())
        return f"{'iteration':>9} {titles} {'seeds':>5} {'seconds':>8}"

    def line(self, row: Any, seconds: float) -> str:
        """A line for a row of the summary."""
        cells = " ".join(f"{self._mean(row, name):>23}" for name in self._names)
        return f"{row.iteration:>9} {cells} {row.seeds:>5} {seconds:>8.2f}"

    def result(self, row: Any) -> str:
        """The last row of the summary in words."""
        if "distance" in self._names:
            return f"{self._gap} {self._mean(row, 'distance')} (95 %)"
        values = ", ".join(self._mean(row, name) for name in self._names if name[:5] == "value")
        said = f"value {values} (95 %), measured by episodes"
        if bound := self._mean(row, "nash_conv_bound"):
            gap = "NashConv" if row.concept == "nash" else self._gap
            said += f"\n{gap} of the meta-strategy before ≥ {bound} (95 %)"
        return said

    def _mean(self, row: Any, name: str) -> str:
        """The mean of a number, with its interval if there are several seeds; nothing if it is not
        known."""
        value, half = row[f"{name}_mean"], row[f"{name}_ci95"]
        if math.isnan(value):
            return ""
        interval = f" ± {decimals(half, self._places, unit=self._unit)}" if row.seeds > 1 else ""
        return f"{decimals(value, self._places, unit=self._unit)}{interval}"
