"""Runs and their folders to figures."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.figure
import matplotlib.ticker
import numpy as np
import pandas as pd

from psro.errors import PsroError
from psro.runs import storage
from psro.runs.folder import CONFIG, METRICS, Snapshot
from psro.runs.seeds import half_interval

AXES = {
    "iterations": "iteration",
    "decisions": "own decisions of all learners",
    "seconds": "wall seconds",
}
FORMATS = ("png", "svg")
MAX_METRICS = 64 << 20
"""Bytes of a metrics.csv that are read; the commit's records, of which it is a copy, may have as
many."""
FLOOR = 1e-9
"""A gap below this is drawn here: a logarithmic axis has no zero."""
GAPS = {
    "exploitability": "exploitability  (NashConv / players)",
    "cce_gap": "CCE gap",
    "ce_gap": "CE gap",
}
"""Columns of `metrics.csv`, and how they are called on an axis."""
SHOWN = {"nash": ["exploitability"], "cce": ["cce_gap"], "ce": ["cce_gap", "ce_gap"]}
"""The gaps that are drawn, by a run's equilibrium concept."""
_DASHES = {"exploitability": "-", "cce_gap": "--", "ce_gap": ":"}

_COLOURS = ("#0b6e99", "#d9730d", "#2e8b57", "#ad1a72", "#6940a5", "#8a6d3b", "#4b5563", "#c0392b")


class PlotError(PsroError):
    """Something that cannot be drawn; one sentence says why."""


