"""What a network says at a decision."""

from __future__ import annotations

import math

from games.spaces import Box, Discrete
from psro.errors import SettingsError

LOG_STD = (-5.0, 2.0)
"""Bounds of the logarithm of a standard deviation, before tanh."""


def num_outputs(space: Box | Discrete) -> int:
    """The number of outputs of the policy head: a logit for each number; for each entry of a box
    the mean and the logarithm of the standard deviation before tanh, all means first."""
    return space.num if isinstance(space, Discrete) else 2 * space.size


def check_actions(space: Box | Discrete) -> None:
    """Raises SettingsError if no head can be made for the actions."""
    if isinstance(space, Discrete) and space.shape:
        raise SettingsError(
            f"a policy plays one number at a time, not numbers of shape {space.shape}"
        )
    if isinstance(space, Box) and not (math.isfinite(space.low) and math.isfinite(space.high)):
        raise SettingsError(f"actions between {space.low} and {space.high} must have finite bounds")
