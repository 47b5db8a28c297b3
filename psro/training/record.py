"""What an iteration comes to: in numbers, and what the next one goes on from."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from psro.metagame.joint_gaps import CorrelatedGap
from psro.metagame.meta_game import MetaGame
from psro.metagame.strategy import MetaStrategy

if TYPE_CHECKING:  # who reads records needs no JAX
    from psro.policies.policy import Params
    from psro.policies.population import Population

DISTANCES = {"nash": "exploitability", "cce": "CCE gap", "ce": "CE gap"}
"""What the distance of a record is called, by its equilibrium concept."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Record:
    """One iteration in numbers: payoffs in units of the game, tuples one entry a player.

    What is measured is this iteration's meta-strategy, the evaluation solver's where there is one,
    all exactly: `value`, `best_response_value`, `nash_conv` and `exploitability` (both of players
    who draw independently from its marginals), and where it is correlated `cce_gap` and, for the
    concept `ce`, `ce_gap`. `concept` is the equilibrium that it is measured as (nash, cce or ce),
    `distance` the gap of that concept, exploitability for nash, and `meaning` says what zero means.

    `achieved_value` is what the best response trained in this iteration (the first, where there are
    several, as it was trained last) gets against what it was trained against, for a plain expansion
    the *previous* meta-strategy; `improvement` how much more that is than what the player's own
    part of that gets there (not above zero: it is no better response), and `gap` what the exact
    best response gets more; all are None in iteration 0, which trains nothing. `meta_regret` is the
    most that a player could gain by switching to another policy of its population: the training
    solver's certificate. `size` is how many policies a player has. `support_size` counts weights
    above 1e-6, `decisions` and `episodes` are this iteration's (where seats share a population
    player 0's, who alone trains), and `seconds` is wall time by part.
    """

    iteration: int
    exploitability: float
    nash_conv: float
    cce_gap: float | None
    ce_gap: float | None
    concept: str
    meaning: str
    value: tuple[float, ...]
    best_response_value: tuple[float, ...]
    achieved_value: tuple[float, ...] | None
    improvement: tuple[float, ...] | None
    gap: tuple[float, ...] | None
    meta_regret: float
    size: int
    support_size: tuple[int, ...]
    decisions: tuple[int, ...]
    episodes: tuple[int, ...]
    seconds: dict[str, float]

    @property
    def distance(self) -> float:
        return {"nash": self.exploitability, "cce": self.cce_gap, "ce": self.ce_gap}[self.concept]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Iteration:
    """What the caller saves to go on from here; `policies` are this iteration's, leaves `[P, ...]`
    by their number in the populations. Best responses train against `meta_strategy`; `evaluation`
    is what the record measures, and `correlated` the gains by its recommendations, where the two
    are one; else they are computed when they are needed."""

    record: Record
    policies: dict[int, Params]
    population: Population
    meta_game: MetaGame
    meta_strategy: MetaStrategy
    evaluation: MetaStrategy
    correlated: CorrelatedGap | None = None


def why_ended(
    records: Sequence[Record], *, iterations: int, tolerance: float, patience: int
) -> str | None:
    """`converged`, `no oracle improves`, `budget`, or None: not ended. From the records alone, so
    that a run that goes on from its folder ends where it would have ended.

    Args:
        records: of a run so far.
        iterations: its budget.
        tolerance: a `distance` that is converged, an improvement that is none; 0 for never.
        patience: iterations in a row without any improvement that end a run.
    """
    if not records:
        return None
    if records[-1].distance <= tolerance > 0:
        return "converged"
    latest = [record.improvement for record in records[1:]][-patience:]
    if (
        len(latest) == patience
        and all(max(improvement) <= tolerance for improvement in latest)
        and tolerance
    ):
        return "no oracle improves"
    return "budget" if records[-1].iteration >= iterations else None
