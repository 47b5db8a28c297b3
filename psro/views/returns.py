"""Curves of the return of learners that train alone, for plots and for pages.

Learners that differ only in their seed form one curve: of each evaluation that all have finished,
the mean over seeds with Student's 95 % interval, at their mean place. (Seeds that train side by
side share what the first of them compiles, so that their seconds need not overlap.) A single
learner has the mean of its evaluation's episodes with their 95 % interval.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Protocol, TypeVar

import matplotlib.figure
import numpy as np

from psro.errors import SettingsError
from psro.runs.intervals import half_interval
from psro.runs.learner_config import LearnerConfig
from psro.training.evaluation_record import Evaluation
from psro.training.record import QUANTILE
from psro.views.settings import without_mathematics

AXES = {
    "decisions": "decisions of the learner",
    "seconds": "wall seconds",
    "cpu_seconds": "CPU seconds",
}
"""The horizontal axes, and their labels."""
_COLOURS = ("#0b6e99", "#d9730d", "#2e8b57", "#ad1a72", "#6940a5", "#8a6d3b", "#4b5563", "#c0392b")


class Learned(Protocol):
    """What a curve needs of a learner."""

    config: LearnerConfig
    records: Sequence[Evaluation]


L = TypeVar("L", bound=Learned)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Curve:
    """The return of the learners of one configuration.

    Attributes:
        label: for the legend.
        seeds: the number of learners in the mean.
        x: places on the horizontal axis, float64 `[N]`.
        mean: the return, `[N]`.
        half: half its 95 % interval, `[N]`: over seeds, or of the episodes of a single learner.
    """

    label: str
    seeds: int
    x: np.ndarray
    mean: np.ndarray
    half: np.ndarray


def axes_of(runs: Sequence[Learned]) -> list[str]:
    """The axes on which these learners can be drawn. Older folders have no CPU seconds."""
    known = all(r.cpu_seconds is not None for run in runs for r in run.records)
    return [x for x in AXES if x != "cpu_seconds" or known]


def along(run: Learned, x: str) -> np.ndarray:
    """The place of each evaluation on an axis, one of `AXES`, float64 `[N]`."""
    if x == "decisions":
        return np.array([record.decisions for record in run.records], float)
    if x == "seconds":
        return np.cumsum([sum(record.seconds.values()) for record in run.records])
    return np.cumsum([record.cpu_seconds for record in run.records])


def by_configuration(runs: Sequence[L]) -> list[tuple[str, list[L]]]:
    """Groups of learners that differ only in their seed, each with the label that tells it apart
    from the rest."""
    groups: dict[str, list[L]] = {}
    for run in runs:
        key = json.dumps({**run.config.in_use(), "seed": None}, sort_keys=True)
        groups.setdefault(key, []).append(run)
    names = labels([repetitions[0].config for repetitions in groups.values()])
    return list(zip(names, groups.values(), strict=True))


def labels(configs: Sequence[LearnerConfig]) -> list[str]:
    """A label for each learner: its method and its cell, and the other settings in which they
    differ. The seed is left out."""
    used = [config.in_use() for config in configs]
    differing = [
        name
        for name in dict.fromkeys(name for own in used for name in own)
        if len({str(own[name]) for own in used if name in own}) > 1
    ]
    result = []
    for config, own in zip(configs, used, strict=True):
        parts = [config.game] if "game" in differing else []
        parts.append(f"{config.learner}, {config.cell} of {config.hidden_size}")
        parts += [
            f"{name.replace('_', '-')} {own[name]}"
            for name in differing
            if name in own and name not in ("game", "learner", "cell", "hidden_size", "seed")
        ]
        result.append(", ".join(parts))
    return result


def curves(runs: Sequence[Learned], x: str) -> list[Curve]:
    """The curves of learners, each of which has been evaluated, against `x`, one of `AXES`."""
    return [_curve(label, repetitions, x) for label, repetitions in by_configuration(runs)]


def _curve(label: str, runs: Sequence[Learned], x: str) -> Curve:
    places = [along(run, x) for run in runs]
    means = [np.array([record.mean_return for record in run.records]) for run in runs]
    if len(runs) == 1:
        errors = np.array([record.return_standard_error for record in runs[0].records])
        return Curve(label=label, seeds=1, x=places[0], mean=means[0], half=QUANTILE * errors)
    finished = min(map(len, means))
    values = np.array([mean[:finished] for mean in means])  # [seeds, N]
    return Curve(
        label=f"{label} ({len(runs)} seeds: mean, 95 % interval)",
        seeds=len(runs),
        x=np.mean([place[:finished] for place in places], axis=0),
        mean=values.mean(axis=0),
        half=np.array([half_interval(of_one_evaluation) for of_one_evaluation in values.T]),
    )


def title(runs: Sequence[Learned]) -> str:
    """The game, or how many there are."""
    games = {run.config.game for run in runs}
    return games.pop() if len(games) == 1 else f"{len(games)} games"


def figure(runs: Sequence[Learned], *, x: str = "decisions") -> matplotlib.figure.Figure:
    """The return of fresh episodes against decisions or seconds, with 95 % intervals of the mean.
    Learners that differ only in their seed are drawn as one curve.

    Raises:
        SettingsError: a learner has no evaluation yet, or the axis is not known of all.
    """
    if any(not run.records for run in runs):
        raise SettingsError("a learner has no finished evaluation yet")
    if x not in axes_of(runs):
        raise SettingsError(f"cannot draw along {x!r}; known: {', '.join(axes_of(runs))}")
    drawn = matplotlib.figure.Figure(figsize=(7.2, 4.4), dpi=160, layout="constrained")
    axes = drawn.subplots()
    shown = curves(runs, x)
    for number, curve in enumerate(shown):
        colour = _COLOURS[number % len(_COLOURS)]
        low, high = curve.mean - curve.half, curve.mean + curve.half
        axes.fill_between(curve.x, low, high, alpha=0.15, color=colour, lw=0)
        label = without_mathematics(curve.label)
        axes.plot(curve.x, curve.mean, marker="o", ms=3.5, lw=1.8, color=colour, label=label)
    axes.set(xlabel=AXES[x], ylabel="return of fresh episodes, 95 % interval")
    axes.set_title(without_mathematics(title(runs)), loc="left", fontsize=11)
    axes.grid(axis="y", color="#e5e7eb", lw=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if len(runs) > 1:
        axes.legend(frameon=False, fontsize=8)
    return drawn
