"""An empirical game in a terminal, and as JSON."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import rich.console
from rich.markup import escape

from psro.metagame.egta import EmpiricalGame
from psro.views.numbers import percent
from psro.views.page.egta import equilibrium_note, suggestion_reason
from psro.views.tables import table, title

_MOST = 10
"""Equilibria, and cells, that a terminal shows."""


def print_game(game: EmpiricalGame, out: rich.console.Console) -> None:
    """Prints equilibria, ranks and the cells to sample next."""
    log, cells = game.log, game.cells
    seats = "seats do not matter" if log.symmetric else "seats have roles"
    out.print(title(log.source))
    out.print(
        f"{int(cells.count.sum()):,} matches of {log.num_players} players; {seats} ({log.chosen})"
    )
    out.print(f"{int((cells.count > 0).sum()):,} of {len(cells.key):,} cells have matches\n")
    out.print(f"Equilibria of the mean payoffs: {game.method}")
    for number, one in enumerate(game.equilibria[:_MOST]):
        out.print(f"\nEquilibrium {number + 1} of {len(game.equilibria)}")
        rows = table("player", "strategy", "probability", "95 % interval")
        for p, mixed in enumerate(one.mixed):
            for k in np.argsort(-mixed, kind="stable"):
                high = 0.0 if one.interval is None else one.interval[p][1, k]
                if max(mixed[k], high) < 1e-9:
                    continue
                between = (
                    "–"
                    if one.interval is None
                    else f"{percent(one.interval[p][0, k])} to {percent(high)}"
                )
                rows.add_row(
                    escape(game.populations[p]), escape(log.strategies[p][k]), percent(mixed[k]),
                    between,
                )  # fmt: skip
        out.print(rows)
        out.print(escape(equilibrium_note(game, one)))
    if game.alpha_rank is not None:
        out.print("\nAlpha-Rank: the share of time that evolution stays at each strategy")
        for p, mass in enumerate(game.alpha_rank):
            order = [k for k in np.argsort(-mass, kind="stable") if k in game.kept[p]][:_MOST]
            told = ", ".join(f"{log.strategies[p][k]} {percent(mass[k])}" for k in order)
            out.print(escape(f"  {game.populations[p]}: {told}"))
    if game.suggestions:
        out.print("\nSample next")
        rows = table("cell", "matches", "weight", "one more match")
        for told in game.suggestions:
            rows.add_row(
                escape(game.cell_name(told.cell)),
                f"{int(cells.count[told.cell]):,}",
                f"{told.weight:.3f}",
                suggestion_reason(game, told.cell, told.reduction),
            )
        out.print(rows)
    for note in game.notes:
        out.print(escape(f"note: {note}"))


def as_json(game: EmpiricalGame) -> dict[str, Any]:
    """All that `egta` finds, for JSON."""
    log = game.log
    frame = game.table()
    return {
        "source": log.source,
        "players": list(log.players),
        "strategies": [list(own) for own in log.strategies],
        "symmetric": log.symmetric,
        "matches": int(game.cells.count.sum()),
        "payoffs": [
            {name: _plain(value) for name, value in row.items()}
            for row in frame.to_dict(orient="records")
        ],
        "method": game.method,
        "resamples": game.resamples,
        "equilibria": [
            {
                "strategies": {
                    game.populations[p]: {
                        name: {
                            "probability": float(mixed[k]),
                            "interval": None
                            if one.interval is None
                            else one.interval[p][:, k].tolist(),
                        }
                        for k, name in enumerate(log.strategies[p])
                    }
                    for p, mixed in enumerate(one.mixed)
                },
                "payoffs": one.payoffs.tolist(),
                "payoff_intervals": None
                if one.payoff_interval is None
                else one.payoff_interval.T.tolist(),
                "regret": one.regret,
                "regret_bound": one.regret_bound,
                "found_again": one.found,
                "same_strategies": one.kept,
            }
            for one in game.equilibria
        ],
        "alpha_rank": None
        if game.alpha_rank is None
        else {
            game.populations[p]: dict(zip(log.strategies[p], mass.tolist(), strict=True))
            for p, mass in enumerate(game.alpha_rank)
        },
        "next": [
            {
                "cell": game.cell_name(told.cell),
                "matches": int(game.cells.count[told.cell]),
                "weight": told.weight,
                "variance_reduction": _plain(told.reduction),
                "equilibrium": told.equilibrium,
            }
            for told in game.suggestions
        ],
        "notes": list(game.notes),
    }


def _plain(value: Any) -> Any:
    """A number that JSON has; None for infinity and what is no number."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
