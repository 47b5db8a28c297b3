"""Rankings of policies: Elo-like ratings, and Nash averaging (Balduzzi et al. 2018, "Re-evaluating
evaluation", arXiv:1806.02643).

Elo's model is `win probability = sigmoid(r_i - r_j)`. The ratings that best fit a full round robin
are row means of the logits. Payoffs of games are not probabilities, so here payoffs are used
instead of logits: differences of ratings fit the payoffs by least squares. `explained` is the share
of the payoffs' variance that such a linear order explains; the rest is cyclic.

Policies of one seat meet only policies of the other seats. This is the form "agents against tasks":
each seat's policies are the other's tasks.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import scipy

from games.units import centred, is_constant_sum, rounding, without_rounding
from psro.errors import PsroError
from psro.metagame.solvers import nash

SLACK = 1e-6
"""A player's strategy may guarantee less than the value by this share of half the payoffs' span.
Float32 policies whose payoffs differ by less count as copies, and copies share their weight.
Without slack, the last digits of their payoffs would decide."""


class RatingError(PsroError):
    """These policies cannot be rated; one sentence says why."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ratings:
    """Elo-like ratings, in units of payoff.

    Attributes:
        ratings: the ratings of each player's policies, `[K_p]`; they add up to 0.
        advantage: each player's mean payoff over all profiles, `[P]`.
        explained: the share of the variance of each player's payoffs that the fit explains, `[P]`;
            1 if there is no variance.
    """

    ratings: tuple[np.ndarray, ...]
    advantage: np.ndarray
    explained: np.ndarray


def elo_like(payoffs: np.ndarray) -> Ratings:
    """Ratings from payoffs `[P, K_0, ..., K_{P-1}]`, for P players with any payoffs.

    The least-squares fit of a player's payoffs is a constant plus one number for each policy of
    each player (the main effects); in a full table these are means. A policy's rating is its number
    in its own player's fit. In a two-player zero-sum game the fit is
    `payoff[i, j] = advantage + r_i - s_j`.
    """
    num_players = len(payoffs)
    ratings, advantage, explained = [], np.empty(num_players), np.ones(num_players)
    for p, table in enumerate(payoffs):
        advantage[p] = without_rounding(table.mean(), rounding(table))
        left = table - advantage[p]
        variance = np.square(left).mean()
        for q in range(num_players):
            others = tuple(axis for axis in range(num_players) if axis != q)
            effect = left.mean(axis=others, keepdims=True)
            if q == p:
                ratings.append(without_rounding(effect.ravel(), rounding(table)))
            left = left - effect
        # If every policy earns the same, the payoffs' variance is only rounding.
        if variance > rounding(table) ** 2:
            explained[p] = 1 - np.square(left).mean() / variance
    return Ratings(ratings=tuple(ratings), advantage=advantage, explained=explained)


@dataclasses.dataclass(frozen=True, kw_only=True)
class NashAverage:
    """Nash averaging of the policies of both seats of a two-player zero-sum game.

    Attributes:
        strategies: the meta-game's equilibrium of maximum entropy, `[K_p]` for each player: within
            `SLACK` of an equilibrium, and with at least the entropy of any equilibrium.
        ratings: the payoff of each policy against the other player's strategy, `[K_p]`: the game's
            value for policies in the support, less for the others.
    """

    strategies: tuple[np.ndarray, np.ndarray]
    ratings: tuple[np.ndarray, np.ndarray]


