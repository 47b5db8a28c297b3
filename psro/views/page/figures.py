"""Figures of a page: plain dicts in plotly's form, `{"data": [...], "layout": {...}}`.

Numbers are not rounded. page.js sets the colours of the background, of text and of heat maps,
because it knows whether the reader prefers a dark page. A layout's `coloraxis` names only the kind
of scale: `weights` (from zero up) or `signed` (zero in the middle).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from psro.runs.folder import Snapshot
from psro.views import curves
from psro.views.payoffs import largest_payoff, payoff_tables

if TYPE_CHECKING:
    from psro.training.record import Record

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
}
"""Parts of a record's `seconds`, in words."""

Figure = dict[str, Any]


def _axis(title: str, **more: Any) -> dict[str, Any]:
    return {"title": {"text": title}, **more}


def _counting(title: str, last: float, **more: Any) -> dict[str, Any]:
    """An axis that counts from 0 to `last`: its ticks are whole numbers."""
    few = {"dtick": 1} if last <= 10 else {}
    return _axis(title, **few, **more)


def gaps(runs: Sequence[Snapshot]) -> dict[str, Figure]:
    """The curves of `psro.views.curves`, by the name of the horizontal axis."""
    return {x: _curves(curves.chart(runs, x)) for x in curves.axes_of(runs)}


def _curves(chart: curves.Chart) -> Figure:
    dashes = _DASHES if len({curve.gap for curve in chart.curves}) > 1 else {}
    traces = []
    for curve in chart.curves:
        colour = COLOURS[curve.configuration % len(COLOURS)]
        if curve.seeds > 1:
            traces.append(_band(curve, colour))
        hover = f"{chart.x_label} %{{x}}<br>%{{y:.6g}}<extra>{_plain(curve.label)}</extra>"
        traces.append(
            {
                "type": "scatter",
                "name": curve.label,
                "x": curve.x.tolist(),
                "y": curve.mean.tolist(),
                "mode": _mode(curve.x),
                "line": {"color": colour, "width": 2.2, "dash": dashes.get(curve.gap, "solid")},
                "marker": {"size": 5},
                "hovertemplate": hover,
            }
        )
    last = max(curve.x[-1] for curve in chart.curves)
    return {
        "data": traces,
        "layout": {
            "xaxis": _counting(chart.x_label, last) if chart.whole else _axis(chart.x_label),
            "yaxis": _axis(
                chart.y_label,
                type="log",
                range=[math.log10(end) for end in chart.limits],
                tickvals=list(chart.ticks),
                ticktext=list(chart.ticks.values()),
            ),
            "showlegend": len(traces) > 1,
            "height": 380,
        },
    }


