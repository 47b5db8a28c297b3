"""What a network says at a decision."""

from __future__ import annotations

from games.spaces import Box, Discrete

LOG_STD = (-5.0, 2.0)
"""Bounds of the logarithm of a standard deviation, before tanh."""


def num_outputs(space: Box | Discrete) -> int:
    """The number of outputs of the policy head: a logit for each number; for each entry of a box
    the mean and the logarithm of the standard deviation before tanh, all means first."""
    return space.num if isinstance(space, Discrete) else 2 * space.size
