"""The content of a page, as plain data. page.js draws it: once from a file, or repeatedly on a live
page.

A document is `{"title", "subtitle", "facts": [{"label", "value", "note"}], "sections": [...]}`. A
fact with an `"error"` shows it beside the value. A section is `{"id", "title", "text", "figures":
[...], "tables": [...]}`. A figure is `{"id", "title", "views": {name: plotly figure}}`. A table is
`{"id", "title", "columns", "rows", "note"}`.
A section may have `"images"`, each `{"id", "title", "source", "alt"}`, a `data:` address; one that
is `"narrow"` leaves room for another card beside it. A table with `"folded"`, a line of text, shows
only that line until the reader opens it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from games.printing import printable
from psro.runs import naming
from psro.runs.folder import Snapshot
from psro.training.record import DISTANCES, Record
from psro.views import settings
from psro.views.numbers import short, three_digits
from psro.views.page import behaviour, configuration, episodes, figures, heatmaps, tiles

_MEASURES = {"nash": "NashConv", "cce": "The CCE gap", "ce": "The CE gap"}
"""The measure that a record's `meaning` explains."""
_BOUNDS = (
    "Where games are measured by episodes, it is not known. An open marker is a lower bound of it: "
    "what the next iteration's best responses gain over this meta-strategy, in episodes that they "
    "were not trained on. Its bar is a 95 % interval."
)
_NO_BOUND = (
    "This game is measured by episodes, so it is not known. The first best responses will give a "
    "lower bound of it."
)

Document = dict[str, Any]


def of_run(run: Snapshot) -> Document:
    """The document of one run. Before its first iteration is finished, it is the configuration
    only.

    Raises:
        ExperimentError: the folder is damaged.
    """
    config = run.config
    sections = []
    if run.records:
        sections = [
            _gap_section([run]),
            _weights_section(run),
            *_behaviour_section(run),
            _payoffs_section(run),
            _best_response_section(run),
            section("time", "Time", "Wall seconds so far, by part.", _time(run)),
        ]
    sections.append(configuration.of_run(run))
    return {
        "title": naming.game_of(config),
        "subtitle": f"{settings.trained(config)}, seed {config.seed} · "
        + printable(run.folder.name),
        "facts": tiles.of_run(run),
        "sections": sections,
    }


def of_runs(runs: Sequence[Snapshot]) -> Document:
    """The document of several runs side by side. Each must have finished an iteration."""
    labels = _labels(runs)
    names = {naming.game_of(run.config) for run in runs}
    return {
        "title": names.pop() if len(names) == 1 else f"{len(names)} games",
        "subtitle": f"{len(runs)} runs",
        "facts": tiles.of_runs(runs),
        "sections": [
            _gap_section(runs),
            {
                "id": "runs",
                "title": "Results",
                "text": "As of each run's last finished iteration.",
                "figures": [],
                "tables": [_results(runs, labels)],
            },
            *_response_gaps_section(runs, labels),
            section("time", "Time", "Wall seconds, by part.", figures.times(runs, labels)),
            configuration.of_runs([naming.in_use(run.config) for run in runs], labels),
        ],
    }


def _time(run: Snapshot) -> figures.Figure:
    axis = figures.counting("iteration", run.records[-1].iteration)
    return figures.time(run.records, [record.iteration for record in run.records], axis)


def section(name: str, title: str, text: str, figure: figures.Figure) -> dict[str, Any]:
    return {
        "id": name,
        "title": title,
        "text": text,
        "figures": [{"id": name, "title": "", "views": {"": figure}}],
        "tables": [],
    }


def _gap_section(runs: Sequence[Snapshot]) -> dict[str, Any]:
    lasts = [run.records[-1] for run in runs]
    meanings = []
    for concept, meaning in dict.fromkeys((last.concept, last.meaning) for last in lasts):
        sentence = f"{_MEASURES[concept]} is {meaning.partition(': ')[2]}."
        if concept == "nash":
            sentence += " Exploitability is NashConv over the number of players."
        meanings.append(sentence)
    views = figures.gaps(runs)
    if any(last.kind == "sampled" for last in lasts):
        meanings.append(_BOUNDS if views else _NO_BOUND)
    return {
        "id": "gap",
        "title": "Distance to equilibrium",
        "text": " ".join(meanings),
        "figures": [{"id": "gap", "title": "", "views": views}] if views else [],
        "tables": [],
    }


