"""The result of an arena: printed, as JSON and as CSV."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np
import rich.console
from rich.markup import escape

from games.printing import printable
from psro.measure.arena import Arena
from psro.measure.arena.forfeits import RULE
from psro.measure.arena.scores import QUANTILE
from psro.views import tables
from psro.views.numbers import percent, three_digits

MOST_PRINTED = 10
"""A terminal has room for a matrix of this many entrants."""


def print_arena(arena: Arena, out: rich.console.Console) -> None:
    """The ranking, the matrix of few entrants, and forfeits."""
    out.print(tables.title(arena.game).append(f"  {arena.kind}", "not bold"))
    unit = unit_of(arena)
    _print_ranking(arena, out, unit)
    if len(arena.names) <= MOST_PRINTED:
        _print_matrix(arena, out, unit)
    if any(arena.returns.forfeits):
        rows = tables.table("entrant", "reason", "episodes", "the first one")
        rows.columns[1].justify = rows.columns[3].justify = "left"
        for row in arena.forfeits.itertuples():
            rows.add_row(
                escape(printable(row.entrant)), row.reason, f"{row.episodes:,}", escape(row.first)
            )
        out.print("\nForfeits")
        out.print(rows)
        out.print(RULE, highlight=False)
    tables.print_notes(out, notes(arena))


def _print_ranking(arena: Arena, out: rich.console.Console, unit: float) -> None:
    columns = columns_of(arena, unit)
    rows = tables.table("", *columns)
    for place, number in enumerate(arena.order, 1):
        name = escape(printable(arena.names[number]))
        rows.add_row(f"{place} {name}", *(column[number] for column in columns.values()))
    out.print(rows)
    out.print(meaning(arena), highlight=False)


def columns_of(arena: Arena, unit: float) -> dict[str, list[str]]:
    """The ranking: a cell for each entrant, by the column's title."""
    scores, returns = arena.scores, arena.returns
    columns = {
        "payoff": tables.signed(returns.average.mean(axis=1), unit),
        "rating": tables.signed(scores.rating, unit),
    }
    if not returns.exact.all():
        columns["± 95 %"] = [three_digits(QUANTILE * e, unit=unit) for e in scores.rating_error]
    if scores.nash_weight is not None:
        columns["Nash weight"] = [_share(weight) for weight in scores.nash_weight]
        columns["Nash skill"] = tables.signed(scores.nash_skill, unit)
    if scores.alpha_rank is not None:
        columns["alpha-Rank"] = [_share(share) for share in scores.alpha_rank]
    if any(returns.measured):
        for title, name in (("NashConv", "nash_conv"), ("exploitability", "exploitability")):
            columns[title] = [
                "–" if m is None else three_digits(getattr(m, name), unit=unit)
                for m in returns.measured
            ]
    if any(returns.forfeits):
        columns["forfeits"] = [f"{sum(own.values()):,}" for own in returns.forfeits]
    return columns


def _share(share: float) -> str:
    return percent(share) if share >= 5e-4 else "·"


def meaning(arena: Arena) -> str:
    """What the columns are, in a paragraph."""
    scores, returns = arena.scores, arena.returns
    text = (
        "Payoff: the mean against all entrants, itself included, over all seats. Rating: payoff "
        "minus the mean of all; ratings explain "
        f"{percent(scores.explained)} of the matrix, and the rest is cyclic."
    )
    if scores.nash_weight is not None:
        text += (
            " Nash averaging: the weight in the entrants' equilibrium of maximum entropy, and the "
            "payoff against it"
            + (
                "."
                if returns.exact.all()
                else "; it takes means as they are, without their errors."
            )
        )
    if scores.alpha_rank is not None:
        text += " alpha-Rank: the share of time that evolution spends there."
    if any(returns.measured):
        text += (
            " NashConv: what best responses gain if everybody plays this way, added up over "
            "players; exploitability: NashConv / number of players; both exact."
        )
    return text


def _print_matrix(arena: Arena, out: rich.console.Console, unit: float) -> None:
    places = range(1, len(arena.names) + 1)
    rows = tables.table("", *(f"against {place}" for place in places))
    half = QUANTILE * arena.returns.average_error
    for place, i in zip(places, arena.order, strict=True):
        cells = [
            three_digits(arena.returns.average[i, j], unit=unit, sign=True)
            + ("" if arena.returns.exact[i, j] else f" ± {three_digits(half[i, j], unit=unit)}")
            for j in arena.order
        ]
        rows.add_row(f"{place} {escape(printable(arena.names[i]))}", *cells)
    out.print("\nPayoff of each (rows) against each (columns), mean of the seats")
    out.print(rows)


def notes(arena: Arena) -> list[str]:
    """How it was measured, and what is missing."""
    returns, told = arena.returns, []
    if not returns.exact.all():
        exact = "pairs of tables are exact, and all others " if returns.exact.any() else "payoffs "
        told.append(
            f"{exact}are means of {returns.episodes:,} episodes in each seating, with like luck "
            f"for all; {returns.played:,} episodes in all; ± is half of a 95 % interval"
        )
    return [*told, *arena.notes, *arena.scores.omitted]


def unit_of(arena: Arena) -> float:
    """The largest payoff, which tells small numbers from rounding errors."""
    return max(1e-300, float(np.abs(arena.returns.mean).max()))


def as_json(arena: Arena) -> dict[str, Any]:
    """Everything; `returns[p][i][j]` is what entrant i earns in seat p if j has all others."""
    scores, returns, lists = arena.scores, arena.returns, tables.lists
    optional = {
        name: None if (value := getattr(scores, name)) is None else value.tolist()
        for name in ("nash_weight", "nash_skill", "alpha_rank", "beats")
    }
    return {
        "game": arena.game,
        "kind": arena.kind,
        "names": list(arena.names),
        "what": list(arena.what),
        "average": returns.average.tolist(),
        "average_standard_error": returns.average_error.tolist(),
        "average_ci95": (QUANTILE * returns.average_error).tolist(),
        "returns": lists(returns.mean),
        "returns_standard_error": lists(returns.error),
        "exact": returns.exact.tolist(),
        "episodes": returns.episodes,
        "nash_conv": [m and m.nash_conv for m in returns.measured],
        "exploitability": [m and m.exploitability for m in returns.measured],
        "rating": scores.rating.tolist(),
        "rating_standard_error": scores.rating_error.tolist(),
        "rating_explains": scores.explained,
        **optional,
        "forfeits": [dict(own) for own in returns.forfeits],
        "forfeits_in_words": [dict(own) for own in returns.words],
        "rule_of_forfeits": RULE,
        "notes": notes(arena),
    }


def write_csv(arena: Arena, path: str | os.PathLike) -> None:
    """A line for each entrant, the best rating first: its scores, and against each other one what
    it earns on average and in each seat, with half of the 95 % interval."""
    columns: dict[str, Any] = {"entrant": [arena.names[i] for i in arena.order]}
    for name in arena.table:
        columns[name] = [_cell(value) for value in arena.table[name]]
    returns, order = arena.returns, arena.order
    for j, name in enumerate(arena.names):
        against = f"against {name}"
        columns[against] = returns.average[order, j]
        columns[f"{against}, half width"] = QUANTILE * returns.average_error[order, j]
        for p in range(len(returns.mean)):
            columns[f"{against}, seat {p}"] = returns.mean[p, order, j]
            columns[f"{against}, seat {p}, half width"] = QUANTILE * returns.error[p, order, j]
    tables.write_columns(columns, path)


def _cell(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value
