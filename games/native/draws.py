"""Equally likely numbers from random words, in whole numbers alone: cheap, and nearly exact."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from games.game import Game, S

FEW = 2**12
"""As many outcomes can be drawn from one word: no chance is off by more than one in 2^20."""


def draw(word: jax.Array, number: jax.Array | int) -> tuple[jax.Array, jax.Array]:
    """A number below `number`, int32, and a word for the next draw, of the shape of `word`.

    The word, uint32, is a fraction of 2^32. Times `number` (at most 2^16), its whole part is what
    is drawn, and its fraction is left.
    """
    number = jnp.asarray(number).astype(jnp.uint32)
    low = (word & 0xFFFF) * number >> 16
    whole = ((word >> 16) * number + low) >> 16
    return whole.astype(jnp.int32), word * number


def draws(key: jax.Array, number: int, size: int) -> jax.Array:
    """`size` numbers below `number`, int32 `[size]`. Consumes `key`. As many come from one word as
    `FEW` allows."""
    in_a_word = 1
    while number ** (in_a_word + 1) <= FEW and in_a_word < size:
        in_a_word += 1
    words = jax.random.bits(key, (-(-size // in_a_word),))
    drawn = []
    for _ in range(in_a_word):
        values, words = draw(words, number)
        drawn.append(values)
    return jnp.concatenate(drawn)[:size]


class Dealt(Game[S]):
    """A game that begins with one of equally likely deals.

    A subclass defines `_begin`, the state after a deal, and in its constructor `_deals`: all deals
    from `alike_together`, or None for too many, which only keys draw.
    """

    _deals: np.ndarray | None

    @property
    def begins_with_deals(self) -> bool:
        return self._deals is not None

    def deal(self, key: jax.Array, word: jax.Array) -> S:
        if self._deals is None:
            return self.init(key)
        return self._begin(jnp.asarray(self._deals)[draw(word, len(self._deals))[0]])


def alike_together(
    outcomes: Iterable[tuple[int, ...]], kind: Callable[[tuple[int, ...]], Any], number: int
) -> np.ndarray | None:
    """Equally likely outcomes, those of one kind together, int32 `[number, C]`; None for more than
    `FEW`, so that a word chooses one."""
    if number > FEW:
        return None
    return np.array(sorted(outcomes, key=lambda outcome: (kind(outcome), outcome)), np.int32)
