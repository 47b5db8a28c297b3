"""What the players draw their policies from.

A meta-strategy is independent (a distribution for each player) or correlated (one joint
distribution over profiles, from which a mediator draws; Marris et al. 2021, arXiv:2106.09435).
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np

from games.units import ALIKE, rounding, span
from psro.metagame.solvers.regret import (
    MetaSolverError,
    cce_gains,
    ce_gains,
    joint_of,
    marginals,
    regrets,
)

SUPPORT = 1e-6
"""A policy of no more weight is not in the support."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class MetaStrategy:
    """A distribution over the profiles of P populations.

    Attributes:
        marginals: each player's distribution over its own policies, float64 `[K_p]`.
        joint: the distribution over profiles, float64 `[K_0, ..., K_{P-1}]`; None where players
            draw independently, so that it is the product of the marginals.
    """

    marginals: tuple[np.ndarray, ...]
    joint: np.ndarray | None = None

    @classmethod
    def of(cls, solution: Sequence[np.ndarray] | np.ndarray) -> MetaStrategy:
        """From what a meta-solver returns: distributions, or a joint."""
        if isinstance(solution, np.ndarray):
            return cls(marginals=tuple(marginals(solution)), joint=solution)
        return cls(marginals=tuple(solution))

    def padded(self, size: int) -> MetaStrategy:
        """The same over populations of `size`, in which policies that are new have no weight."""

        def pad(weights: np.ndarray) -> np.ndarray:
            return np.pad(weights, [(0, size - length) for length in weights.shape])

        return dataclasses.replace(
            self,
            marginals=tuple(pad(weights) for weights in self.marginals),
            joint=None if self.joint is None else pad(self.joint),
        )

    @property
    def support_size(self) -> tuple[int, ...]:
        """How many policies of each player have a weight above `SUPPORT`."""
        return tuple(int((weights > SUPPORT).sum()) for weights in self.marginals)

    @property
    def profiles(self) -> np.ndarray:
        """The probability of every profile, `[K_0, ..., K_{P-1}]`: the joint, or the product."""
        return joint_of(self.marginals) if self.joint is None else self.joint

    def others(self, player: int) -> np.ndarray:
        """Probabilities of the others' profiles, one axis a player, in the order of their seats."""
        if self.joint is not None:
            return self.joint.sum(axis=player)
        return joint_of([w for q, w in enumerate(self.marginals) if q != player])

    def regret(self, payoffs: np.ndarray, concept: str) -> float:
        """The most that a player could gain within the meta-game by the deviations of `concept`,
        in units of `payoffs [P, K_0, ..., K_{P-1}]`: the meta-solver's certificate. Never below 0,
        as nobody need deviate."""
        if self.joint is None:
            gain = float(regrets(payoffs, self.marginals).max())
        elif concept == "ce":
            gain = max(float(gains.sum()) for gains in ce_gains(payoffs, self.joint))
        else:
            gain = float(cce_gains(payoffs, self.joint).max())
        return gain if gain > rounding(payoffs) else 0.0

    def shared(self, payoffs: np.ndarray) -> MetaStrategy:
        """The same for every seat, and no worse by its regrets: for a symmetric game whose
        `payoffs [P, K, ..., K]` are what `over_seats` returns.

        A joint is averaged over seatings: CEs stay CEs, and CCEs CCEs, as both are convex sets.
        Of independent strategies everybody gets player 0's, or else their average, which in a
        zero-sum game of two players is as good: a best response to it gets no more than best
        responses to the two get on average.

        Raises:
            MetaSolverError: neither is as good as what the solver found; in games with sums that
                vary, a Nash equilibrium may give every player a policy of its own.
        """
        if self.joint is not None:
            seatings = itertools.permutations(range(self.joint.ndim))
            average = _average([self.joint.transpose(seats) for seats in seatings])
            return MetaStrategy.of(_alike(average, 0))
        limit = regrets(payoffs, self.marginals).max() + ALIKE * span(payoffs) + rounding(payoffs)
        for strategy in (self.marginals[0], np.mean(self.marginals, axis=0)):
            everybody = (strategy,) * len(self.marginals)
            regret = regrets(payoffs, everybody).max()
            if regret <= limit:
                return MetaStrategy(marginals=everybody)
        raise MetaSolverError(
            "the meta-solver gives the seats of this symmetric game different strategies, and "
            f"their average is none (a player would gain {regret:.3g}); use a correlated one, "
            "such as mgcce, or leave out --symmetric"
        )


def over_seats(payoffs: np.ndarray) -> np.ndarray:
    """What policies of one population earn, averaged over all ways to seat them: payoffs
    `[P, K, ..., K]` to as many, in which player p's are player 0's with the two's seats exchanged.
    Exactly so, and where it is so already nothing changes."""
    seatings = [
        np.moveaxis(table, p, 0).transpose(0, *others)
        for p, table in enumerate(payoffs)
        for others in itertools.permutations(range(1, len(payoffs)))
    ]
    own = _alike(_average(seatings), 1)
    return np.stack([np.moveaxis(own, 0, p) for p in range(len(payoffs))])


def _average(tables: Sequence[np.ndarray]) -> np.ndarray:
    """Exactly `tables[0]` where all are the same."""
    first, *rest = tables
    return first + sum(table - first for table in rest) / len(tables)


def _alike(table: np.ndarray, first: int) -> np.ndarray:
    """A table that differs by rounding when axes from `first` on change places, so that it does
    not differ."""
    indices = np.indices(table.shape)
    return table[(*indices[:first], *np.sort(indices[first:], axis=0))]
