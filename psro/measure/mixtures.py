"""Mixtures of networks that play episodes, and what they earn: means with standard errors."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import jax
import numpy as np

from games.game import Game
from psro.errors import SettingsError
from psro.metagame.strategy import SUPPORT, MetaStrategy
from psro.policies.jax_settings import own_settings
from psro.policies.policy import Params, Policy, TablePolicy
from psro.runs.experiment import Experiment
from psro.training.matches import Matches


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mixture:
    """A mixture of policies of one network for each of P players, who draw independently.

    Attributes:
        policy: the network.
        params: the policies, leaves `[P, K, ...]`.
        weights: each player's probabilities of its policies, `[K]`.
    """

    policy: Policy
    params: Params
    weights: tuple[np.ndarray, ...]

    def seat(self, player: int) -> Params:
        """A player's policies, leaves `[K, ...]`."""
        return jax.tree.map(lambda leaf: leaf[player], self.params)

    def some(self, player: int, numbers: np.ndarray) -> Params:
        """A few policies, leaves `[len(numbers), ...]`."""
        return jax.tree.map(lambda leaf: leaf[player, numbers], self.params)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Estimate:
    """Every player's expected return by episodes.

    Attributes:
        mean: float64 `[P]`.
        standard_error: of the mean, float64 `[P]`.
        episodes: how many.
    """

    mean: np.ndarray
    standard_error: np.ndarray
    episodes: int


def mixture_of(run: Experiment, strategy: MetaStrategy | None = None) -> Mixture:
    """A run's policies with the weights of a meta-strategy: by default its own, which is measured.
    Of a joint one these are the marginals. Weights of a meta-strategy for fewer policies are those
    of the first ones.

    Raises:
        SettingsError: the run's policies are tables, which play no episodes.
    """
    if isinstance(run.policy_network, TablePolicy):
        raise SettingsError(
            f"the policies of {run.folder} are tables, which play no episodes; `psro eval` "
            "without other runs measures them exactly"
        )
    strategy = strategy or run.measured_strategy
    params = [stacked for stacked in run.populations]
    size = len(jax.tree.leaves(params[0])[0])
    weights = []
    for own in strategy.padded(size).marginals:
        kept = np.where(own > SUPPORT, own, 0.0)
        weights.append(kept / kept.sum())
    return Mixture(
        policy=run.policy_network,
        params=jax.tree.map(lambda *leaves: np.stack(leaves), *params),
        weights=tuple(weights),
    )


@own_settings()
def uniform_play(game: Game, policy: Policy | None = None) -> Mixture:
    """Uniform random play, as a network whose numbers are all zero: of the architecture `policy`,
    or by default of one unit."""
    policy = policy or Policy(
        observation_space=game.observation_space,
        action_space=game.action_space,
        hidden_size=1,
        cell="gru",
    )
    shapes = jax.eval_shape(policy.init_many, jax.random.split(jax.random.key(0), 1))
    zeros = jax.tree.map(lambda leaf: np.zeros((game.num_players, *leaf.shape), leaf.dtype), shapes)
    one = np.ones((game.num_players, 1), np.float32)
    return Mixture(
        policy=policy,
        params=zeros | {"temperature": one},
        weights=(np.ones(1),) * game.num_players,
    )


@own_settings()
def expected_returns(
    matches: Matches,
    params: Params,
    weights: Sequence[np.ndarray],
    *,
    episodes: int,
    key: jax.Array,
) -> Estimate:
    """What players earn who draw their policies independently.

    Where every profile of policies gets matches of its own, they are in proportion to the profile's
    probability, and the standard error is that of the stratified mean. With more profiles than
    that, each match draws its profile, and the matches' means are the sample.

    Args:
        matches: plays the episodes.
        params: as `Matches` takes them.
        weights: each player's probabilities of its policies, `[K_p]`.
        episodes: at least so many, up to whole matches.
        key: consumed.
    """
    count = max(2, -(-episodes // matches.episodes))
    support = [np.flatnonzero(own) for own in weights]
    total = float(np.prod([float(len(own)) for own in support]))
    draw, play = jax.random.split(key)
    if total > count / 2:
        generator = np.random.default_rng(np.asarray(jax.random.key_data(draw)))
        profiles = np.stack(
            [generator.choice(len(own), count, p=own / own.sum()) for own in weights], axis=-1
        )
        returns = _played(matches, params, profiles, play).mean(axis=1)  # [C, P]
        mean, variance = returns.mean(axis=0), returns.var(axis=0, ddof=1) / count
    else:
        strata = np.stack([axes.ravel() for axes in np.meshgrid(*support, indexing="ij")], axis=-1)
        shares = np.prod([own[strata[:, p]] for p, own in enumerate(weights)], axis=0)
        each = _allotted(shares, count)
        returns = _played(matches, params, np.repeat(strata, each, axis=0), play)
        mean, variance, first = np.zeros(returns.shape[-1]), np.zeros(returns.shape[-1]), 0
        for share, number in zip(shares, each, strict=True):
            own = returns[first : first + number]
            played = number * matches.episodes
            mean += share * own.mean(axis=(0, 1))
            variance += share**2 * matches.squares(own) / (played * (played - 1))
            first += number
    return Estimate(mean=mean, standard_error=np.sqrt(variance), episodes=count * matches.episodes)


def _played(matches: Matches, params: Params, profiles: np.ndarray, key: jax.Array) -> np.ndarray:
    """Returns of one match for each profile, `[C, B, P]`."""
    return matches(params, profiles, jax.random.split(key, len(profiles))).returns


def _allotted(shares: np.ndarray, count: int) -> np.ndarray:
    """`count` in whole numbers `[S]`, at least one each, by the largest remainders of `shares`."""
    wanted = shares * (count - len(shares))
    whole = np.floor(wanted).astype(int)
    left = count - len(shares) - whole.sum()
    whole[np.argsort(whole - wanted, kind="stable")[:left]] += 1
    return whole + 1
