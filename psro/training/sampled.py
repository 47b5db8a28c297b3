"""The evaluator of games that are not enumerated: everything is measured by episodes.

Every payoff is a mean with a standard error. A payoff's episodes are keyed by the run, the profile
and the number of the match. So they do not depend on the order in which payoffs are measured, and a
run that resumes measures the same.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

import jax
import numpy as np

from psro.metagame.gaps import Gaps
from psro.metagame.joint_gaps import CorrelatedGap
from psro.metagame.meta_game import MetaGame
from psro.metagame.strategy import MetaStrategy
from psro.metagame.target import Target, sampled_target
from psro.policies.jax_settings import own_settings
from psro.policies.policy import Params
from psro.policies.population import Population
from psro.training import finishing
from psro.training.evaluators import Elsewhere, Lap, Outcome, Solve
from psro.training.matches import Matches, fold
from psro.training.record import QUANTILE

_MOST_ROUNDS = 32
"""Calls of `Matches` by which an iteration's payoffs are refined, at most."""
_UNSEEN = 1.53
"""Of the difference between the largest and the least return: with this least root of the sum of
squares, 1.96 standard errors are 3 / N of it (the rule of three: with 95 % confidence, what was not
seen in N episodes has a probability of at most 3 / N)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SampledEvaluator:
    """Answers from episodes.

    Attributes:
        matches: plays them.
        first_matches: matches of every new profile.
        error: the standard error to which the meta-strategy's value is measured, in units of the
            game's payoff.
        total: the sum of all players' returns, where it is the same for every episode; else None.
        softmax: whether new policies acted by their own softmax in training
            (`psro.training.finishing`).
    """

    kind: ClassVar[str] = "sampled"
    finishes_in: ClassVar[str] = "oracle"
    measures_in: ClassVar[str] = "payoffs"  # all that it measures comes from their episodes
    matches: Matches
    first_matches: int
    error: float
    total: float | None
    softmax: bool

    def elsewhere(self, workers: Elsewhere) -> SampledEvaluator:
        return dataclasses.replace(self, matches=self.matches.elsewhere(workers.play))

    def empty(self) -> MetaGame:
        players = self.matches.game.num_players
        return MetaGame(
            payoffs=np.zeros((players, *(0,) * players)),
            standard_error=np.zeros((players, *(0,) * players)),
            episodes=np.zeros((0,) * players, np.int64),
        )

    @own_settings()
    def finished(
        self,
        population: Population,
        policies: dict[int, Params],
        targets: dict[int, Target],
        key: jax.Array,
    ) -> dict[int, Params]:
        if not self.softmax:
            return policies
        return finishing.finished(
            self.matches, 2 * self.first_matches, population, policies,
            {slot: target.opponents for slot, target in targets.items()}, key,
        )  # fmt: skip

    def put(
        self,
        meta_game: MetaGame,
        population: Population,
        slots: Sequence[int],
        key: jax.Array,
        lap: Lap,
    ) -> MetaGame:
        players, size = meta_game.num_players, population.size
        room = [(0, size - meta_game.size)] * players
        grown = MetaGame(
            payoffs=np.pad(meta_game.payoffs, [(0, 0), *room]),
            standard_error=np.pad(meta_game.standard_error, [(0, 0), *room]),
            episodes=np.pad(meta_game.episodes, room),
        )
        new = np.zeros((size,) * players, bool)
        for p in range(players):
            np.moveaxis(new, p, 0)[list(slots)] = True
        grown.episodes[new] = 0  # those of a policy that has changed count no more
        profiles = np.repeat(np.argwhere(new), self.first_matches, axis=0)
        measured = self._measured(grown, population.params, profiles, key)
        lap("payoffs")
        return measured

    def refine(
        self,
        meta_game: MetaGame,
        population: Population,
        solve: Solve,
        key: jax.Array,
        lap: Lap,
    ) -> tuple[MetaGame, MetaStrategy]:
        """Adds matches until the meta-strategy's value is known to `error`. Each goes to the
        profile whose uncertainty counts most: by its probability, and by that of the opponents in
        it where a deviation to it may still pay (as in ResponseGraphUCB: Rowland et al. 2019,
        arXiv:1909.09849)."""
        strategy, params = solve(meta_game), population.params
        lap("meta_solver")
        for _ in range(_MOST_ROUNDS):
            if value_error(meta_game, strategy).max() <= self.error:
                break
            worth = _influence(meta_game, strategy) * meta_game.standard_error.max(axis=0)
            chosen = np.argsort(-worth, axis=None, kind="stable")[: self.matches.at_once]
            chosen = chosen[worth.ravel()[chosen] > 0]
            if not len(chosen):
                break
            # All places of a call are used: the best profiles get several matches.
            chosen = np.resize(chosen, self.matches.at_once)
            profiles = np.stack(np.unravel_index(chosen, worth.shape), axis=-1)
            meta_game = self._measured(meta_game, params, profiles, key)
            lap("payoffs")
            strategy = solve(meta_game)
            lap("meta_solver")
        return meta_game, strategy

    def target(
        self,
        meta_game: MetaGame,
        strategy: MetaStrategy,
        concept: str,
        capacity: int,
        correlated: CorrelatedGap | None,
    ) -> Target:
        return sampled_target(meta_game, strategy, capacity)

    def outcome(
        self,
        meta_game: MetaGame,
        strategy: MetaStrategy,
        target: Target,
        slot: int,
        measured: MetaStrategy | None,
    ) -> Outcome:
        """From the new policies' own payoffs. Their episodes were played after training and after
        the meta-strategies were chosen, so nothing was selected by them."""
        achieved, error = _achieved(meta_game, strategy, slot)
        bound, bound_error = None, None
        if measured is not None:
            bound, bound_error = self._bound(meta_game, measured, slot)
        return Outcome(
            achieved_value=achieved,
            improvement=achieved - target.value,
            improvement_error=np.hypot(error, value_error(meta_game, strategy)),
            nash_conv_bound=bound,
            nash_conv_bound_error=bound_error,
        )

    def _bound(self, meta_game: MetaGame, measured: MetaStrategy, slot: int) -> tuple[float, float]:
        """What the players' policies number `slot` gain over a meta-strategy, added up, and its
        standard error. It is a lower bound of the meta-strategy's NashConv, up to that error:
        exactly so where returns add up to a constant. Elsewhere the meta-strategy's own value is
        the table's, on which it was chosen."""
        achieved, error = _achieved(meta_game, measured, slot)
        variance = np.square(error).sum()
        if self.total is not None:
            return float(achieved.sum() - self.total), float(np.sqrt(variance))
        value = measured.padded(meta_game.size).values(meta_game.payoffs).sum()
        variance += np.square(value_error(meta_game, measured)).sum()
        return float(achieved.sum() - value), float(np.sqrt(variance))

    def gaps(self, meta_game: MetaGame, strategy: MetaStrategy, concept: str) -> Gaps:
        return Gaps(
            value=strategy.values(meta_game.payoffs),
            value_error=value_error(meta_game, strategy),
            best_response_value=None,
            independent=None,
        )

    @own_settings()
    def _measured(
        self, meta_game: MetaGame, params: Params, profiles: np.ndarray, key: jax.Array
    ) -> MetaGame:
        """With one more match of each of the profiles `[N, P]`; one may be there several times.
        `params` are the population's."""
        distinct, place = np.unique(profiles, axis=0, return_inverse=True)
        matches_of = [np.flatnonzero(place == k) for k in range(len(distinct))]
        number = meta_game.episodes[tuple(profiles.T)] // self.matches.episodes
        for rows in matches_of:
            number[rows] += np.arange(len(rows))
        keys = fold(key, np.concatenate([profiles, number[:, None]], axis=1))
        played = self.matches(params, profiles, keys)
        payoffs, error = meta_game.payoffs.copy(), meta_game.standard_error.copy()
        episodes = meta_game.episodes.copy()
        for profile, rows in zip(map(tuple, distinct), matches_of, strict=True):
            at = (slice(None), *profile)
            payoffs[at], error[at], episodes[profile] = _pooled(
                payoffs[at],
                error[at],
                episodes[profile],
                np.concatenate(played.returns[rows]),
                self.matches.squares(played.returns[rows]),
                unseen=_UNSEEN * self.matches.game.span,
            )
        return MetaGame(payoffs=payoffs, standard_error=error, episodes=episodes)


