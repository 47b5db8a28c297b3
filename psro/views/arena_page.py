"""The result of an arena as the document of a page (`psro.views.page.document`)."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np

from games.printing import printable
from psro.measure.arena import Arena
from psro.measure.arena.forfeits import KINDS, RULE
from psro.measure.arena.scores import QUANTILE
from psro.views import response_graph
from psro.views.arena_tables import columns_of, meaning, notes, unit_of
from psro.views.numbers import percent, short, three_digits
from psro.views.page.figures import COLOURS, Figure, axis, plain

Document = dict[str, Any]
_FEW = 12
"""Ranks that an axis has room for on a narrow page; of more, each fifth is written."""
_LETTERS = 18
"""Characters of a name at an axis."""


def document(arena: Arena) -> Document:
    """The ranking, the matrix, the response graph, and forfeits."""
    sections = [_ranking(arena), _matrix(arena)]
    if len(arena.names) > 1:
        sections.append(_graph(arena))
    if any(arena.returns.forfeits):
        sections.append(_forfeits(arena))
    sections.append(_entrants(arena))
    return {
        "title": printable(arena.game),
        "subtitle": f"An arena of {len(arena.names)} entrants, {arena.kind}",
        "facts": _facts(arena),
        "sections": sections,
    }


def _facts(arena: Arena) -> list[dict[str, str]]:
    best, unit = arena.order[0], unit_of(arena)
    scores, returns = arena.scores, arena.returns
    facts = [
        {
            "label": "best rating",
            "value": _short_name(arena.names[best]),
            "note": f"{three_digits(scores.rating[best], unit=unit, sign=True)} above the mean",
        },
        {
            "label": "ratings explain",
            "value": percent(scores.explained),
            "note": "of the matrix; the rest is cyclic",
        },
    ]
    if scores.nash_weight is not None:
        support = int((scores.nash_weight >= 5e-4).sum())
        facts.append(
            {
                "label": "Nash averaging",
                "value": f"{support} of {len(arena.names)}",
                "note": "entrants in the equilibrium between them",
            }
        )
    measured = [(m.nash_conv, i) for i, m in enumerate(returns.measured) if m is not None]
    if measured:
        least, number = min(measured)
        facts.append(
            {
                "label": "least NashConv",
                "value": three_digits(least, unit=unit),
                "note": f"{_short_name(arena.names[number])}; exact",
            }
        )
    facts.append(
        {
            "label": "episodes",
            "value": short(returns.played) if returns.played else "none",
            "note": f"{returns.episodes:,} in each seating" if returns.played else "all is exact",
        }
    )
    if forfeits := sum(sum(own.values()) for own in returns.forfeits):
        guilty = sum(bool(own) for own in returns.forfeits)
        facts.append(
            {"label": "forfeits", "value": short(forfeits), "note": f"by {guilty} of them"}
        )
    return facts


def _ranking(arena: Arena) -> dict[str, Any]:
    columns, order = columns_of(arena, unit_of(arena)), arena.order
    rows = [
        [
            f"{place} {printable(arena.names[i])}",
            *(column[i] for column in columns.values()),
        ]
        for place, i in enumerate(order, 1)
    ]
    return {
        "id": "ranking",
        "title": "Ranking",
        "text": meaning(arena),
        "figures": [],
        "tables": [
            {
                "id": "ranking",
                "title": "",
                "columns": ["entrant", *columns],
                "rows": rows,
                "note": "",
            }
        ],
    }


def _fair(arena: Arena) -> list[int]:
    """The entrants that forfeit nothing, the best rating first; all if there are none."""
    return [i for i in arena.order if not arena.returns.forfeits[i]] or arena.order


def _ratings(arena: Arena) -> Figure:
    """Ratings with their intervals, the best on top."""
    scores, shown = arena.scores, _fair(arena)
    half = QUANTILE * scores.rating_error
    return {
        "data": [
            {
                "type": "scatter",
                "mode": "markers",
                "x": [float(scores.rating[i]) for i in shown],
                "y": list(range(len(shown))),
                "customdata": [[plain(printable(arena.names[i])), float(half[i])] for i in shown],
                "marker": {"size": 8, "color": COLOURS[0]},
                "error_x": {
                    "type": "data",
                    "array": [float(half[i]) for i in shown],
                    "color": COLOURS[0],
                    "thickness": 1.5,
                },
                "hovertemplate": "%{customdata[0]}<br>%{x:+.4g} ± %{customdata[1]:.2g}"
                "<extra></extra>",
            }
        ],
        "layout": {
            "xaxis": axis("rating, with its 95 % interval"),
            "yaxis": _names_axis(arena, shown, autorange="reversed"),
            "height": 110 + 26 * len(shown),
            "meta": {"rows": True},
            "showlegend": False,
        },
    }


def _matrix(arena: Arena) -> dict[str, Any]:
    returns = arena.returns
    views = {"all seats": _heatmap(arena, returns.average, returns.average_error, "")}
    for p, (mean, error) in enumerate(zip(returns.mean, returns.error, strict=True)):
        views[f"seat {p}"] = _heatmap(arena, mean, error, f" in seat {p}")
    text = "What each entrant (rows) earns against each (columns), the best rating first. "
    text += " ".join(f"{note[0].upper()}{note[1:]}." for note in notes(arena))
    if any(arena.returns.forfeits):
        text += " Colours end at the largest payoff between entrants that forfeit nothing."
    return {
        "id": "matrix",
        "title": "Cross-play",
        "text": text,
        "figures": [{"id": "matrix", "title": "", "views": views}],
        "tables": [],
    }


def _heatmap(arena: Arena, mean: np.ndarray, error: np.ndarray, where: str) -> Figure:
    order = np.ix_(arena.order, arena.order)
    table, half = mean[order], QUANTILE * error[order]
    names = [plain(printable(arena.names[i])) for i in arena.order]
    told = [
        [
            [names[i], names[j], "exact" if half[i, j] == 0 else f"± {three_digits(half[i, j])}"]
            for j in range(len(names))
        ]
        for i in range(len(names))
    ]
    limit, places = _limit(arena), range(1, len(names) + 1)
    ticks = [place for place in places if len(names) <= _FEW or place == 1 or place % 5 == 0]
    return {
        "data": [
            {
                "type": "heatmap",
                "z": table.tolist(),
                "customdata": told,
                "coloraxis": "coloraxis",
                "hovertemplate": f"%{{customdata[0]}}{where} against %{{customdata[1]}}"
                "<br>%{z:+.4g} %{customdata[2]}<extra></extra>",
            }
        ],
        "layout": {
            "xaxis": axis(
                "against the entrant of this rank",
                tickvals=[place - 1 for place in ticks],
                ticktext=list(map(str, ticks)),
                constrain="domain",
            ),
            "yaxis": _names_axis(arena, arena.order, autorange="reversed"),
            "coloraxis": {"kind": "signed", "cmin": -limit, "cmax": limit},
            "height": 200 + 24 * len(names),
            "meta": {"rows": True},
        },
    }


def _limit(arena: Arena) -> float:
    """The end of the scale: the largest payoff between entrants that forfeit nothing, so that
    forfeits do not wash out the rest."""
    fair = _fair(arena)
    return float(np.abs(arena.returns.mean[:, fair][:, :, fair]).max()) or unit_of(arena)


def _names_axis(arena: Arena, shown: Sequence[int], **more: Any) -> dict[str, Any]:
    """An axis with the ranks and names of these entrants."""
    return {
        "tickvals": list(range(len(shown))),
        "ticktext": [
            f"{arena.order.index(i) + 1} {plain(_short_name(arena.names[i]))}" for i in shown
        ],
        "automargin": True,
        **more,
    }


def _short_name(name: str) -> str:
    name = printable(name)
    return name if len(name) <= _LETTERS else f"{name[: _LETTERS - 1]}…"


def _graph(arena: Arena) -> dict[str, Any]:
    text, images = "", []
    if any(arena.returns.forfeits):
        text = "Ratings are shown of entrants that forfeit nothing. "
    if arena.scores.beats is not None:
        text += response_graph.CAPTION
        drawn = base64.b64encode(response_graph.svg(arena).encode()).decode()
        images.append(
            {
                "id": "graph",
                "title": "Response graph: who beats whom",
                "source": f"data:image/svg+xml;base64,{drawn}",
                "alt": "; ".join(text for _, _, text in response_graph.arcs(arena)[:40]),
                "narrow": True,
            }
        )
    ratings = {"id": "ratings", "title": "Ratings", "views": {"": _ratings(arena)}}
    return {
        "id": "graph",
        "title": "Ratings and responses",
        "text": text,
        "figures": [ratings],
        "tables": [],
        "images": images,
    }


def _forfeits(arena: Arena) -> dict[str, Any]:
    rows = [
        [printable(name), KINDS[kind], f"{count:,}", words.get(kind, "")]
        for name, counted, words in zip(
            arena.names, arena.returns.forfeits, arena.returns.words, strict=True
        )
        for kind, count in counted.items()
    ]
    return {
        "id": "forfeits",
        "title": "Forfeits",
        "text": RULE,
        "figures": [],
        "tables": [
            {
                "id": "forfeits",
                "title": "",
                "columns": ["entrant", "reason", "episodes", "the first one"],
                "rows": rows,
                "note": "",
            }
        ],
    }


def _entrants(arena: Arena) -> dict[str, Any]:
    rows = [[printable(arena.names[i]), printable(arena.what[i])] for i in arena.order]
    return {
        "id": "entrants",
        "title": "Entrants",
        "text": "",
        "figures": [],
        "tables": [
            {
                "id": "entrants",
                "title": "",
                "columns": ["name", "what it is"],
                "rows": rows,
                "note": "",
            }
        ],
    }
