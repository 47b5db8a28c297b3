"""What `psro eval` prints of runs that differ in their seed."""

from __future__ import annotations

import json
import os

import numpy as np
import rich.console

from psro.measure.across_seeds import AcrossSeeds
from psro.views.numbers import decimals
from psro.views.tables import player_columns, table, write_columns


def print_table(measured: AcrossSeeds, out: rich.console.Console) -> None:
    """Prints a row for each run, then the means with their 95 % intervals."""
    by = "" if measured.bound is None else ", measured by episodes"
    out.print(f"{measured.game}  {len(measured.seeds)} seeds{by}", highlight=False, markup=False)
    columns = measured.columns()
    unit = max(float(np.abs(values).max()) for values in columns.values()) or 1.0
    titles = player_columns("value", measured.player_names, measured.value.shape[1])
    distances = list(columns)[: len(columns) - len(titles)]
    rows = table("seed", "iteration", *distances, *titles)
    for number, (seed, iteration) in enumerate(
        zip(measured.seeds, measured.iterations, strict=True)
    ):
        cells = (decimals(values[number], unit=unit) for values in columns.values())
        rows.add_row(str(seed), str(iteration), *cells)
    rows.add_section()
    summary = [measured.mean_and_interval(values) for values in columns.values()]
    rows.add_row("mean", "", *(decimals(mean, unit=unit) for mean, _ in summary))
    if len(measured.seeds) > 1:
        rows.add_row("± 95 %", "", *(decimals(half, unit=unit) for _, half in summary))
    out.print(rows)


def print_json(measured: AcrossSeeds) -> None:
    """Everything, on one line."""
    numbers = {
        name: values
        for name, values in (
            ("exploitability", measured.exploitability),
            ("nash_conv", measured.nash_conv),
            ("exploitability_lower_bound", measured.bound),
        )
        if values is not None
    }
    result = {
        "game": measured.game,
        "seeds": list(measured.seeds),
        "iterations": list(measured.iterations),
        "value": measured.value.tolist(),
    }
    for name, values in numbers.items():
        mean, half = measured.mean_and_interval(values)
        result[name] = _numbers(values)
        result[f"{name}_mean"] = None if np.isnan(mean) else mean
        result[f"{name}_ci95"] = None if np.isnan(half) else half
    if measured.bound is not None:
        result |= {
            "kind": "sampled",
            "exploitability_lower_bound_standard_error": _numbers(measured.bound_error),
            "value_standard_error": measured.value_error.tolist(),
        }
    print(json.dumps(result))


def _numbers(values: np.ndarray) -> list[float | None]:
    """For JSON, which has no NaN."""
    return [None if np.isnan(value) else float(value) for value in values]


def write_csv(measured: AcrossSeeds, path: str | os.PathLike) -> None:
    """Writes a line for each run."""
    columns = {"seed": measured.seeds, "iteration": measured.iterations}
    for name, values in measured.columns().items():
        columns[name.lower().replace("nashconv", "nash_conv").replace(" ", "_")] = values
    write_columns(columns, path)
