"""Heat maps of a page, in the form of `psro.views.page.figures`."""

from __future__ import annotations

import numpy as np

from psro.runs.folder import Snapshot
from psro.views.page.figures import Figure, counting, plain
from psro.views.payoffs import error_tables, largest_payoff, payoff_tables


def weights(run: Snapshot, player: int) -> Figure:
    """The weight of each of a player's policies (rows) after each iteration (columns)."""
    rows, columns = run.records[-1].size, len(run.records)
    table: list[list[float | None]] = [[None] * columns for _ in range(rows)]
    for iteration, strategies in enumerate(run.meta_strategies):
        for policy, weight in enumerate([] if strategies is None else strategies[player].tolist()):
            table[policy][iteration] = weight
    return {
        "data": [
            {
                "type": "heatmap",
                "z": table,
                "coloraxis": "coloraxis",
                "hoverongaps": False,
                "hovertemplate": "after iteration %{x}<br>policy %{y}"
                "<br>weight %{z:.6g}<extra></extra>",
            }
        ],
        "layout": {
            "xaxis": counting("after iteration", columns - 1, constrain="domain"),
            "yaxis": counting("policy", rows - 1),
            "coloraxis": {"kind": "weights", "cmin": 0, "cmax": 1},
            "height": 360,
        },
    }


def payoffs(run: Snapshot) -> dict[tuple[int, int], Figure]:
    """The payoffs of each player's policies (rows, in the order of training) against another
    player's (columns), by (player, other): see `payoff_tables`."""
    tables = payoff_tables(run.payoffs, run.meta_strategies[-1])
    errors = {}
    if run.is_sampled:
        errors = error_tables(run.payoff_error, run.meta_strategies[-1], tables)
    names = [plain(run.player_name(p)) for p in range(len(run.payoffs))]
    limit = largest_payoff(tables)
    return {
        (p, q): _payoffs(table, errors.get((p, q)), names[p], names[q], limit)
        for (p, q), table in tables.items()
    }


def _payoffs(
    table: np.ndarray, errors: np.ndarray | None, player: str, other: str, limit: float
) -> Figure:
    """One player's payoffs, rows, against another's, columns; with standard errors where they are
    sampled."""
    sampled = {} if errors is None else {"customdata": errors.tolist()}
    earns = "%{z:+.6g}" if errors is None else "%{z:+.4g} ± %{customdata:.2g} (standard error)"
    return {
        "data": [
            {
                "type": "heatmap",
                "z": table.tolist(),
                **sampled,
                "coloraxis": "coloraxis",
                "hovertemplate": f"policy %{{y}} of {player}<br>policy %{{x}} of {other}"
                f"<br>{player} earns {earns}<extra></extra>",
            }
        ],
        "layout": {
            "xaxis": counting(f"policy of {other}", table.shape[1] - 1, constrain="domain"),
            "yaxis": counting(f"policy of {player}", len(table) - 1, autorange="reversed"),
            "coloraxis": {"kind": "signed", "cmin": -limit, "cmax": limit},
            "height": 380,
        },
    }
