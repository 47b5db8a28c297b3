"""Curves of the return of learners that train alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import matplotlib.figure
import numpy as np

from psro.runs.learner_config import LearnerConfig
from psro.training.evaluation_record import Evaluation
from psro.training.record import QUANTILE
from psro.views.settings import without_mathematics


class Learned(Protocol):
    """What a curve needs of a learner."""

    config: LearnerConfig
    records: Sequence[Evaluation]


def figure(runs: Sequence[Learned], *, x: str = "decisions") -> matplotlib.figure.Figure:
    """The return of fresh episodes against decisions or seconds, with 95 % intervals of the mean.
    Learners that have not been evaluated are left out."""
    drawn = matplotlib.figure.Figure(figsize=(7, 4.5), layout="constrained")
    axes = drawn.add_subplot()
    for run in runs:
        if run.records:
            place, mean, half = curve(run, x)
            (line,) = axes.plot(place, mean, marker="o", markersize=3, label=label(run, runs))
            axes.fill_between(place, mean - half, mean + half, alpha=0.2, color=line.get_color())
    axes.set_xlabel("wall seconds" if x == "seconds" else "decisions of the learner")
    axes.set_ylabel("return, mean and 95 % interval")
    games = {run.config.game for run in runs}
    axes.set_title(without_mathematics(games.pop() if len(games) == 1 else "returns"))
    axes.grid(alpha=0.3)
    if len(runs) > 1:
        axes.legend()
    return drawn


def curve(run: Learned, x: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places, mean returns, and half their 95 % intervals, `[N]`."""
    if x == "seconds":
        place = np.cumsum([sum(record.seconds.values()) for record in run.records])
    else:
        place = np.array([record.decisions for record in run.records], float)
    mean = np.array([record.mean_return for record in run.records])
    return place, mean, QUANTILE * np.array([r.return_standard_error for r in run.records])


def label(run: Learned, runs: Sequence[Learned]) -> str:
    """What tells a learner apart from the others."""
    parts = {
        "game": run.config.game,
        "learner": run.config.learner,
        "cell": f"{run.config.cell} {run.config.hidden_size}",
        "seed": f"seed {run.config.seed}",
    }
    shown = [
        text
        for name, text in parts.items()
        if len({getattr(other.config, name) for other in runs}) > 1
    ]
    return without_mathematics(", ".join(shown) or parts["seed"])
