"""What observations and actions look like: specs as PyTrees of `Box` and `Discrete`."""

from __future__ import annotations

import dataclasses
import math
from typing import Any


@dataclasses.dataclass(frozen=True)
class Box:
    """Real numbers, float32 `[*shape]`, all between `low` and `high`.

    An observation of shape `(height, width, channels)` is an image. As an action, both bounds must
    be finite.
    """

    shape: tuple[int, ...]
    low: float = -math.inf
    high: float = math.inf

    @property
    def size(self) -> int:
        """The number of entries."""
        return math.prod(self.shape)


@dataclasses.dataclass(frozen=True)
class Discrete:
    """Whole numbers 0 to `num - 1`, int32 `[*shape]`."""

    num: int
    shape: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """The number of entries when each number is one-hot."""
        return self.num * math.prod(self.shape)


Space = Any
"""A PyTree (tuples, dicts) whose leaves are `Box` or `Discrete`."""


def size_of(space: Space) -> int:
    """The number of entries of a space's values, flattened, with whole numbers one-hot."""
    import jax  # here, not above: trees have spaces and need no JAX

    return sum(leaf.size for leaf in jax.tree.leaves(space))
