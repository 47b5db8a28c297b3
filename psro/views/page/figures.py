"""Figures of a page: plain dicts in plotly's form, `{"data": [...], "layout": {...}}`.

Numbers are not rounded. page.js sets the colours of the background, of text and of heat maps,
because it knows whether the reader prefers a dark page. A layout's `coloraxis` names only the kind
of scale: `weights` (from zero up) or `signed` (zero in the middle). A layout with
`"meta": {"rows": True}` has a row for each name, and keeps its height on a narrow page.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import numpy as np

from psro.runs.folder import Snapshot
from psro.training.record import QUANTILE
from psro.views import curves
from psro.views.bounds import Bounds

COLOURS = (
    "#2f7fc1", "#e0812c", "#3a9d6a", "#c2417f", "#8562c9", "#a98338", "#6b7a90", "#d0453e",
)  # fmt: skip
"""Colours of curves. Each can be seen on white and on black."""
_DASHES = {"exploitability": "solid", "cce_gap": "dash", "ce_gap": "dot"}
_MARKED = 60
"""A curve with at most this many points has a mark at each."""

PARTS = {
    "oracle": "best responses",
    "meta_solver": "meta-solver",
    "payoffs": "payoffs",
    "tabulate": "tabulating",
    "exact": "measuring",
    "train": "training",
    "evaluate": "evaluating",
}
"""Parts of a record's `seconds`, in words."""

Figure = dict[str, Any]


class Timed(Protocol):
    """A record with wall `seconds` by part."""

    seconds: dict[str, float]


class TimedRun(Protocol):
    """What is timed of a run: each of its records."""

    records: Sequence[Timed]


def axis(title: str, **more: Any) -> dict[str, Any]:
    """An axis with a title."""
    return {"title": {"text": title}, **more}


def counting(title: str, last: float, **more: Any) -> dict[str, Any]:
    """An axis that counts from 0 to `last`: its ticks are whole numbers."""
    few = {"dtick": 1} if last <= 10 else {}
    return axis(title, **few, **more)


def gaps(runs: Sequence[Snapshot]) -> dict[str, Figure]:
    """The curves and lower bounds of `psro.views.curves`, by the name of the horizontal axis.
    Nothing if no run has any yet."""
    runs = [run for run in runs if curves.has_figure(run)]
    return {x: _curves(curves.chart(runs, x)) for x in curves.axes_of(runs)} if runs else {}


def _curves(chart: curves.Chart) -> Figure:
    dashes = _DASHES if len({curve.gap for curve in chart.curves}) > 1 else {}
    traces = []
    for curve in chart.curves:
        colour = COLOURS[curve.configuration % len(COLOURS)]
        if curve.seeds > 1:
            traces.append(band(curve.x, curve.lower, curve.upper, colour))
        hover = f"{chart.x_label} %{{x}}<br>%{{y:.6g}}<extra>{plain(curve.label)}</extra>"
        traces.append(
            {
                "type": "scatter",
                "name": curve.label,
                "x": curve.x.tolist(),
                "y": curve.mean.tolist(),
                "mode": mode(curve.x),
                "line": {"color": colour, "width": 2.2, "dash": dashes.get(curve.gap, "solid")},
                "marker": {"size": 5},
                "hovertemplate": hover,
            }
        )
    traces += [_markers(bounds, chart) for bounds in chart.bounds]
    last = chart.ends[1]
    height: dict[str, Any] = {"range": list(chart.limits), "zeroline": True}
    if chart.logarithmic:
        height = {
            "type": "log",
            "range": [math.log10(end) for end in chart.limits],
            "tickvals": list(chart.ticks),
            "ticktext": list(chart.ticks.values()),
        }
    return {
        "data": traces,
        "layout": {
            "xaxis": counting(chart.x_label, last) if chart.whole else axis(chart.x_label),
            "yaxis": axis(chart.y_label, **height),
            "showlegend": len(traces) > 1,
            "height": 380,
        },
    }


