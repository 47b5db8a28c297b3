"""What card games share."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from games.native.draws import alike_together


def deal(key: jax.Array, deck: int, number: int) -> jax.Array:
    """The first `number` cards of a shuffled deck, int32 `[number]`. Consumes `key`.

    The cards are 0 to `deck - 1`. One is the rank of a random number among as many: in decks of
    some tens of cards that is far cheaper than sorting.
    """
    bits = jax.random.bits(key, (deck,))
    places = jnp.arange(deck)
    before = bits[None] < bits[:number, None]
    ties = (bits[None] == bits[:number, None]) & (places[None] < places[:number, None])
    return (before | ties).sum(axis=1, dtype=jnp.int32)


def all_deals(deck: int, number: int, kind: Callable[[tuple[int, ...]], Any]) -> np.ndarray | None:
    """Every deal of `number` cards, those of one kind together, int32 `[D, number]`; None where
    they are too many for one word to choose."""
    return alike_together(
        itertools.permutations(range(deck), number), kind, math.perm(deck, number)
    )


def one_hot(place: jax.Array, size: int) -> jax.Array:
    """1 at `place`, zeros if it is not below `size`, float32 `[size]`."""
    return (jnp.arange(size) == place).astype(jnp.float32)
