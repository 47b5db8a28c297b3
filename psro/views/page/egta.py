"""The page of an empirical game, in the form of `psro.views.page.document`."""

from __future__ import annotations

from typing import Any

import numpy as np

from games.printing import printable
from psro.metagame.egta import EmpiricalEquilibrium, EmpiricalGame
from psro.views.numbers import percent, three_digits
from psro.views.page.figures import Figure, plain

_MOST_ROWS = 400
"""Rows of the table of payoffs. The CSV has all."""
_MOST_TICKS = 24
_FOLDED = 12
"""Rows of payoffs from which the reader opens the table."""


def document(game: EmpiricalGame) -> dict[str, Any]:
    """The document of an empirical game."""
    log = game.log
    seats = "seats do not matter" if log.symmetric else "seats have roles"
    sections = [_equilibria(game), _payoffs(game)]
    if game.alpha_rank is not None:
        sections.insert(1, _ranks(game))
    if game.suggestions:
        sections.append(_next(game))
    return {
        "title": printable(log.source),
        "subtitle": f"Empirical game of {log.num_players} players; {seats} ({log.chosen}).",
        "facts": _facts(game),
        "sections": sections,
    }


def _facts(game: EmpiricalGame) -> list[dict[str, str]]:
    cells, played = game.cells, game.cells.count
    least = min((one.regret_bound for one in game.equilibria if one.regret_bound is not None),
                default=None)  # fmt: skip
    strategies = " x ".join(str(len(own)) for own in game.log.strategies)
    facts = [
        {"label": "matches", "value": f"{int(played.sum()):,}", "note": "logged"},
        {
            "label": "strategies",
            "value": strategies,
            "note": "of every seat" if game.log.symmetric else "of the players",
        },
        {
            "label": "cells",
            "value": f"{int((played > 0).sum()):,} of {len(cells.key):,}",
            "note": f"with {int(played[played > 0].min()):,} to {int(played.max()):,} matches",
        },
        {"label": "equilibria", "value": str(len(game.equilibria)), "note": "of the mean payoffs"},
    ]
    if least is not None:
        note = "of an equilibrium, in 95 % of resamples"
        facts.append({"label": "regret at most", "value": three_digits(least), "note": note})
    return facts


def _equilibria(game: EmpiricalGame) -> dict[str, Any]:
    text = (
        f"Of the mean payoffs: {game.method}. Marks on the bars are 95 % intervals of "
        f"{game.resamples:,} resamples: matches are drawn again with replacement within each cell, "
        "and each equilibrium is followed to the nearest one."
        if game.resamples
        else f"Of the mean payoffs: {game.method}."
    )
    tables = [
        _equilibrium(game, number, one) for number, one in enumerate(game.equilibria[:_MOST_TICKS])
    ]
    notes = " ".join(f"{note[0].upper()}{note[1:]}." for note in game.notes)
    return _section("equilibria", "Equilibria", f"{text} {notes}".strip(), [], tables)


def _equilibrium(game: EmpiricalGame, number: int, one: EmpiricalEquilibrium) -> dict[str, Any]:
    rows = []
    for p, mixed in enumerate(one.mixed):
        for k in np.argsort(-mixed, kind="stable"):
            low, high = (None, None) if one.interval is None else one.interval[p][:, k]
            if mixed[k] < 1e-9 and (high is None or high < 1e-9):
                continue
            bar: dict[str, Any] = {"share": float(mixed[k])}
            if low is not None:
                bar["range"] = [float(np.clip(low, 0, 1)), float(np.clip(high, 0, 1))]
            told = percent(mixed[k])
            if low is not None:
                told += f" ({percent(low)} to {percent(high)})"
            name = game.log.strategies[p][k]
            first = [] if game.log.symmetric else [game.log.players[p]]
            rows.append([*first, name, told, bar])
    columns = [*([] if game.log.symmetric else ["player"]), "strategy", "probability", ""]
    return {
        "id": f"equilibrium-{number}",
        "title": f"Equilibrium {number + 1}",
        "columns": columns,
        "rows": rows,
        "note": equilibrium_note(game, one),
    }


def equilibrium_note(game: EmpiricalGame, one: EmpiricalEquilibrium) -> str:
    """What an equilibrium pays, its regret, and how often it was found again."""
    seats = ("every seat",) if game.log.symmetric else game.log.players
    paid = []
    for p, seat in enumerate(seats):
        value = three_digits(float(one.payoffs[p]))
        if one.payoff_interval is not None:
            low, high = one.payoff_interval[:, p]
            value += f" ({three_digits(float(low))} to {three_digits(float(high))})"
        paid.append(f"{seat} earns {value}")
    told = "; ".join(paid) + "."
    if one.regret_bound is not None:
        told += (
            f" Regret: at most {three_digits(one.regret_bound)} in 95 % of resamples."
            f" Found again in {percent(one.found)} of them, with the same strategies in "
            f"{percent(one.kept)}."
        )
    return told


