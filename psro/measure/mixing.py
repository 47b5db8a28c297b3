"""Mixes a finished population anew: regret minimisation against exploiters that learn meanwhile.

The meta-strategy of a run answers the payoffs that are known. Here every player's mixture over its
population moves by regret minimisation against the other's exploiter, which trains against the
mixture as it is (`psro.variants.expansions.anytime`: McAleer et al. 2022, arXiv:2201.07700,
algorithm 3). The average is harder to exploit by policies that nobody has yet. Where the run knows
episodes only, this does, too.
"""

from __future__ import annotations

import dataclasses
import os
from typing import Any

from psro.errors import SettingsError
from psro.runs.experiment import Experiment, create


def mixed(run: Experiment, rounds: int, folder: str | os.PathLike) -> Experiment:
    """A new run that starts from all policies of `run`. Its only iteration mixes them, and its
    meta-strategy is that mixture.

    Args:
        run: two players, zero-sum.
        rounds: steps of the mixture. Before each step the exploiters train for as long as a best
            response of the run.
        folder: of the new run. It must not exist.

    Raises:
        SettingsError: the run's oracle, or its game, does not fit.
    """
    config = run.config.with_oracle_settings(_longer(run.config, rounds))
    config = dataclasses.replace(
        config, start_from=None, origin=None, expansion="anytime", rounds=rounds, iterations=1,
        evaluation_solver="same", tolerance=0.0,
    )  # fmt: skip
    again = create(config, folder, start=run)
    for _ in again.train():
        pass
    return again


def _longer(config: Any, rounds: int) -> Any:
    """The settings of a run's oracle, for as long in each of some rounds as before in all."""
    settings = config.oracle_settings
    if hasattr(settings, "most_decisions"):
        return dataclasses.replace(settings, decisions=rounds * settings.most_decisions)
    if hasattr(settings, "shared_by"):
        return dataclasses.replace(settings, steps=rounds * settings.steps)
    raise SettingsError(f"oracle {config.oracle} does not train in rounds, so it cannot mix")
