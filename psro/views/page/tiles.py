"""The facts at the top of a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from psro.runs.folder import Snapshot
from psro.runs.intervals import half_interval
from psro.training.record import DISTANCES, Record
from psro.views import curves
from psro.views.numbers import percent, short, three_digits

_EQUILIBRIA = {"nash": "Nash equilibrium", "cce": "CCE", "ce": "CE"}

Tile = dict[str, Any]
"""Its `label`, `value` and `note`; the `error` of a sampled value stands beside it."""


def of_runs(runs: Sequence[Snapshot]) -> list[Tile]:
    """The mean over seeds, for each configuration that has several."""
    tiles = []
    for label, repetitions in curves.by_configuration(runs):
        lasts = [run.records[-1] for run in repetitions]
        if len(lasts) > 1:
            tiles.append(_mean(label, lasts))
    return [tile for tile in tiles if tile is not None]


def _mean(label: str, lasts: Sequence[Record]) -> Tile | None:
    """The mean of the last records; None of sampled ones that have no bound yet."""
    gap = DISTANCES[lasts[0].concept]
    if lasts[0].kind == "exact":
        values, sign = [record.distance for record in lasts], ""
    else:
        values, sign = [record.bound[0] for record in lasts if record.bound], "≥ "
        gap = f"lower bound of the {gap} before"
    if len(values) < 2:
        return None
    half = three_digits(half_interval(values))
    return {
        "label": label,
        "value": sign + three_digits(float(np.mean(values))),
        "note": f"{gap}, mean of {len(values)} seeds ± {half} (95 %)",
    }


def of_run(run: Snapshot) -> list[Tile]:
    """The last finished iteration in numbers."""
    if not run.records:
        return [
            {
                "label": "iteration",
                "value": f"– of {run.config.iterations}",
                "note": "none is finished yet",
            }
        ]
    last = run.records[-1]
    tiles = [
        _distance(run),
        {
            "label": "iteration",
            "value": f"{last.iteration} of {run.config.iterations}",
            "note": f"ended: {why}" if (why := run.ended) else "not ended",
        },
        _value(run),
        {
            "label": "support",
            "value": " / ".join(map(str, last.support_size)),
            "note": f"of {last.size} policies a player",
        },
        _time(run),
    ]
    if decisions := sum(sum(record.decisions) for record in run.records):
        episodes = sum(sum(record.episodes) for record in run.records)
        note = f"of the learners, in {short(episodes)} episodes"
        tiles.append({"label": "decisions", "value": short(decisions), "note": note})
    if run.is_sampled:
        value = short(last.payoff_episodes)
        tiles.append({"label": "episodes", "value": value, "note": "that measure the payoffs"})
    return tiles


def _distance(run: Snapshot) -> Tile:
    """The gap to an equilibrium. Of a sampled run, it is the last lower bound of it."""
    last, unit = run.records[-1], float(np.abs(run.payoffs).max())
    name = DISTANCES[last.concept]
    if last.kind == "exact":
        return {
            "label": name,
            "value": three_digits(last.distance, unit=unit),
            "note": f"0 is a {_EQUILIBRIA[last.concept]}; NashConv "
            + three_digits(last.nash_conv, unit=unit),
        }
    if last.bound is None:
        note = "the first best responses give a lower bound"
        return {"label": name, "value": "–", "note": note}
    value, error = last.bound
    return {
        "label": f"{name}, lower bound",
        "value": f"≥ {three_digits(value, unit=unit)}",
        "error": three_digits(error, unit=unit),
        "note": f"standard error; in iteration {last.iteration - 1}",
    }


def _value(run: Snapshot) -> Tile:
    last, unit = run.records[-1], float(np.abs(run.payoffs).max())
    names = run.player_names or range(len(run.payoffs))
    first, *others = (three_digits(value, unit=unit, sign=True) for value in last.value)
    errors = last.value_error and [three_digits(error, unit=unit) for error in last.value_error]
    if errors:  # the first stands beside the value
        others = [f"{value} ± {error}" for value, error in zip(others, errors[1:], strict=True)]
    note = f"for {run.player_name(0)}" + "".join(
        f"; {value} for {names[p]}" for p, value in enumerate(others, 1)
    )
    tile = {"label": "value", "value": first, "note": note}
    if errors:
        tile |= {"error": errors[0], "note": f"standard error, sampled; {note}"}
    return tile


def _time(run: Snapshot) -> Tile:
    seconds = sum(sum(record.seconds.values()) for record in run.records)
    oracle = sum(record.seconds.get("oracle", 0.0) for record in run.records)
    return {
        "label": "time",
        "value": f"{three_digits(seconds)} s"
        if seconds < 600
        else f"{three_digits(seconds / 60)} min",
        "note": f"{percent(oracle / max(seconds, 1e-9))} of it best responses",
    }
