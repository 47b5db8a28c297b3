"""What every game looks like to `jit` and `vmap`: the `Game` protocol and its `State`."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, Protocol, Self, TypeVar

import jax
import jax.numpy as jnp

from games.form import Form
from games.spaces import Box, Discrete, Space
from games.tree import GameTree


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class State:
    """One history, as far as every game shows it. A game adds private fields in a subclass.

    Attributes:
        player: seat to move, int32 `[]`; 0 where the episode has ended. In a game that
            `may_truncate`, an episode that was cut off still names the seat that would be next.
        legal: which actions it may play, bool `[A]`; all False where the episode
            has ended. None if actions are a `Box`.
        terminal: whether the rules have ended the episode, bool `[]`.
        truncated: whether a limit of length has cut the episode off, bool `[]`; never both.
        rewards: what each player earned by the step into this state, float32 `[P]`; zero in the
            state of `init`. An episode's returns are the sums of its rewards.
    """

    player: jax.Array
    legal: jax.Array | None
    terminal: jax.Array
    truncated: jax.Array
    rewards: jax.Array

    @property
    def ended(self) -> jax.Array:
        """Whether the episode is over, by the rules or by a limit, bool `[]`."""
        return self.terminal | self.truncated


S = TypeVar("S", bound=State)


class Game(Protocol[S]):
    """Rules as pure functions of one history; batch them with `vmap`. A game for one player is an
    environment.

    An illegal action, or any action after the end, changes only the rewards: they become zero. So a
    scan may step past the end, and the sum of rewards stays the return.

    An array that a method reads from the object is a constant to `jit`: XLA compiles it into the
    program. So a game keeps its large arrays in `constants`, and the caller passes them as an
    argument: `jit(lambda constants, key: game.with_constants(constants).init(key))`. A game without
    large arrays inherits both members from here.
    """

    num_players: int
    num_actions: int
    """The number of actions; of a `Box`, the number of its entries."""
    observation_size: int
    """The number of entries of an observation, flattened."""
    max_length: int
    """The most decisions, of all players together, in one episode."""
    max_return: float
    """The largest absolute return of any player. Learners divide returns by it."""
    utility_sum: float | None = None
    """The sum of all players' returns, where it is the same for every episode; otherwise None."""
    num_histories: int | None = None
    """The number of nodes of its tree; None if it is not enumerated."""
    may_truncate: bool = False
    """Whether a limit of length may cut episodes off, in states that still show what is next to
    decide: their `player` and their observation. Learners bootstrap there from their value of that
    observation. A game that cuts episodes off and cannot show this says False."""
    tree: GameTree | None = None
    """The whole game as a tree; None if it is not enumerated."""
    form: Form | None = None
    """What exact figures come from, the tree or another form; None if policies are measured by
    episodes."""
    begins_with_deals: bool = False
    """Whether `deal` chooses chance by its word."""
    constants: Any = ()
    """A PyTree of the large arrays that the methods read; empty if there are none."""

    @functools.cached_property
    def observation_space(self) -> Space:
        """What `observe` returns. By default one vector."""
        return Box((self.observation_size,))

    @functools.cached_property
    def action_space(self) -> Box | Discrete:
        """What `step` takes. By default a number."""
        return Discrete(self.num_actions)

    @property
    def is_constant_sum(self) -> bool:
        return self.utility_sum is not None

    @property
    def span(self) -> float:
        """The difference between two returns of a player is at most this."""
        return 2 * self.max_return

    def with_constants(self, constants: Any) -> Self:
        """The same game, whose methods read `constants` (as `self.constants`, traced or not)."""
        return self

    def init(self, key: jax.Array) -> S:
        """The state at the first decision of a new episode, after chance. Consumes `key`."""
        ...

    def step(self, state: S, action: jax.Array, key: jax.Array) -> S:
        """Plays `action` (a value of `action_space`) for `state.player`, then resolves chance.
        Consumes `key`."""
        ...

    def deal(self, key: jax.Array, word: jax.Array) -> S:
        """A new episode, as by `init`, whose first chance outcomes the word chooses, uint32 `[]`.

        Of a uniform word the state has the distribution of `init(key)`. Near words choose like
        deals, so whoever draws one word from each part of their range meets every kind of deal
        about as often as it is likely. Consumes `key`.
        """
        del word
        return self.init(key)

    def renew(self, state: S, where: jax.Array, key: jax.Array) -> S:
        """A new episode where `where []` is True, otherwise `state`. Games for which a new episode
        costs much begin one only where it is wanted."""
        new = self.init(key)
        return jax.tree.map(lambda begun, old: jnp.where(where, begun, old), new, state)

    def observe(self, state: S) -> Any:
        """What the player to move sees, a value of `observation_space`; by default float32
        `[observation_size]`. Zeros after the end, but for the final observation of an episode that
        was cut off in a game that `may_truncate`."""
        ...