def _markers(bounds: Bounds, chart: curves.Chart) -> dict[str, Any]:
    """Lower bounds: open markers with bars, and no line. One that lies below the axis stands at its
    end and points down."""
    height, below, above, is_below = bounds.on_axis(chart.lowest)
    colour = COLOURS[bounds.configuration % len(COLOURS)]
    return {
        "type": "scatter",
        "name": bounds.label,
        "x": bounds.x.tolist(),
        "y": height.tolist(),
        "customdata": np.stack([bounds.value, bounds.half], axis=1).tolist(),
        "mode": "markers",
        "cliponaxis": False,
        "marker": {
            "size": 8,
            "color": colour,
            "line": {"width": 1.6},
            "symbol": ["triangle-down-open" if down else "circle-open" for down in is_below],
        },
        "error_y": _bars(above, below, colour),
        "hovertemplate": f"{chart.x_label} %{{x}}<br>at least %{{customdata[0]:.4g}} ± "
        f"%{{customdata[1]:.2g}} (95 %)<extra>{plain(bounds.label)}</extra>",
    }


def _bars(above: np.ndarray, below: np.ndarray, colour: str) -> dict[str, Any]:
    return {
        "type": "data",
        "symmetric": False,
        "array": above.tolist(),
        "arrayminus": below.tolist(),
        "color": colour,
        "thickness": 1.3,
        "width": 3,
    }


def band(x: np.ndarray, lower: np.ndarray, upper: np.ndarray, colour: str) -> dict[str, Any]:
    """The area between two curves at the same places, `[N]` each."""
    return {
        "type": "scatter",
        "x": [*x.tolist(), *x[::-1].tolist()],
        "y": [*lower.tolist(), *upper[::-1].tolist()],
        "fill": "toself",
        "fillcolor": f"{colour}2e",
        "line": {"width": 0},
        "mode": "lines",
        "hoverinfo": "skip",
        "showlegend": False,
    }


def mode(points: Sequence[Any]) -> str:
    """Marks at the points of a short curve, and a line."""
    return "lines+markers" if len(points) <= _MARKED else "lines"


def plain(text: str) -> str:
    """A text without what plotly would read as markup or as a template."""
    return text.replace("<", "‹").replace(">", "›").replace("%{", "% {")


def best_responses(run: Snapshot) -> Figure:
    """The gain of each iteration's best responses over the meta-strategy before, and the gain of
    exact ones. The gap is the difference."""
    records = [record for record in run.records if record.gap is not None]
    learners = 1 if run.config.symmetric else len(run.payoffs)
    traces = []
    for p in range(learners):
        who = "" if learners == 1 else f", {plain(run.player_name(p))}"
        gap = [record.gap[p] for record in records]
        trained = [record.improvement[p] for record in records]
        exact = [gained + missing for gained, missing in zip(trained, gap, strict=True)]
        for name, dash, values in (("exact", "dot", exact), ("trained", "solid", trained)):
            traces.append(
                {
                    "type": "scatter",
                    "name": name + who,
                    "x": [record.iteration for record in records],
                    "y": values,
                    "customdata": gap,
                    "mode": mode(records),
                    "line": {"color": COLOURS[p % len(COLOURS)], "width": 2, "dash": dash},
                    "marker": {"size": 4},
                    "hovertemplate": "iteration %{x}<br>gains %{y:.6g}"
                    f"<br>gap %{{customdata:.3g}}<extra>{name}{who}</extra>",
                }
            )
    return _gains(run, traces, "gain over the meta-strategy")


def improvements(run: Snapshot) -> Figure:
    """The sampled gain of each iteration's best responses over the meta-strategy before, with 95 %
    intervals: open markers, because each is measured by its own episodes."""
    records = [record for record in run.records if record.improvement_error is not None]
    traces = []
    for p in range(len(run.payoffs)):
        who, colour = plain(run.player_name(p)), COLOURS[p % len(COLOURS)]
        half = QUANTILE * np.array([record.improvement_error[p] for record in records])
        shift = 0.08 * (p - (len(run.payoffs) - 1) / 2)  # so that the players' bars are told apart
        traces.append(
            {
                "type": "scatter",
                "name": who,
                "x": [record.iteration + shift for record in records],
                "y": [record.improvement[p] for record in records],
                "customdata": [
                    [record.iteration, own] for record, own in zip(records, half, strict=True)
                ],
                "mode": "markers",
                "marker": {
                    "size": 7,
                    "color": colour,
                    "line": {"width": 1.5},
                    "symbol": "circle-open",
                },
                "error_y": _bars(half, half, colour),
                "hovertemplate": "iteration %{customdata[0]}<br>gains %{y:.4g} ± "
                f"%{{customdata[1]:.2g}} (95 %)<extra>{who}</extra>",
            }
        )
    return _gains(run, traces, "gain over the meta-strategy, 95 % interval")