def _achieved(
    meta_game: MetaGame, strategy: MetaStrategy, slot: int
) -> tuple[np.ndarray, np.ndarray]:
    """Each player's return with its policy number `slot` against the others' meta-strategy, and its
    standard error, `[P]` each."""
    achieved, variance = np.zeros((2, meta_game.num_players))
    strategy = strategy.padded(meta_game.size)
    for p in range(meta_game.num_players):
        others = np.zeros(meta_game.payoffs.shape[1:])
        np.moveaxis(others, p, 0)[slot] = strategy.others(p)
        achieved[p] = (others * meta_game.payoffs[p]).sum()
        variance[p] = np.square(others * meta_game.standard_error[p]).sum()
    return achieved, np.sqrt(variance)


def value_error(meta_game: MetaGame, strategy: MetaStrategy) -> np.ndarray:
    """Standard error of the players' values under a meta-strategy, `[P]`, by the payoffs' own. Only
    its policies count; the meta-game may have more."""
    weights = strategy.padded(meta_game.size).profiles
    variance = np.square(weights * meta_game.standard_error)
    return np.sqrt(variance.reshape(meta_game.num_players, -1).sum(axis=1))


def _influence(meta_game: MetaGame, strategy: MetaStrategy) -> np.ndarray:
    """How much each profile's payoffs count for what is known of a meta-strategy, `[K, ..., K]`."""
    influence = strategy.profiles.copy()
    for p in range(meta_game.num_players):
        others = np.moveaxis(np.broadcast_to(strategy.others(p), influence.shape), 0, p)
        axes = tuple(q for q in range(meta_game.num_players) if q != p)
        value = (others * meta_game.payoffs[p]).sum(axis=axes)  # of each own policy, [K]
        error = np.sqrt(np.square(others * meta_game.standard_error[p]).sum(axis=axes))
        own = strategy.marginals[p] @ value
        may_pay = value + QUANTILE * error > own
        shape = [-1 if q == p else 1 for q in range(meta_game.num_players)]
        influence = np.maximum(influence, others * may_pay.reshape(shape))
    return influence


def _pooled(
    mean: np.ndarray,
    error: np.ndarray,
    count: int,
    returns: np.ndarray,
    more_squares: np.ndarray,
    unseen: float,
) -> tuple[np.ndarray, np.ndarray, int]:
    """Mean, standard error `[P]` and number of episodes, of `count` episodes and those of
    `returns [N, P]` together (Chan et al. 1979). `more_squares [P]` are those of the new episodes
    (`Matches.squares`). `unseen` is the least root of the sum of squares: N episodes that are all
    the same do not prove that every episode is."""
    more = len(returns)
    total = count + more
    difference = returns.mean(axis=0) - mean
    squares = np.square(error) * count * max(count - 1, 0)
    squares = squares + more_squares
    squares = squares + np.square(difference) * count * more / total
    squares = np.maximum(squares, np.square(unseen))
    return (
        mean + difference * more / total,
        np.sqrt(squares / (total * max(total - 1, 1))),
        total,
    )