def exploitability_figure(
    folders: Sequence[str | os.PathLike], *, x: str = "iterations"
) -> matplotlib.figure.Figure:
    """The gap to an equilibrium against iterations, decisions or seconds, on a logarithmic axis:
    exploitability, and where meta-strategies are correlated one curve for each gap of theirs.

    Folders that differ in nothing but their seed are drawn as one curve: the mean, in a band that
    is its 95 % interval, as in `summary.csv` (`seeds.half_interval`), to the end of the
    shortest; those that have converged count on with what they came to.

    Raises:
        PlotError: a folder holds no metrics, they are damaged, or `x` is unknown.
    """
    if x not in AXES:
        raise PlotError(f"unknown axis {x!r}; known: {', '.join(AXES)}")
    if not folders:
        raise PlotError("no folder to plot")
    groups: dict[tuple[str, str], list[pd.Series]] = {}
    configs: dict[str, dict[str, Any]] = {}
    for folder in folders:
        config = _config(Path(folder))
        shared = {name: value for name, value in config.items() if name != "seed"}
        name = json.dumps(shared, sort_keys=True)
        configs[name] = shared
        for gap, curve in _curves(Path(folder), x).items():
            groups.setdefault((name, gap), []).append(curve)
    gaps = list(dict.fromkeys(gap for _, gap in groups))

    figure = matplotlib.figure.Figure(figsize=(7.2, 4.4), dpi=160, layout="constrained")
    axes = figure.subplots()
    lowest = np.inf
    for (name, gap), curves in groups.items():
        colour = _COLOURS[list(configs).index(name) % len(_COLOURS)]
        label = label_of(configs[name], list(configs.values()), len(curves))
        label += f", {GAPS[gap].split('  ')[0]}" if len(gaps) > 1 else ""
        grid, values = on_one_grid(curves, configs[name].get("tolerance", 0.0))
        middle, least, greatest = interval(values)
        lowest = min(lowest, values.min())
        if len(curves) > 1:
            axes.fill_between(grid, least, greatest, color=colour, alpha=0.15, lw=0)
        few = len(grid) <= 40
        axes.plot(
            grid,
            middle,
            _DASHES[gap] if len(gaps) > 1 else "-",
            color=colour,
            lw=1.8,
            label=label,
            marker="o" if few else None,
            ms=3.5,
        )
    axes.set_yscale("log")
    if axes.collections:  # a band may go down to nothing, which would leave the curves no room
        axes.set_ylim(bottom=lowest / 2)
    axes.set_xlabel(AXES[x])
    axes.set_ylabel(GAPS[gaps[0]] if len(gaps) == 1 else "gap to the equilibrium")
    games = {config["game"] for config in configs.values()}
    axes.set_title(
        games.pop() if len(games) == 1 else "Gap to the equilibrium", loc="left", fontsize=11
    )
    if x == "iterations":
        axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
    axes.grid(axis="y", which="major", color="#e5e7eb", lw=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if len(groups) > 1 or len(folders) > 1:
        axes.legend(frameon=False, fontsize=8)
    return figure


def payoffs_figure(run: Snapshot) -> matplotlib.figure.Figure:
    """The payoff table between the populations, as small multiples: what each player's policies
    (rows) earn against each other player's (columns), the rest drawn from the meta-strategy. In a
    two-player zero-sum game one of the two says it all.

    Raises:
        PlotError: the run has no payoffs yet.
    """
    if run.payoffs is None:
        raise PlotError(f"{run.folder} has no finished iteration yet")
    tables = payoff_tables(run.payoffs, run.meta_strategies[-1])
    columns = max(1, len(run.payoffs) - 1)
    rows = -(-len(tables) // columns)
    figure = matplotlib.figure.Figure(
        figsize=(1.2 + 3.6 * columns, 0.8 + 3.2 * rows), dpi=160, layout="constrained"
    )
    grid = figure.subplots(rows, columns, squeeze=False)
    limit = max(1e-12, *(float(np.abs(table).max()) for table in tables.values()))
    for axes, ((p, q), table) in zip(grid.ravel(), tables.items(), strict=True):
        image = axes.imshow(table, cmap="RdBu", vmin=-limit, vmax=limit, aspect="auto")
        axes.set(ylabel=f"policy of player {p}", xlabel=f"policy of player {q}")
        axes.set_title(f"payoff of player {p}", loc="left", fontsize=10)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(matplotlib.ticker.MaxNLocator(6, integer=True))
    figure.colorbar(image, ax=grid, shrink=0.8)
    figure.suptitle(run.config.game, x=0.02, ha="left", fontsize=11)
    return figure


def payoff_tables(
    payoffs: np.ndarray, strategies: Sequence[np.ndarray]
) -> dict[tuple[int, int], np.ndarray]:
    """By (player, other player): what the player's policies (rows) earn against the other's, the
    rest drawn from their `strategies`; of payoffs `[P, K_0, ..., K_{P-1}]`. Where two players'
    payoffs add up to a constant, one of the two tables, which says it all."""
    num_players = len(payoffs)
    pairs = [(p, q) for p in range(num_players) for q in range(num_players) if p != q]
    total = payoffs.sum(axis=0)
    if num_players == 2 and np.ptp(total) <= 1e-9 * max(1.0, np.abs(payoffs).max()):
        pairs = pairs[:1]
    tables = {}
    for p, q in pairs:
        table = payoffs[p]
        for other in reversed(range(num_players)):
            if other not in (p, q):
                table = np.tensordot(table, strategies[other], axes=(other, 0))
        tables[p, q] = table if p < q else table.T
    return tables


def save_figure(figure: matplotlib.figure.Figure, path: str | os.PathLike) -> Path:
    """Writes PNG or SVG, by the file's ending."""
    path = Path(path)
    kind = path.suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        raise PlotError(f"{path} must end in {' or '.join('.' + each for each in FORMATS)}")
    try:
        with storage.replacing(path) as file:
            figure.savefig(file, format=kind)
    except OSError as error:
        raise PlotError(f"cannot write {path}: {error.strerror or error}") from None
    return path


def _config(folder: Path) -> dict[str, Any]:
    try:
        fields = storage.read_json(folder / CONFIG)
        storage.check_version(folder, fields["format_version"])
        run = fields["run"]
        if not isinstance(run["game"], str):
            raise TypeError(f"game = {run['game']!r} must be a string")
        if not isinstance(run.get("tolerance", 0.0), int | float):
            raise TypeError(f"tolerance = {run['tolerance']!r} must be a number")
        return run
    except storage.ExperimentError as error:
        raise PlotError(str(error)) from None
    except FileNotFoundError:
        raise PlotError(f"{folder} is no experiment: it has no {CONFIG}") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        damage = storage.sentence(error)
        raise PlotError(f"{folder / CONFIG} is damaged: {damage}") from None


def _curves(folder: Path, x: str) -> dict[str, pd.Series]:
    """The gaps that are drawn of a run by `x`, with x as the index."""
    path = folder / METRICS
    try:
        table = pd.read_csv(io.BytesIO(storage.read_bytes(path, MAX_METRICS)))
        if x == "iterations":
            at = table["iteration"]
        else:
            parts = [name for name in table.columns if name.startswith(f"{x}_")]
            if not parts:
                raise KeyError(f"no column {x}_...")
            at = table[parts].sum(axis=1, skipna=False).cumsum()
        concept = table["concept"].iloc[-1] if "concept" in table else "nash"
        curves = {
            gap: pd.Series(table[gap].to_numpy(float), index=at.to_numpy(float))
            for gap in SHOWN[concept]
        }
    except FileNotFoundError:
        raise PlotError(f"{folder} has no finished iteration yet") from None
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise PlotError(f"{path} is damaged: {storage.sentence(error)}") from None
    for gap, curve in curves.items():
        if curve.empty or not np.isfinite([curve.index, curve]).all():
            raise PlotError(f"{path} is damaged: {gap} and {x} must be finite numbers")
    return {gap: curve.clip(lower=FLOOR) for gap, curve in curves.items()}


def on_one_grid(curves: Sequence[pd.Series], tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    """All curves at the same places: `[N]` and `[seeds, N]`. A curve that ends at `tolerance` or
    below has converged and goes on as it ended; else all end with the shortest."""
    grid = np.unique(np.concatenate([curve.index.to_numpy() for curve in curves]))
    unfinished = [each.index.max() for each in curves if each.iloc[-1] > tolerance]
    grid = grid[grid <= min(unfinished, default=np.inf)]
    values = [np.exp(np.interp(grid, each.index, np.log(each.to_numpy()))) for each in curves]
    return grid, np.array(values)


def interval(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean over seeds and its 95 % interval's ends, not below `FLOOR`, of `[seeds, N]`; NaN ends of
    one seed."""
    mean = values.mean(axis=0)
    half = np.array([half_interval(each) for each in values.T])
    return mean, np.maximum(mean - half, FLOOR), mean + half


def label_of(config: dict[str, Any], all_configs: list[dict[str, Any]], seeds: int) -> str:
    """What sets this configuration apart from the others, and the number of its seeds."""
    flat = [_flat(each) for each in all_configs]
    names = dict.fromkeys(name for each in flat for name in each)
    differing = [name for name in names if len({str(each.get(name)) for each in flat}) > 1]
    mine = _flat(config)
    parts = [
        str(mine.get(name)) if name == "game" else f"{name.replace('_', '-')} {mine.get(name)}"
        for name in differing
    ]
    return ", ".join(parts or [config["game"]]) + (
        f" ({seeds} seeds: mean, 95 % interval)" if seeds > 1 else ""
    )


def _flat(config: dict[str, Any]) -> dict[str, Any]:
    flat = {}
    for name, value in config.items():
        if isinstance(value, dict):
            flat |= {f"{name}.{inner}": each for inner, each in value.items()}
        else:
            flat[name] = value
    return flat
