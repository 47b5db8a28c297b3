"""What the players draw their policies from, how far it is from an equilibrium, and what the next
best responses to it train against.

A meta-strategy is independent (a distribution for each player) or correlated (one joint
distribution over profiles, from which a mediator draws; Marris et al. 2021, arXiv:2106.09435).
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable, Sequence

import numpy as np

from games.tree import GameTree
from psro import exact
from psro.exact import joint_gaps
from psro.metagame.meta_game import MetaGame
from psro.metagame.solvers.regret import (
    MetaSolverError,
    cce_gains,
    ce_gains,
    joint_of,
    marginals,
    regrets,
)

MEANINGS = {
    "nash": "nash_conv: what players gain by best responses to the others' mixtures, added up; "
    "zero means a Nash equilibrium of the whole game",
    "cce": "cce_gap: what players gain by refusing to be told a policy, added up; zero means a "
    "coarse correlated equilibrium of the whole game",
    "ce": "ce_gap: what players gain by leaving the policies they are told, added up; zero means a "
    "correlated equilibrium of the whole game",
}
"""By concept: the gap that measures it, and what its zero means."""

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
            marginals=tuple(pad(each) for each in self.marginals),
            joint=None if self.joint is None else pad(self.joint),
        )

    @property
    def support_size(self) -> tuple[int, ...]:
        """How many policies of each player have a weight above `SUPPORT`."""
        return tuple(int((each > SUPPORT).sum()) for each in self.marginals)

    def others(self, player: int) -> np.ndarray:
        """Probabilities of the others' profiles, one axis a player, in the order of their seats."""
        if self.joint is not None:
            return self.joint.sum(axis=player)
        return joint_of([each for q, each in enumerate(self.marginals) if q != player])

    def regret(self, payoffs: np.ndarray, concept: str) -> float:
        """The most that a player could gain within the meta-game by the deviations of `concept`,
        in units of `payoffs [P, K_0, ..., K_{P-1}]`: the meta-solver's certificate."""
        if self.joint is None:
            return float(regrets(payoffs, self.marginals).max())
        if concept == "ce":
            return max(float(each.sum()) for each in ce_gains(payoffs, self.joint))
        return float(cce_gains(payoffs, self.joint).max())

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
        limit = regrets(payoffs, self.marginals).max() + _SHARED_TOLERANCE * np.ptp(payoffs)
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


_SHARED_TOLERANCE = 1e-9
"""What a player may gain more when all seats share a strategy, relative to the payoffs' spread."""


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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gaps:
    """How far a meta-strategy is from equilibria of the whole game, in units of its payoff.

    Attributes:
        value: every player's expected return, `[P]`.
        best_response_value: what each gets at most while the others follow it, `[P]`.
        independent: of the marginals, drawn from independently.
        cce_gap: of the joint (`joint_gaps.CoarseCorrelatedGap`); None where players draw
            independently: it would be `nash_conv`.
        correlated: of the joint, where it was asked for.
    """

    value: np.ndarray
    best_response_value: np.ndarray
    independent: exact.Exploitability
    cce_gap: float | None = None
    correlated: joint_gaps.CorrelatedGap | None = None

    @property
    def nash_conv(self) -> float:
        return self.independent.nash_conv

    @property
    def exploitability(self) -> float:
        """NashConv / P (OpenSpiel's)."""
        return self.independent.exploitability

    @property
    def ce_gap(self) -> float | None:
        return None if self.correlated is None else self.correlated.gap


