"""Payoffs and probabilities as fractions: the numbers that a file says, from the floats that were
read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from games.fractional import fraction


def fractions(values: np.ndarray) -> np.ndarray:
    """`fraction` of every float of an array `[...]`, as an array of objects."""
    result = zeros(np.shape(values))
    flat = result.reshape(-1)
    for place, value in enumerate(np.asarray(values, np.float64).ravel().tolist()):
        flat[place] = fraction(value)
    return result


def zeros(shape: Sequence[int]) -> np.ndarray:
    """An array of fractions, all 0."""
    result = np.empty(tuple(shape), object)
    result[...] = Fraction(0)
    return result


def integral_zeros(shape: Sequence[int]) -> np.ndarray:
    """An array of Python's integers, all 0."""
    result = np.empty(tuple(shape), object)
    result[...] = 0
    return result


def integers(values: np.ndarray) -> np.ndarray:
    """Fractions `[...]` times their least common denominator: integers, as an array of objects."""
    denominator = math.lcm(*{value.denominator for value in values.ravel().tolist()})
    result = integral_zeros(values.shape)
    flat = result.reshape(-1)
    for place, value in enumerate(values.ravel().tolist()):
        flat[place] = value.numerator * (denominator // value.denominator)
    return result


def normalised(weights: list[int] | np.ndarray) -> np.ndarray:
    """Integer weights, at least one of them positive, as probabilities: an array of fractions."""
    total = int(sum(weights))
    result = zeros([len(weights)])
    result[:] = [Fraction(int(weight), total) for weight in weights]
    return result


def floats(values: np.ndarray) -> np.ndarray:
    """An array of fractions as float64, each rounded once."""
    return np.asarray(values, object).astype(np.float64)
