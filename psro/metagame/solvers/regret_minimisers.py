"""Regret minimisers: one player's mixture of its K policies, moved by what the policies would have
earned, round by round.

Variants of PSRO let a player's mixture move like this while its opponent learns a best response to
it (APSRO, McAleer et al. 2022, arXiv:2201.07700; EPSRO, Zhou et al. 2022, arXiv:2202.00633;
SP-PSRO, McAleer et al. 2022, arXiv:2207.06541). Against exact best responses in a two-player
zero-sum game, the opponent's best response gets at most the average regret more against the average
strategy than against the population's least exploitable mixture.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True)
class RegretState:
    """What a minimiser remembers of its rounds; plain numbers, to be saved as they are.

    Attributes:
        strategy: to be played in the next round, `[K]`.
        score: what it goes by, `[K]`: added up payoffs for `hedge_step`, regrets for regret
            matching.
        total: the strategies played so far, added up, `[K]`.
        rounds: how many.
    """

    strategy: np.ndarray
    score: np.ndarray
    total: np.ndarray
    rounds: int


Update = Callable[[RegretState, np.ndarray], tuple[RegretState, np.ndarray]]
"""The state, and what each policy would have earned in the round `[K]`, to the state after it and
the strategy `[K]` of the next. Payoffs of all rounds should lie within 1 of each other: divide them
by the game's span. They are those of a round in which `state.strategy` was played."""


def init(size: int) -> RegretState:
    """Before the first round, of K policies: all alike."""
    return RegretState(
        strategy=np.full(size, 1 / size), score=np.zeros(size), total=np.zeros(size), rounds=0
    )


def average(state: RegretState) -> np.ndarray:
    """The mean of the strategies played, `[K]`; the first one's before any round."""
    if state.rounds == 0:
        return state.strategy
    return state.total / state.total.sum()


def hedge_step(state: RegretState, payoffs: np.ndarray) -> tuple[RegretState, np.ndarray]:
    """Multiplicative weights (Freund and Schapire 1997): in proportion to `exp(step * score)`, the
    score being the sum of `u_t(k)`, policy k's payoffs in all rounds.

    The step for round t is `sqrt(8 log K / t)`, of which no horizon need be known: after T rounds
    the average regret is at most `sqrt(2 log K / T) + sqrt(log K / 8) / T` (Cesa-Bianchi and Lugosi
    2006, theorem 2.3). It is an `Update`.
    """
    score = state.score + payoffs
    step = np.sqrt(8 * np.log(len(score)) / (state.rounds + 2))  # of the round to come
    weight = np.exp(step * (score - score.max()))
    return _after(state, score, weight / weight.sum())


def regret_matching_plus(state: RegretState, payoffs: np.ndarray) -> tuple[RegretState, np.ndarray]:
    """In proportion to regrets, which never fall below zero (Tammelin 2014, arXiv:1407.5042; there
    counterfactual ones); all alike where there are none: `Q(k) <- max(Q(k) + u(k) - u(x), 0)`, then
    `x(k) = Q(k) / sum Q`.

    After T rounds the average regret is at most `sqrt(K / T)`. The units of payoffs do not
    matter. It is an `Update`.
    """
    score = np.maximum(state.score + payoffs - payoffs @ state.strategy, 0.0)
    total = score.sum()
    return _after(state, score, score / total if total > 0 else np.full(len(score), 1 / len(score)))


def _after(
    state: RegretState, score: np.ndarray, strategy: np.ndarray
) -> tuple[RegretState, np.ndarray]:
    played = RegretState(
        strategy=strategy,
        score=score,
        total=state.total + state.strategy,
        rounds=state.rounds + 1,
    )
    return played, strategy


REGRET_MINIMISERS: dict[str, Update] = {
    "hedge": hedge_step,
    "regret_matching_plus": regret_matching_plus,
}