def gaps(
    meta_game: MetaGame,
    strategy: MetaStrategy,
    concept: str,
    exploitability: Callable[[Sequence[np.ndarray]], exact.Exploitability] | None = None,
) -> Gaps:
    """The gaps that bear on `concept`, one of `MEANINGS`: the CE gap takes a best response for
    every recommendation, and is computed for `ce` only. `exploitability` of plans is numpy's by
    default (`exact.exploitability`)."""
    tree, plans, payoffs = meta_game.tree, meta_game.plans, meta_game.payoffs
    exploitability = exploitability or functools.partial(exact.exploitability, tree)
    independent = exploitability(meta_game.mixture(strategy.marginals))
    if strategy.joint is None:
        return Gaps(
            value=independent.value,
            best_response_value=independent.best_response_value,
            independent=independent,
        )
    coarse = joint_gaps.coarse_correlated_gap(tree, plans, payoffs, strategy.joint)
    return Gaps(
        value=coarse.value,
        best_response_value=coarse.best_response_value,
        independent=independent,
        cce_gap=coarse.gap,
        correlated=joint_gaps.correlated_gap(tree, plans, payoffs, strategy.joint)
        if concept == "ce"
        else None,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Target:
    """What every player's next best response trains against, and has to beat.

    Attributes:
        opponents: probability of every opponent profile, `[P, K, ..., K]` for a capacity of K, axis
            q for the one at seat (player + 1 + q) mod P.
        gains: what each player's sequences earn against them, `[S_p]` (`exact.gains`).
        reach: their share of the way to each player's info states, `[I_p]`.
        mixture: a realization plan `[S_q]` of every player as the others meet it, where those are
            all that they depend on; else None.
        value: what each player gets by what it has, `[P]`.
        best_response_value: what the exact best response gets, `[P]`.
    """

    opponents: np.ndarray
    gains: tuple[np.ndarray, ...]
    reach: tuple[np.ndarray, ...]
    mixture: list[np.ndarray] | None
    value: np.ndarray
    best_response_value: np.ndarray


def target(
    meta_game: MetaGame,
    strategy: MetaStrategy,
    concept: str,
    capacity: int,
    correlated: joint_gaps.CorrelatedGap | None = None,
) -> Target:
    """Against a correlated meta-strategy a player's opponents are those that it expects: in a `cce`
    before it is told its policy, in a `ce` after it was told the one by leaving which it gains most
    (JPSRO trains one best response for each recommendation; this is the one of largest gain). The
    gains of all recommendations are `correlated`, where somebody has computed them already."""
    tree, plans, payoffs = meta_game.tree, meta_game.plans, meta_game.payoffs
    players, joint = range(tree.num_players), strategy.joint
    others = [strategy.others(p) for p in players]
    told, mixture = None, None
    if joint is None:
        mixture = meta_game.mixture(strategy.marginals)
    elif concept == "ce":
        found = correlated or joint_gaps.correlated_gap(tree, plans, payoffs, joint)
        told = [  # the likeliest, where nobody gains: what has no weight is never told
            k if gains[k] > 0 else int(np.argmax(weights))
            for k, gains, weights in zip(
                found.recommendation, found.recommendation_gains, strategy.marginals, strict=True
            )
        ]
        given = [np.take(joint, k, axis=p) for p, k in enumerate(told)]
        others = [each / each.sum() for each in given]
    if joint is not None and tree.num_players == 2:
        mixture = [exact.mix(plans[q], others[1 - q]) for q in players]
    gains, reach = zip(
        *(_gains_and_reach(tree, p, plans, others[p], mixture) for p in players), strict=True
    )
    if told is not None:
        value = [gains[p] @ plans[p][told[p]] for p in players]
    elif joint is not None:
        value = [(payoffs[p] * joint).sum() for p in players]
    else:
        value = [gains[p] @ mixture[p] for p in players]
    return Target(
        opponents=np.stack([_by_seat(p, others[p], capacity) for p in players]),
        gains=gains,
        reach=reach,
        mixture=mixture,
        value=np.array(value),
        best_response_value=np.array(
            [exact.best_response_to(tree.players[p], gains[p]).value for p in players]
        ),
    )


def _gains_and_reach(
    tree: GameTree,
    player: int,
    plans: Sequence[np.ndarray],
    weights: np.ndarray,
    mixture: Sequence[np.ndarray] | None,
) -> tuple[np.ndarray, np.ndarray]:
    if mixture is not None:
        return exact.gains_and_reach(tree, player, mixture)
    reach = joint_gaps.joint_opponent_reach(tree, player, plans, weights)
    return exact.sequence_returns(tree, player, reach), exact.info_state_reach(tree, player, reach)


def _by_seat(player: int, others: np.ndarray, capacity: int) -> np.ndarray:
    """Of the others in the order of their seats, in the order in which they sit after the player,
    padded to a capacity."""
    order = np.roll(np.arange(others.ndim), -player)
    padding = [(0, capacity - size) for size in others.shape]
    return np.pad(others, padding).transpose(order)