def _gains(run: Snapshot, traces: list[dict[str, Any]], label: str) -> Figure:
    """A picture of what best responses gain in each iteration."""
    return {
        "data": traces,
        "layout": {
            "xaxis": counting("iteration", run.records[-1].iteration),
            "yaxis": axis(label, zeroline=True),
            "showlegend": True,
            "height": 340,
        },
    }


def response_gaps(runs: Sequence[Snapshot], labels: Sequence[str]) -> Figure:
    """The largest gap of each iteration's best responses, for each exact run. A gap within rounding
    is zero."""
    traces = []
    for number, (run, label) in enumerate(zip(runs, labels, strict=True)):
        if run.is_sampled:
            continue
        records = [record for record in run.records if record.gap is not None]
        rounding = 1e-12 * float(np.abs(run.payoffs).max())
        gaps = [max(record.gap) for record in records]
        traces.append(
            {
                "type": "scatter",
                "name": label,
                "x": [record.iteration for record in records],
                "y": [gap if gap > rounding else 0.0 for gap in gaps],
                "mode": "lines",
                "line": {"color": COLOURS[number % len(COLOURS)], "width": 1.6},
                "hovertemplate": f"iteration %{{x}}<br>gap %{{y:.3g}}<extra>{plain(label)}</extra>",
            }
        )
    last = max(run.records[-1].iteration for run in runs)
    return {
        "data": traces,
        "layout": {
            "xaxis": counting("iteration", last),
            "yaxis": axis("largest gap", rangemode="tozero"),
            "showlegend": True,
            "height": 340,
        },
    }


def _parts(records: Iterable[Timed]) -> list[str]:
    """The parts of the records' time, in the same order on all pages."""
    names = {part for record in records for part in record.seconds}
    return [part for part in PARTS if part in names] + sorted(names - set(PARTS))


def time(
    records: Sequence[Timed], at: Sequence[float], x: dict[str, Any], one: str = "iteration"
) -> Figure:
    """Wall seconds so far, by part, stacked, at the places `at` of an axis `x`. `one` is what a
    record is of."""
    traces = []
    for number, part in enumerate(_parts(records)):
        seconds = [record.seconds.get(part, 0.0) for record in records]
        traces.append(
            {
                "type": "scatter",
                "name": PARTS.get(part, part),
                "x": list(at),
                "y": np.cumsum(seconds).tolist(),
                "customdata": seconds,
                "stackgroup": "time",
                "mode": "lines",
                "line": {"width": 0.8, "color": COLOURS[number % len(COLOURS)]},
                "hovertemplate": f"%{{y:.3g}} s, %{{customdata:.3g}} s of it in this {one}"
                f"<extra>{PARTS.get(part, part)}</extra>",
            }
        )
    return {
        "data": traces,
        "layout": {
            "xaxis": x,
            "yaxis": axis("seconds so far", rangemode="tozero"),
            "showlegend": True,
            "height": 340,
        },
    }


def times(runs: Sequence[TimedRun], labels: Sequence[str]) -> Figure:
    """Wall seconds of whole runs (bars), by part."""
    parts = _parts(record for run in runs for record in run.records)
    return {
        "data": [
            {
                "type": "bar",
                "orientation": "h",
                "name": PARTS.get(part, part),
                "y": list(labels),
                "x": [sum(record.seconds.get(part, 0.0) for record in run.records) for run in runs],
                "marker": {"color": COLOURS[number % len(COLOURS)]},
                "hovertemplate": f"%{{x:.4g}} s<extra>{PARTS.get(part, part)}</extra>",
            }
            for number, part in enumerate(parts)
        ],
        "layout": {
            "barmode": "stack",
            "xaxis": axis("seconds"),
            "yaxis": {"automargin": True, "autorange": "reversed"},
            "showlegend": True,
            "height": 160 + 34 * len(runs),
        },
    }
