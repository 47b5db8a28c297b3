"""Regret minimisers: they change one player's mixture of its K policies in every round, by the
payoffs that the policies would have earned.

Variants of PSRO change a player's mixture in this way while its opponent learns a best response to
it (APSRO, McAleer et al. 2022, arXiv:2201.07700; EPSRO, Zhou et al. 2022, arXiv:2202.00633;
SP-PSRO, McAleer et al. 2022, arXiv:2207.06541). In a two-player zero-sum game with exact best
responses there is a bound. Compare what the opponent's best response gets against the average
strategy and against the population's least exploitable mixture: the difference is at most the
average regret.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True)
class RegretState:
    """The state of a minimiser after some rounds. It has only plain numbers, so it can be saved.

    Attributes:
        strategy: the strategy for the next round, `[K]`.
        score: what decides the strategy, `[K]`: the sum of payoffs for `hedge_step`, regrets for
            regret matching.
        total: the sum of the strategies played so far, `[K]`.
        rounds: number of rounds so far.
    """

    strategy: np.ndarray
    score: np.ndarray
    total: np.ndarray
    rounds: int


Update = Callable[[RegretState, np.ndarray], tuple[RegretState, np.ndarray]]
"""Takes the state, and what each policy would have earned in the round, `[K]`, in which
`state.strategy` was played. Returns the next state and the next strategy `[K]`. The payoffs of all
rounds must be within 1 of each other: divide them by the game's span."""


def init(size: int) -> RegretState:
    """The state before the first round of K policies: the uniform strategy."""
    return RegretState(
        strategy=np.full(size, 1 / size), score=np.zeros(size), total=np.zeros(size), rounds=0
    )


def average(state: RegretState) -> np.ndarray:
    """The mean of the strategies played, `[K]`; before any round the first strategy."""
    if state.rounds == 0:
        return state.strategy
    return state.total / state.total.sum()


def hedge_step(state: RegretState, payoffs: np.ndarray) -> tuple[RegretState, np.ndarray]:
    """Multiplicative weights (Freund and Schapire 1997). The strategy is in proportion to
    `exp(step * score)`. The score is the sum of `u_t(k)`, policy k's payoffs in all rounds.

    The step for round t is `sqrt(8 log K / t)`, which does not need the number of rounds. After T
    rounds the average regret is at most `sqrt(2 log K / T) + sqrt(log K / 8) / T` (Cesa-Bianchi and
    Lugosi 2006, theorem 2.3). It is an `Update`.
    """
    score = state.score + payoffs
    step = np.sqrt(8 * np.log(len(score)) / (state.rounds + 2))  # of the next round
    weight = np.exp(step * (score - score.max()))
    return _after(state, score, weight / weight.sum())


def regret_matching_plus(state: RegretState, payoffs: np.ndarray) -> tuple[RegretState, np.ndarray]:
    """The strategy is in proportion to regrets Q that never fall below zero (Tammelin 2014,
    arXiv:1407.5042, for counterfactual regrets): `Q(k) <- max(Q(k) + u(k) - u(x), 0)`, then
    `x(k) = Q(k) / sum Q`. It is uniform if all regrets are zero.

    After T rounds the average regret is at most `sqrt(K / T)`. The unit of payoffs does not
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
