"""Units of payoff. A game stays the same if a player's payoffs are multiplied by a positive number,
or if a constant is added to them. So tolerances are shares of the payoffs' span, and differences by
rounding are recognised by the payoffs' magnitude."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

ALIKE = 1e-9
"""Payoffs that differ by no more than this share of their span count as equal."""


def span(payoffs: Iterable[np.ndarray]) -> float:
    """The largest difference between two payoffs of the same player, from payoffs `[P, ...]`."""
    return max((float(np.ptp(table)) for table in payoffs), default=0.0)


def rounding(payoffs: np.ndarray) -> float:
    """The largest difference that rounding can make between two expected payoffs that are equal in
    exact arithmetic: some units in the last place of the largest of the payoffs `[...]`."""
    return 8 * np.finfo(np.float64).eps * float(np.abs(payoffs).max(initial=0.0))


def without_rounding(figures: np.ndarray, rounding: float) -> np.ndarray:
    """The figures, with 0 for those whose absolute value is at most `rounding`."""
    return np.where(np.abs(figures) <= rounding, 0.0, figures)


def is_constant_sum(payoffs: np.ndarray) -> bool:
    """Whether the players' payoffs `[P, ...]` add up to the same number everywhere. Sums may differ
    by `ALIKE` of the smallest span of a player, and by rounding."""
    least = min(float(np.ptp(table)) for table in payoffs)
    return bool(np.ptp(payoffs.sum(axis=0)) <= ALIKE * least + rounding(payoffs))


def centred(payoffs: np.ndarray) -> np.ndarray:
    """One player's payoffs `[...]`, shifted and scaled to [-1, 1]; all 0 if they are all equal.
    Linear programs are solved in these units, because their tolerances are absolute, and HiGHS
    treats coefficients below 1e-9 as zeros."""
    middle, spread = payoffs.max() / 2 + payoffs.min() / 2, np.ptp(payoffs) / 2
    return (payoffs - middle) / (spread if spread > 0 else 1.0)
