"""Episodes between given policies: the raw material of every sampled figure.

A *match* is a batch of episodes of one profile, one policy for each player. All matches of a call
are played side by side, from the start of an episode to its end. What a match gives depends on its
own key and policies alone, not on the matches beside it.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from games.game import Game, State
from psro.policies.jax_settings import own_settings
from psro.policies.policy import Params, Policy

EPISODES = 128
"""Episodes of a match. The parameters of its policies are gathered once for all of them."""
MATCHES = 32
"""Matches that are played side by side. Fewer are padded, so that nothing is compiled again."""
MOST_ACTIONS = MATCHES * EPISODES * 512
"""Of all episodes that are played side by side. Padding costs little but for the probabilities of
actions, which are computed in every episode: in chess's 4,672 they are nearly all the work."""

Call = tuple[np.ndarray, np.ndarray, np.ndarray]
"""The inputs of matches that are played side by side: profiles `[C, P]`, data of keys `[C, 2]`, and
which of them are played `[C]`."""
Play = Callable[[Params, Sequence[Call]], list[tuple[np.ndarray, np.ndarray]]]
"""As `Matches.play`."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class _Table:
    """C matches of B episodes, in the middle of a step.

    Attributes:
        state: the games, `[C, B]`.
        carries: the carry of every player, a list of leaves `[C, B, ...]`.
        last_actions: every player's own last action, `[P, C, B, ...]`; see `Policy.no_action`.
        returns: the sums of rewards, `[C, B, P]`.
        decisions: own decisions of every player, int32 `[C, B, P]`.
        time: steps so far.
    """

    state: State
    carries: list[Any]
    last_actions: jax.Array
    returns: jax.Array
    decisions: jax.Array
    time: jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class Played:
    """The results of C matches of B episodes each.

    Attributes:
        returns: every player's return, float64 `[C, B, P]`.
        decisions: every player's own decisions, int `[C, B, P]`.
    """

    returns: np.ndarray
    decisions: np.ndarray


class Matches:
    """Plays matches in one game.

    Args:
        game: the game.
        policy: the network of all policies, or a sequence with the network of each seat.
        episodes: episodes of a match.
        at_once: matches that are played side by side; by default 32, or fewer in games with so
            many actions that padding would cost more than calls.

    Attributes:
        stratified: whether a match's episodes are pairs, one pair for each of B / 2 equally likely
            kinds of deals. Every episode is distributed as any other; together they miss no kind.
            (Where B is a power of two, and the game begins with deals: `Game.deal`.)
    """

    def __init__(
        self,
        game: Game,
        policy: Policy | Sequence[Policy],
        *,
        episodes: int = EPISODES,
        at_once: int | None = None,
    ):
        self.game, self.episodes = game, episodes
        most = MOST_ACTIONS // (episodes * game.num_actions)
        self.at_once = at_once or min(MATCHES, 1 << max(0, most.bit_length() - 1))
        seats = isinstance(policy, Sequence)
        self.stratified = game.begins_with_deals and episodes > 2 and episodes.bit_count() == 1
        self._policies = tuple(policy) if seats else (policy,) * game.num_players
        self._play = jax.jit(self._play_all)
        self._elsewhere: Play | None = None

    @own_settings()
    def __call__(self, params: Params, profiles: np.ndarray, keys: jax.Array) -> Played:
        """Plays one match of each profile.

        Args:
            params: every player's policies, leaves `[P, K, ...]`; or a sequence with those of each
                seat, leaves `[K_p, ...]`.
            profiles: each match's policy of every player, int `[C, P]`.
            keys: each match's random key, `[C]`.
        """
        data, calls = jax.device_get(jax.random.key_data(keys)), []
        for first in range(0, len(profiles), self.at_once):
            chosen = np.arange(first, first + self.at_once)
            plays = chosen < len(profiles)
            chosen[~plays] = first  # padding: any match, not played and dropped below
            calls.append((profiles[chosen].astype(np.int32), data[chosen], plays))
        play = self.play if self._elsewhere is None else self._elsewhere
        returns, decisions = map(np.concatenate, zip(*play(params, calls), strict=True))
        return Played(
            returns=returns[: len(profiles)].astype(np.float64),
            decisions=decisions[: len(profiles)],
        )

    @own_settings()
    def play(self, params: Params, calls: Sequence[Call]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Returns and decisions, `[C, B, P]` each, of calls in this process."""
        # Moved once: every further call of this iteration finds them on the device.
        params, constants = jax.device_put((params, self.game.constants))
        return [jax.device_get(self._play(params, constants, *call)) for call in calls]

    def elsewhere(self, play: Play) -> Matches:
        """The same matches, whose calls are played by another function. Calls are the same, so
        their results are, bit for bit."""
        matches = copy.copy(self)
        matches._elsewhere = play
        return matches

    def squares(self, returns: np.ndarray) -> np.ndarray:
        """The sum of squares `[P]` by which N episodes of one profile tell the error of their mean,
        which is the root of `squares / (N (N - 1))`. Of pairs, only what differs within them counts
        (stratified sampling, two of each stratum: Cochran 1977, section 5A.11).

        Args:
            returns: of C matches, `[C, B, P]`.
        """
        episodes = returns.reshape(-1, returns.shape[-1])
        if not self.stratified:
            return np.square(episodes - episodes.mean(axis=0)).sum(axis=0)
        within = np.square(episodes[::2] - episodes[1::2]).sum(axis=0)
        return within * (len(episodes) - 1) / len(episodes)

    def _begin(self, game: Game, key: jax.Array) -> State:
        """The states at the start of a match, `[B]`."""
        if not self.stratified:
            return jax.vmap(game.init)(jax.random.split(key, self.episodes))
        key, draw = jax.random.split(key)
        strata = self.episodes // 2
        low = jax.random.bits(draw, (self.episodes,)) // strata
        high = jnp.arange(self.episodes, dtype=jnp.uint32) // 2 * jnp.uint32((1 << 32) // strata)
        return jax.vmap(game.deal)(jax.random.split(key, self.episodes), high + low)

    def _play_all(
        self,
        params: Params,
        constants: Any,
        profiles: jax.Array,
        data: jax.Array,
        plays: jax.Array,
    ) -> tuple[jax.Array, jax.Array]:
        """Returns and decisions, `[C, B, P]`, of the matches where `plays [C]` is True."""
        game, seats = self.game.with_constants(constants), range(self.game.num_players)
        keys = jax.random.wrap_key_data(data)
        shape = (self.at_once, self.episodes)
        policies = [_drawn(params, p, profiles[:, p]) for p in seats]
        start = _Table(
            state=jax.vmap(lambda key: self._begin(game, jax.random.fold_in(key, 0)))(keys),
            carries=[policy.initial_carry(shape) for policy in self._policies],
            last_actions=jnp.stack([policy.no_action(shape) for policy in self._policies]),
            returns=jnp.zeros((*shape, len(seats))),
            decisions=jnp.zeros((*shape, len(seats)), jnp.int32),
            time=jnp.int32(0),
        )
        idle = ~plays[:, None]  # [C, 1]
        end = jax.lax.while_loop(
            lambda table: ~(table.state.ended | idle).all() & (table.time < game.max_length),
            lambda table: self._move(game, policies, keys, table, idle),
            start,
        )
        return end.returns, end.decisions

    def _move(
        self, game: Game, policies: list[Params], keys: jax.Array, table: _Table, idle: jax.Array
    ) -> _Table:
        """One decision in every episode that goes on; none where `idle [C, 1]`."""
        state, carries = table.state, list(table.carries)
        over = state.ended | idle
        act_keys, step_keys = jax.vmap(
            lambda key: tuple(jax.random.split(jax.random.fold_in(key, table.time + 1)))
        )(keys)
        observation = jax.vmap(jax.vmap(game.observe))(state)
        mover = jnp.where(over, -1, state.player)
        first = self._policies[0]  # all seats have the same actions
        outputs = jnp.zeros((*mover.shape, first.num_outputs))
        for p, params in enumerate(policies):
            # In most games all episodes are at the same seat: the other networks do not run.
            outputs, carries[p] = jax.lax.cond(
                (mover == p).any(),
                functools.partial(_think, self._policies[p]),
                lambda _, __, ___, ____, outputs, carry: (outputs, carry),
                params, observation, table.last_actions[p], mover == p, outputs, carries[p],
            )  # fmt: skip
        legal = None if state.legal is None else state.legal | state.ended[..., None]
        choice = first.distribution(outputs, legal)
        action = choice.played(jax.vmap(lambda own, key: own.sample(key))(choice, act_keys))
        # An action that is none: a game on the host has no work with it.
        numbers = state.legal is not None
        none = over.reshape(*over.shape, *(1,) * (action.ndim - 2))
        action = jnp.where(none, -1 if numbers else jnp.nan, action)
        action = action.astype(jnp.int32) if numbers else action
        after = jax.vmap(jax.vmap(game.step))(
            state, action, jax.vmap(lambda key: jax.random.split(key, self.episodes))(step_keys)
        )
        moved = mover[None] == jnp.arange(len(policies))[:, None, None]  # [P, C, B]
        return _Table(
            state=after,
            carries=carries,
            last_actions=jnp.where(
                moved.reshape(*moved.shape, *(1,) * (action.ndim - 2)), action, table.last_actions
            ),
            returns=table.returns + after.rewards,
            decisions=table.decisions + jnp.moveaxis(moved, 0, -1),
            time=table.time + 1,
        )


