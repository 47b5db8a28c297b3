"""Floats as the fractions that a file meant."""

from __future__ import annotations

import functools
from fractions import Fraction

import numpy as np

_DENOMINATOR = 1_000_000
"""The largest denominator of a ratio that is recognised. Ratios with smaller ones differ by more
than the rounding of floats, so at most one is meant."""

_ROUNDING = 8 * np.finfo(np.float64).eps
"""Relative difference of a float from the fraction that it stands for: sums of a few payoffs and
products of a few probabilities round more than once."""


@functools.lru_cache(maxsize=1 << 16)
def fraction(value: float) -> Fraction:
    """The fraction that a finite float stands for: the simplest ratio within rounding (0.1 is 1/10,
    0.3333333333333333 is 1/3), or else the shortest decimal that is read as this float."""
    value = float(value)
    simple = Fraction(value).limit_denominator(_DENOMINATOR)
    if abs(float(simple) - value) <= _ROUNDING * abs(value):
        return simple
    return Fraction(repr(value))
