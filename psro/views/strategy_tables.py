"""What a mixture does at every info set, printed, as JSON and as CSV."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

import rich.console
from rich.markup import escape

from psro.views import tables
from psro.views.numbers import decimals, three_digits

if TYPE_CHECKING:
    import pandas as pd

MOST_PRINTED = 20
"""Info sets of a player that are printed."""


def print_strategies(strategies: pd.DataFrame, out: rich.console.Console) -> None:
    """A table for each player, of the info sets that are reached most."""
    for player, own in strategies.groupby("player", sort=False):
        rows = tables.table("info set", "action", "probability", "reach", "value", "regret")
        rows.columns[1].justify = "left"
        sets = list(own.groupby("info_set", sort=False))
        for name, actions in sets[:MOST_PRINTED]:
            for number, row in enumerate(actions.itertuples()):
                first = number == 0
                rows.add_row(
                    escape(name) if first else "",
                    escape(row.action),
                    decimals(row.probability, 4, unit=1.0),
                    three_digits(row.reach) if first else "",
                    _figure(row.value),
                    _figure(row.regret) if first else "",
                )
        out.print(f"\n{player}: what the mixture does", highlight=False, markup=False)
        out.print(rows)
        if len(sets) > MOST_PRINTED:
            out.print(
                f"... and {len(sets) - MOST_PRINTED:,} info sets that are reached less; --json and "
                "--csv have all",
                highlight=False,
            )


def _figure(value: float) -> str:
    return "–" if math.isnan(value) else decimals(value, 4, unit=1.0)


def as_json(strategies: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows; null where a value is missing."""
    return [
        {
            name: None if isinstance(cell, float) and math.isnan(cell) else cell
            for name, cell in row.items()
        }
        for row in strategies.to_dict("records")
    ]


def write_csv(strategies: pd.DataFrame, path: str | os.PathLike) -> None:
    """The rows as a CSV file, in which a spreadsheet computes nothing."""
    tables.write_columns({name: list(strategies[name]) for name in strategies}, path)
