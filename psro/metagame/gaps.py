"""How far a meta-strategy is from an equilibrium of the whole game."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence

import numpy as np

from psro import exact
from psro.metagame.joint_gaps import CorrelatedGap, coarse_correlated_gap, correlated_gap
from psro.metagame.meta_game import MetaGame
from psro.metagame.strategy import MetaStrategy

MEANINGS = {
    "nash": "nash_conv: what players gain by best responses to the others' mixtures, added up; "
    "zero means a Nash equilibrium of the whole game",
    "cce": "cce_gap: what players gain by refusing to be told a policy, added up; zero means a "
    "coarse correlated equilibrium of the whole game",
    "ce": "ce_gap: what players gain by leaving the policies they are told, added up; zero means a "
    "correlated equilibrium of the whole game",
}
"""By concept: the gap that measures it, and what its zero means."""


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
    correlated: CorrelatedGap | None = None

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


def gaps_of(
    meta_game: MetaGame,
    strategy: MetaStrategy,
    concept: str,
    exploitability: Callable[[Sequence[np.ndarray]], exact.Exploitability] | None = None,
) -> Gaps:
    """The gaps that bear on `concept`, one of `MEANINGS`: the CE gap takes a best response for
    every recommendation, and is computed for `ce` only. `exploitability` of plans is numpy's by
    default (`exact.exploitability`)."""
    exploitability = exploitability or functools.partial(exact.exploitability, meta_game.tree)
    independent = exploitability(meta_game.mixture(strategy.marginals))
    if strategy.joint is None:
        return Gaps(
            value=independent.value,
            best_response_value=independent.best_response_value,
            independent=independent,
        )
    coarse = coarse_correlated_gap(meta_game, strategy)
    return Gaps(
        value=coarse.value,
        best_response_value=coarse.best_response_value,
        independent=independent,
        cce_gap=coarse.gap,
        correlated=correlated_gap(meta_game, strategy) if concept == "ce" else None,
    )
