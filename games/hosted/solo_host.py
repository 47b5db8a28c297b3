"""Environments for one player that are stepped on the host, also with real actions.

As in `games.hosted.game`, a state is a history: the words of its actions. The host's memory only
spares playing it again. So a learner that is resumed in another process continues bit for bit, if
the environment draws all that is random from its seed.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from games.game import Game, State
from games.hosted.callback import host_call
from games.hosted.chance import all_mixed, mixed
from games.hosted.host import CUT, ENDED, Host, whole
from games.spaces import Box, Discrete, Space, size_of


class SoloEpisode(Protocol):
    """One episode of an environment, which changes with every decision."""

    player: int
    """0; or `ENDED` or `CUT`, as in `games.hosted.host`."""
    reward: float
    """What the last decision earned."""
    legal: np.ndarray | None
    """Which numbers may be played, bool `[A]`; None if all may, or if actions are a box."""

    def play(self, action: Any, digest: int) -> None:
        """Plays a number or, of a box, an array `[*shape]`. What is random was drawn from the seed
        of the episode; the digest is not used."""

    def observe(self, vector: np.ndarray) -> None:
        """Writes what is seen, also when the episode is over: the values of the leaves of the
        observation space one after the other, numbers as they are."""


class SoloSimulator(Protocol):
    """An environment that somebody else's program plays. The attributes are those of `Game`."""

    name: str
    observation_space: Space
    action_space: Box | Discrete
    max_length: int
    max_return: float

    def begin(self, digest: int) -> SoloEpisode:
        """A new episode. What is random in it is a function of the digest and of the actions."""


