"""The certificate of a meta-strategy: what each player could gain by deviating."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class MetaSolverError(ValueError):
    """A solver cannot solve this meta-game; one sentence says why."""


def regrets(payoffs: np.ndarray, strategies: Sequence[np.ndarray]) -> np.ndarray:
    """Each player's best gain from a pure deviation, `[P]`, in units of payoff.

    Args:
        payoffs: `[P, K_0, ..., K_{P-1}]`.
        strategies: one distribution `[K_p]` per player; they are played independently.
    """
    gains = np.empty(len(strategies))
    for p in range(len(strategies)):
        table = payoffs[p]
        for q in reversed(range(len(strategies))):
            if q != p:
                table = np.tensordot(table, strategies[q], axes=(q, 0))
        gains[p] = table.max() - table @ strategies[p]
    return gains
