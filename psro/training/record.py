"""The results of an iteration: its numbers, and the state that the next iteration needs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from psro.metagame.joint_gaps import CorrelatedGap
from psro.metagame.meta_game import MetaGame
from psro.metagame.strategy import MetaStrategy

if TYPE_CHECKING:  # reading records needs no JAX
    from psro.policies.policy import Params
    from psro.policies.population import Population

DISTANCES = {"nash": "exploitability", "cce": "CCE gap", "ce": "CE gap"}
"""The name of a record's distance, by its equilibrium concept."""


QUANTILE = 1.96
"""Standard errors on either side of a 95 % interval."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Record:
    """One iteration in numbers: payoffs in units of the game, tuples with one entry per player.

    The record measures this iteration's meta-strategy (the evaluation solver's, if there is one).
    `kind` says how: `exact` in an enumerated game, or `sampled` by episodes. `value` and
    `best_response_value` are its values. `nash_conv` and `exploitability` assume that players draw
    independently from its marginals. A correlated meta-strategy also has `cce_gap` and, for the
    concept `ce`, `ce_gap`. `concept` is the equilibrium that it is measured as (nash, cce or ce).
    `distance` is the gap of that concept (exploitability for nash). `meaning` says what a distance
    of zero means.

    Sampled records know no best-response value, no gap and no distance; these are None. Their
    values have standard errors, `value_error` and `improvement_error`. `nash_conv_bound`, with its
    standard error, is a lower bound of the NashConv of the meta-strategy that the previous record
    measures (of its CCE gap, where players draw together): what this iteration's best responses
    gain over it, added up. It is None if the expansion has changed the policies of that
    meta-strategy. `payoff_episodes` counts the episodes
    behind all payoffs of the meta-game.

    `achieved_value` is the value of this iteration's best response against its target. If there
    are several best responses, it is the first one in its last training. The target of a plain
    expansion is the *previous* meta-strategy. `improvement` is `achieved_value` minus the value of
    the player's own part of the target; at or below zero, the policy is not a better response.
    `gap` is the exact best response's value minus `achieved_value`. All three are None in iteration
    0, which trains nothing.

    `meta_regret` is the most that a player could gain by a change to another policy of its
    population: the training solver's certificate. `size` is the number of policies per player.
    `support_size` counts weights above 1e-6. `decisions` and `episodes` are those of this iteration
    (of player 0, who alone trains, if seats share a population). `seconds` is wall time by part.
    """

    iteration: int
    exploitability: float | None
    nash_conv: float | None
    cce_gap: float | None
    ce_gap: float | None
    concept: str
    meaning: str
    value: tuple[float, ...]
    best_response_value: tuple[float, ...] | None
    achieved_value: tuple[float, ...] | None
    improvement: tuple[float, ...] | None
    gap: tuple[float, ...] | None
    meta_regret: float
    size: int
    support_size: tuple[int, ...]
    decisions: tuple[int, ...]
    episodes: tuple[int, ...]
    seconds: dict[str, float]
    # The defaults are those of exact records, which older folders hold.
    kind: str = "exact"
    value_error: tuple[float, ...] | None = None
    improvement_error: tuple[float, ...] | None = None
    nash_conv_bound: float | None = None
    nash_conv_bound_error: float | None = None
    payoff_episodes: int = 0

    @property
    def distance(self) -> float | None:
        """The exact gap of the concept; None in a sampled record."""
        return {"nash": self.exploitability, "cce": self.cce_gap, "ce": self.ce_gap}[self.concept]

    @property
    def bound(self) -> tuple[float, float] | None:
        """A sampled lower bound, with its standard error, of the distance of the previous
        iteration's meta-strategy: of its exploitability, NashConv over the number of players, or of
        its CCE gap where players draw together."""
        if self.nash_conv_bound is None:
            return None
        players = len(self.value) if self.concept == "nash" else 1
        return self.nash_conv_bound / players, self.nash_conv_bound_error / players

    @property
    def most_improvement(self) -> float | None:
        """The largest improvement of a player that is not ruled out: an upper confidence bound at
        95 % where it is sampled; None where no best response was trained."""
        if self.improvement is None:
            return None
        errors = self.improvement_error or (0.0,) * len(self.improvement)
        return max(
            improvement + QUANTILE * error
            for improvement, error in zip(self.improvement, errors, strict=True)
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Iteration:
    """The state that the caller saves to continue from here. `policies` are this iteration's
    policies by their number in the populations, leaves `[P, ...]`. Best responses train against
    `meta_strategy`. The record measures `evaluation`. If both are the same meta-strategy,
    `correlated` has the gains by its recommendations; otherwise they are computed when needed."""

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
    """Why a run has ended: `converged`, `no oracle improves` or `budget`; None if it has not ended.
    The answer depends on the records alone, so that a resumed run ends at the same iteration.

    Args:
        records: the run's records so far.
        iterations: the run's budget.
        tolerance: a `distance` up to this has converged, and an `improvement` up to this does not
            count; 0 = never stop early.
        patience: number of iterations in a row without an improvement that ends a run.
    """
    if not records:
        return None
    distance = records[-1].distance
    if distance is not None and distance <= tolerance > 0:
        return "converged"
    latest = [record.most_improvement for record in records[1:]][-patience:]
    known = len(latest) == patience and None not in latest  # self-play has no improvement
    if known and max(latest) <= tolerance > 0:
        return "no oracle improves"
    return "budget" if records[-1].iteration >= iterations else None
