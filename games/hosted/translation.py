"""Spaces of other libraries as ours. Most are made like OpenAI Gym's: `n`, `nvec`, `low`, `high`,
`spaces`; so they are recognised by these attributes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from games.errors import GameError
from games.solo import check_actions
from games.spaces import Box, Discrete, Space

_MOST_KINDS = 64
"""Whole numbers up to this are kinds of things, and one-hot; others are amounts."""


def observation_space(space: Any) -> Space:
    """A library's space of observations. Whole numbers become `Discrete` where they are few; bytes
    become numbers from 0 to 1 (`games.solo.conformed` divides them)."""
    inner = getattr(space, "spaces", None)
    if isinstance(inner, Mapping):
        return {name: observation_space(inner[name]) for name in sorted(inner)}
    if isinstance(inner, tuple | list):
        return tuple(map(observation_space, inner))
    if hasattr(space, "nvec"):
        nvec = np.asarray(space.nvec)
        return numbers(nvec.shape, 0, int(nvec.max()) - 1, whole=True)
    if hasattr(space, "n") and not getattr(space, "shape", ()):
        return numbers((), 0, int(space.n) - 1 + int(getattr(space, "start", 0)), whole=True)
    if hasattr(space, "n"):  # so many bits
        return numbers(tuple(space.shape), 0, 1, whole=True)
    if hasattr(space, "low") and hasattr(space, "high"):
        low, high = np.asarray(space.low, float).min(), np.asarray(space.high, float).max()
        whole = np.issubdtype(np.dtype(space.dtype), np.integer)
        return numbers(tuple(space.shape), low, high, whole=whole)
    raise GameError(f"observations of the kind {type(space).__name__} have no fixed size")


def numbers(shape: tuple[int, ...], low: float, high: float, *, whole: bool) -> Box | Discrete:
    """The space of numbers between two bounds; `whole` numbers are kinds where they are few."""
    if whole and shape and (low, high) == (0, 1):
        return Box(shape, 0.0, 1.0)
    if whole and low >= 0 and high < _MOST_KINDS:
        return Discrete(int(high) + 1, shape)
    if whole and high == 255:
        return Box(shape, 0.0, 1.0)
    return Box(shape, *(float(end) if abs(end) < 1e6 else math.copysign(math.inf, end)
                        for end in (low, high)))  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Actions:
    """Our space of actions, and the function that makes of ours what a library takes (of an array
    of numpy or of JAX)."""

    space: Box | Discrete
    theirs: Callable[[Any], Any]


def actions_of(name: str, space: Any) -> Actions:
    """A library's space of actions.

    Several choices at once are numbered as one, the last choice fastest. Real numbers whose bounds
    differ from one to the next go from -1 to 1.

    Raises:
        GameError: no learner here can choose such actions.
    """
    if hasattr(space, "nvec"):
        return _together(name, np.asarray(space.nvec))
    if hasattr(space, "n") and not getattr(space, "shape", ()):
        start = int(getattr(space, "start", 0))
        ours = check_actions(name, Discrete(int(space.n)))
        return Actions(ours, (lambda action: action + start) if start else lambda action: action)
    if hasattr(space, "low") and hasattr(space, "high"):
        return between(name, tuple(space.shape), space.low, space.high)
    return Actions(check_actions(name, space), lambda action: action)


def _together(name: str, counts: np.ndarray) -> Actions:
    """Several choices with these numbers of options, as one choice."""
    ours = check_actions(name, Discrete(math.prod(map(int, counts.flat))))
    steps = np.append(
        np.cumprod(counts.flat[:0:-1])[::-1], 1
    )  # how far one option is from the next
    steps, options = (
        array.astype(np.int32).reshape(counts.shape) for array in (steps, np.asarray(counts))
    )
    return Actions(ours, lambda action: action[..., *(None,) * counts.ndim] // steps % options)


def between(name: str, shape: tuple[int, ...], low: Any, high: Any) -> Actions:
    """Real numbers between bounds, which are numbers or arrays of this shape."""
    low, high = (
        np.broadcast_to(np.asarray(end, np.float32), shape).astype(np.float32)
        for end in (low, high)
    )
    if shape and (low == low.flat[0]).all() and (high == high.flat[0]).all():
        ours = check_actions(name, Box(shape, float(low.flat[0]), float(high.flat[0])))
        return Actions(ours, lambda action: action)
    if not (np.isfinite(low) & np.isfinite(high)).all():
        check_actions(name, Box(shape))  # says that bounds are missing
    ours = check_actions(name, Box(shape or (1,), -1.0, 1.0))
    middle, half = (low + high) / 2, (high - low) / 2
    if not shape:
        return Actions(ours, lambda action: middle + half * action[..., 0])
    return Actions(ours, lambda action: middle + half * action)
