"""The settings on a page: first those that differ from the default, then the others, folded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from psro.oracles.settings import STARTS, SampledConfig
from psro.runs import naming
from psro.runs.config import DECIDED, SAME, default_meta_solver
from psro.runs.fitting import SAMPLED_SHARE
from psro.runs.folder import Snapshot
from psro.views.payoffs import is_constant_sum

_TOLERANCE = 1e-6
"""The default tolerance in games whose payoffs span 1 or more. In other games it is smaller."""


def of_run(run: Snapshot) -> dict[str, Any]:
    """The section of one run."""
    return of_settings(naming.in_use(run.config), _defaults(run))


def of_settings(used: Mapping[str, Any], default: Mapping[str, Any]) -> dict[str, Any]:
    """The section of one run by its settings in use, and every setting's default."""
    changed = [
        [name, _said(value), _said(default.get(name))]
        for name, value in used.items()
        if value != default.get(name)
    ]
    rest = [[name, _said(value)] for name, value in used.items() if value == default.get(name)]
    tables = [_table("changed", ["setting", "value", "default"], changed)] if changed else []
    tables.append(
        _table("defaults", ["setting", "value"], rest)
        | {"folded": f"{len(rest)} settings at their defaults"}
    )
    return _section("" if changed else "Every setting is at its default.", tables)


def of_runs(used: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> dict[str, Any]:
    """The section of several runs by their settings in use: those in which they differ, with a
    column for each run. An oracle's settings are compared only among its own runs."""
    names = list(dict.fromkeys(name for own in used for name in own))
    differing, shared = [], []
    for name in names:
        values = [_said(own[name]) if name in own else "" for own in used]
        if len({value for value, own in zip(values, used, strict=True) if name in own}) > 1:
            differing.append([name, *values])
        else:
            shared.append([name, next(value for value in values if value)])
    tables = []
    if differing:
        tables.append(_table("differences", ["setting", *labels], differing))
    folded = f"{len(shared)} settings that are the same in all runs"
    tables.append(_table("shared", ["setting", "value"], shared) | {"folded": folded})
    return _section("" if differing else "All settings are the same.", tables)


def _defaults(run: Snapshot) -> dict[str, Any]:
    """The default of each setting. Some defaults depend on the game (`runs.config.with_defaults`).
    They are found from the payoffs here. A run without payoffs keeps the values that were decided
    for it."""
    config, default = run.config, naming.defaults()
    if run.payoffs is None:
        return default | {name: getattr(config, name) for name in DECIDED}
    if run.is_sampled:
        return default | _sampled_defaults(run)
    plain = config.meta_solver == "nash" and config.expansion == "best_response"
    programmed = plain and is_constant_sum(run.payoffs)
    small = np.ptp(run.payoffs) < 1 and 0 < config.tolerance < _TOLERANCE
    return default | {
        "evaluation": config.evaluation,
        "meta_solver": default_meta_solver(len(run.payoffs)),
        "evaluation_solver": "least_exploitable" if programmed else SAME,
        "init": STARTS.get(config.oracle, "scratch"),
        "tolerance": config.tolerance if small else _TOLERANCE,
    }


def _sampled_defaults(run: Snapshot) -> dict[str, Any]:
    """The same for a sampled run. Two defaults are a share of the game's largest return, which the
    payoffs do not show. If the two settings are equal and large enough, they are taken for it."""
    config = run.config
    shares = {"payoff_error": config.payoff_error, "tolerance": config.tolerance}
    least = SAMPLED_SHARE * float(np.abs(run.payoffs).max())
    if config.payoff_error != config.tolerance or config.tolerance < least:
        shares = dict.fromkeys(shares, f"{SAMPLED_SHARE:.0%} of the largest return")
    oracle = config.oracle_settings
    of_oracle = {}
    if isinstance(oracle, SampledConfig):
        usual = type(oracle)().for_sampled_game()
        of_oracle = {
            f"{config.oracle}.{name}": getattr(usual, name)
            for name in ("decisions", "learning_rate")
        }
    return (
        of_oracle
        | shares
        | {
            "evaluation": config.evaluation,
            "meta_solver": default_meta_solver(len(run.payoffs)),
            "evaluation_solver": SAME,
            "init": STARTS.get(config.oracle, "scratch"),
        }
    )


def _section(text: str, tables: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": "configuration",
        "title": "Configuration",
        "text": text,
        "figures": [],
        "tables": tables,
    }


def _table(name: str, columns: list[str], rows: list[list[str]]) -> dict[str, Any]:
    return {"id": name, "title": "", "columns": columns, "rows": rows, "note": ""}


def _said(value: Any) -> str:
    return "–" if value is None else str(value)
