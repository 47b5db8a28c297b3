"""The content of a page, as plain data. page.js draws it: once from a file, or repeatedly on a live
page.

A document is `{"title", "subtitle", "facts": [{"label", "value", "note"}], "sections": [...]}`. A
section is `{"id", "title", "text", "figures": [...], "tables": [...]}`. A figure is `{"id",
"title", "views": {name: plotly figure}}`. A table is `{"id", "title", "columns", "rows", "note"}`.
A table with `"folded"`, a line of text, shows only that line until the reader opens it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from games.printing import printable
from psro.runs import naming
from psro.runs.folder import Snapshot
from psro.runs.intervals import half_interval
from psro.training.record import DISTANCES
from psro.views import curves, settings
from psro.views.numbers import percent, short, three_digits
from psro.views.page import behaviour, configuration, figures

_EQUILIBRIA = {"nash": "Nash equilibrium", "cce": "CCE", "ce": "CE"}
_MEASURES = {"nash": "NashConv", "cce": "The CCE gap", "ce": "The CE gap"}
"""The measure that a record's `meaning` explains."""

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
            _section("time", "Time", "Wall seconds so far, by part.", figures.time(run)),
        ]
    sections.append(configuration.of_run(run))
    return {
        "title": naming.game_of(config),
        "subtitle": f"{settings.trained(config)}, seed {config.seed} · "
        + printable(run.folder.name),
        "facts": _facts(run),
        "sections": sections,
    }


def of_runs(runs: Sequence[Snapshot]) -> Document:
    """The document of several runs side by side. Each must have finished an iteration."""
    labels = _labels(runs)
    names = {naming.game_of(run.config) for run in runs}
    return {
        "title": names.pop() if len(names) == 1 else f"{len(names)} games",
        "subtitle": f"{len(runs)} runs",
        "facts": _means(runs),
        "sections": [
            _gap_section(runs),
            {
                "id": "runs",
                "title": "Results",
                "text": "As of each run's last finished iteration.",
                "figures": [],
                "tables": [_results(runs, labels)],
            },
            _section(
                "best-responses",
                "Best responses",
                "How much more an exact best response would have earned than the trained one, for "
                "the player with the largest difference.",
                figures.response_gaps(runs, labels),
            ),
            _section("time", "Time", "Wall seconds, by part.", figures.times(runs, labels)),
            configuration.of_runs(runs, labels),
        ],
    }


def _means(runs: Sequence[Snapshot]) -> list[dict[str, str]]:
    """The mean over seeds, for each configuration that has several."""
    facts = []
    for label, repetitions in curves.by_configuration(runs):
        distances = [run.records[-1].distance for run in repetitions]
        if len(distances) > 1:
            half = three_digits(half_interval(distances))
            facts.append(
                {
                    "label": label,
                    "value": three_digits(float(np.mean(distances))),
                    "note": f"{DISTANCES[repetitions[0].records[-1].concept]}, mean of "
                    f"{len(distances)} seeds ± {half} (95 %)",
                }
            )
    return facts


def _section(name: str, title: str, text: str, figure: figures.Figure) -> dict[str, Any]:
    return {
        "id": name,
        "title": title,
        "text": text,
        "figures": [{"id": name, "title": "", "views": {"": figure}}],
        "tables": [],
    }


def _facts(run: Snapshot) -> list[dict[str, str]]:
    if not run.records:
        return [
            {
                "label": "iteration",
                "value": f"– of {run.config.iterations}",
                "note": "none is finished yet",
            }
        ]
    last = run.records[-1]
    names = run.player_names or range(len(run.payoffs))
    unit = float(np.abs(run.payoffs).max())
    first, *others = (three_digits(value, unit=unit, sign=True) for value in last.value)
    facts = [
        {
            "label": DISTANCES[last.concept],
            "value": three_digits(last.distance, unit=unit),
            "note": f"0 is a {_EQUILIBRIA[last.concept]}; NashConv "
            + three_digits(last.nash_conv, unit=unit),
        },
        {
            "label": "iteration",
            "value": f"{last.iteration} of {run.config.iterations}",
            "note": f"ended: {why}" if (why := run.ended) else "not ended",
        },
        {
            "label": "value",
            "value": first,
            "note": f"for {run.player_name(0)}"
            + "".join(f"; {value} for {names[p]}" for p, value in enumerate(others, 1)),
        },
        {
            "label": "support",
            "value": " / ".join(map(str, last.support_size)),
            "note": f"of {last.size} policies a player",
        },
        _time_fact(run),
    ]
    if decisions := sum(sum(record.decisions) for record in run.records):
        episodes = sum(sum(record.episodes) for record in run.records)
        note = f"of the learners, in {short(episodes)} episodes"
        facts.append({"label": "decisions", "value": short(decisions), "note": note})
    return facts


def _time_fact(run: Snapshot) -> dict[str, str]:
    seconds = sum(sum(record.seconds.values()) for record in run.records)
    oracle = sum(record.seconds.get("oracle", 0.0) for record in run.records)
    return {
        "label": "time",
        "value": f"{three_digits(seconds)} s"
        if seconds < 600
        else f"{three_digits(seconds / 60)} min",
        "note": f"{percent(oracle / max(seconds, 1e-9))} of it best responses",
    }


def _gap_section(runs: Sequence[Snapshot]) -> dict[str, Any]:
    meanings = []
    for concept, meaning in dict.fromkeys(
        (r.records[-1].concept, r.records[-1].meaning) for r in runs
    ):
        sentence = f"{_MEASURES[concept]} is {meaning.partition(': ')[2]}."
        if concept == "nash":
            sentence += " Exploitability is NashConv over the number of players."
        meanings.append(sentence)
    return {
        "id": "gap",
        "title": "Distance to equilibrium",
        "text": " ".join(meanings),
        "figures": [{"id": "gap", "title": "", "views": figures.gaps(runs)}],
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
                "views": {"": figures.weights(run, p)},
            }
            for p in learners
        ],
        "tables": [],
    }


def _behaviour_section(run: Snapshot) -> list[dict[str, Any]]:
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
        }
    ]


def _payoffs_section(run: Snapshot) -> dict[str, Any]:
    text = "The exact payoffs of policies against each other, in the order of training."
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
            for (p, q), figure in figures.payoffs(run).items()
        ],
        "tables": [],
    }


def _best_response_section(run: Snapshot) -> dict[str, Any]:
    return _section(
        "best-responses",
        "Best responses",
        "The gain of each iteration's best responses over the meta-strategy that they were "
        "trained against, and the gain of exact best responses. The difference is the gap that "
        "training left.",
        figures.best_responses(run),
    )


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


def _results(runs: Sequence[Snapshot], labels: Sequence[str]) -> dict[str, Any]:
    rows = []
    for run, label in zip(runs, labels, strict=True):
        last = run.records[-1]
        decisions = sum(sum(record.decisions) for record in run.records)
        rows.append(
            [
                label,
                f"{three_digits(last.distance)} ({DISTANCES[last.concept]})",
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
