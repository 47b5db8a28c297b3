"""The confidence interval of the mean over several seeds, for summaries and pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

CONFIDENCE = 0.95
"""The level of all intervals."""


def half_interval(values: Sequence[float] | np.ndarray) -> float:
    """Half the width of the 95 % interval of the mean, by Student's t for normal values. NaN for
    one value."""
    import scipy.special  # here, not above: it takes a second, and most commands do not need it

    if len(values) < 2:
        return float("nan")
    quantile = scipy.special.stdtrit(len(values) - 1, (1 + CONFIDENCE) / 2)
    return float(quantile * np.std(values, ddof=1) / np.sqrt(len(values)))