def _drawn(params: Params, player: int, chosen: jax.Array) -> Params:
    """A player's policies number `chosen [C]`, leaves `[C, ...]`."""
    if isinstance(params, list | tuple):
        return jax.tree.map(lambda leaf: leaf[chosen], params[player])
    return jax.tree.map(lambda leaf: leaf[player, chosen], params)


def _think(
    policy: Policy,
    params: Params,
    observation: Any,
    last_action: jax.Array,
    where: jax.Array,
    outputs: jax.Array,
    carry: Any,
) -> tuple[jax.Array, Any]:
    """One player's outputs and next carries where it is its turn, `[C, B]`."""
    own, _, after = jax.vmap(policy)(params, observation, last_action, carry)

    def chosen(new: jax.Array, old: jax.Array) -> jax.Array:
        return jnp.where(where.reshape(*where.shape, *(1,) * (new.ndim - 2)), new, old)

    return chosen(own, outputs), jax.tree.map(chosen, after, carry)


@jax.jit
def _fold_one(key: jax.Array, numbers: jax.Array) -> jax.Array:
    def fold(row: jax.Array) -> jax.Array:
        return jax.random.key_data(
            jax.lax.fori_loop(0, row.shape[0], lambda n, k: jax.random.fold_in(k, row[n]), key)
        )

    return jax.vmap(fold)(numbers)


def fold(key: jax.Array, numbers: np.ndarray) -> jax.Array:
    """`key` with the numbers `[N, M]` of each row folded in, `[N]`."""
    padded = np.zeros((1 << max(len(numbers) - 1, 0).bit_length(), numbers.shape[1]), np.uint32)
    padded[: len(numbers)] = numbers  # a power of two: few shapes are compiled
    return jax.random.wrap_key_data(_fold_one(key, padded)[: len(numbers)])
