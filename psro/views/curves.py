"""Curves of the gap to an equilibrium, for plots and for pages. Sampled runs have no curve: their
lower bounds of the gap are points (`psro.views.bounds`).

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
from psro.views.bounds import Bounds, bounds_at, has_bound

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
BOUND = "lower bound"
"""What every label of a sampled bound says."""
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
    """The curves and the lower bounds of one picture and its axes.

    Attributes:
        title: the game, or a general title for several games.
        curves: of exact runs, in the order of the runs.
        bounds: of sampled runs, in the order of the runs.
        x_label: of the horizontal axis.
        y_label: of the vertical axis.
        whole: whether the horizontal axis counts; then its ticks are whole numbers.
        ends: the first and the last place on the horizontal axis.
        logarithmic: whether the vertical axis is. It is not if there are only bounds, because
            sampling may make them negative.
        limits: ends of the vertical axis. All seeds of a curve fit between them; an interval may
            not. On a logarithmic axis, a bound may lie below them.
        ticks: where a logarithmic axis has ticks, and their texts.
    """

    title: str
    curves: list[Curve]
    bounds: list[Bounds]
    x_label: str
    y_label: str
    whole: bool
    ends: tuple[float, float]
    logarithmic: bool
    limits: tuple[float, float]
    ticks: dict[float, str]

    @property
    def lowest(self) -> float:
        """The height at which bounds that lie below the axis are drawn."""
        return self.limits[0] if self.logarithmic else -math.inf


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


def has_figure(run: Run) -> bool:
    """Whether a run has a gap, or a lower bound of one."""
    return bool(run.records) and (_is_exact(run) or has_bound(run.records))


def _is_exact(run: Run) -> bool:
    return run.records[-1].kind == "exact"


def chart(runs: Sequence[Run], x: str) -> Chart:
    """The curves and bounds of runs that all have some (`has_figure`), against `x`, one of
    `AXES`."""
    curves, bounds = [], []
    for number, (label, repetitions) in enumerate(by_configuration(runs)):
        concept = repetitions[0].records[-1].concept
        if _is_exact(repetitions[0]):
            curves += [_curve(repetitions, gap, x, label, number) for gap in SHOWN[concept]]
        else:
            bounds.append(_bounds(repetitions, SHOWN[concept][0], x, label, number))
    gaps = list(dict.fromkeys(shown.gap for shown in (*curves, *bounds)))
    if len(gaps) > 1:
        curves, bounds = ([_naming_gap(shown) for shown in own] for own in (curves, bounds))
    if curves:
        bounds = [
            dataclasses.replace(shown, label=f"{shown.label}, {BOUND}, 95 % interval")
            for shown in bounds
        ]
    limits = _limits(curves, bounds) if curves else _linear_limits(bounds)
    games = {naming.game_of(run.config) for run in runs}
    return Chart(
        title=games.pop() if len(games) == 1 else "Gap to the equilibrium",
        curves=curves,
        bounds=bounds,
        x_label=AXES[x],
        y_label=_y_label(gaps, only_bounds=not curves),
        whole=x != "seconds",
        ends=(
            min(float(shown.x[0]) for shown in (*curves, *bounds)),
            max(float(shown.x[-1]) for shown in (*curves, *bounds)),
        ),
        logarithmic=bool(curves),
        limits=limits,
        ticks=_ticks(*limits) if curves else {},
    )


D = TypeVar("D", Curve, Bounds)


def _naming_gap(shown: D) -> D:
    return dataclasses.replace(shown, label=f"{shown.label}, {_name(shown.gap)}")


def _name(gap: str) -> str:
    """The name of a gap, without how it is computed."""
    return GAPS[gap].partition("  ")[0]


def _y_label(gaps: Sequence[str], *, only_bounds: bool) -> str:
    if not only_bounds:
        return GAPS[gaps[0]] if len(gaps) == 1 else "gap to the equilibrium"
    name = _name(gaps[0]) if len(gaps) == 1 else "the gap to the equilibrium"
    return f"{BOUND} of {name}, 95 % interval"


def _bounds(runs: Sequence[Run], gap: str, x: str, label: str, configuration: int) -> Bounds:
    at, value, half = bounds_at(
        [run.records for run in runs],
        [along(run.records, x) for run in runs],
        [has_settled(run) for run in runs],
    )
    if len(runs) > 1:
        label += f" (mean of {len(runs)} seeds)"
    return Bounds(
        label=label,
        gap=gap,
        configuration=configuration,
        seeds=len(runs),
        x=at,
        value=value,
        half=half,
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


def _limits(curves: Sequence[Curve], bounds: Sequence[Bounds]) -> tuple[float, float]:
    """The ends of a logarithmic axis. They hold all seeds and all intervals of bounds that are
    above zero, with a margin of 5 %, and span at least a factor of two."""
    seen = np.concatenate([shown.seen for shown in bounds]) if bounds else np.zeros(0)
    upper = [float(shown.upper.max()) for shown in bounds]
    least = math.log(min([*(curve.least for curve in curves), *seen[seen > FLOOR].tolist()]))
    greatest = math.log(max([*(curve.greatest for curve in curves), *upper]))
    missing = max(0.0, math.log(2) - (greatest - least))
    margin = 0.05 * (greatest - least) + missing / 2
    return math.exp(least - margin), math.exp(greatest + margin)


def _linear_limits(bounds: Sequence[Bounds]) -> tuple[float, float]:
    """The ends of a linear axis. They hold zero and all intervals, with a margin of 5 %."""
    lowest = min(0.0, *(float((shown.value - shown.half).min()) for shown in bounds))
    highest = max(0.0, *(float(shown.upper.max()) for shown in bounds))
    margin = 0.05 * (highest - lowest) or 1.0
    return lowest - margin, highest + margin


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
