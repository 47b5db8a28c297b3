"""What every game looks like to `jit` and `vmap`: the `Game` protocol and its `State`."""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol, Self, TypeVar

import jax

from games.tree import GameTree


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class State:
    """One history, seen from outside. A game adds private fields in a subclass.

    Attributes:
        player: seat to move, int32 `[]`; 0 when terminal, and then without meaning.
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

    Playing an illegal action, or any action in a terminal state, leaves the state as it is.

    An array that a method reads from the object is a constant to `jit`, which XLA compiles into the
    program. A game with large arrays keeps them in `constants`, so that whoever compiles can pass
    them as an argument: `jit(lambda constants, key: game.with_constants(constants).init(key))`. A
    game without large arrays inherits both members from here.
    """

    num_players: int
    num_actions: int
    observation_size: int
    max_length: int
    """The most decisions, of all players together, in one episode."""
    max_return: float
    """The largest absolute return of any player: a learner's scale."""
    tree: GameTree | None
    """The whole game, where it is small enough to be one."""
    constants: Any = ()
    """A PyTree of the large arrays that the methods read; empty where there are none."""

    def with_constants(self, constants: Any) -> Self:
        """The same game, whose methods read `constants` (as `self.constants`, traced or not)."""
        return self

    def init(self, key: jax.Array) -> S:
        """The first decision of a new episode; chance has moved. Consumes `key`."""
        ...

    def step(self, state: S, action: jax.Array, key: jax.Array) -> S:
        """Plays `action` (int32 `[]`) for `state.player`, then resolves chance. Consumes `key`."""
        ...

    def observation(self, state: S) -> jax.Array:
        """What the player to move sees, float32 `[observation_size]`; zeros when terminal."""
        ...
