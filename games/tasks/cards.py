"""POPGym's tasks with decks of cards: 52 cards a deck, of 4 suits, 13 ranks and 2 colours.

A card is a number below 52 * decks: its rank is `card // 4 % 13`, its suit `card % 4` and its
colour `card % 2`. A shuffled deck is dealt from its first card on.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from games.solo import Moved, Solo
from games.spaces import Discrete

_CARDS, _SUITS, _RANKS = 52, 4, 13


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Dealt:
    """A shuffled deck, int32 `[N]`, and how many cards of it have been dealt, int32 `[]`."""

    deck: jax.Array
    count: jax.Array


class _Cards(Solo):
    """Deals one card at every step; `kind` is what is shown of it."""

    def __init__(self, name: str, *, decks: int, kinds: int, num_actions: int, max_length: int):
        super().__init__(
            name,
            observation_space=Discrete(kinds),
            action_space=Discrete(num_actions),
            max_length=max_length,
            max_return=1.0,
        )
        self._num_cards = _CARDS * decks

    def _kind(self, card: jax.Array) -> jax.Array:
        return card % _SUITS

    def _begin(self, key: jax.Array) -> tuple[Dealt, jax.Array]:
        deck = self._kind(jax.random.permutation(key, self._num_cards)).astype(jnp.int32)
        return Dealt(deck=deck, count=jnp.int32(1)), deck[0]

    def _go(self, inner: Dealt, action: jax.Array, key: jax.Array) -> Moved:
        shown = inner.deck[inner.count]
        count = inner.count + 1
        return Moved(
            inner=Dealt(deck=inner.deck, count=count),
            observation=shown,
            reward=self._reward(inner, action),
            terminal=count == self._num_cards,
            truncated=jnp.bool_(False),
        )

    def _reward(self, inner: Dealt, action: jax.Array) -> jax.Array:
        raise NotImplementedError


class RepeatFirst(_Cards):
    """The suit of the first card is asked for at every step."""

    def __init__(self, name: str, *, decks: int):
        super().__init__(
            name, decks=decks, kinds=_SUITS, num_actions=_SUITS, max_length=_CARDS * decks - 1
        )

    def _reward(self, inner: Dealt, action: jax.Array) -> jax.Array:
        return jnp.where(action == inner.deck[0], 1.0, -1.0) / (self._num_cards - 1)


class RepeatPrevious(_Cards):
    """The suit of the card `ago` cards ago is asked for, the last card being one card ago. Nothing
    is paid before there are so many."""

    def __init__(self, name: str, *, decks: int, ago: int):
        super().__init__(
            name, decks=decks, kinds=_SUITS, num_actions=_SUITS, max_length=_CARDS * decks - 1
        )
        self._ago = ago

    def _reward(self, inner: Dealt, action: jax.Array) -> jax.Array:
        place = inner.count - self._ago
        right = action == inner.deck[jnp.maximum(place, 0)]
        paid = jnp.where(right, 1.0, -1.0) / (self._num_cards - self._ago)
        return jnp.where(place >= 0, paid, 0.0)


class HigherLower(_Cards):
    """Will the next card's rank be higher (action 0) or lower (1)? Equal ranks pay nothing."""

    def __init__(self, name: str, *, decks: int):
        super().__init__(
            name, decks=decks, kinds=_RANKS, num_actions=2, max_length=_CARDS * decks - 1
        )

    def _kind(self, card: jax.Array) -> jax.Array:
        return card // _SUITS % _RANKS

    def _reward(self, inner: Dealt, action: jax.Array) -> jax.Array:
        last, following = inner.deck[inner.count - 1], inner.deck[inner.count]
        right = (following > last) == (action == 0)
        paid = jnp.where(right, 1.0, -1.0) / self._num_cards
        return jnp.where(following == last, 0.0, paid)


class CountRecall(Solo):
    """Two decks: one deals values, the other asks how often a kind has been dealt so far.

    Observations are the kind of the value and the kind that is asked for. Kinds are colours (2),
    suits (4) or ranks (13).
    """

    def __init__(self, name: str, *, decks: int, kinds: int):
        self._num_cards, self._kinds = _CARDS * decks, kinds
        super().__init__(
            name,
            observation_space=(Discrete(kinds), Discrete(kinds)),
            action_space=Discrete(self._num_cards // kinds + 1),
            max_length=self._num_cards - 1,
            max_return=1.0,
        )

    def _begin(self, key: jax.Array) -> tuple[Dealt, Any]:
        decks = jax.vmap(lambda key: jax.random.permutation(key, self._num_cards))(
            jax.random.split(key)
        )
        deck = (decks // _SUITS % _RANKS if self._kinds == _RANKS else decks % self._kinds).astype(
            jnp.int32
        )  # [2, N]
        return Dealt(deck=deck, count=jnp.int32(1)), (deck[0, 0], deck[1, 0])

    def _go(self, inner: Dealt, action: jax.Array, key: jax.Array) -> Moved:
        values, asked = inner.deck
        dealt = jnp.arange(self._num_cards) < inner.count
        count = (dealt & (values == asked[inner.count - 1])).sum()
        after = inner.count + 1
        return Moved(
            inner=Dealt(deck=inner.deck, count=after),
            observation=(values[inner.count], asked[inner.count]),
            reward=jnp.where(action == count, 1.0, -1.0) / self.max_length,
            terminal=after == self._num_cards,
            truncated=jnp.bool_(False),
        )
