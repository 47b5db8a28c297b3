"""Figures of a page: plain dicts as plotly takes them, `{"data": [...], "layout": {...}}`.

Numbers go in as they are. Colours of the ground, of text and of heat maps are the page's (page.js),
which knows whether the reader likes it dark: a layout's `coloraxis` names only what kind of scale
it wants, `weights` (from nothing up) or `signed` (zero in the middle).
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from psro.runs.folder import Snapshot
from psro.training.loop import Record
from psro.views import plots

COLOURS = (
    "#2f7fc1", "#e0812c", "#3a9d6a", "#c2417f", "#8562c9", "#a98338", "#6b7a90", "#d0453e",
)  # fmt: skip
"""Of curves; each can be read on white and on black."""
AXES = {"iterations": "iteration", "decisions": "own decisions", "seconds": "seconds"}
"""What a curve may be drawn against."""

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


def _along(records: Sequence[Record], x: str) -> list[float]:
    """Where each record stands on an axis."""
    if x == "iterations":
        return [record.iteration for record in records]
    amounts = [
        sum(record.decisions if x == "decisions" else record.seconds.values()) for record in records
    ]
    return np.cumsum(amounts).tolist()


def gaps(runs: Sequence[Snapshot]) -> dict[str, Figure]:
    """The gap to the equilibrium that each run aims at, by what it is drawn against, logarithmic.
    Runs that differ only in their seed are one curve, the mean, in a band that is its 95 % interval
    by Student's t. Oracles that play no episodes make no decisions to draw it against."""
    shown = [
        x for x in AXES if all(_along(run.records, x)[-1] for run in runs) or x == "iterations"
    ]
    return {x: _gaps(runs, x) for x in shown}


def _gaps(runs: Sequence[Snapshot], x: str) -> Figure:
    groups: dict[tuple[str, str], list[Snapshot]] = {}
    configs: dict[str, dict[str, Any]] = {}
    for run in runs:
        config = dataclasses.asdict(run.config)
        del config["seed"]
        name = json.dumps(config, sort_keys=True)
        configs[name] = config
        for gap in plots.SHOWN[run.records[-1].concept]:
            groups.setdefault((name, gap), []).append(run)
    kinds = list(dict.fromkeys(gap for _, gap in groups))
    traces, lowest, highest = [], np.inf, 0.0
    for number, ((name, gap), same) in enumerate(groups.items()):
        curves = [
            pd.Series(
                np.maximum([getattr(record, gap) for record in run.records], plots.FLOOR),
                index=np.array(_along(run.records, x), float),
            )
            for run in same
        ]
        colour = COLOURS[number % len(COLOURS)]
        label = plots.label_of(configs[name], list(configs.values()), len(curves))
        if len(kinds) > 1:
            label += f", {plots.GAPS[gap].split('  ')[0]}"
        if len(curves) == 1:
            grid, middle = curves[0].index, curves[0].to_numpy()
            lowest = min(lowest, middle.min())
        else:
            grid, values = plots.on_one_grid(curves, configs[name]["tolerance"])
            middle, least, greatest = plots.interval(values)
            band = np.concatenate([least, greatest[::-1]])
            lowest = min(lowest, values.min())
            traces.append(
                {
                    "type": "scatter",
                    "x": [*grid.tolist(), *grid[::-1].tolist()],
                    "y": band.tolist(),
                    "fill": "toself",
                    "fillcolor": f"{colour}2e",
                    "line": {"width": 0},
                    "mode": "lines",
                    "hoverinfo": "skip",
                    "showlegend": False,
                }
            )
        highest = max(highest, middle.max())
        traces.append(
            {
                "type": "scatter",
                "name": label,
                "x": grid.tolist(),
                "y": middle.tolist(),
                "mode": "lines+markers" if len(grid) <= 60 else "lines",
                "line": {"color": colour, "width": 2.2},
                "marker": {"size": 5},
                "hovertemplate": f"{AXES[x]} %{{x}}<br>%{{y:.6g}}<extra>{_plain(label)}</extra>",
            }
        )
    bands = len(traces) > len(groups)
    return {
        "data": traces,
        "layout": {
            "xaxis": _axis(AXES[x]),
            "yaxis": _axis(
                plots.GAPS[kinds[0]] if len(kinds) == 1 else "gap to the equilibrium",
                type="log",
                exponentformat="power",
                **_ticks(lowest, highest),
                # A band may go down to nothing, which would leave the curves no room.
                **({"range": [float(np.log10(lowest / 2)), None]} if bands else {}),
            ),
            "showlegend": len(groups) > 1 or bands,
            "height": 380,
        },
    }


def _ticks(lowest: float, highest: float) -> dict[str, Any]:
    """Whole numbers at the ticks of a logarithmic axis where plotly would write the first digit
    only, 5 for 0.5: over less than four powers of ten."""
    if not 2 <= highest / lowest < 1e4:
        return {"dtick": None}
    digits = range(1, 10) if highest / lowest < 10 else (1, 2, 5)
    powers = range(math.floor(math.log10(lowest)), math.ceil(math.log10(highest)) + 1)
    ticks = [float(f"{digit}e{power}") for power in powers for digit in digits]
    return {"tickvals": ticks, "ticktext": [f"{tick:g}" for tick in ticks]}


