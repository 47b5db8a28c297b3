"""Sampled lower bounds of a gap, for plots and for pages: points with error bars, never a curve.

The bound in an iteration's record is that of the meta-strategy of the iteration before, so it is
drawn there. The bar of one run is the bound's 95 % interval. Of several seeds, the point is the
mean of their bounds and the bar the mean's 95 % interval by Student's t.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from psro.runs.intervals import half_interval
from psro.training.record import QUANTILE, Record


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bounds:
    """The lower bounds of the runs of one configuration, in the order of iterations.

    Attributes:
        label: for the legend.
        gap: what they bound, one of `curves.GAPS`.
        configuration: as in a `Curve`.
        seeds: the number of runs in the means.
        x: places on the horizontal axis, float64 `[N]`.
        value: the bounds, or their means, `[N]`. Sampling may make them negative.
        half: half the width of their 95 % intervals, `[N]`.
    """

    label: str
    gap: str
    configuration: int
    seeds: int
    x: np.ndarray
    value: np.ndarray
    half: np.ndarray

    @property
    def upper(self) -> np.ndarray:
        return self.value + self.half

    @property
    def seen(self) -> np.ndarray:
        """The smallest number that an axis must show for each, `[N]`: the bound where its interval
        is above zero, otherwise the interval's upper end."""
        return np.where(self.value > self.half, self.value, self.upper)

    def on_axis(self, lowest: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """How they are drawn on an axis that ends at `lowest`: heights, lengths of the bars below
        and above, and which bounds are below the axis (these stand at its end), `[N]` each."""
        height = np.maximum(self.value, lowest)
        below = height - np.maximum(self.value - self.half, lowest)
        above = np.maximum(self.upper - height, 0.0)
        return height, below, above, self.value < lowest


def has_bound(records: Sequence[Record]) -> bool:
    """Whether there is a lower bound in these records."""
    return any(record.bound is not None for record in records)


def bounds_at(
    runs: Sequence[Sequence[Record]], places: Sequence[np.ndarray], settled: Sequence[bool]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places, bounds and half intervals, `[N]` each.

    Args:
        runs: each run's records; each has a bound.
        places: the place of each record on the horizontal axis.
        settled: whether further iterations would not change a run. Its last bound then counts for
            later iterations. The other runs end with the shortest of them.
    """
    points = [
        {
            record.iteration - 1: (at, *record.bound)
            for at, record in zip(own, records[1:], strict=False)
            if record.bound is not None
        }
        for records, own in zip(runs, places, strict=True)
    ]
    ends = [max(own) for own, is_settled in zip(points, settled, strict=True) if not is_settled]
    last = min(ends, default=np.inf)
    drawn = []
    for number in sorted({number for own in points for number in own if number <= last}):
        present = [own[number] for own in points if number in own]
        latest = [own[max(n for n in own if n <= number)] for own in points if min(own) <= number]
        values = [value for _, value, _ in latest]
        half = QUANTILE * latest[0][2] if len(latest) == 1 else half_interval(values)
        drawn.append((np.mean([at for at, *_ in present]), np.mean(values), half))
    x, value, half = np.array(drawn).reshape(-1, 3).T
    return x, value, half
