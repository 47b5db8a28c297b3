"""The temperature of new policies in games that are measured by episodes.

In training a policy acts at temperature 1. A finished policy is sharper (`temperature` of its
oracle): some best response is always pure. But a policy that has learned little gets worse without
its noise. On a tree the oracle sees that, because it evaluates finished policies. Here both play
the same matches, and the noise is kept where it earns more by two standard errors. These matches
measure nothing else, so no figure is chosen by the episodes that measure it.
"""

from __future__ import annotations

import dataclasses

import jax
import numpy as np

from psro.policies.policy import Params, at_temperature
from psro.policies.population import Population
from psro.training.matches import Matches, fold

_FINISH = 0xFFFFFFFE
"""No part of an iteration's expansion has this number."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Trial:
    """Matches of one new policy of a player: N profiles `[N, P]` with it, and their keys `[N]`."""

    player: int
    profiles: np.ndarray
    keys: jax.Array


def finished(
    matches: Matches,
    number: int,
    population: Population,
    policies: dict[int, Params],
    opponents: dict[int, np.ndarray],
    key: jax.Array,
) -> dict[int, Params]:
    """The new policies by number, leaves `[P, ...]`, each at the better of the two temperatures.

    Args:
        matches: plays.
        number: matches of each new policy at each temperature.
        population: the policies so far.
        policies: the new ones, at the finished temperature.
        opponents: those that each was trained against; see `Target.opponents`.
        key: of the training.
    """
    key = jax.random.fold_in(key, _FINISH)
    # They come after all others: one that was trained further meets the others as they were.
    trials = [
        _trial(population.size + n, p, opponents[slot][p], number, jax.random.fold_in(key, slot))
        for n, slot in enumerate(policies)
        for p in range(matches.game.num_players)
    ]
    sharp = list(policies.values())
    noisy = [at_temperature(params, 1.0) for params in sharp]
    gain = _returns(matches, population, noisy, trials)
    gain -= _returns(matches, population, sharp, trials)
    error = gain.std(axis=1, ddof=1) / np.sqrt(gain.shape[1])
    keeps = (gain.mean(axis=1) > 2 * error).reshape(len(policies), -1)
    return {
        slot: params | {"temperature": np.where(kept, np.float32(1), params["temperature"])}
        for kept, (slot, params) in zip(keeps, policies.items(), strict=True)
    }


def _trial(slot: int, player: int, opponents: np.ndarray, number: int, key: jax.Array) -> _Trial:
    """Opponents are drawn from probabilities `[K, ..., K]` by systematic sampling."""
    players = opponents.ndim + 1
    cumulative = np.cumsum(opponents.ravel())
    own = jax.random.fold_in(key, player)
    points = (np.arange(number) + np.asarray(jax.random.uniform(own))) / number
    drawn = np.searchsorted(cumulative / cumulative[-1], np.minimum(points, 1 - 1e-9), side="right")
    profiles = np.full((number, players), slot)
    profiles[:, (player + 1 + np.arange(players - 1)) % players] = np.stack(
        np.unravel_index(drawn, opponents.shape), axis=1
    )
    return _Trial(
        player=player,
        profiles=profiles,
        keys=fold(own, np.arange(number)[:, None]),
    )


def _returns(
    matches: Matches, population: Population, policies: list[Params], trials: list[_Trial]
) -> np.ndarray:
    """The own returns in each trial, `[trials, episodes]`."""
    for params in policies:
        population = population.add(params)
    played = matches(
        population.params,
        np.concatenate([trial.profiles for trial in trials]),
        jax.numpy.concatenate([trial.keys for trial in trials]),
    ).returns
    by_trial = played.reshape(len(trials), -1, played.shape[-1])
    return np.stack(
        [returns[:, trial.player] for returns, trial in zip(by_trial, trials, strict=True)]
    )