class SoloHost(Host):
    """Plays the episodes of a batch one after another."""

    def __init__(self, simulator: SoloSimulator):
        super().__init__(simulator, 0)
        self._space, self._size = simulator.action_space, vector_size(simulator.observation_space)

    def begin(self, where: np.ndarray, seeds: np.ndarray) -> tuple[np.ndarray, ...]:
        """New episodes where `where [...]`: what is seen, float32 `[..., O]`, and what is legal,
        bool `[..., A]`. Other rows have no meaning. `seeds` are uint32 `[..., 2]`."""
        digests, seen, legal = whole(seeds), self._vectors(where.size), self._all(where.size)
        with self._playing():
            for row in np.flatnonzero(where).tolist():
                episode = self._simulator.begin(digest := int(digests[row]))
                episode.observe(seen[row])
                if episode.legal is not None:
                    legal[row] = episode.legal
                self._episodes.setdefault(digest, []).append(episode)
        return seen.reshape(*where.shape, -1), legal.reshape(*where.shape, -1)

    def step(
        self,
        where: np.ndarray,
        seeds: np.ndarray,
        digests: np.ndarray,
        words: np.ndarray,
        counts: np.ndarray,
        histories: np.ndarray,
    ) -> tuple[np.ndarray, ...]:
        """One decision where `where [...]`; other rows of the results have no meaning.

        Args:
            seeds: of the episodes, uint32 `[..., 2]`.
            digests: of their histories, uint32 `[..., 2]`.
            words: the actions, uint32 `[..., W]`.
            counts: decisions before this one, int32 `[...]`.
            histories: their words, uint32 `[..., max_length, W]`.

        Returns:
            whether the rules have ended the episode and whether it was cut off, bool `[...]`; what
            is seen, float32 `[..., O]`, and what is legal if it goes on, bool `[..., A]`; rewards
            float32 `[...]`; new digests uint32 `[..., 2]`.
        """
        shape, width = where.shape, words.shape[-1]
        words, after = words.reshape(-1, width), whole(digests)
        known, seeds, counts = after.tolist(), whole(seeds).tolist(), counts.reshape(-1).tolist()
        for column in words.T:
            after = mixed(after, column)
        histories = histories.reshape(len(words), -1, width)
        seen, legal = self._vectors(len(words)), self._all(len(words))
        last = self._simulator.max_length - 1
        players, rewards = np.zeros(len(words), int), np.zeros(len(words), np.float32)
        with self._playing():
            for row in np.flatnonzero(where).tolist():
                episode = self._take(known[row])
                if episode is None:
                    episode = self._replay(seeds[row], histories[row, : counts[row]])
                episode.play(self._action_of(words[row]), int(after[row]))
                episode.observe(seen[row])
                rewards[row], players[row] = episode.reward, episode.player
                if episode.legal is not None:
                    legal[row] = episode.legal
                if episode.player >= 0 and counts[row] == last:
                    players[row] = CUT
                if players[row] >= 0:
                    self._episodes.setdefault(int(after[row]), []).append(episode)
        digests = after.view(np.uint32).reshape(-1, 2)
        flat = players == ENDED, players == CUT, seen, legal, rewards, digests
        return tuple(array.reshape(*shape, *array.shape[1:]) for array in flat)

    def _replay(self, seed: int, words: np.ndarray) -> SoloEpisode:
        episode = self._simulator.begin(seed)
        digests = all_mixed(seed, words.reshape(-1))[words.shape[1] - 1 :: words.shape[1]]
        for word, digest in zip(words, digests, strict=True):
            episode.play(self._action_of(word), digest)
        return episode

    def _action_of(self, words: np.ndarray) -> Any:
        """A copy: the memory of a program's arguments is its own."""
        if isinstance(self._space, Discrete):
            return int(words[0])
        return words.view(np.float32).reshape(self._space.shape).copy()

    def _all(self, num_rows: int) -> np.ndarray:
        return np.ones((num_rows, self._space.size), bool)

    def _vectors(self, num_rows: int) -> np.ndarray:
        self._trim(num_rows)
        return np.zeros((num_rows, self._size), np.float32)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class SoloHostState(State):
    """A history, and what it shows.

    Attributes:
        vector: what is seen, float32 `[O]`, also where the episode has ended.
        seed: of the episode's chance, uint32 `[2]`.
        digest: of the history, uint32 `[2]`; see `games.hosted.chance`.
        count: decisions so far, int32 `[]`.
        history: the words of every decision, uint32 `[max_length, W]`: the number, or the bits of
            the real numbers. From `count` on it has no meaning.
    """

    vector: jax.Array
    seed: jax.Array
    digest: jax.Array
    count: jax.Array
    history: jax.Array


