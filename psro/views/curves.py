"""Curves of the gap to an equilibrium, for plots and for pages.

Runs that differ only in their seed form one curve: their mean, with its 95 % interval. The mean is
that of `summary.csv`. The interval is computed for the mean's logarithm, because the axis is
logarithmic: `mean * exp(±h / mean)`, where `mean ± h` is Student's interval (`half_interval`; the
delta method). So it never reaches zero: for n seeds, `h / mean` is at most the t quantile.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np

from psro.runs import commit, naming
from psro.runs import folder as run_folder
from psro.runs.config import RunConfig
from psro.runs.intervals import half_interval
from psro.views import settings

if TYPE_CHECKING:
    from psro.training.record import Record

AXES = {
    "iterations": "iteration",
    "decisions": "own decisions of all learners",
    "seconds": "wall seconds",
}
"""The horizontal axes, and their labels."""
FLOOR = 1e-9
"""A smaller gap is drawn at this height, because a logarithmic axis has no zero."""
GAPS = {
    "exploitability": "exploitability  (NashConv / players)",
    "cce_gap": "CCE gap",
    "ce_gap": "CE gap",
}
"""The gaps of a record, and their labels on an axis."""
SHOWN = {"nash": ["exploitability"], "cce": ["cce_gap"], "ce": ["cce_gap", "ce_gap"]}
"""The gaps that are drawn, by a run's equilibrium concept."""


class Run(Protocol):
    """The part of a run that a curve needs; `psro.runs.folder.Snapshot` has it."""

    config: RunConfig
    records: Sequence[Record]


R = TypeVar("R", bound=Run)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Saved:
    """A run's config and the records of its finished iterations."""

    config: RunConfig
    records: Sequence[Record]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Curve:
    """One gap of the runs of one configuration.

    Attributes:
        label: for the legend.
        gap: one of `GAPS`.
        configuration: counts configurations from 0; the curves of one share a colour.
        seeds: the number of runs in the mean.
        x: places on the horizontal axis, float64 `[N]`.
        mean: over the seeds, at least `FLOOR`, `[N]`.
        lower: lower end of the mean's 95 % interval, `[N]`; the mean itself for a single seed.
        upper: the other end, `[N]`.
        least: the smallest value of any seed, at least `FLOOR`.
        greatest: the largest.
    """

    label: str
    gap: str
    configuration: int
    seeds: int
    x: np.ndarray
    mean: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    least: float
    greatest: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chart:
    """The curves of one picture and its axes; the vertical one is logarithmic.

    Attributes:
        title: the game, or a general title for several games.
        curves: in the order of the runs.
        x_label: of the horizontal axis.
        y_label: of the vertical axis.
        whole: whether the horizontal axis counts; then its ticks are whole numbers.
        limits: ends of the vertical axis. All seeds fit between them; an interval may not.
        ticks: where the vertical axis has ticks, and their texts.
    """

    title: str
    curves: list[Curve]
    x_label: str
    y_label: str
    whole: bool
    limits: tuple[float, float]
    ticks: dict[float, str]


def read(folder: str | os.PathLike) -> Saved:
    """A run's config and records.

    Raises:
        ExperimentError: the folder is no experiment, or is damaged.
    """
    folder = Path(folder)
    config = run_folder.read_run(folder)
    committed = commit.read_commit(folder, config)
    return Saved(config=config, records=committed.records if committed else [])


def along(records: Sequence[Record], x: str) -> np.ndarray:
    """The place of each record on an axis, one of `AXES`, float64 `[N]`."""
    if x == "iterations":
        return np.array([record.iteration for record in records], float)
    amounts = [
        sum(record.decisions if x == "decisions" else record.seconds.values()) for record in records
    ]
    return np.cumsum(amounts, dtype=float)


def axes_of(runs: Sequence[Run]) -> list[str]:
    """The axes on which these runs can be drawn. Decisions are left out if an oracle plays no
    episodes."""
    return [x for x in AXES if x == "iterations" or all(along(r.records, x)[-1] for r in runs)]


def by_configuration(runs: Sequence[R]) -> list[tuple[str, list[R]]]:
    """Groups of runs that differ only in their seed, each with the label that tells it apart from
    the rest."""
    groups: dict[str, list[R]] = {}
    for run in runs:
        key = json.dumps(settings.repeated(run.config), sort_keys=True)
        groups.setdefault(key, []).append(run)
    labels = settings.labels([repetitions[0].config for repetitions in groups.values()])
    return list(zip(labels, groups.values(), strict=True))


