"""Simple policies measured exactly, without a run."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import time
from collections.abc import Callable

import numpy as np

from games.form import Form
from psro import exact
from psro.exact.cfr import cfr_plus

PlansOf = Callable[[Form], list[np.ndarray]]


def uniform(form: Form) -> list[np.ndarray]:
    """Every player plays each legal action with equal probability."""
    return [
        exact.realization_plan(player, exact.uniform_behaviour(player)) for player in form.players
    ]


def cfr_average(form: Form, iterations: int) -> list[np.ndarray]:
    """The average of CFR+ after some iterations, at least one."""
    return next(itertools.islice(cfr_plus(form), iterations - 1, None))


def policies(cfr_iterations: int) -> dict[str, PlansOf]:
    """Policies that need no run, by name: function of a form that returns each player's plan."""
    return {
        "uniform": uniform,
        "cfr+": functools.partial(cfr_average, iterations=cfr_iterations),
    }


@dataclasses.dataclass(frozen=True, kw_only=True)
class SimplePlay:
    """Exact figures of a simple policy of all players, and what they took."""

    policy: str
    form: Form
    measured: exact.Exploitability
    cpu_seconds: float
    wall_seconds: float


def measure(form: Form, policy: str, *, cfr_iterations: int = 200) -> SimplePlay:
    """The value and NashConv of one of `policies`, played by everybody."""
    cpu, wall = time.process_time(), time.perf_counter()
    measured = exact.exploitability(form, policies(cfr_iterations)[policy](form))
    return SimplePlay(
        policy=policy,
        form=form,
        measured=measured,
        cpu_seconds=time.process_time() - cpu,
        wall_seconds=time.perf_counter() - wall,
    )
