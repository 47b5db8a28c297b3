"""What every game looks like to `jit` and `vmap`: the `Game` protocol and its `State`."""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol, Self, TypeVar

import jax

from games.tree import GameTree


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class State:
    """One history, as far as every game shows it. A game adds private fields in a subclass.

    Attributes:
        player: seat to move, int32 `[]`; when terminal 0, which has no meaning then.
        legal: which actions it may play, bool `[A]`; all False when terminal.
        terminal: whether the episode is over, bool `[]`.
        returns: each player's return, float32 `[P]`; zero until terminal.
    """

    player: jax.Array
    legal: jax.Array
    terminal: jax.Array
    returns: jax.Array


S = TypeVar("S", bound=State)


class Game(Protocol[S]):
    """Rules as pure functions of one history; batch them with `vmap`.

    An illegal action, or any action in a terminal state, does not change the state.

    An array that a method reads from the object is a constant to `jit`: XLA compiles it into the
    program. So a game keeps its large arrays in `constants`, and the caller passes them as an
    argument: `jit(lambda constants, key: game.with_constants(constants).init(key))`. A game without
    large arrays inherits both members from here.
    """

    num_players: int
    num_actions: int
    observation_size: int
    max_length: int
    """The most decisions, of all players together, in one episode."""
    max_return: float
    """The largest absolute return of any player. Learners divide returns by it."""
    tree: GameTree | None
    """The whole game as a tree; None if it is too large."""
    constants: Any = ()
    """A PyTree of the large arrays that the methods read; empty if there are none."""

    def with_constants(self, constants: Any) -> Self:
        """The same game, whose methods read `constants` (as `self.constants`, traced or not)."""
        return self

    def init(self, key: jax.Array) -> S:
        """The state at the first decision of a new episode, after chance. Consumes `key`."""
        ...

    def step(self, state: S, action: jax.Array, key: jax.Array) -> S:
        """Plays `action` (int32 `[]`) for `state.player`, then resolves chance. Consumes `key`."""
        ...

    def observation(self, state: S) -> jax.Array:
        """What the player to move sees, float32 `[observation_size]`; zeros when terminal."""
        ...
