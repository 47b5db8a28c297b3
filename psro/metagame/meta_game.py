"""The payoff table between the populations, and how well it is known."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True)
class MetaGame:
    """The game in which each of P players chooses one of its policies.

    Attributes:
        payoffs: expected returns of every profile, float64 `[P, K_0, ..., K_{P-1}]`; means over
            episodes where they are sampled.
        standard_error: of the payoffs, of the same shape; None where they are exact.
        episodes: how many episodes each profile's payoffs are the mean of, int64
            `[K_0, ..., K_{P-1}]`; None where they are exact.
    """

    payoffs: np.ndarray
    standard_error: np.ndarray | None = None
    episodes: np.ndarray | None = None

    @property
    def num_players(self) -> int:
        return len(self.payoffs)

    @property
    def size(self) -> int:
        """The number of policies of each player, if all players have the same number."""
        return self.payoffs.shape[1]

    @property
    def total_episodes(self) -> int:
        """Episodes behind all payoffs together; 0 where they are exact."""
        return 0 if self.episodes is None else int(self.episodes.sum())

    def take(self, members: Sequence[int]) -> MetaGame:
        """The meta-game with only the policies `members` of every player, in this order."""
        chosen = np.ix_(*[np.asarray(members)] * self.num_players)

        def of_profiles(table: np.ndarray | None) -> np.ndarray | None:
            return table if table is None else table[(..., *chosen)]

        return dataclasses.replace(
            self,
            payoffs=of_profiles(self.payoffs),
            standard_error=of_profiles(self.standard_error),
            episodes=of_profiles(self.episodes),
        )
