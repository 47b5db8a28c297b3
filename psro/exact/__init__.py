"""Exact computations in float64 on the arrays of a whole game: realization plans and best responses
(the names of this package, from `plans`), linear programs over the sequence form, CFR+, mirror
descent and restricted games."""

from psro.exact.plans import (
    BestResponse,
    Exploitability,
    action_values,
    behaviour,
    best_response,
    best_response_to,
    best_response_value,
    exploitability,
    gains,
    gains_and_reach,
    info_state_reach,
    magnitudes,
    mix,
    opponent_reach,
    payoffs,
    realization_plan,
    returns,
    sequence_returns,
    uniform_behaviour,
)

__all__ = [
    "BestResponse",
    "Exploitability",
    "action_values",
    "behaviour",
    "best_response",
    "best_response_to",
    "best_response_value",
    "exploitability",
    "gains",
    "gains_and_reach",
    "info_state_reach",
    "magnitudes",
    "mix",
    "opponent_reach",
    "payoffs",
    "realization_plan",
    "returns",
    "sequence_returns",
    "uniform_behaviour",
]