def _band(curve: curves.Curve, colour: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "x": [*curve.x.tolist(), *curve.x[::-1].tolist()],
        "y": [*curve.lower.tolist(), *curve.upper[::-1].tolist()],
        "fill": "toself",
        "fillcolor": f"{colour}2e",
        "line": {"width": 0},
        "mode": "lines",
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _mode(points: Sequence[float]) -> str:
    return "lines+markers" if len(points) <= _MARKED else "lines"


def _plain(text: str) -> str:
    """A text without what plotly would read as markup or as a template."""
    return text.replace("<", "‹").replace(">", "›").replace("%{", "% {")


def weights(run: Snapshot, player: int) -> Figure:
    """The weight of each of a player's policies (rows) after each iteration (columns)."""
    rows, columns = run.records[-1].size, len(run.records)
    table: list[list[float | None]] = [[None] * columns for _ in range(rows)]
    for iteration, strategies in enumerate(run.meta_strategies):
        for policy, weight in enumerate([] if strategies is None else strategies[player].tolist()):
            table[policy][iteration] = weight
    return {
        "data": [
            {
                "type": "heatmap",
                "z": table,
                "coloraxis": "coloraxis",
                "hoverongaps": False,
                "hovertemplate": "after iteration %{x}<br>policy %{y}"
                "<br>weight %{z:.6g}<extra></extra>",
            }
        ],
        "layout": {
            "xaxis": _counting("after iteration", columns - 1, constrain="domain"),
            "yaxis": _counting("policy", rows - 1),
            "coloraxis": {"kind": "weights", "cmin": 0, "cmax": 1},
            "height": 360,
        },
    }


def payoffs(run: Snapshot) -> dict[tuple[int, int], Figure]:
    """The payoffs of each player's policies (rows, in the order of training) against another
    player's (columns), by (player, other): see `payoff_tables`."""
    tables = payoff_tables(run.payoffs, run.meta_strategies[-1])
    names = [_plain(run.player_name(p)) for p in range(len(run.payoffs))]
    limit = largest_payoff(tables)
    return {(p, q): _payoffs(table, names[p], names[q], limit) for (p, q), table in tables.items()}


def _payoffs(table: np.ndarray, player: str, other: str, limit: float) -> Figure:
    """One player's payoffs, rows, against another's, columns."""
    return {
        "data": [
            {
                "type": "heatmap",
                "z": table.tolist(),
                "coloraxis": "coloraxis",
                "hovertemplate": f"policy %{{y}} of {player}<br>policy %{{x}} of {other}"
                f"<br>{player} earns %{{z:+.6g}}<extra></extra>",
            }
        ],
        "layout": {
            "xaxis": _counting(f"policy of {other}", table.shape[1] - 1, constrain="domain"),
            "yaxis": _counting(f"policy of {player}", len(table) - 1, autorange="reversed"),
            "coloraxis": {"kind": "signed", "cmin": -limit, "cmax": limit},
            "height": 380,
        },
    }


def best_responses(run: Snapshot) -> Figure:
    """The gain of each iteration's best responses over the meta-strategy before, and the gain of
    exact ones. The gap is the difference."""
    records = [record for record in run.records if record.gap is not None]
    learners = 1 if run.config.symmetric else len(run.payoffs)
    traces = []
    for p in range(learners):
        who = "" if learners == 1 else f", {_plain(run.player_name(p))}"
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
                    "mode": _mode(records),
                    "line": {"color": COLOURS[p % len(COLOURS)], "width": 2, "dash": dash},
                    "marker": {"size": 4},
                    "hovertemplate": "iteration %{x}<br>gains %{y:.6g}"
                    f"<br>gap %{{customdata:.3g}}<extra>{name}{who}</extra>",
                }
            )
    return {
        "data": traces,
        "layout": {
            "xaxis": _counting("iteration", run.records[-1].iteration),
            "yaxis": _axis("gain over the meta-strategy", zeroline=True),
            "showlegend": True,
            "height": 340,
        },
    }


def response_gaps(runs: Sequence[Snapshot], labels: Sequence[str]) -> Figure:
    """The largest gap of each iteration's best responses, for each run. A gap within rounding is
    zero."""
    traces = []
    for number, (run, label) in enumerate(zip(runs, labels, strict=True)):
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
                "hovertemplate": "iteration %{x}<br>gap %{y:.3g}"
                f"<extra>{_plain(label)}</extra>",
            }
        )
    last = max(run.records[-1].iteration for run in runs)
    return {
        "data": traces,
        "layout": {
            "xaxis": _counting("iteration", last),
            "yaxis": _axis("largest gap", rangemode="tozero"),
            "showlegend": True,
            "height": 340,
        },
    }


def _parts(records: Iterable[Record]) -> list[str]:
    """The parts of the records' time, in the same order on all pages."""
    names = {part for record in records for part in record.seconds}
    return [part for part in PARTS if part in names] + sorted(names - set(PARTS))


def time(run: Snapshot) -> Figure:
    """Wall seconds so far, by part, stacked."""
    parts = _parts(run.records)
    traces = []
    for number, part in enumerate(parts):
        seconds = [record.seconds.get(part, 0.0) for record in run.records]
        traces.append(
            {
                "type": "scatter",
                "name": PARTS.get(part, part),
                "x": [record.iteration for record in run.records],
                "y": np.cumsum(seconds).tolist(),
                "customdata": seconds,
                "stackgroup": "time",
                "mode": "lines",
                "line": {"width": 0.8, "color": COLOURS[number % len(COLOURS)]},
                "hovertemplate": "%{y:.3g} s, %{customdata:.3g} s of it in iteration %{x}"
                f"<extra>{PARTS.get(part, part)}</extra>",
            }
        )
    return {
        "data": traces,
        "layout": {
            "xaxis": _counting("iteration", run.records[-1].iteration),
            "yaxis": _axis("seconds so far", rangemode="tozero"),
            "showlegend": True,
            "height": 340,
        },
    }


def times(runs: Sequence[Snapshot], labels: Sequence[str]) -> Figure:
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
            "xaxis": _axis("seconds"),
            "yaxis": {"automargin": True, "autorange": "reversed"},
            "showlegend": True,
            "height": 160 + 34 * len(runs),
        },
    }
