"""The picture of a sweep: the mean of each combination with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from games.printing import printable

if TYPE_CHECKING:
    import pandas as pd

_MOST = 40
"""Combinations that a picture shows: the best."""
_LONGEST = 60


def sweep_figure(table: pd.DataFrame, means: pd.DataFrame, names: Sequence[str]) -> Figure | None:
    """Distances of all combinations, the smallest on top: a dot for each seed, and the mean with
    its 95 % interval. Combinations that are measured by episodes have lower bounds, as open
    markers, for a bound is no distance. None if no run has either.

    Args:
        table: of `psro.runs.sweep.results`.
        means: of `psro.runs.sweep.summary`.
        names: the settings that vary.
    """
    known = means[means.distance.notna() | means.bound.notna()].head(_MOST)
    if not len(known):
        return None
    figure = Figure(figsize=(8.4, 1.3 + 0.34 * len(known)), dpi=160, layout="constrained")
    axes = figure.subplots()
    exact = known.distance.notna().any()
    for place, row in enumerate(known.itertuples(index=False)):
        own = table[table.combination == row.combination]
        column = "distance" if np.isfinite(row.distance) else "bound"
        mean, half = getattr(row, column), getattr(row, f"{column}_half_interval")
        axes.plot(own[column], np.full(len(own), place), ".", color="#9db8d1", markersize=5)
        axes.errorbar(
            mean, place, xerr=None if np.isnan(half) else half, fmt="o", color="#2f7fc1",
            markerfacecolor="#2f7fc1" if column == "distance" else "white", capsize=3,
            markersize=5,
        )  # fmt: skip
    axes.set_yticks(range(len(known)), [_label(row, names) for _, row in known.iterrows()])
    axes.set_ylim(len(known) - 0.5, -0.5)
    values = table[["distance", "bound"]].to_numpy(float)
    values = values[np.isfinite(values) & (values > 0)]
    if len(values) and values.max() > 30 * values.min():
        axes.set_xscale("log")
    bounded = known.distance.isna().any()
    words = "distance from equilibrium" if exact else "lower bound of the distance"
    axes.set_xlabel(words + (" (open: a lower bound)" if exact and bounded else ""))
    axes.grid(axis="x", alpha=0.3)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure


def _label(row: pd.Series, names: Sequence[str]) -> str:
    """A combination in words, without what matplotlib takes for mathematics."""
    parts = [f"{name.rpartition('.')[2]} {_shown(row[name])}" for name in names]
    text = printable(", ".join(parts) or "run").replace("$", r"\$")
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
