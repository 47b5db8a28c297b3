"""Wrappers of environments, which hide, disturb or delay: `gymnax::CartPole-v1(mask=0+2,delay=1)`.

An observation is masked, then delayed, then disturbed by noise, then perhaps lost (flicker).

    mask      the entries of a vector that are seen, such as 0+2 or 0-3+7; or the parts of an
              observation that has several with names, such as position+mask.
    delay     what is seen is so many decisions old; before that, the first observation.
    noise     the standard deviation of normal numbers that are added to all real numbers
              (Morad et al. 2023, "POPGym", arXiv:2303.01859).
    flicker   the probability that an observation is not seen: real numbers are zero, and others
              are one more than the largest (Hausknecht and Stone 2015, arXiv:1507.06527).
    sticky    the probability that the last action is played again instead of the one chosen, from
              the second decision on (Machado et al. 2018, arXiv:1709.06009).
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import math
import re
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np

from games.errors import GameError
from games.game import Game, State
from games.spaces import Box, Discrete, Space, size_of

_MOST_DELAY = 1_000
_ENTRIES = re.compile(r"\d+(-\d+)?(\+\d+(-\d+)?)*")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wrapping:
    """The parameters of the wrappers; by default none changes anything."""

    mask: tuple[int, ...] | tuple[str, ...] | None = None
    delay: int = 0
    noise: float = 0.0
    flicker: float = 0.0
    sticky: float = 0.0


NAMES = tuple(field.name for field in dataclasses.fields(Wrapping))


def wrapping_of(name: str, parameters: dict[str, Any]) -> tuple[Wrapping, dict[str, Any]]:
    """The wrappers' parameters of those of a game's name, and the others.

    Raises:
        GameError: a wrapper's parameter is wrong.
    """
    own = {key: value for key, value in parameters.items() if key in NAMES}
    for key, least, most, kinds, what in (
        ("noise", 0, math.inf, (int, float), "a number of at least 0"),
        ("flicker", 0, 1, (int, float), "a probability, from 0 to 1"),
        ("sticky", 0, 1, (int, float), "a probability, from 0 to 1"),
        ("delay", 0, _MOST_DELAY, int, f"a whole number from 0 to {_MOST_DELAY:,}"),
    ):
        value = own.get(key, 0)
        right = isinstance(value, kinds) and not isinstance(value, bool)
        if not (right and least <= value <= most and value < math.inf):
            raise GameError(f"{key}={value} in {name!r} must be {what}")
    if "mask" in own:
        own["mask"] = _places(name, str(own["mask"]))
    return Wrapping(**own), {key: v for key, v in parameters.items() if key not in NAMES}


def _places(name: str, mask: str) -> tuple[int, ...] | tuple[str, ...]:
    """The entries, or the names of the parts, of a mask."""
    parts = mask.split("+")
    if _ENTRIES.fullmatch(mask):
        ranges = [[int(end) for end in part.split("-")] for part in parts]
        if all(ends[0] <= ends[-1] < 1 << 20 for ends in ranges):
            return tuple(entry for ends in ranges for entry in range(ends[0], ends[-1] + 1))
    elif all(parts):
        return tuple(parts)
    raise GameError(
        f"mask={mask} in {name!r} must be the entries that are seen, as in mask=0+2 or mask=0-3+7"
    )


def wrapped(game: Game, wrapping: Wrapping) -> Game:
    """The game with these wrappers, or itself if there are none. It must be for one player."""
    return game if wrapping == Wrapping() else Wrapped(game, wrapping)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class WrappedState(State):
    """A state of the game within, and what the wrappers keep.

    Attributes:
        inner: the state within.
        shown: what is seen.
        earlier: what will be seen in the next `delay` states, leaves `[delay, ...]`, the next
            first.
        last_action: the action that was played last; before the first -1, or not a number.
    """

    inner: Any
    shown: Any
    earlier: Any
    last_action: jax.Array


_OF_GAMES = tuple(field.name for field in dataclasses.fields(State))
_OF_WRAPPERS = ("shown", "earlier", "last_action")


class Wrapped(Game[WrappedState]):
    """An environment behind wrappers. A learner's own last action is the one that it chose."""

    num_players = 1

    def __init__(self, game: Game, wrapping: Wrapping):
        self._game, self._wrapping = game, wrapping
        self.name = getattr(game, "name", type(game).__name__)
        self.num_actions, self.action_space = game.num_actions, game.action_space
        self.max_length, self.may_truncate = game.max_length, game.may_truncate
        self._masked_space = self._masked(game.observation_space, self._check_mask())
        leaves = jax.tree.leaves(self._masked_space)
        if wrapping.noise and not any(isinstance(leaf, Box) for leaf in leaves):
            raise GameError(f"noise is for real numbers, and {self.name!r} shows none")
        self.observation_space = jax.tree.map(self._disturbed_space, self._masked_space)
        self.observation_size = size_of(self.observation_space)

    @functools.cached_property
    def max_return(self) -> float:
        return self._game.max_return

    @property
    def constants(self) -> Any:
        return self._game.constants

    def with_constants(self, constants: Any) -> Self:
        game = copy.copy(self)
        game._game = self._game.with_constants(constants)
        return game

    def init(self, key: jax.Array) -> WrappedState:
        begin, disturb = jax.random.split(key)
        return self._begun(self._game.init(begin), disturb)

    def renew(self, state: WrappedState, where: jax.Array, key: jax.Array) -> WrappedState:
        begin, disturb = jax.random.split(key)
        inner = self._game.renew(state.inner, where, begin)
        return _kept(where, self._begun(inner, disturb), state, (*_OF_GAMES, *_OF_WRAPPERS))

    def step(self, state: WrappedState, action: jax.Array, key: jax.Array) -> WrappedState:
        play, stick, disturb = jax.random.split(key, 3)
        follows = self._can_play(state, action)
        sticks = jax.random.bernoulli(stick, self._wrapping.sticky)
        sticks &= follows & self._can_play(state, state.last_action)
        played = jnp.where(sticks, state.last_action, action)
        inner = self._game.step(state.inner, played, play)
        shown, earlier = self._seen(inner), state.earlier
        if self._wrapping.delay:
            line = jax.tree.map(lambda old, new: jnp.concatenate([old, new[None]]), earlier, shown)
            shown = jax.tree.map(lambda leaf: leaf[0], line)
            earlier = jax.tree.map(lambda leaf: leaf[1:], line)
        after = self._state(inner, self._disturbed(shown, disturb), earlier, played)
        return _kept(follows, after, state, _OF_WRAPPERS)

    def observe(self, state: WrappedState) -> Any:
        return jax.tree.map(
            lambda leaf: jnp.where(state.terminal, jnp.zeros_like(leaf), leaf), state.shown
        )

    def _begun(self, inner: State, key: jax.Array) -> WrappedState:
        """The state of a new episode, whose state within is `inner`."""
        seen, delay = self._seen(inner), self._wrapping.delay
        earlier = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (delay, *leaf.shape)), seen)
        space = self.action_space
        none = jnp.int32(-1) if isinstance(space, Discrete) else jnp.full(space.shape, jnp.nan)
        return self._state(inner, self._disturbed(seen, key), earlier if delay else (), none)

    def _state(self, inner: State, shown: Any, earlier: Any, last: jax.Array) -> WrappedState:
        own = {name: getattr(inner, name) for name in _OF_GAMES}
        return WrappedState(**own, inner=inner, shown=shown, earlier=earlier, last_action=last)

    def _can_play(self, state: WrappedState, action: jax.Array) -> jax.Array:
        if isinstance(self.action_space, Discrete):
            return (state.legal & (jnp.arange(self.num_actions) == action)).any()
        return ~state.ended & jnp.isfinite(action).all()

    def _seen(self, inner: State) -> Any:
        """What the game shows, masked."""
        return self._masked(self._game.observe(inner), self._wrapping.mask)

    def _masked(self, seen: Any, mask: tuple[Any, ...] | None) -> Any:
        """The part that is seen of an observation or of its space."""
        if mask is None:
            return seen
        if isinstance(seen, dict):
            return {part: seen[part] for part in seen if part in mask}
        if isinstance(seen, Box | Discrete):
            return dataclasses.replace(seen, shape=(len(mask),))
        return seen[np.array(mask)]

    def _check_mask(self) -> tuple[Any, ...] | None:
        """The mask. Raises GameError if the observation has no such entries or parts."""
        mask, space = self._wrapping.mask, self._game.observation_space
        if mask is None:
            return None
        if isinstance(space, dict):
            known = tuple(space)
            what = f"parts of its observations, {', '.join(known)}"
        elif isinstance(space, Box | Discrete) and len(space.shape) == 1:
            known = range(space.shape[0])
            what = f"entries of its observations, 0 to {space.shape[0] - 1}"
        else:
            raise GameError(f"mask is for vectors, and {self.name!r} shows {space}")
        for place in mask:
            if place not in known:
                raise GameError(f"mask in {self.name!r} must name {what}; {place} is none")
        return mask

    def _disturbed_space(self, leaf: Box | Discrete) -> Space:
        if isinstance(leaf, Discrete):
            return Discrete(leaf.num + 1, leaf.shape) if self._wrapping.flicker else leaf
        if self._wrapping.noise:
            return Box(leaf.shape)
        if self._wrapping.flicker:
            return Box(leaf.shape, min(leaf.low, 0.0), max(leaf.high, 0.0))
        return leaf

    def _disturbed(self, seen: Any, key: jax.Array) -> Any:
        """With noise, or lost."""
        noise, flicker = self._wrapping.noise, self._wrapping.flicker
        lose, *keys = jax.random.split(key, 1 + len(jax.tree.leaves(seen)))
        lost = jax.random.bernoulli(lose, flicker)

        def disturbed(space: Box | Discrete, value: jax.Array, key: jax.Array) -> jax.Array:
            is_real = isinstance(space, Box)
            if noise and is_real:
                value = value + noise * jax.random.normal(key, value.shape)
            nothing = jnp.zeros((), value.dtype) if is_real else jnp.int32(space.num)
            return jnp.where(lost, nothing, value) if flicker else value

        keys = jax.tree.unflatten(jax.tree.structure(self._masked_space), keys)
        return jax.tree.map(disturbed, self._masked_space, seen, keys)


def _kept(
    where: jax.Array, after: WrappedState, before: WrappedState, names: tuple[str, ...]
) -> WrappedState:
    """`after`, but with the named fields of `before` unless `where []`."""
    own = {
        name: jax.tree.map(
            lambda new, old: jnp.where(where, new, old),
            getattr(after, name),
            getattr(before, name),
        )
        for name in names
    }
    return dataclasses.replace(after, **own)
