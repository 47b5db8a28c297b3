"""How far a meta-strategy is from an equilibrium of the whole game."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from games.printing import html_table
from psro import exact
from psro.metagame.exact_meta_game import ExactMetaGame
from psro.metagame.joint_gaps import CorrelatedGap, coarse_correlated_gap, correlated_gap
from psro.metagame.strategy import MetaStrategy

MEANINGS = {
    "nash": "nash_conv: what players gain by best responses to the others' mixtures, added up; "
    "zero means a Nash equilibrium of the whole game",
    "cce": "cce_gap: what players gain by refusing to be told a policy, added up; zero means a "
    "coarse correlated equilibrium of the whole game",
    "ce": "ce_gap: what players gain by leaving the policies they are told, added up; zero means a "
    "correlated equilibrium of the whole game",
}
"""For each concept, its gap, and the meaning of zero."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gaps:
    """How far a meta-strategy is from equilibria of the whole game, in units of its payoff.

    Attributes:
        value: every player's expected return, `[P]`.
        best_response_value: the largest expected return of each player while the others follow the
            meta-strategy, `[P]`; None where it is not known, because games are sampled.
        independent: exploitability of the marginals, played independently; None where it is not
            known.
        value_error: standard error of `value`, `[P]`; None where it is exact.
        cce_gap: CCE gap of the joint (`joint_gaps.CoarseCorrelatedGap`); None if players draw
            independently, because it is then `nash_conv`.
        correlated: CE gap of the joint, if it was computed.
    """

    value: np.ndarray
    best_response_value: np.ndarray | None
    independent: exact.Exploitability | None
    value_error: np.ndarray | None = None
    cce_gap: float | None = None
    correlated: CorrelatedGap | None = None

    @property
    def nash_conv(self) -> float | None:
        return self.independent and self.independent.nash_conv

    @property
    def exploitability(self) -> float | None:
        """NashConv / P (OpenSpiel's)."""
        return self.independent and self.independent.exploitability

    @property
    def ce_gap(self) -> float | None:
        return None if self.correlated is None else self.correlated.gap

    def _repr_html_(self) -> str:
        """What is known, as a table for notebooks."""
        error = self.value_error
        facts = {"value": _listed(self.value) + ("" if error is None else f" ± {_listed(error)}")}
        if self.best_response_value is not None:
            facts["best responses"] = _listed(self.best_response_value)
        for name in ("nash_conv", "exploitability", "cce_gap", "ce_gap"):
            if (number := getattr(self, name)) is not None:
                facts[name] = f"{number:.6g}"
        return html_table(facts)


def _listed(numbers: np.ndarray) -> str:
    return " / ".join(f"{number:.6g}" for number in numbers)


def gaps_of(
    meta_game: ExactMetaGame,
    strategy: MetaStrategy,
    concept: str,
    exploitability: Callable[[Sequence[np.ndarray]], exact.Exploitability] | None = None,
) -> Gaps:
    """The gaps for `concept`, one of `MEANINGS`. The CE gap needs a best response for every
    recommendation, so it is computed for `ce` only. `exploitability` is the function of plans to
    use, by default `exact.exploitability` (numpy)."""
    independent = meta_game.exploitability(strategy.marginals, exploitability)
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
