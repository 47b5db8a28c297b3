"""Games for one player, which others call environments, made of two functions: `_begin` and `_go`.

`games.hosted` makes them of other libraries' environments; `games.tasks` writes them here.
"""

from __future__ import annotations

import abc
import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp

from games.errors import GameError
from games.game import Game, State
from games.random_play import largest_return
from games.spaces import Box, Discrete, Space, size_of

MOST_ACTIONS = 1 << 20
"""Actions that several choices at once may make, when they are numbered as one."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class SoloState(State):
    """What the environment keeps, what it shows, and the decisions so far, int32 `[]`."""

    inner: Any
    observation: Any
    count: jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Moved:
    """What a decision led to. A simulation that has both ended and been cut off has ended.

    Attributes:
        inner: what the environment keeps.
        observation: what it shows, a value of its space, also where it has ended.
        reward: what the decision earned, `[]`.
        terminal: whether the rules have ended the episode, bool `[]`.
        truncated: whether a limit of the environment's own has cut it off, bool `[]`.
    """

    inner: Any
    observation: Any
    reward: jax.Array
    terminal: jax.Array
    truncated: jax.Array


class Solo(Game[SoloState]):
    """A game for one player. An episode that is cut off shows its last observation.

    An action that is none (a number out of range; not finite, of a `Box`) changes only the reward.
    """

    num_players = 1
    may_truncate = True

    def __init__(
        self,
        name: str,
        *,
        observation_space: Space,
        action_space: Box | Discrete,
        max_length: int,
        max_return: float | None = None,
    ):
        """
        Args:
            name: the game's string.
            observation_space, action_space: see `Game`.
            max_length: decisions after which an episode is cut off.
            max_return: the largest absolute return. None = the largest in random play.
        """
        self.name = name
        self.observation_space = observation_space
        self.observation_size = size_of(observation_space)
        self.action_space = action_space
        self.num_actions = action_space.size
        self.max_length = max_length
        self._max_return = max_return

    @functools.cached_property
    def max_return(self) -> float:
        return largest_return(self) if self._max_return is None else self._max_return

    def init(self, key: jax.Array) -> SoloState:
        inner, observation = self._begin(key)
        no = jnp.bool_(False)
        return self._state(inner, observation, jnp.float32(0), no, no, jnp.int32(0))

    def step(self, state: SoloState, action: jax.Array, key: jax.Array) -> SoloState:
        follows = ~state.ended & self._is_action(state, action)
        played = jnp.where(follows, action, self._any_action())
        moved = self._go(state.inner, played, key)
        count = state.count + 1
        after = self._state(
            moved.inner,
            moved.observation,
            moved.reward,
            moved.terminal,
            moved.truncated | (count >= self.max_length),
            count,
        )
        unpaid = dataclasses.replace(state, rewards=jnp.zeros_like(state.rewards))
        return jax.tree.map(
            lambda new, old: jnp.where(follows, new, old).astype(old.dtype), after, unpaid
        )

    def observe(self, state: SoloState) -> Any:
        return jax.tree.map(
            lambda leaf: jnp.where(state.terminal, jnp.zeros_like(leaf), leaf), state.observation
        )

    @abc.abstractmethod
    def _begin(self, key: jax.Array) -> tuple[Any, Any]:
        """A new episode: what the environment keeps, and what it shows."""

    @abc.abstractmethod
    def _go(self, inner: Any, action: jax.Array, key: jax.Array) -> Moved:
        """A decision in an episode that has not ended."""

    def _legal(self, inner: Any, observation: Any) -> jax.Array:
        """Which actions may be chosen, bool `[A]`; not called if they are a `Box`."""
        return jnp.ones(self.num_actions, bool)

    def _state(
        self,
        inner: Any,
        observation: Any,
        reward: jax.Array,
        terminal: jax.Array,
        truncated: jax.Array,
        count: jax.Array,
    ) -> SoloState:
        terminal = jnp.asarray(terminal, bool)
        truncated = jnp.asarray(truncated, bool) & ~terminal
        legal = None
        if isinstance(self.action_space, Discrete):
            legal = self._legal(inner, observation) & ~(terminal | truncated)
        return SoloState(
            player=jnp.int32(0),
            legal=legal,
            terminal=terminal,
            truncated=truncated,
            rewards=jnp.asarray(reward, jnp.float32).reshape(1),
            inner=inner,
            observation=conformed(self.observation_space, observation),
            count=count,
        )

    def _is_action(self, state: SoloState, action: jax.Array) -> jax.Array:
        if isinstance(self.action_space, Box):
            return jnp.isfinite(action).all()
        return (state.legal & (jnp.arange(self.num_actions) == action)).any()

    def _any_action(self) -> jax.Array:
        space = self.action_space
        if isinstance(space, Discrete):
            return jnp.int32(0)
        return jnp.full(space.shape, (space.low + space.high) / 2, jnp.float32)


def conformed(space: Space, observation: Any) -> Any:
    """An observation in the types and shapes of its space, whatever a library calls them."""
    leaves, structure = jax.tree.flatten(space)
    pairs = zip(leaves, jax.tree.leaves(observation), strict=True)
    return jax.tree.unflatten(
        structure, [_conformed(leaf, jnp.asarray(value)) for leaf, value in pairs]
    )


def _conformed(space: Box | Discrete, value: jax.Array) -> jax.Array:
    value = value.reshape(space.shape)
    if isinstance(space, Discrete):
        return value.astype(jnp.int32)
    if value.dtype == jnp.uint8 and space.high == 1:
        return value.astype(jnp.float32) / 255
    return value.astype(jnp.float32)


def check_actions(name: str, space: Any) -> Box | Discrete:
    """Raises GameError if a learner cannot choose actions of this space."""
    if isinstance(space, Discrete) and space.shape == () and 1 < space.num <= MOST_ACTIONS:
        return space
    if isinstance(space, Box) and space.size and abs(space.low) + abs(space.high) < float("inf"):
        return space
    raise GameError(
        f"{name!r} has actions that no learner here can choose: {space}; they must be one number "
        "out of several, or real numbers between bounds"
    )