def _ranks(game: EmpiricalGame) -> dict[str, Any]:
    tables = []
    for p, mass in enumerate(game.alpha_rank):
        order = [k for k in np.argsort(-mass, kind="stable") if k in game.kept[p]]
        rows = [
            [game.log.strategies[p][k], percent(mass[k]), {"share": float(mass[k])}] for k in order
        ]
        title = "" if game.log.symmetric else game.log.players[p]
        tables.append(
            {
                "id": f"rank-{p}",
                "title": title,
                "columns": ["strategy", "share of time", ""],
                "rows": rows,
                "note": "",
            }  # fmt: skip
        )
    text = "The share of time that a population that evolves stays at each strategy (Alpha-Rank)."
    return _section("ranks", "Alpha-Rank", text, [], tables)


def _payoffs(game: EmpiricalGame) -> dict[str, Any]:
    frame = game.table()
    shown = frame[frame.matches > 0].head(_MOST_ROWS)
    rows = [
        [
            row.cell, row.of, f"{row.matches:,}", three_digits(row.mean),
            "–" if np.isnan(row.low) else f"{three_digits(row.low)} to {three_digits(row.high)}",
        ]
        for row in shown.itertuples()
    ]  # fmt: skip
    missing = int((game.cells.count == 0).sum())
    note = f"{missing:,} cell{'s have' if missing > 1 else ' has'} no match. " if missing else ""
    if len(shown) < int((frame.matches > 0).sum()):
        note += f"The first {_MOST_ROWS} rows; --out FILE.csv has all."
    table = {
        "id": "payoffs", "title": "", "note": note, "rows": rows,
        "columns": ["cell", "of", "matches", "mean", "95 % interval"],
    }  # fmt: skip
    if len(rows) > _FOLDED:
        table["folded"] = f"{len(rows):,} payoffs with their intervals"
    figures = []
    if game.log.num_players == 2:
        views = {} if game.log.symmetric else {name: None for name in game.log.players}
        views = {name: _map(game, p) for p, name in enumerate(views or ["payoff of the row"])}
        figures = [{"id": "table", "title": "Mean payoffs", "views": views}]
    text = "Means of the matches of each cell, with Student's t intervals."
    return _section("payoffs", "Payoffs", text, figures, [table])


def _map(game: EmpiricalGame, player: int) -> Figure:
    """Mean payoffs of a two-player game: rows are the first player's strategies."""
    names = game.log.strategies
    rows, columns = names[0], names[-1]
    z = np.full((len(rows), len(columns)), np.nan)
    counts = np.zeros(z.shape, int)
    for key, mean, count in zip(game.cells.key, game.cells.mean, game.cells.count, strict=True):
        if not game.log.symmetric:
            z[tuple(key)], counts[tuple(key)] = mean[player], count
            continue
        own = np.flatnonzero(key)
        for k in own:
            other = own[0] if len(own) == 1 else own[own != k][0]
            z[k, other], counts[k, other] = mean[k], count
    limit = float(np.nanmax(np.abs(z))) or 1.0
    ticks = {} if max(z.shape) <= _MOST_TICKS else {"showticklabels": False}
    return {
        "data": [
            {
                "type": "heatmap",
                "z": [[None if np.isnan(v) else v for v in row] for row in z.tolist()],
                "x": [plain(name) for name in columns],
                "y": [plain(name) for name in rows],
                "customdata": counts.tolist(),
                "coloraxis": "coloraxis",
                "hoverongaps": False,
                "hovertemplate": "%{y}<br>against %{x}<br>%{z:+.4g} in %{customdata} matches"
                "<extra></extra>",
            }
        ],
        "layout": {
            "xaxis": {"type": "category", "constrain": "domain", **ticks},
            "yaxis": {"type": "category", "autorange": "reversed", **ticks},
            "coloraxis": {"kind": "signed", "cmin": -limit, "cmax": limit},
            "height": 380,
        },
    }


def _next(game: EmpiricalGame) -> dict[str, Any]:
    rows = [
        [
            game.cell_name(told.cell),
            f"{int(game.cells.count[told.cell]):,}",
            f"{told.weight:.3f}",
            suggestion_reason(game, told.cell, told.reduction),
            str(told.equilibrium + 1),
        ]
        for told in game.suggestions
    ]
    text = (
        "A match reduces the variance of what the players of an equilibrium earn, and of what "
        "deviations earn that may still pay, by weight squared times the payoffs' variance over "
        "n (n + 1), for n matches so far (Neyman's allocation; Cochran 1977). Cells without a "
        "match come first."
    )
    table = {
        "id": "next", "title": "", "rows": rows, "note": "",
        "columns": ["cell", "matches", "weight", "one more match", "of equilibrium"],
    }  # fmt: skip
    return _section("next", "What to sample next", text, [], [table])


def suggestion_reason(game: EmpiricalGame, cell: int, reduction: float) -> str:
    """What one more match of a cell gives."""
    if game.cells.count[cell] == 0:
        return "the first one"
    return f"variance less by {reduction:.3g}"


def _section(
    name: str, title: str, text: str, figures: list[Any], tables: list[Any]
) -> dict[str, Any]:
    return {"id": name, "title": title, "text": text, "figures": figures, "tables": tables}