def _weights_section(run: Snapshot) -> dict[str, Any]:
    missing = sum(strategy is None for strategy in run.meta_strategies)
    text = "The weight of each policy (rows, in the order of training) in the mixture after "
    text += "each iteration (columns)."
    if run.records[-1].concept != "nash":
        text += " Policies are drawn together; these are each player's marginals."
    if run.config.measuring_solver:
        text += (
            f" This mixture, by {run.config.measuring_solver}, is the one that is measured; best "
            f"responses train against the mixture by {run.config.meta_solver}."
        )
    if missing:
        text += f" The folder lacks it for {missing} iterations: an older version wrote them."
    learners = range(1 if run.config.symmetric else len(run.payoffs))
    return {
        "id": "meta-strategy",
        "title": "Meta-strategy",
        "text": text,
        "figures": [
            {
                "id": f"weights-{p}",
                "title": "Every seat" if run.config.symmetric else run.player_name(p, begins=True),
                "views": {"": heatmaps.weights(run, p)},
            }
            for p in learners
        ],
        "tables": [],
    }


def _behaviour_section(run: Snapshot) -> list[dict[str, Any]]:
    if run.is_sampled or run.has_vectors:
        return episodes.section(run)
    players = behaviour.behaviour(run)
    if players is None:
        return []
    return [
        {
            "id": "behaviour",
            "title": "What the mixture does",
            "text": "At each info state, when a policy is drawn from the meta-strategy for each "
            "episode.",
            "figures": [],
            "tables": behaviour.tables(run, players),
            "images": behaviour.drawing(run),
        }
    ]


def _payoffs_section(run: Snapshot) -> dict[str, Any]:
    text = "The exact payoffs of policies against each other, in the order of training."
    if run.is_sampled:
        text = (
            f"The mean payoffs of policies against each other in "
            f"{short(run.records[-1].payoff_episodes)} episodes, in the order of training. The "
            f"largest standard error is {three_digits(float(run.payoff_error.max()))}."
        )
    if len(run.payoffs) > 2:
        text += " The other players draw theirs from the meta-strategy."
    return {
        "id": "payoffs",
        "title": "Payoffs",
        "text": text,
        "figures": [
            {
                "id": f"payoffs-{p}-{q}",
                "title": f"{run.player_name(p, begins=True)} against {run.player_name(q)}",
                "views": {"": figure},
            }
            for (p, q), figure in heatmaps.payoffs(run).items()
        ],
        "tables": [],
    }


def _best_response_section(run: Snapshot) -> dict[str, Any]:
    if run.is_sampled:
        return section(
            "best-responses",
            "Best responses",
            "The gain of each iteration's best responses over the meta-strategy that they were "
            "trained against, in episodes that they were not trained on. What exact best responses "
            "would gain is not known.",
            figures.improvements(run),
        )
    return section(
        "best-responses",
        "Best responses",
        "The gain of each iteration's best responses over the meta-strategy that they were "
        "trained against, and the gain of exact best responses. The difference is the gap that "
        "training left.",
        figures.best_responses(run),
    )


def _response_gaps_section(runs: Sequence[Snapshot], labels: Sequence[str]) -> list[dict[str, Any]]:
    """Nothing if all runs are sampled: then no gap is known."""
    if all(run.is_sampled for run in runs):
        return []
    return [
        section(
            "best-responses",
            "Best responses",
            "How much more an exact best response would have earned than the trained one, for "
            "the player with the largest difference.",
            figures.response_gaps(runs, labels),
        )
    ]


def _labels(runs: Sequence[Snapshot]) -> list[str]:
    """A label that tells each run apart: its settings, or its seed, or else its folder."""
    labels = settings.labels([run.config for run in runs])
    if len(set(labels)) < len(labels):
        own = zip(labels, runs, strict=True)
        alone = len(set(labels)) == 1
        labels = [("" if alone else f"{label}, ") + f"seed {run.config.seed}" for label, run in own]
    return (
        labels if len(set(labels)) == len(labels) else [printable(str(run.folder)) for run in runs]
    )


def _gap(last: Record) -> str:
    """The distance of a run's last record in words, or the lower bound of the one before."""
    name = DISTANCES[last.concept]
    if last.kind == "exact":
        return f"{three_digits(last.distance)} ({name})"
    if last.bound is None:
        return "–"
    value, error = map(three_digits, last.bound)
    return f"≥ {value} ± {error} ({name} of iteration {last.iteration - 1})"


def _results(runs: Sequence[Snapshot], labels: Sequence[str]) -> dict[str, Any]:
    rows = []
    for run, label in zip(runs, labels, strict=True):
        last = run.records[-1]
        decisions = sum(sum(record.decisions) for record in run.records)
        rows.append(
            [
                label,
                _gap(last),
                str(last.iteration),
                run.ended or "not ended",
                " / ".join(map(str, last.support_size)),
                short(decisions) if decisions else "–",
                three_digits(sum(sum(record.seconds.values()) for record in run.records)),
            ]
        )
    return {
        "id": "results",
        "title": "",
        "columns": ["run", "gap", "iterations", "ended", "support", "decisions", "seconds"],
        "rows": rows,
        "note": "",
    }