def chart(runs: Sequence[Run], x: str) -> Chart:
    """The curves of runs that have finished an iteration, against `x`, one of `AXES`."""
    drawn = [
        (number, label, repetitions, gap)
        for number, (label, repetitions) in enumerate(by_configuration(runs))
        for gap in SHOWN[repetitions[0].records[-1].concept]
    ]
    gaps = list(dict.fromkeys(gap for *_, gap in drawn))
    curves = []
    for number, label, repetitions, gap in drawn:
        if len(gaps) > 1:
            label += f", {GAPS[gap].partition('  ')[0]}"
        curves.append(_curve(repetitions, gap, x, label, number))
    limits = _limits(curves)
    games = {naming.game_of(run.config) for run in runs}
    return Chart(
        title=games.pop() if len(games) == 1 else "Gap to the equilibrium",
        curves=curves,
        x_label=AXES[x],
        y_label=GAPS[gaps[0]] if len(gaps) == 1 else "gap to the equilibrium",
        whole=x != "seconds",
        limits=limits,
        ticks=_ticks(*limits),
    )


def _curve(runs: Sequence[Run], gap: str, x: str, label: str, configuration: int) -> Curve:
    places = [along(run.records, x) for run in runs]
    heights = [
        np.array([max(getattr(record, gap), FLOOR) for record in run.records]) for run in runs
    ]
    settled = [has_settled(run) for run in runs]
    grid, values = on_one_grid(places, heights, settled)
    mean, lower, upper = interval(values)
    if len(runs) > 1:
        label += f" ({len(runs)} seeds: mean, 95 % interval)"
    return Curve(
        label=label,
        gap=gap,
        configuration=configuration,
        seeds=len(runs),
        x=grid,
        mean=mean,
        lower=lower,
        upper=upper,
        least=float(values.min()),
        greatest=float(values.max()),
    )


def has_settled(run: Run) -> bool:
    """Whether further iterations would not change a run. Its last value then counts for later
    iterations, as in `summary.csv`."""
    return run_folder.ended(run.records, run.config) in ("converged", "no oracle improves")


def on_one_grid(
    places: Sequence[np.ndarray], heights: Sequence[np.ndarray], settled: Sequence[bool]
) -> tuple[np.ndarray, np.ndarray]:
    """Curves at the same places `[N]`, and their heights `[seeds, N]`, interpolated on the
    logarithmic axis. Before its first place, a curve has its first height. Curves that are
    `settled` keep their last height. All curves end with the shortest of the others."""
    grid = np.unique(np.concatenate(places))
    ends = [own[-1] for own, is_settled in zip(places, settled, strict=True) if not is_settled]
    grid = grid[grid <= min(ends, default=np.inf)]
    values = [
        height if np.array_equal(place, grid) else np.exp(np.interp(grid, place, np.log(height)))
        for place, height in zip(places, heights, strict=True)
    ]
    return grid, np.array(values)


def interval(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The mean over seeds and the ends of its 95 % interval on a logarithmic axis (see above), each
    `[N]`, of positive `[seeds, N]`; the mean three times for one seed."""
    mean = values.mean(axis=0)
    if len(values) == 1:
        return mean, mean, mean
    half = np.array([half_interval(at_one_place) for at_one_place in values.T])
    return mean, mean * np.exp(-half / mean), mean * np.exp(half / mean)


def _limits(curves: Sequence[Curve]) -> tuple[float, float]:
    """The ends of the axis. They hold all seeds with a margin of 5 %, and span at least a factor of
    two."""
    least = math.log(min(curve.least for curve in curves))
    greatest = math.log(max(curve.greatest for curve in curves))
    missing = max(0.0, math.log(2) - (greatest - least))
    margin = 0.05 * (greatest - least) + missing / 2
    return math.exp(least - margin), math.exp(greatest + margin)


def _ticks(lowest: float, highest: float) -> dict[float, str]:
    """Ticks of a logarithmic axis. If it spans four powers of ten or more, they are powers of ten.
    If it spans at least one, they are 1, 2 and 5. Otherwise they are all digits."""
    ratio = highest / lowest
    digits = (1,) if ratio >= 1e4 else (1, 2, 5) if ratio >= 10 else tuple(range(1, 10))
    powers = range(math.floor(math.log10(lowest)), math.ceil(math.log10(highest)) + 1)
    if digits == (1,):
        step = max(1, round(math.log10(ratio) / 6))
        powers = [power for power in powers if (power - round(math.log10(FLOOR))) % step == 0]
    texts = {
        float(f"{digit}e{power}"): _tick_text(digit, power, only_powers=digits == (1,))
        for power in powers
        for digit in digits
    }
    shown = {tick: text for tick, text in texts.items() if lowest <= tick <= highest}
    if FLOOR in shown:
        shown[FLOOR] = f"≤ {shown[FLOOR]}"
    return shown


def _tick_text(digit: int, power: int, *, only_powers: bool) -> str:
    if -4 <= power < 6 and (not only_powers or power == 0):
        return f"{float(f'{digit}e{power}'):g}"
    raised = str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"10{raised}" if digit == 1 else f"{digit}×10{raised}"
