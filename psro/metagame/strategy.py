"""Meta-strategies: the distributions from which players draw their policies.

A meta-strategy is either independent, with one distribution for each player, or correlated, with
one joint distribution over profiles, from which a mediator draws (Marris et al. 2021,
arXiv:2106.09435).
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
"""A policy is in the support if its weight is above this."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class MetaStrategy:
    """A distribution over the profiles of P populations.

    Attributes:
        marginals: each player's distribution over its own policies, float64 `[K_p]`.
        joint: the distribution over profiles, float64 `[K_0, ..., K_{P-1}]`; None if players draw
            independently, so that it is the product of the marginals.
    """

    marginals: tuple[np.ndarray, ...]
    joint: np.ndarray | None = None

    @classmethod
    def of(cls, solution: Sequence[np.ndarray] | np.ndarray) -> MetaStrategy:
        """From the result of a meta-solver: distributions, or a joint."""
        if isinstance(solution, np.ndarray):
            return cls(marginals=tuple(marginals(solution)), joint=solution)
        return cls(marginals=tuple(solution))

    def padded(self, size: int) -> MetaStrategy:
        """The same meta-strategy for populations of `size`; additional policies have weight 0."""

        def pad(weights: np.ndarray) -> np.ndarray:
            return np.pad(weights, [(0, size - length) for length in weights.shape])

        return dataclasses.replace(
            self,
            marginals=tuple(pad(weights) for weights in self.marginals),
            joint=None if self.joint is None else pad(self.joint),
        )

    @property
    def support_size(self) -> tuple[int, ...]:
        """The number of policies of each player with a weight above `SUPPORT`."""
        return tuple(int((weights > SUPPORT).sum()) for weights in self.marginals)

    @property
    def profiles(self) -> np.ndarray:
        """The probability of every profile, `[K_0, ..., K_{P-1}]`: the joint, or the product."""
        return joint_of(self.marginals) if self.joint is None else self.joint

    def values(self, payoffs: np.ndarray) -> np.ndarray:
        """Every player's expected payoff, `[P]`, from `payoffs [P, K_0, ..., K_{P-1}]`."""
        profiles = self.profiles
        return np.array([(profiles * table).sum() for table in payoffs])

    def others(self, player: int) -> np.ndarray:
        """Probabilities of the others' profiles: one axis per player, in the order of seats."""
        if self.joint is not None:
            return self.joint.sum(axis=player)
        return joint_of([w for q, w in enumerate(self.marginals) if q != player])

    def regret(self, payoffs: np.ndarray, concept: str) -> float:
        """The largest gain of a player within the meta-game by the deviations of `concept`, in
        units of `payoffs [P, K_0, ..., K_{P-1}]`: the meta-solver's certificate. At least 0."""
        if self.joint is None:
            gain = float(regrets(payoffs, self.marginals).max())
        elif concept == "ce":
            gain = max(float(gains.sum()) for gains in ce_gains(payoffs, self.joint))
        else:
            gain = float(cce_gains(payoffs, self.joint).max())
        return gain if gain > rounding(payoffs) else 0.0

    def shared(self, payoffs: np.ndarray) -> MetaStrategy:
        """A meta-strategy that is the same for every seat, with no larger regrets. The game is
        symmetric, and `payoffs [P, K, ..., K]` come from `over_seats`.

        A joint is averaged over all ways to seat the players. CEs stay CEs, and CCEs stay CCEs,
        because both sets are convex. With independent strategies, all players get player 0's
        strategy, or else the average of all. In a two-player zero-sum game the average is as good:
        a best response to it earns at most the mean of what best responses to the two earn.

        Raises:
            MetaSolverError: neither is as good as the solver's result. In games that are not
                constant-sum, a Nash equilibrium may give the seats different strategies.
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
            f"their average is not an equilibrium (a player would gain {regret:.3g}); use a "
            "correlated meta-solver, such as mgcce, or leave out --symmetric"
        )


def over_seats(payoffs: np.ndarray) -> np.ndarray:
    """Payoffs `[P, K, ..., K]` of one population, averaged over all ways to seat its policies. In
    the result, player p's table is exactly player 0's with axes 0 and p exchanged. Payoffs that
    are like this already do not change."""
    seatings = [
        np.moveaxis(table, p, 0).transpose(0, *others)
        for p, table in enumerate(payoffs)
        for others in itertools.permutations(range(1, len(payoffs)))
    ]
    own = _alike(_average(seatings), 1)
    return np.stack([np.moveaxis(own, 0, p) for p in range(len(payoffs))])


def _average(tables: Sequence[np.ndarray]) -> np.ndarray:
    """The mean; exactly `tables[0]` if all are equal."""
    first, *rest = tables
    return first + sum(table - first for table in rest) / len(tables)


def _alike(table: np.ndarray, first: int) -> np.ndarray:
    """A table that is exactly symmetric in the axes from `first` on, from one that is symmetric up
    to rounding."""
    indices = np.indices(table.shape)
    return table[(*indices[:first], *np.sort(indices[first:], axis=0))]
