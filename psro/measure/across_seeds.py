"""Measurements of runs that differ only in their seed, and their means, as `psro eval` prints
them for a folder of several seeds."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from psro.runs.experiment import Experiment
from psro.runs.intervals import half_interval


@dataclasses.dataclass(frozen=True, kw_only=True)
class AcrossSeeds:
    """N runs of a game for P players, in units of its payoff.

    Attributes:
        game: the game's name.
        seeds: the runs' seeds.
        iterations: the last iteration of each run.
        exploitability: exploitability of each run's meta-strategy, float64 `[N]`; None where it is
            not known, because games are sampled.
        nash_conv: NashConv of each run's meta-strategy, float64 `[N]`; None as exploitability.
        bound: sampled lower bound of the exploitability of each run's meta-strategy before its last
            iteration, float64 `[N]`, NaN where nothing was trained; None where it is exact.
        bound_error: its standard error, as `bound`.
        value: every player's expected return in each run, float64 `[N, P]`.
        value_error: its standard error; None where it is exact.
        player_names: the players' names in the game's file; None if it has none.
    """

    game: str
    seeds: tuple[int, ...]
    iterations: tuple[int, ...]
    exploitability: np.ndarray | None
    nash_conv: np.ndarray | None
    bound: np.ndarray | None
    bound_error: np.ndarray | None
    value: np.ndarray
    value_error: np.ndarray | None
    player_names: tuple[str, ...] | None

    def columns(self) -> dict[str, np.ndarray]:
        """The measurements of all runs, `[N]`, by their names in tables."""
        values = {f"value {player}": self.value[:, player] for player in range(self.value.shape[1])}
        if self.exploitability is None:
            return {"lower bound of exploitability": self.bound, **values}
        return {"exploitability": self.exploitability, "NashConv": self.nash_conv, **values}

    def mean_and_interval(self, numbers: np.ndarray) -> tuple[float, float]:
        """The mean of numbers `[N]`, and half the width of its 95 % interval by Student's t. The
        latter is NaN for one number."""
        return float(np.mean(numbers)), half_interval(numbers)


def measure(runs: Sequence[Experiment]) -> AcrossSeeds:
    """Measures the meta-strategy of each run, all of one game and in one way."""
    gaps, exact, tree = [run.measure() for run in runs], runs[0].is_exact, runs[0].tree
    bounds = [run.records[-1].bound or (np.nan, np.nan) for run in runs]
    return AcrossSeeds(
        game=runs[0].config.game,
        seeds=tuple(run.config.seed for run in runs),
        iterations=tuple(run.records[-1].iteration for run in runs),
        exploitability=None
        if not exact
        else np.array([measured.exploitability for measured in gaps]),
        nash_conv=None if not exact else np.array([measured.nash_conv for measured in gaps]),
        bound=None if exact else np.array([bound for bound, _ in bounds]),
        bound_error=None if exact else np.array([error for _, error in bounds]),
        value=np.array([measured.value for measured in gaps]),
        value_error=None if exact else np.array([measured.value_error for measured in gaps]),
        player_names=tree and tree.player_names,
    )
