"""Tables and JSON of simple policies."""

from __future__ import annotations

import json

import rich.console

from psro.measure.simple_play import SimplePlay
from psro.views import tables


def print_json(played: SimplePlay) -> None:
    """Everything on one line; `value` and `best_response_value` have a number for each player."""
    form, measured = played.form, played.measured
    print(
        json.dumps(
            {
                "game": form.name,
                "policy": played.policy,
                "method": played.method,
                "form": type(form).__name__,
                "exploitability": measured.exploitability,
                "nash_conv": measured.nash_conv,
                "value": measured.value.tolist(),
                "best_response_value": measured.best_response_value.tolist(),
                "info_states": form.num_info_states,
                "histories": form.num_histories,
                "cpu_seconds": played.cpu_seconds,
                "wall_seconds": played.wall_seconds,
            }
        )
    )


def print_table(played: SimplePlay, out: rich.console.Console) -> None:
    form, measured = played.form, played.measured
    table = tables.table("player", "info states", "value", "best response")
    for seat, player in enumerate(form.players):
        table.add_row(
            str(seat),
            f"{player.num_info_states:,}",
            f"{measured.value[seat]:.6f}",
            f"{measured.best_response_value[seat]:.6f}",
        )
    out.print(tables.title(form.name))
    out.print(table)
    out.print(
        f"{played.policy} play ({played.method}): exploitability "
        f"{measured.exploitability:.6f}, exact, over {form.num_histories:,} histories "
        f"({played.cpu_seconds:.1f} CPU seconds)",
        highlight=False,
    )
