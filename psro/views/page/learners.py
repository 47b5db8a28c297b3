"""The document of learners that train alone: their return, their losses, their time and their
settings (`psro.views.page.document` says what a document is)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from games.printing import printable
from psro.runs.intervals import half_interval
from psro.runs.learner_folder import LearnerSnapshot
from psro.training.evaluation_record import Evaluation
from psro.views import returns
from psro.views.numbers import percent, short, three_digits
from psro.views.page import configuration, figures
from psro.views.page.document import Document, section
from psro.views.page.tiles import Tile

_ONE = (
    "The return of fresh episodes after each stretch of training, and its 95 % interval. The "
    "dotted line is the mean return of the episodes of training, which explore."
)
_SEVERAL = (
    "The return of fresh episodes. Learners that differ only in their seed are one curve: their "
    "mean, with Student's 95 % interval over seeds, as far as all are. Thin lines are the seeds."
)
_LOSSES = "Means over each stretch of training, in the learner's own units."


def of_learner(run: LearnerSnapshot) -> Document:
    """The document of one learner. Before its first evaluation, it is the configuration only."""
    config = run.config
    sections = []
    if run.records:
        sections = [
            _returns([run], _ONE),
            *_losses([run], [""]),
            section("time", "Time", "Wall seconds so far, by part.", _time(run)),
        ]
    sections.append(configuration.of_settings(config.in_use(), config.defaults()))
    return {
        "title": printable(config.game),
        "subtitle": f"{config.learner}: {config.cell} of {config.hidden_size}, seed {config.seed}"
        f" · {printable(run.folder.name)}",
        "facts": _facts(run),
        "sections": sections,
    }


def of_learners(runs: Sequence[LearnerSnapshot]) -> Document:
    """The document of several learners side by side. Each must have been evaluated."""
    labels = _labels(runs)
    return {
        "title": printable(returns.title(runs)),
        "subtitle": f"{len(runs)} learners",
        "facts": [
            _mean(label, group) for label, group in returns.by_configuration(runs) if len(group) > 1
        ],
        "sections": [
            _returns(runs, _SEVERAL),
            {
                "id": "runs",
                "title": "Results",
                "text": "As of each learner's last evaluation.",
                "figures": [],
                "tables": [_results(runs, labels)],
            },
            *_losses(runs, labels),
            section("time", "Time", "Wall seconds, by part.", figures.times(runs, labels)),
            configuration.of_runs([run.config.in_use() for run in runs], labels),
        ],
    }


def _labels(runs: Sequence[LearnerSnapshot]) -> list[str]:
    """A label that tells each learner apart: its settings and its seed, or else its folder."""
    plain = returns.labels([run.config for run in runs])
    alone = len(set(plain)) == 1
    labels = [
        ("" if alone else f"{label}, ") + f"seed {run.config.seed}"
        for label, run in zip(plain, runs, strict=True)
    ]
    return (
        labels if len(set(labels)) == len(labels) else [printable(str(run.folder)) for run in runs]
    )


def _returns(runs: Sequence[LearnerSnapshot], text: str) -> dict[str, Any]:
    return {
        "id": "return",
        "title": "Return",
        "text": text,
        "figures": [
            {
                "id": "return",
                "title": "",
                "views": {_view(x): _curves(runs, x) for x in returns.axes_of(runs)},
            }
        ],
        "tables": [],
    }


def _view(x: str) -> str:
    return {"cpu_seconds": "CPU seconds"}.get(x, x)


def _curves(runs: Sequence[LearnerSnapshot], x: str) -> figures.Figure:
    traces, groups = [], [group for _, group in returns.by_configuration(runs)]
    for number, curve in enumerate(returns.curves(runs, x)):
        colour = figures.COLOURS[number % len(figures.COLOURS)]
        line = _line(curve.label, curve.x, curve.mean, colour, x)
        line["customdata"] = curve.half.tolist()
        line["hovertemplate"] = line["hovertemplate"].replace(
            "<extra>", " ± %{customdata:.2g} (95 %)<extra>", 1
        )
        low, high = curve.mean - curve.half, curve.mean + curve.half
        traces += [figures.band(curve.x, low, high, colour), line]
        if len(groups[number]) > 1:
            traces += [_thin(run, colour, x) for run in groups[number]]
    if len(runs) == 1:
        known = [r.training_return is not None for r in runs[0].records]
        met = [r.training_return for r in runs[0].records if r.training_return is not None]
        traces[-1]["name"] = "fresh episodes"
        line = _line("training", returns.along(runs[0], x)[known], np.array(met), "#8a929e", x)
        line["line"] |= {"dash": "dot", "width": 1.4}
        traces.append(line)
    return _along(x, traces, "return", 380)


def _thin(run: LearnerSnapshot, colour: str, x: str) -> dict[str, Any]:
    """The curve of one of several seeds, which the legend does not name."""
    means = np.array([record.mean_return for record in run.records])
    line = _line(f"seed {run.config.seed}", returns.along(run, x), means, colour, x)
    line["line"] |= {"width": 0.8}
    return line | {"name": "", "mode": "lines", "showlegend": False, "opacity": 0.6}


def _line(
    name: str, x: np.ndarray, y: np.ndarray, colour: str, axis: str
) -> dict[str, Any]:  # fmt: skip
    return {
        "type": "scatter",
        "name": name,
        "x": x.tolist(),
        "y": y.tolist(),
        "mode": figures.mode(x),
        "line": {"color": colour, "width": 2.2},
        "marker": {"size": 5},
        "hovertemplate": f"{returns.AXES[axis]} %{{x}}<br>%{{y:.5g}}"
        f"<extra>{figures.plain(name)}</extra>",
    }


def _along(x: str, traces: list[dict[str, Any]], label: str, height: int) -> figures.Figure:
    named = [trace for trace in traces if trace.get("name")]
    return {
        "data": traces,
        "layout": {
            "xaxis": figures.axis(returns.AXES[x], rangemode="tozero"),
            "yaxis": figures.axis(label),
            "showlegend": len(named) > 1,
            "height": height,
        },
    }


def _losses(runs: Sequence[LearnerSnapshot], labels: Sequence[str]) -> list[dict[str, Any]]:
    """A figure for each loss; nothing if no folder has any."""
    names = dict.fromkeys(name for run in runs for record in run.records for name in record.losses)
    if not names:
        return []
    return [
        {
            "id": "losses",
            "title": "Losses",
            "text": _LOSSES,
            "figures": [
                {
                    "id": f"loss-{name}",
                    "title": name.replace("_", " "),
                    "views": {"": _loss(runs, labels, name)},
                }
                for name in names
            ],
            "tables": [],
        }
    ]


def _loss(runs: Sequence[LearnerSnapshot], labels: Sequence[str], name: str) -> figures.Figure:
    traces = []
    for number, (run, label) in enumerate(zip(runs, labels, strict=True)):
        records = [record for record in run.records if name in record.losses]
        places = np.array([record.decisions for record in records], float)
        heights = np.array([record.losses[name] for record in records])
        colour = figures.COLOURS[number % len(figures.COLOURS)]
        traces.append(_line(label or name, places, heights, colour, "decisions"))
    return _along("decisions", traces, name.replace("_", " "), 260)


def _time(run: LearnerSnapshot) -> figures.Figure:
    axis = figures.axis(returns.AXES["decisions"], rangemode="tozero")
    return figures.time(run.records, returns.along(run, "decisions").tolist(), axis, "stretch")


def _facts(run: LearnerSnapshot) -> list[Tile]:
    if not run.records:
        value = f"– of {run.config.evaluations}"
        return [{"label": "evaluation", "value": value, "note": "none is finished yet"}]
    last = run.records[-1]
    best = run.records[last.best]
    tiles = [
        _return("best return", best, f"standard error; after {short(best.decisions)} decisions"),
        _return("last return", last, f"standard error; after {short(last.decisions)} decisions"),
        {
            "label": "evaluation",
            "value": f"{last.evaluation} of {run.config.evaluations}",
            "note": f"ended: {why}" if (why := run.ended) else "not ended",
        },
        {
            "label": "decisions",
            "value": short(last.decisions),
            "note": f"in {short(last.episodes)} episodes",
        },
    ]
    wall, cpu = returns.along(run, "seconds")[-1], None
    if "cpu_seconds" in returns.axes_of([run]):
        cpu = returns.along(run, "cpu_seconds")[-1]
    trained = sum(record.seconds.get("train", 0.0) for record in run.records)
    note = f"{percent(trained / max(wall, 1e-9))} of it training"
    if cpu is not None:
        note += f"; {three_digits(cpu)} CPU seconds"
    return [*tiles, {"label": "time", "value": f"{three_digits(wall)} s", "note": note}]


def _return(label: str, record: Evaluation, note: str) -> Tile:
    return {
        "label": label,
        "value": three_digits(record.mean_return),
        "error": three_digits(record.return_standard_error),
        "note": note,
    }


def _mean(label: str, runs: Sequence[LearnerSnapshot]) -> Tile:
    values = [run.records[-1].mean_return for run in runs]
    half = three_digits(half_interval(values))
    return {
        "label": label,
        "value": three_digits(float(np.mean(values))),
        "note": f"last return, mean of {len(values)} seeds ± {half} (95 %)",
    }


def _results(runs: Sequence[LearnerSnapshot], labels: Sequence[str]) -> dict[str, Any]:
    rows = []
    for run, label in zip(runs, labels, strict=True):
        last = run.records[-1]
        best = run.records[last.best]
        rows.append(
            [
                label,
                *(
                    f"{three_digits(r.mean_return)} ± {three_digits(r.return_standard_error)}"
                    for r in (best, last)
                ),
                f"{last.evaluation} of {run.config.evaluations}",
                short(last.decisions),
                three_digits(float(returns.along(run, "seconds")[-1])),
            ]
        )
    return {
        "id": "results",
        "title": "",
        "columns": ["learner", "best return", "last return", "evaluations", "decisions", "seconds"],
        "rows": rows,
        "note": "± is the standard error of an evaluation's episodes. The best of several "
        "evaluations looks better than it is: psro eval plays new episodes of it.",
    }