def nash_average(payoffs: np.ndarray) -> NashAverage:
    """Nash averaging of payoffs `[2, K_0, K_1]`. Copies of a policy do not change the ratings.

    Raises:
        RatingError: not two players, not zero-sum (constant-sum), or no equilibrium of maximum
            entropy was found.
        MetaSolverError: no equilibrium was found.
    """
    if len(payoffs) != 2:
        raise RatingError(f"Nash averaging is for two players, this game has {len(payoffs)}")
    if not is_constant_sum(payoffs):
        total = payoffs.sum(axis=0)
        raise RatingError(
            "Nash averaging is for zero-sum games, but the sums of the players' payoffs go from "
            f"{total.min():.6g} to {total.max():.6g}"
        )
    own = (payoffs[0], payoffs[1].T)  # own policies are the rows
    strategies = tuple(
        max_entropy_weights(table, float((start @ table).min()) - SLACK)
        for table, start in zip(map(centred, own), nash(payoffs), strict=True)
    )
    ratings = own[0] @ strategies[1], own[1] @ strategies[0]
    return NashAverage(
        strategies=strategies,
        ratings=tuple(without_rounding(earned, rounding(payoffs)) for earned in ratings),
    )


def max_entropy_weights(payoffs: np.ndarray, floor: float) -> np.ndarray:
    """The mixture `[K]` of rows of `payoffs [K, N]` with maximum entropy, up to 1e-7, among those
    that earn at least `floor` in every column.

    The dual problem is to minimise `log sum exp(payoffs @ l) - floor sum(l)` over column weights
    l >= 0; the mixture is the softmax of `payoffs @ l`. Newton's method follows the minima of the
    dual with a barrier `-t sum(log l)` while t falls. Every mixture on this path is feasible, and
    its entropy is within t N of the maximum (Boyd and Vandenberghe 2004, "Convex optimization",
    section 11.2).

    Raises:
        RatingError: the path was lost, because no mixture guarantees `floor`, or almost none.
    """
    spread = np.ptp(payoffs) / 2
    if spread == 0:
        return np.full(len(payoffs), 1 / len(payoffs))
    middle = (payoffs.max() + payoffs.min()) / 2
    matrix, target = (payoffs - middle) / spread, (floor - middle) / spread
    num_columns = matrix.shape[1]
    weights = np.ones(num_columns)
    barrier, last = 1.0, 1e-7 / num_columns
    while True:
        # The floor starts lower and rises as the barrier falls: the start must be feasible.
        weights = _central(matrix, target - max(barrier - last, 0.0), barrier, weights)
        if barrier <= last:
            break
        barrier = max(0.3 * barrier, last)  # 0.1 needs fewer steps, but loses the path more often
    mixture = scipy.special.softmax(matrix @ weights)
    short = target - (mixture @ matrix).min()
    if not short <= 1e-8:
        raise RatingError(
            f"no mixture of maximum entropy was found: one falls short by {short:.3g}"
        )
    return mixture


def _central(matrix: np.ndarray, target: float, barrier: float, weights: np.ndarray) -> np.ndarray:
    """The l `[N]` that minimises `log sum exp(matrix @ l) - target sum(l) - barrier sum(log l)`."""

    def objective(weights: np.ndarray) -> float:
        dual = scipy.special.logsumexp(matrix @ weights) - target * weights.sum()
        return dual - barrier * np.log(weights).sum()

    value = objective(weights)
    for _ in range(100):
        mixture = scipy.special.softmax(matrix @ weights)
        mean = mixture @ matrix
        gradient = mean - target - barrier / weights
        # In units of the weights, so that large and small ones are equally accurate.
        scaled = weights * gradient
        centred = (matrix - mean) * weights
        hessian = centred.T @ (mixture[:, None] * centred)
        hessian[np.diag_indices_from(hessian)] += barrier
        try:
            step = -np.linalg.solve(hessian, scaled)
        except np.linalg.LinAlgError:  # the weights have grown without bound
            raise RatingError("no mixture of maximum entropy was found: none is feasible") from None
        decrement = -scaled @ step
        if decrement <= 1e-8 * barrier:
            break
        length = min(1.0, 0.9 / max(-step.min(), 1e-300))
        while (
            lower := objective(weights * (1 + length * step))
        ) > value - 0.1 * length * decrement:
            length /= 2
            if length < 1e-12:  # rounding prevents a lower objective
                return weights
        weights, value = weights * (1 + length * step), lower
    return weights
