"""The settings of meta-solvers: annotations for their keyword arguments.

`psro.metagame.solvers.meta_solver` reads them from a solver's signature.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Annotated


@dataclasses.dataclass(frozen=True)
class Rule:
    """Which values are allowed, in words (after "must be a number") and as a predicate."""

    words: str
    allows: Callable[[float], bool]


Count = Annotated[int, Rule("at least 1", lambda value: value >= 1)]
Share = Annotated[float, Rule("between 0 and 1", lambda value: 0 <= value <= 1)]
PositiveShare = Annotated[float, Rule("above 0 and at most 1", lambda value: 0 < value <= 1)]
Positive = Annotated[float, Rule("above 0", lambda value: value > 0)]
"""Infinity included."""
Finite = Annotated[float, Rule("at least 0 and finite", lambda value: 0 <= value < math.inf)]
