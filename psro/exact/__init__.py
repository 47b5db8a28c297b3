"""What is computed exactly, in float64, on arrays of a whole game: realization plans and best
responses (this package's own names, from `plans`), linear programs
over the sequence form, CFR+, mirror descent and restricted games."""

from psro.exact.plans import (
    BestResponse,
    Exploitability,
    behaviour,
    best_response,
    best_response_to,
    best_response_value,
    exploitability,
    gains,
    gains_and_reach,
    info_state_reach,
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
    "behaviour",
    "best_response",
    "best_response_to",
    "best_response_value",
    "exploitability",
    "gains",
    "gains_and_reach",
    "info_state_reach",
    "mix",
    "opponent_reach",
    "payoffs",
    "realization_plan",
    "returns",
    "sequence_returns",
    "uniform_behaviour",
]
