"""Experiment folders to figures; reads their `config.json` and `metrics.csv` and nothing else."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.figure
import matplotlib.ticker
import numpy as np
import pandas as pd

AXES = {
    "iterations": "iteration",
    "decisions": "own decisions of all learners",
    "seconds": "wall seconds",
}
FORMATS = ("png", "svg")
FORMAT_VERSION = 1
"""Of experiment folders; `psro.experiment` writes it."""
FLOOR = 1e-9
"""Exploitability below this is drawn here: a logarithmic axis has no zero."""

_COLOURS = ("#0b6e99", "#d9730d", "#2e8b57", "#ad1a72", "#6940a5", "#8a6d3b", "#4b5563", "#c0392b")


class PlotError(ValueError):
    """Something that cannot be drawn; one sentence says why."""


def exploitability_figure(
    folders: Sequence[str | os.PathLike], *, x: str = "iterations"
) -> matplotlib.figure.Figure:
    """Exploitability against iterations, decisions or seconds, on a logarithmic axis.

    Folders that differ in nothing but their seed are drawn as one curve: the geometric mean, and a
    band from the least to the greatest.

    Raises:
        PlotError: a folder holds no metrics, they are damaged, or `x` is unknown.
    """
    if x not in AXES:
        raise PlotError(f"unknown axis {x!r}; known: {', '.join(AXES)}")
    if not folders:
        raise PlotError("no folder to plot")
    runs = [(_config(Path(folder)), _curve(Path(folder), x)) for folder in folders]
    groups: dict[str, list[pd.Series]] = {}
    configs: dict[str, dict[str, Any]] = {}
    for config, curve in runs:
        shared = {name: value for name, value in config.items() if name != "seed"}
        name = json.dumps(shared, sort_keys=True)
        groups.setdefault(name, []).append(curve)
        configs[name] = shared

    figure = matplotlib.figure.Figure(figsize=(7.2, 4.4), dpi=160, layout="constrained")
    axes = figure.subplots()
    for number, (name, curves) in enumerate(groups.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        label = _label(configs[name], list(configs.values()), len(curves))
        grid, values = _on_one_grid(curves)
        middle = np.exp(np.log(values).mean(axis=0))
        if len(curves) > 1:
            axes.fill_between(
                grid, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.15, lw=0
            )
        few = len(grid) <= 40
        axes.plot(
            grid, middle, color=colour, lw=1.8, label=label, marker="o" if few else None, ms=3.5
        )
    axes.set_yscale("log")
    axes.set_xlabel(AXES[x])
    axes.set_ylabel("exploitability  (NashConv / players)")
    games = {config["game"] for config in configs.values()}
    axes.set_title(games.pop() if len(games) == 1 else "Exploitability", loc="left", fontsize=11)
    if x == "iterations":
        axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
    axes.grid(axis="y", which="major", color="#e5e7eb", lw=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if len(groups) > 1 or len(runs) > 1:
        axes.legend(frameon=False, fontsize=8)
    return figure


def save_figure(figure: matplotlib.figure.Figure, path: str | os.PathLike) -> Path:
    """Writes PNG or SVG, by the file's ending."""
    path = Path(path)
    kind = path.suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        raise PlotError(f"{path} must end in {' or '.join('.' + each for each in FORMATS)}")
    try:
        figure.savefig(path, format=kind)
    except OSError as error:
        raise PlotError(f"cannot write {path}: {error.strerror or error}") from None
    return path


def _config(folder: Path) -> dict[str, Any]:
    try:
        fields = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if fields["format_version"] > FORMAT_VERSION:
            raise PlotError(
                f"{folder} was written in format {fields['format_version']}, this psro reads up "
                f"to {FORMAT_VERSION}; install a newer psro"
            )
        return fields["run"]
    except PlotError:
        raise
    except FileNotFoundError:
        raise PlotError(f"{folder} is no experiment: it has no config.json") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PlotError(f"{folder / 'config.json'} is damaged: {error}") from None


def _curve(folder: Path, x: str) -> pd.Series:
    """Exploitability by `x`, with x as the index."""
    path = folder / "metrics.csv"
    try:
        table = pd.read_csv(path)
        if x == "iterations":
            at = table["iteration"]
        else:
            parts = [name for name in table.columns if name.startswith(f"{x}_")]
            if not parts:
                raise KeyError(f"no column {x}_...")
            at = table[parts].sum(axis=1, skipna=False).cumsum()
        curve = pd.Series(table["exploitability"].to_numpy(float), index=at.to_numpy(float))
    except FileNotFoundError:
        raise PlotError(f"{folder} has no finished iteration yet") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PlotError(f"{path} is damaged: {str(error).splitlines()[0]}") from None
    if curve.empty or not np.isfinite([curve.index, curve]).all():
        raise PlotError(f"{path} is damaged: exploitability and {x} must be finite numbers")
    return curve.clip(lower=FLOOR)


def _on_one_grid(curves: Sequence[pd.Series]) -> tuple[np.ndarray, np.ndarray]:
    """All curves at the same places, to the end of the shortest: `[N]` and `[seeds, N]`."""
    grid = np.unique(np.concatenate([curve.index.to_numpy() for curve in curves]))
    grid = grid[grid <= min(curve.index.max() for curve in curves)]
    values = [np.exp(np.interp(grid, each.index, np.log(each.to_numpy()))) for each in curves]
    return grid, np.array(values)


def _label(config: dict[str, Any], all_configs: list[dict[str, Any]], seeds: int) -> str:
    """What sets this configuration apart from the others, and the number of its seeds."""
    flat = [_flat(each) for each in all_configs]
    names = dict.fromkeys(name for each in flat for name in each)
    differing = [name for name in names if len({str(each.get(name)) for each in flat}) > 1]
    mine = _flat(config)
    parts = [
        str(mine.get(name)) if name == "game" else f"{name.replace('_', '-')} {mine.get(name)}"
        for name in differing
    ]
    return ", ".join(parts or [config["game"]]) + (f" ({seeds} seeds)" if seeds > 1 else "")


def _flat(config: dict[str, Any]) -> dict[str, Any]:
    flat = {}
    for name, value in config.items():
        if isinstance(value, dict):
            flat |= {f"{name}.{inner}": each for inner, each in value.items()}
        else:
            flat[name] = value
    return flat