class HostedSolo(Game[SoloHostState]):
    """Plays a `SoloSimulator` on the host, in one call for a whole batch. Where nobody is to move,
    pass an action that is none: -1, or not a number. An episode that was cut off shows its last
    observation."""

    num_players = 1
    may_truncate = True

    def __init__(self, simulator: SoloSimulator):
        self.name = simulator.name
        self.observation_space = simulator.observation_space
        self.observation_size = size_of(self.observation_space)
        self.action_space = simulator.action_space
        self.num_actions = self.action_space.size
        self.max_length, self.max_return = simulator.max_length, simulator.max_return
        self._words = 1 if isinstance(self.action_space, Discrete) else self.num_actions
        self._size = vector_size(self.observation_space)
        self._host = SoloHost(simulator)
        seen = jax.ShapeDtypeStruct((self._size,), np.float32)
        flag, digest = (
            jax.ShapeDtypeStruct((), np.bool_),
            jax.ShapeDtypeStruct((2,), np.uint32),
        )
        reward = jax.ShapeDtypeStruct((), np.float32)
        legal = jax.ShapeDtypeStruct((self.num_actions,), np.bool_)
        self._begin = host_call(self._host.begin, (seen, legal))
        self._play = host_call(self._host.step, (flag, flag, seen, legal, reward, digest))

    def init(self, key: jax.Array) -> SoloHostState:
        no, digest = jnp.bool_(False), jnp.zeros(2, jnp.uint32)
        nothing = SoloHostState(
            player=jnp.int32(0),
            legal=self._legal(no, jnp.ones(self.num_actions, bool)),
            terminal=no,
            truncated=no,
            rewards=jnp.zeros(1, jnp.float32),
            vector=jnp.zeros(self._size, jnp.float32),
            seed=digest,
            digest=digest,
            count=jnp.int32(0),
            history=jnp.zeros((self.max_length, self._words), jnp.uint32),
        )
        return self.renew(nothing, jnp.bool_(True), key)

    def renew(self, state: SoloHostState, where: jax.Array, key: jax.Array) -> SoloHostState:
        """`init(key)` where `where []`, otherwise the state; but the history, which has no meaning
        in a new episode, stays. Only what begins is played."""
        seed = jax.random.bits(key, (2,), jnp.uint32)
        vector, legal = self._begin(where, seed)
        return SoloHostState(
            player=state.player,
            legal=None if state.legal is None else jnp.where(where, legal, state.legal),
            terminal=state.terminal & ~where,
            truncated=state.truncated & ~where,
            rewards=jnp.where(where, 0.0, state.rewards),
            vector=jnp.where(where, vector, state.vector),
            seed=jnp.where(where, seed, state.seed),
            digest=jnp.where(where, seed, state.digest),
            count=jnp.where(where, 0, state.count),
            history=state.history,
        )

    def step(self, state: SoloHostState, action: jax.Array, key: jax.Array) -> SoloHostState:
        if isinstance(self.action_space, Discrete):
            follows = ~state.ended & (state.legal & (jnp.arange(self.num_actions) == action)).any()
            words = jnp.maximum(action, 0).astype(jnp.uint32)[None]
        else:
            real = action.astype(jnp.float32).reshape(-1)
            follows = ~state.ended & jnp.isfinite(real).all()
            words = jax.lax.bitcast_convert_type(real, jnp.uint32)
        terminal, truncated, vector, legal, reward, digest = self._play(
            follows, state.seed, state.digest, words, state.count, state.history
        )
        if state.legal is not None:
            legal = jnp.where(follows, legal, state.legal)
        terminal = jnp.where(follows, terminal, state.terminal)
        truncated = jnp.where(follows, truncated, state.truncated)
        place = jnp.where(follows, state.count, self.max_length)  # nowhere
        return SoloHostState(
            player=state.player,
            legal=self._legal(terminal | truncated, legal),
            terminal=terminal,
            truncated=truncated,
            rewards=jnp.where(follows, reward, 0.0)[None],
            vector=jnp.where(follows, vector, state.vector),
            seed=state.seed,
            digest=jnp.where(follows, digest, state.digest),
            count=state.count + follows,
            history=jnp.asarray(state.history).at[place].set(words, mode="drop"),
        )

    def observe(self, state: SoloHostState) -> Any:
        leaves, structure = jax.tree.flatten(self.observation_space)
        sizes = [vector_size(leaf) for leaf in leaves]
        vector = jnp.where(state.terminal, 0.0, state.vector)
        parts = jnp.split(vector, np.cumsum(sizes)[:-1])
        shaped = [
            part.reshape(leaf.shape).astype(jnp.float32 if isinstance(leaf, Box) else jnp.int32)
            for leaf, part in zip(leaves, parts, strict=True)
        ]
        return jax.tree.unflatten(structure, shaped)

    def forget(self) -> None:
        """Empties the host's memory of histories."""
        self._host.forget()

    def _legal(self, over: jax.Array, legal: jax.Array) -> jax.Array | None:
        """What is legal `[A]`: nothing after the end. None if actions are a box."""
        return None if isinstance(self.action_space, Box) else legal & ~over

    def __getstate__(self) -> Any:
        raise TypeError("a hosted game is not copied to another process: load it there")


def vector_size(space: Space) -> int:
    """The number of entries of a value, with whole numbers as they are."""
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(space))
