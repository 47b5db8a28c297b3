"""Units of payoff: a game stays the same game when a player's payoffs are multiplied by a positive
number, or a constant is added to them. So whatever compares payoffs, or solves for them, goes by
their span, and tells what is only rounding by their magnitude."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

ALIKE = 1e-9
"""Payoffs that differ by no more than this share of their span count as equal."""


def span(payoffs: Iterable[np.ndarray]) -> float:
    """The largest difference between two payoffs of one player, of payoffs `[P, ...]`."""
    return max((float(np.ptp(table)) for table in payoffs), default=0.0)


def rounding(payoffs: np.ndarray) -> float:
    """What two sums of payoffs `[...]`, each weighted by probabilities, may differ by where they
    are equal in exact arithmetic: some units in the last place of the largest payoff."""
    return 8 * np.finfo(np.float64).eps * float(np.abs(payoffs).max(initial=0.0))


def without_rounding(figures: np.ndarray, rounding: float) -> np.ndarray:
    """The figures, but 0 where they are no further from it than `rounding`."""
    return np.where(np.abs(figures) <= rounding, 0.0, figures)


def is_constant_sum(payoffs: np.ndarray) -> bool:
    """Whether the players' payoffs `[P, ...]` add up to one number: to `ALIKE` of the smallest span
    of a player, and to rounding."""
    least = min(float(np.ptp(table)) for table in payoffs)
    return bool(np.ptp(payoffs.sum(axis=0)) <= ALIKE * least + rounding(payoffs))


def centred(payoffs: np.ndarray) -> np.ndarray:
    """One player's payoffs `[...]`, moved and scaled to [-1, 1]; all 0 where they do not differ.
    Linear programs are solved in these units: their tolerances are absolute, and HiGHS takes
    coefficients below 1e-9 for zeros."""
    middle, spread = payoffs.max() / 2 + payoffs.min() / 2, np.ptp(payoffs) / 2
    return (payoffs - middle) / (spread if spread > 0 else 1.0)
