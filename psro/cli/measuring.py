"""The options of `psro eval`, and which of them go together."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from psro.cli.process import UsageError
from psro.training.executor_settings import ExecutorConfig

if TYPE_CHECKING:
    from psro.runs.experiment import Experiment

_MOST_CFR = 1_000_000
"""Most iterations of CFR+. They take some minutes in Kuhn poker, where no error remains."""
_MOST_DECISIONS = 1 << 40
_MOST_RESTARTS = 1_000
_MOST_EPISODES = 1 << 32
_MOST_ROUNDS = 1_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wanted:
    """The options of `psro eval`."""

    json: bool
    csv: str | None
    equilibrium: bool
    cfr_iterations: int
    device: str | None
    exploiter: int | None
    exploiter_oracle: str
    restarts: int
    calibrate: bool
    episodes: int | None
    exact: bool
    within: float | None
    strategies: bool
    mix: int | None
    executing: ExecutorConfig

    def check(self) -> None:
        """Raises UsageError for values that cannot be."""
        if not 0 <= self.cfr_iterations <= _MOST_CFR:
            raise UsageError(
                f"--cfr-iterations {self.cfr_iterations} must be at least 0 and at most "
                f"{_MOST_CFR:,}"
            )
        for option, number, most in (
            ("--exploiter", self.exploiter, _MOST_DECISIONS),
            ("--restarts", self.restarts, _MOST_RESTARTS),
            ("--episodes", self.episodes, _MOST_EPISODES),
            ("--mix", self.mix, _MOST_ROUNDS),
        ):
            if number is not None and not 1 <= number <= most:
                raise UsageError(f"{option} {number} must be at least 1 and at most {most:,}")
        if self.within is not None and not 0 < self.within < float("inf"):
            raise UsageError(f"--within {self.within} must be more than 0, and finite")
        if self.within is not None and not self.exact:
            raise UsageError("--within is for --exact, whose error it bounds")
        if self.calibrate and self.exploiter is None:
            raise UsageError("--calibrate needs --exploiter DECISIONS, which it calibrates")
        if self.exploiter is None and self.executing != ExecutorConfig():
            raise UsageError("--executor is for --exploiter DECISIONS, whose trainings it spreads")

    def check_policy(self) -> None:
        """Raises UsageError for options that need a population."""
        self._for_populations("a policy of --game", episodes=self.episodes)

    def check_one(self) -> None:
        """Raises UsageError for options that are for a single run."""
        if self.exploiter is not None:
            raise UsageError("--exploiter measures one run; name a single folder")
        if self.exact:
            raise UsageError("--exact measures one run; name a single folder")
        if self.strategies:
            raise UsageError("--strategies shows one run; name a single folder")
        if self.mix is not None:
            raise UsageError("--mix is for one run; name a single folder")

    def check_learners(self) -> None:
        """Raises UsageError for options that need a population."""
        self._for_populations("learners of psro train")

    def _for_populations(self, what: str, episodes: int | None = None) -> None:
        """Raises UsageError for options that do not measure `what`; `episodes` if they do not."""
        for option, given in (
            ("--csv", self.csv is not None),
            ("--equilibrium", self.equilibrium),
            ("--device", self.device is not None),
            ("--exploiter", self.exploiter is not None),
            ("--episodes", episodes is not None),
            ("--exact", self.exact),
            ("--strategies", self.strategies),
            ("--mix", self.mix is not None),
        ):
            if given:
                raise UsageError(f"{option} is for populations, not for {what}")

    def check_without_tree(self, opened: Experiment) -> None:
        """Raises UsageError for options that need an enumerated game."""
        why = "too large for that" if opened.is_exact else "measured by episodes"
        bound = "--exploiter DECISIONS gives a lower bound of its exploitability"
        for option, given, instead in (
            ("--equilibrium", self.equilibrium and not opened.is_exact, bound),
            ("--device", self.device is not None, "leave it out"),
        ):
            if given:
                raise UsageError(
                    f"{option} needs a game that is enumerated, and {opened.config.game} is "
                    f"{why}; {instead}"
                )
