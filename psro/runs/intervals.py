"""The interval that several seeds' mean lies in, for summaries and pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

CONFIDENCE = 0.95
"""Of the intervals in summaries and pictures."""


def half_interval(values: Sequence[float] | np.ndarray) -> float:
    """Half the width of the mean's 95 % interval by Student's t, for normal values; NaN for one
    value."""
    import scipy.special  # a second of start-up that most commands do not need

    if len(values) < 2:
        return float("nan")
    quantile = scipy.special.stdtrit(len(values) - 1, (1 + CONFIDENCE) / 2)
    return float(quantile * np.std(values, ddof=1) / np.sqrt(len(values)))
