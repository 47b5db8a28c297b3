"""A simulator on the host as a `Game`: a history in the program, and calls to play on from it."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from games.errors import GameError
from games.game import Game, State
from games.hosted.callback import host_call
from games.hosted.host import Episode, Host, Simulator
from games.spaces import Box

MOST_ACTION_BITS = 20
"""The other 12 bits, or more, of a decision's word are random."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class HostedState(State):
    """A history, and what it shows.

    Attributes:
        observation: what the player to move sees, float32 `[O]`; zero where the episode has ended.
        seed: of the episode's chance, uint32 `[2]`.
        digest: of the history, uint32 `[2]`; see `games.hosted.chance`.
        count: decisions so far, int32 `[]`.
        history: of every decision the action, and above it random bits, uint32 `[max_length]`; from
            `count` on it has no meaning.
    """

    observation: jax.Array
    seed: jax.Array
    digest: jax.Array
    count: jax.Array
    history: jax.Array


class HostedGame(Game[HostedState]):
    """Plays a `Simulator` on the host, in one call for a whole batch.

    Pure: a state is a history, the host's memory only spares it playing that history again. So a
    move that the caller leaves out of its states costs a second playing. Pass an illegal action
    such as -1 where nobody is to move, and use `renew` where only some episodes begin.
    """

    def __init__(self, simulator: Simulator):
        self.name = simulator.name
        self.num_players = simulator.num_players
        self.num_actions = simulator.num_actions
        self.observation_size = simulator.observation_size
        self.max_length = simulator.max_length
        self.max_return = simulator.max_return
        self.shapes = getattr(simulator, "shapes", None)
        """Of what each player sees, before it is flattened; None if it is flat or mixed."""
        alike = self.shapes is not None and len(set(self.shapes)) == 1
        self.observation_space = Box(self.shapes[0] if alike else (self.observation_size,))
        self._is_random = simulator.is_random
        self._action_bits = max(1, (simulator.num_actions - 1).bit_length())
        if self._action_bits > MOST_ACTION_BITS:
            raise GameError(
                f"{self.name!r} has {self.num_actions:,} actions, and the limit is "
                f"{1 << MOST_ACTION_BITS:,}"
            )
        self._host = Host(simulator, self._action_bits)
        shown = (
            jax.ShapeDtypeStruct((), np.int32),
            jax.ShapeDtypeStruct((), np.bool_),
            jax.ShapeDtypeStruct((self.num_actions,), np.bool_),
            jax.ShapeDtypeStruct((self.observation_size,), np.float32),
        )
        rewards = jax.ShapeDtypeStruct((self.num_players,), np.float32)
        digest = jax.ShapeDtypeStruct((2,), np.uint32)
        self._begin = host_call(self._host.begin, shown)
        self._play = host_call(self._host.step, (*shown, rewards, digest))

    def init(self, key: jax.Array) -> HostedState:
        nothing = HostedState(
            player=jnp.int32(0),
            legal=jnp.zeros(self.num_actions, bool),
            terminal=jnp.bool_(False),
            truncated=jnp.bool_(False),
            rewards=jnp.zeros(self.num_players, jnp.float32),
            observation=jnp.zeros(self.observation_size, jnp.float32),
            seed=jnp.zeros(2, jnp.uint32),
            digest=jnp.zeros(2, jnp.uint32),
            count=jnp.int32(0),
            history=jnp.zeros(self.max_length, jnp.uint32),
        )
        return self.renew(nothing, jnp.bool_(True), key)

    def renew(self, state: HostedState, where: jax.Array, key: jax.Array) -> HostedState:
        """`init(key)` where `where []`, otherwise the state. (But for the history, which has no
        meaning in a new episode and stays.) Only what begins is played."""
        seed = jax.random.bits(key, (2,), jnp.uint32)
        player, terminal, legal, observation = self._begin(where, seed)
        return HostedState(
            player=jnp.where(where, player, state.player),
            legal=jnp.where(where, legal, state.legal),
            terminal=jnp.where(where, terminal, state.terminal),
            truncated=state.truncated & ~where,
            rewards=jnp.where(where, 0.0, state.rewards),
            observation=jnp.where(where, observation, state.observation),
            seed=jnp.where(where, seed, state.seed),
            digest=jnp.where(where, seed, state.digest),
            count=jnp.where(where, 0, state.count),
            history=state.history,
        )

    def step(self, state: HostedState, action: jax.Array, key: jax.Array) -> HostedState:
        follows = (state.legal & (jnp.arange(self.num_actions) == action)).any()
        word = jnp.maximum(action, 0).astype(jnp.uint32)
        if self._is_random:
            word |= jax.random.bits(key, (), jnp.uint32) << self._action_bits
        player, terminal, legal, observation, rewards, digest = self._play(
            follows, state.seed, state.digest, word, state.count, state.history
        )
        count = state.count + follows
        place = jnp.where(follows, state.count, self.max_length)  # nowhere
        cut = follows & ~terminal & ~legal.any()  # at the horizon, or by the simulator
        return HostedState(
            player=jnp.where(follows, player, state.player),
            legal=jnp.where(follows, legal, state.legal),
            terminal=jnp.where(follows, terminal, state.terminal),
            truncated=cut | state.truncated,
            rewards=jnp.where(follows, rewards, 0.0),
            observation=jnp.where(follows, observation, state.observation),
            seed=state.seed,
            digest=jnp.where(follows, digest, state.digest),
            count=count,
            history=jnp.asarray(state.history).at[place].set(word, mode="drop"),
        )

    def observe(self, state: HostedState) -> jax.Array:
        return state.observation.reshape(self.observation_space.shape)

    def episode(self, state: HostedState) -> Episode:
        """The simulator's own episode at the history of one state, to look at: its board, or its
        words. It is the caller's own; what becomes of it changes nothing here."""
        words = np.asarray(state.history)[: int(state.count)]
        (seed,) = np.asarray(state.seed).view(np.uint64).tolist()
        return self._host.replay(seed, words)

    def forget(self) -> None:
        """Empties the host's memory of histories."""
        self._host.forget()

    def __getstate__(self) -> Any:
        raise TypeError("a hosted game is not copied to another process: load it there")