def _plain(text: str) -> str:
    """A text without what plotly would take for markup or a template."""
    return text.replace("<", "‹").replace(">", "›").replace("%{", "% {")


def weights(run: Snapshot, player: int) -> Figure:
    """How much weight each of a player's policies (rows) has after each iteration (columns)."""
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
            "xaxis": _axis("after iteration", constrain="domain"),
            "yaxis": _axis("policy"),
            "coloraxis": {"kind": "weights", "cmin": 0, "cmax": 1},
            "height": 360,
        },
    }


def payoffs(run: Snapshot) -> dict[tuple[int, int], Figure]:
    """What each player's policies (rows, in the order in which they were trained) earn against
    another one's (columns), by (player, other): see `plots.payoff_tables`."""
    tables = plots.payoff_tables(run.payoffs, run.meta_strategies[-1])
    limit = max(1e-12, *(float(np.abs(table).max()) for table in tables.values()))
    return {
        (p, q): {
            "data": [
                {
                    "type": "heatmap",
                    "z": table.tolist(),
                    "coloraxis": "coloraxis",
                    "hovertemplate": f"policy %{{y}} of player {p}<br>policy %{{x}} of player {q}"
                    f"<br>player {p} earns %{{z:+.6g}}<extra></extra>",
                }
            ],
            "layout": {
                "xaxis": _axis(f"policy of player {q}", constrain="domain"),
                "yaxis": _axis(f"policy of player {p}", autorange="reversed"),
                "coloraxis": {"kind": "signed", "cmin": -limit, "cmax": limit},
                "height": 380,
            },
        }
        for (p, q), table in tables.items()
    }


def best_responses(run: Snapshot) -> Figure:
    """What the best responses trained in each iteration gain over the meta-strategy before, and
    what exact ones would have gained: between the two is the gap."""
    records = [record for record in run.records if record.gap is not None]
    learners = 1 if run.config.symmetric else len(run.payoffs)
    traces = []
    for p in range(learners):
        colour = COLOURS[p % len(COLOURS)]
        who = "" if learners == 1 else f", player {p}"
        for name, dash, values in (
            ("exact", "dot", [record.improvement[p] + record.gap[p] for record in records]),
            ("trained", "solid", [record.improvement[p] for record in records]),
        ):
            traces.append(
                {
                    "type": "scatter",
                    "name": name + who,
                    "x": [record.iteration for record in records],
                    "y": values,
                    "customdata": [record.gap[p] for record in records],
                    "mode": "lines+markers" if len(records) <= 60 else "lines",
                    "line": {"color": colour, "width": 2, "dash": dash},
                    "marker": {"size": 4},
                    "hovertemplate": "iteration %{x}<br>gains %{y:.6g}"
                    f"<br>gap %{{customdata:.3g}}<extra>{name}{who}</extra>",
                }
            )
    return {
        "data": traces,
        "layout": {
            "xaxis": _axis("iteration"),
            "yaxis": _axis("gain over the meta-strategy", zeroline=True),
            "showlegend": True,
            "height": 340,
        },
    }


def response_gaps(runs: Sequence[Snapshot], labels: Sequence[str]) -> Figure:
    """The largest gap of a best response of each iteration, by run."""
    traces = [
        {
            "type": "scatter",
            "name": label,
            "x": [record.iteration for record in run.records if record.gap is not None],
            "y": [max(record.gap) for record in run.records if record.gap is not None],
            "mode": "lines",
            "line": {"color": COLOURS[number % len(COLOURS)], "width": 1.6},
            "hovertemplate": f"iteration %{{x}}<br>gap %{{y:.6g}}<extra>{_plain(label)}</extra>",
        }
        for number, (run, label) in enumerate(zip(runs, labels, strict=True))
    ]
    return {
        "data": traces,
        "layout": {
            "xaxis": _axis("iteration"),
            "yaxis": _axis("largest gap of a best response", rangemode="tozero"),
            "showlegend": True,
            "height": 340,
        },
    }


def time(run: Snapshot) -> Figure:
    """Wall seconds so far, by part, piled up."""
    parts = [each for each in PARTS if any(each in record.seconds for record in run.records)]
    parts += sorted({part for record in run.records for part in record.seconds} - set(PARTS))
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
            "xaxis": _axis("iteration"),
            "yaxis": _axis("seconds so far", rangemode="tozero"),
            "showlegend": True,
            "height": 340,
        },
    }


def times(runs: Sequence[Snapshot], labels: Sequence[str]) -> Figure:
    """Wall seconds of whole runs (bars), by part."""
    parts = [*PARTS, *sorted({k for r in runs for e in r.records for k in e.seconds} - set(PARTS))]
    return {
        "data": [
            {
                "type": "bar",
                "orientation": "h",
                "name": PARTS.get(part, part),
                "y": list(labels),
                "x": [sum(record.seconds.get(part, 0.0) for record in r.records) for r in runs],
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
