"""Figures of runs as pictures, drawn by matplotlib."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from pathlib import Path

import matplotlib.axes
import matplotlib.figure
import matplotlib.ticker

from psro.errors import PsroError
from psro.runs import disk, naming
from psro.runs.folder import Snapshot
from psro.views import curves
from psro.views.curves import AXES, Chart
from psro.views.numbers import three_digits
from psro.views.payoffs import error_tables, largest_payoff, payoff_tables
from psro.views.settings import without_mathematics

FORMATS = ("png", "svg")
_DASHES = {"exploitability": "-", "cce_gap": "--", "ce_gap": ":"}
_COLOURS = ("#0b6e99", "#d9730d", "#2e8b57", "#ad1a72", "#6940a5", "#8a6d3b", "#4b5563", "#c0392b")
_MARKED = 40
"""A curve with at most this many points has a mark at each."""
_LONG, _LINE = 60, 96
"""A legend with a label of more characters stands below, in lines of at most this length."""


class PlotError(PsroError):
    """Something that cannot be drawn; one sentence says why."""


def exploitability_figure(
    folders: Sequence[str | os.PathLike], *, x: str = "iterations"
) -> matplotlib.figure.Figure:
    """The gap to an equilibrium against iterations, decisions or seconds, on a logarithmic axis.
    The gap is exploitability. Correlated meta-strategies have a curve for each of their gaps.
    Sampled runs have lower bounds of it, open markers with error bars and without a line; the axis
    is linear if there is nothing else. A marker that points down stands for a bound below the axis.

    Folders that differ only in their seed are drawn as one curve with a band (`psro.views.curves`).

    Raises:
        ExperimentError: a folder is no experiment, or is damaged.
        PlotError: a folder has no finished iteration, or no lower bound yet, or `x` is unknown.
    """
    if x not in AXES:
        raise PlotError(f"unknown axis {x!r}; known: {', '.join(AXES)}")
    if not folders:
        raise PlotError("no folder to plot")
    runs = [curves.read(folder) for folder in folders]
    for folder, run in zip(folders, runs, strict=True):
        if not run.records:
            raise PlotError(f"{folder} has no finished iteration yet")
        if not curves.has_figure(run):
            raise PlotError(
                f"{folder} has no lower bound of a gap: the first best responses give one, unless "
                f"the expansion ({run.config.expansion}) changes older policies"
            )
    chart = curves.chart(runs, x)
    figure = matplotlib.figure.Figure(figsize=(7.2, 4.4), dpi=160, layout="constrained")
    axes = figure.subplots()
    _draw_curves(axes, chart)
    _draw_bounds(axes, chart)
    _draw_axes(axes, chart)
    if len(chart.curves) + len(chart.bounds) > 1 or len(folders) > 1:
        _draw_legend(figure, axes)
    return figure


def _draw_legend(figure: matplotlib.figure.Figure, axes: matplotlib.axes.Axes) -> None:
    """Inside the picture. Long labels stand below it, on lines of their own."""
    handles, labels = axes.get_legend_handles_labels()
    if max(map(len, labels)) <= _LONG:
        axes.legend(frameon=False, fontsize=8)
        return
    lines = [textwrap.fill(label, _LINE) for label in labels]
    axes.legend(
        handles, lines, frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(-0.02, -0.14)
    )
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + 0.17 * "\n".join(lines).count("\n") + 0.2)


def _draw_curves(axes: matplotlib.axes.Axes, chart: Chart) -> None:
    one_gap = len({curve.gap for curve in chart.curves}) == 1
    for curve in chart.curves:
        colour = _COLOURS[curve.configuration % len(_COLOURS)]
        if curve.seeds > 1:
            axes.fill_between(curve.x, curve.lower, curve.upper, color=colour, alpha=0.15, lw=0)
        axes.plot(
            curve.x,
            curve.mean,
            "-" if one_gap else _DASHES[curve.gap],
            color=colour,
            lw=1.8,
            label=without_mathematics(curve.label),
            marker="o" if len(curve.x) <= _MARKED else None,
            ms=3.5,
        )


def _draw_bounds(axes: matplotlib.axes.Axes, chart: Chart) -> None:
    for bounds in chart.bounds:
        colour = _COLOURS[bounds.configuration % len(_COLOURS)]
        height, lower, upper, is_below = bounds.on_axis(chart.lowest)
        label = without_mathematics(bounds.label)
        for marker, shown in (("o", ~is_below), ("v", is_below)):
            if not shown.any():
                continue
            container = axes.errorbar(
                bounds.x[shown],
                height[shown],
                yerr=(lower[shown], upper[shown]),
                fmt=marker,
                color=colour,
                mfc="white",
                ms=5,
                mew=1.3,
                elinewidth=1.0,
                capsize=2.5,
                label=label,
            )
            container.lines[0].set_clip_on(False)  # markers at the end of the axis
            label = None


def _draw_axes(axes: matplotlib.axes.Axes, chart: Chart) -> None:
    if chart.logarithmic:
        axes.set_yscale("log")
        axes.set_ylim(chart.limits)
        axes.yaxis.set_major_locator(matplotlib.ticker.FixedLocator(list(chart.ticks)))
        axes.yaxis.set_major_formatter(matplotlib.ticker.FixedFormatter(list(chart.ticks.values())))
        axes.yaxis.set_minor_locator(matplotlib.ticker.NullLocator())
    else:
        axes.set_ylim(chart.limits)
        axes.axhline(0.0, color="#9ca3af", lw=0.8, zorder=0)
    axes.set(xlabel=chart.x_label, ylabel=chart.y_label)
    axes.set_title(without_mathematics(chart.title), loc="left", fontsize=11)
    _count(axes, chart)
    axes.grid(axis="y", which="major", color="#e5e7eb", lw=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _count(axes: matplotlib.axes.Axes, chart: Chart) -> None:
    """Puts ticks at whole numbers, also if all points are at one place."""
    if not chart.whole:
        return
    first, last = chart.ends
    if first == last:
        axes.set_xlim(first - 1, last + 1)
    axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))


def payoffs_figure(run: Snapshot) -> matplotlib.figure.Figure:
    """The payoffs between the populations, as small tables: each player's policies (rows) against
    each other player's (columns). The remaining players draw from the meta-strategy. A two-player
    zero-sum game needs only one table. Sampled payoffs say so, with their largest standard error.

    Raises:
        PlotError: the run has no payoffs yet.
    """
    if run.payoffs is None:
        raise PlotError(f"{run.folder} has no finished iteration yet")
    tables = payoff_tables(run.payoffs, run.meta_strategies[-1])
    columns = max(1, len(run.payoffs) - 1)
    rows = -(-len(tables) // columns)
    figure = matplotlib.figure.Figure(
        figsize=(1.2 + 3.6 * columns, 0.8 + 3.2 * rows), dpi=160, layout="constrained"
    )
    grid = figure.subplots(rows, columns, squeeze=False)
    limit = largest_payoff(tables)
    names = [without_mathematics(run.player_name(p)) for p in range(len(run.payoffs))]
    for axes, ((p, q), table) in zip(grid.ravel(), tables.items(), strict=True):
        image = axes.imshow(table, cmap="RdBu", vmin=-limit, vmax=limit, aspect="auto")
        axes.set(ylabel=f"policy of {names[p]}", xlabel=f"policy of {names[q]}")
        kind = "sampled payoff" if run.is_sampled else "payoff"
        axes.set_title(f"{kind} of {names[p]}", loc="left", fontsize=10)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(matplotlib.ticker.MaxNLocator(6, integer=True))
    bar = figure.colorbar(image, ax=grid, shrink=0.8)
    if run.is_sampled:
        errors = error_tables(run.payoff_error, run.meta_strategies[-1], tables)
        bar.set_label(
            "mean of episodes, standard error ≤ "
            + three_digits(max(float(own.max()) for own in errors.values()))
        )
    figure.suptitle(without_mathematics(naming.game_of(run.config)), x=0.02, ha="left", fontsize=11)
    return figure


def save_figure(figure: matplotlib.figure.Figure, path: str | os.PathLike) -> Path:
    """Writes PNG or SVG, by the file's ending."""
    path = Path(path)
    kind = path.suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        raise PlotError(f"{path} must end in {' or '.join('.' + ending for ending in FORMATS)}")
    try:
        with disk.replacing(path) as file:
            figure.savefig(file, format=kind)
    except OSError as error:
        raise PlotError(f"cannot write {path}: {error.strerror or error}") from None
    return path
