"""Evaluation of populations that are measured by episodes, as `psro eval` prints it."""

from __future__ import annotations

import dataclasses

import numpy as np

from psro.metagame import effective_diversity as diversity
from psro.metagame import ratings
from psro.metagame.meta_game import MetaGame
from psro.metagame.solvers import MetaSolverError
from psro.metagame.strategy import MetaStrategy
from psro.runs.experiment import Experiment

NOT_EXACT = (
    "no exact exploitability: the game is not enumerated; --exact measures it where the game has a "
    "form without histories (see psro games), --exploiter DECISIONS trains best responses and "
    "gives a lower bound"
)
"""Why there is none, and what to do."""
_TABLES = 2_000
"""Payoff tables that are drawn for an interval."""
_AT_ONCE = 4_000_000
"""Numbers of drawn tables that are in memory at the same time, about."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SampledEvaluation:
    """P players, K policies of each, in units of the game's payoff. All figures are sampled.

    Attributes:
        value: every player's expected return under the meta-strategy, `[P]`.
        value_error: its standard error, `[P]`.
        regret: the most that a player could gain by a change to another policy of its population,
            by the mean payoffs.
        regret_interval: the 95 % interval of it.
        bound: a lower bound of the exploitability of the meta-strategy of iteration
            `bound_iteration`, and its standard error; None where nothing was trained.
        bound_iteration: the iteration before the last one.
        diversity: the populations' expected cardinality, `[P]`, by the mean payoffs.
        elo_like: ratings of all policies, by the mean payoffs.
        nash_average: Nash averaging of all policies, by the mean payoffs; None unless two-player
            zero-sum.
        omitted: one sentence for each quantity that was not computed, with the reason.
    """

    value: np.ndarray
    value_error: np.ndarray
    regret: float
    regret_interval: tuple[float, float]
    bound: tuple[float, float] | None
    bound_iteration: int
    diversity: np.ndarray
    elo_like: ratings.Ratings
    nash_average: ratings.NashAverage | None
    omitted: tuple[str, ...]

    def beside_exact_figures(self) -> SampledEvaluation:
        """The same where the exact exploitability is measured beside it."""
        kept = tuple(sentence for sentence in self.omitted if sentence != NOT_EXACT)
        return dataclasses.replace(self, omitted=kept)


def evaluate(run: Experiment) -> SampledEvaluation:
    """Measures the populations of a sampled run, by the episodes that it has played."""
    meta_game, strategy, last = run.meta_game, run.measured_strategy, run.records[-1]
    measured = run.measure()
    nash_average, omitted = None, []
    if run.rules.num_players == 2 and run.rules.is_constant_sum:
        try:
            nash_average = ratings.nash_average(meta_game.payoffs)
        except (ratings.RatingError, MetaSolverError) as error:
            omitted.append(f"no Nash averaging: {error}")
    omitted.append(NOT_EXACT)
    return SampledEvaluation(
        value=measured.value,
        value_error=measured.value_error,
        regret=float(gains(meta_game.payoffs[None], strategy)[0]),
        regret_interval=regret_interval(
            meta_game, strategy, constant_sum=run.rules.is_constant_sum
        ),
        bound=last.bound,
        bound_iteration=last.iteration - 1,
        diversity=diversity.effective_diversity(meta_game.payoffs),
        elo_like=ratings.elo_like(meta_game.payoffs),
        nash_average=nash_average,
        omitted=tuple(omitted),
    )


def regret_interval(
    meta_game: MetaGame, strategy: MetaStrategy, *, constant_sum: bool, seed: int = 0
) -> tuple[float, float]:
    """The 95 % interval of a meta-strategy's regret, by the regrets in tables that are drawn from
    the normal distributions of the sampled payoffs.

    Args:
        meta_game: payoffs with their standard errors.
        strategy: the meta-strategy, which stays the same.
        constant_sum: the players' returns always have the same sum. Then so have the errors.
        seed: of the tables.
    """
    payoffs, generator = meta_game.payoffs, np.random.default_rng(seed)
    players, regrets = len(payoffs), []
    chunk = int(np.clip(_AT_ONCE // payoffs.size, 1, _TABLES))
    while len(regrets) < _TABLES:
        noise = generator.standard_normal((chunk, *payoffs.shape)) * meta_game.standard_error
        if constant_sum:
            noise -= noise.mean(axis=1, keepdims=True)
            noise *= np.sqrt(players / (players - 1))  # for the variance to stay the same
        regrets.extend(gains(payoffs + noise, strategy))
    low, high = np.quantile(regrets[:_TABLES], [0.025, 0.975])
    return float(low), float(high)


def gains(payoffs: np.ndarray, strategy: MetaStrategy) -> np.ndarray:
    """The most that a player gains in each of D meta-games, `[D]`, by one policy of its own against
    what the others play.

    Args:
        payoffs: of D meta-games, `[D, P, K_0, ..., K_{P-1}]`.
        strategy: a meta-strategy for all of them.
    """
    most = np.zeros(len(payoffs))
    for p in range(payoffs.shape[1]):
        table = payoffs[:, p].reshape(len(payoffs), -1)
        value = table @ strategy.profiles.ravel()
        own_first = np.moveaxis(payoffs[:, p], p + 1, 1)
        earned = own_first.reshape(*own_first.shape[:2], -1) @ strategy.others(p).ravel()  # [D, K]
        most = np.maximum(most, earned.max(axis=1) - value)
    return most
