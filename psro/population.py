"""Every player's policies as one stack of parameters, with spare capacity so that shapes rarely
change: compiled code sees the capacity, which doubles when it is full."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from psro.policy import Params


@dataclasses.dataclass(frozen=True, kw_only=True)
class Population:
    """`size` policies of each of P players; leaves `[P, capacity, ...]`, zeros where unused."""

    params: Params
    size: int

    @classmethod
    def empty(cls, policies: Params, capacity: int) -> Population:
        """No policies yet, of the kind of `policies` (one a player, leaves `[P, ...]`)."""
        if capacity < 1:
            raise ValueError(f"capacity = {capacity} must be at least 1")
        shape = jax.tree.map(
            lambda leaf: jnp.zeros((leaf.shape[0], capacity, *leaf.shape[1:]), leaf.dtype), policies
        )
        return cls(params=shape, size=0)

    @property
    def capacity(self) -> int:
        return jax.tree.leaves(self.params)[0].shape[1]

    def add(self, policies: Params) -> Population:
        """With one more policy a player, leaves `[P, ...]`; capacity doubles where needed."""
        params = self.params
        if self.size == self.capacity:
            params = jax.tree.map(
                lambda leaf: jnp.concatenate([leaf, jnp.zeros_like(leaf)], axis=1), params
            )
        params = jax.tree.map(lambda stack, new: stack.at[:, self.size].set(new), params, policies)
        return Population(params=params, size=self.size + 1)

    def policies(self, index: int) -> Params:
        """Every player's policy number `index`, leaves `[P, ...]`."""
        if not 0 <= index < self.size:
            raise IndexError(f"policy {index} of a population of {self.size}")
        return jax.tree.map(lambda leaf: leaf[:, index], self.params)
