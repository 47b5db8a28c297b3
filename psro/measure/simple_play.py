"""Simple policies measured exactly, without a run."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

import numpy as np

from games.form import Form
from psro import exact

PlansOf = Callable[[Form], list[np.ndarray]]


def uniform(form: Form) -> list[np.ndarray]:
    """Every player plays each legal action with equal probability."""
    return [
        exact.realization_plan(player, exact.uniform_behaviour(player)) for player in form.players
    ]


POLICIES: dict[str, PlansOf] = {"uniform": uniform}
"""Policies that need no training, by name: function of a form that returns each player's plan."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SimplePlay:
    """Exact figures of a simple policy of all players, and what they took."""

    policy: str
    form: Form
    measured: exact.Exploitability
    cpu_seconds: float
    wall_seconds: float


def measure(form: Form, policy: str) -> SimplePlay:
    """The value and NashConv of one of `POLICIES`, played by everybody."""
    cpu, wall = time.process_time(), time.perf_counter()
    measured = exact.exploitability(form, POLICIES[policy](form))
    return SimplePlay(
        policy=policy,
        form=form,
        measured=measured,
        cpu_seconds=time.process_time() - cpu,
        wall_seconds=time.perf_counter() - wall,
    )
