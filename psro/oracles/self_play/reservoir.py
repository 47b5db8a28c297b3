"""A reservoir: a uniform sample of all items so far, in constant memory (Vitter 1985, "Random
sampling with a reservoir", algorithm R)."""

from __future__ import annotations

import dataclasses
from typing import Generic, TypeVar

import jax
import jax.numpy as jnp

T = TypeVar("T")


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Reservoir(Generic[T]):
    """Up to N items.

    Attributes:
        items: leaves `[N, ...]`.
        seen: the number of items so far, float32 `[]`: it may be large, and is only compared.
    """

    items: T
    seen: jax.Array

    def add(self, new: T, key: jax.Array) -> Reservoir[T]:
        """With items `[E, ...]`. Number i of all items replaces a random one with probability
        N / i; the first N fill the places in their order."""
        size, more = (len(jax.tree.leaves(tree)[0]) for tree in (self.items, new))
        number = self.seen + jnp.arange(more)  # of items before each
        drawn = jnp.floor(jax.random.uniform(key, (more,)) * (number + 1))
        place = jnp.where(number < size, number, drawn)
        place = jnp.minimum(place, size).astype(jnp.int32)  # beyond the end: it is dropped
        items = jax.tree.map(
            lambda old, leaf: old.at[place].set(leaf, mode="drop"), self.items, new
        )
        return Reservoir(items=items, seen=self.seen + more)

    def sample(self, number: int, key: jax.Array) -> T:
        """Items drawn with replacement, leaves `[number, ...]`."""
        size = len(jax.tree.leaves(self.items)[0])
        filled = jnp.minimum(self.seen, size)
        place = jnp.floor(jax.random.uniform(key, (number,)) * filled).astype(jnp.int32)
        return jax.tree.map(lambda leaf: leaf[place], self.items)
