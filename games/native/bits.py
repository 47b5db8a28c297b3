"""Tensors of zeros and ones, packed 32 entries to a word: cheap to keep, copy and change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

WIDTH = 32
"""Entries in a word."""


def packed(places: Iterable[int], size: int) -> np.ndarray:
    """The tensor of `size` entries that is 1 at `places`, uint32 `[W]`."""
    words = np.zeros(-(-size // WIDTH), np.uint32)
    for place in places:
        words[place // WIDTH] |= np.uint32(1 << (place % WIDTH))
    return words


def one(place: jax.Array, num_words: int) -> jax.Array:
    """The tensor that is 1 at `place` (int32 `[]`) alone, uint32 `[W]`."""
    value = jnp.uint32(1) << (place % WIDTH).astype(jnp.uint32)
    return jnp.where(jnp.arange(num_words) == place // WIDTH, value, jnp.uint32(0))


def unpacked(words: jax.Array, size: int) -> jax.Array:
    """The first `size` entries, uint32 `[size]`."""
    entries = words[:, None] >> jnp.arange(WIDTH, dtype=jnp.uint32)[None]  # [W, 32]
    return (entries & 1).reshape(-1)[:size]


def flipped(places: jax.Array, num_words: int) -> jax.Array:
    """The tensor of zeros after each of `places` (int32 `[N]`) has changed; below 0 is nowhere.
    A place that is there twice stays zero. uint32 `[W]`."""
    words = jnp.zeros(num_words, jnp.uint32)
    for i in range(len(places)):
        words ^= one(places[i], num_words)
    return words


def record(value: jax.Array, place: jax.Array, num_words: int) -> jax.Array:
    """The tensor whose entries from `place` (int32 `[]`) on are the bits of `value` (uint32 `[]`),
    the lowest first, uint32 `[W]`."""
    words, shift = jnp.arange(num_words) - place // WIDTH, (place % WIDTH).astype(jnp.uint32)
    low, high = value << shift, value >> 1 >> (WIDTH - 1 - shift)
    return jnp.where(words == 0, low, jnp.where(words == 1, high, jnp.uint32(0)))


def moved(words: Sequence[jax.Array], by: int, num_words: int) -> list[jax.Array]:
    """The tensor whose entry i is entry i - `by` of the words', zero where that has none.

    Words are scalars here, so that `vmap` makes vectors of them: a few words in an array would be
    an inner loop that is too short to be fast.
    """
    skipped, shift = divmod(by, WIDTH)
    zeros = [jnp.uint32(0)] * (len(words) + num_words + abs(skipped) + 1)
    padded = [*zeros, *words, *zeros]
    first = len(zeros) - skipped
    low, before = padded[first:][:num_words], padded[first - 1 :][:num_words]
    if shift == 0:
        return low
    return [
        word << shift | carried >> WIDTH - shift for word, carried in zip(low, before, strict=True)
    ]


def row(table: jax.Array, player: jax.Array) -> jax.Array:
    """The player's row of a table `[P, ...]`; for a few players cheaper than an index."""
    chosen = table[0]
    for other in range(1, len(table)):
        chosen = jnp.where(player == other, table[other], chosen)
    return chosen
