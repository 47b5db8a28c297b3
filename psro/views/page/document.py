"""What a page says, as plain data: page.js draws it, once from a file or again and again live.

A document is `{"title", "subtitle", "facts": [{"label", "value", "note"}], "sections": [...]}`, a
section `{"id", "title", "text", "figures": [...], "tables": [...]}`, a figure `{"id", "title",
"views": {name: plotly figure}}`, a table `{"id", "title", "columns", "rows", "note"}`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from psro.oracles import CONFIGS
from psro.runs.config import DECIDED, RunConfig, default_meta_solver
from psro.runs.folder import Snapshot
from psro.views import plots
from psro.views.page import behaviour, figures

NAMES = {"nash": "exploitability", "cce": "CCE gap", "ce": "CE gap"}
"""What the distance of a record is called, by its concept."""

_MEASURES = {"nash": "NashConv", "cce": "The CCE gap", "ce": "The CE gap"}
"""What a record's `meaning` explains."""

Document = dict[str, Any]


def of_run(run: Snapshot) -> Document:
    """One run; without a finished iteration, its configuration.

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
    num_players = len(run.records[0].value) if run.records else 2
    sections.append(_config_section(config, num_players))
    return {
        "title": config.game,
        "subtitle": f"{config.oracle} best responses, {config.solvers}, seed "
        f"{config.seed} · {run.folder.name}",
        "facts": _facts(run),
        "sections": sections,
    }


def of_runs(runs: Sequence[Snapshot]) -> Document:
    """Several runs beside each other; each has finished an iteration."""
    labels = _labels(runs)
    names = {run.config.game for run in runs}
    return {
        "title": names.pop() if len(names) == 1 else f"{len(names)} games",
        "subtitle": f"{len(runs)} runs",
        "facts": [],
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
                "What the exact best response would have earned more than the trained one, of the "
                "player for whom that is most.",
                figures.response_gaps(runs, labels),
            ),
            _section("time", "Time", "Wall seconds, by part.", figures.times(runs, labels)),
            {
                "id": "configuration",
                "title": "Configuration",
                "text": "",
                "figures": [],
                "tables": [_differences(runs, labels)],
            },
        ],
    }


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
    seconds = sum(sum(record.seconds.values()) for record in run.records)
    oracle = sum(record.seconds.get("oracle", 0.0) for record in run.records)
    facts = [
        {
            "label": NAMES[last.concept],
            "value": f"{last.distance:.4g}",
            "note": "0 is a "
            + {"nash": "Nash equilibrium", "cce": "CCE", "ce": "CE"}[last.concept]
            + f"; NashConv {last.nash_conv:.4g}",
        },
        {
            "label": "iteration",
            "value": f"{last.iteration} of {run.config.iterations}",
            "note": f"ended: {why}" if (why := run.ended) else "not ended",
        },
        {
            "label": "value",
            "value": f"{last.value[0]:+.4f}",
            "note": "for player 0"
            + "".join(f"; {each:+.4f} for {p}" for p, each in enumerate(last.value) if p),
        },
        {
            "label": "support",
            "value": " / ".join(map(str, last.support_size)),
            "note": f"of {last.size} policies a player",
        },
        {
            "label": "time",
            "value": f"{seconds:.1f} s" if seconds < 600 else f"{seconds / 60:.1f} min",
            "note": f"{behaviour.percent(oracle / max(seconds, 1e-9))} of it best responses",
        },
    ]
    if decisions := sum(sum(record.decisions) for record in run.records):
        episodes = sum(sum(record.episodes) for record in run.records)
        note = f"of the learners, in {_short(episodes)} episodes"
        facts.append({"label": "decisions", "value": _short(decisions), "note": note})
    return facts


def _short(number: int) -> str:
    for size, letter in ((1e9, " B"), (1e6, " M"), (1e3, " k")):
        if number >= size:
            return f"{number / size:.3g}{letter}"
    return str(number)


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
    missing = sum(each is None for each in run.meta_strategies)
    text = "The share that each policy (rows, in the order of training) has of the mixture after "
    text += "each iteration (columns)."
    if run.records[-1].concept != "nash":
        text += " Policies are drawn together; these are each player's marginals."
    if run.config.evaluation:
        text += (
            f" It is the mixture that is measured, by {run.config.evaluation}; best responses "
            f"train against that of {run.config.meta_solver}."
        )
    if missing:
        text += f" The folder does not tell it for {missing} iterations: an older version wrote it."
    learners = range(1 if run.config.symmetric else len(run.payoffs))
    return {
        "id": "meta-strategy",
        "title": "Meta-strategy",
        "text": text,
        "figures": [
            {
                "id": f"weights-{p}",
                "title": "Every seat" if run.config.symmetric else f"Player {p}",
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
            "tables": behaviour.tables(run.config.game, players),
        }
    ]


def _payoffs_section(run: Snapshot) -> dict[str, Any]:
    text = "What policies earn against each other, exactly, in the order of training."
    if len(run.payoffs) > 2:
        text += " The other players draw theirs from the meta-strategy."
    return {
        "id": "payoffs",
        "title": "Payoffs",
        "text": text,
        "figures": [
            {
                "id": f"payoffs-{p}-{q}",
                "title": f"Player {p} against player {q}",
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
        "What each iteration's best responses gain over the meta-strategy that they were trained "
        "against, and what exact ones would have gained. Between the two lies the gap that "
        "training left.",
        figures.best_responses(run),
    )


def _settings(config: RunConfig) -> dict[str, Any]:
    """Those that bear on the run: of the oracles, its own."""
    fields = dataclasses.asdict(config)
    own = fields.get(config.oracle, {})
    return {name: value for name, value in fields.items() if name not in CONFIGS} | {
        f"{config.oracle}.{name}": value for name, value in own.items()
    }


def _config_section(config: RunConfig, num_players: int) -> dict[str, Any]:
    default = _settings(
        RunConfig(oracle=config.oracle, meta_solver=default_meta_solver(num_players))
    )
    rows = [
        [
            name,
            _said(value),
            "" if name in DECIDED or value == default[name] else f"default {_said(default[name])}",
        ]
        for name, value in _settings(config).items()
    ]
    return {
        "id": "configuration",
        "title": "Configuration",
        "text": "",
        "figures": [],
        "tables": [
            {
                "id": "configuration",
                "title": "",
                "columns": ["setting", "value", ""],
                "rows": rows,
                "note": "",
            }
        ],
    }


def _said(value: Any) -> str:
    return "–" if value is None else str(value)


def _labels(runs: Sequence[Snapshot]) -> list[str]:
    """What sets each run apart: its settings, else its folder."""
    configs = [dataclasses.asdict(run.config) for run in runs]
    labels = [plots.label_of(config, configs, 1) for config in configs]
    if len(set(labels)) < len(labels):
        return [str(run.folder) for run in runs]
    return labels


def _results(runs: Sequence[Snapshot], labels: Sequence[str]) -> dict[str, Any]:
    rows = []
    for run, label in zip(runs, labels, strict=True):
        last = run.records[-1]
        rows.append(
            [
                label,
                f"{last.distance:.6g} ({NAMES[last.concept]})",
                str(last.iteration),
                run.ended or "not ended",
                " / ".join(map(str, last.support_size)),
                _short(sum(sum(record.decisions) for record in run.records)),
                f"{sum(sum(record.seconds.values()) for record in run.records):.1f}",
            ]
        )
    return {
        "id": "results",
        "title": "",
        "columns": ["run", "gap", "iterations", "ended", "support", "decisions", "seconds"],
        "rows": rows,
        "note": "",
    }


def _differences(runs: Sequence[Snapshot], labels: Sequence[str]) -> dict[str, Any]:
    """The settings that the runs do not share, a column for each run; an oracle's are compared
    among its own runs."""
    settings = [_settings(run.config) for run in runs]
    names = list(dict.fromkeys(name for each in settings for name in each))
    rows = []
    for name in names:
        if len({_said(each[name]) for each in settings if name in each}) > 1:
            rows.append([name, *(_said(each.get(name)) for each in settings)])
    return {
        "id": "differences",
        "title": "",
        "columns": ["setting", *labels],
        "rows": rows,
        "note": "" if rows else "All settings are the same.",
    }
