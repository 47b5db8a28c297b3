"""Every player's policies as one stack of parameters, with spare capacity so that shapes rarely
change: compiled code sees the capacity, which doubles when it is full. The stack is kept on the
host, where adding a policy compiles nothing."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np

from psro.policies.policy import Params


@dataclasses.dataclass(frozen=True, kw_only=True)
class Population:
    """`size` policies of each of P players: leaves `[P, capacity, ...]`, zeros where unused."""

    params: Params
    size: int

    @classmethod
    def empty(cls, policies: Params, capacity: int) -> Population:
        """No policies yet, of the kind of `policies` (one a player, leaves `[P, ...]`)."""
        if capacity < 1:
            raise ValueError(f"capacity = {capacity} must be at least 1")
        return cls(
            params=jax.tree.map(
                lambda leaf: np.zeros((leaf.shape[0], capacity, *leaf.shape[1:]), leaf.dtype),
                policies,
            ),
            size=0,
        )

    @property
    def capacity(self) -> int:
        return jax.tree.leaves(self.params)[0].shape[1]

    def put(self, slot: int, policies: Params) -> Population:
        """With these policies, one a player, leaves `[P, ...]`, as number `slot`: instead of those
        that are there, or as the next ones; capacity doubles where needed."""
        if not 0 <= slot <= self.size:
            raise IndexError(f"slot {slot} of a population of {self.size}")

        def with_these(stack: np.ndarray, new: jax.Array) -> np.ndarray:
            full = slot == self.capacity
            stack = np.concatenate([stack, np.zeros_like(stack)], axis=1) if full else stack.copy()
            stack[:, slot] = new
            return stack

        return Population(
            params=jax.tree.map(with_these, self.params, policies), size=max(self.size, slot + 1)
        )

    def add(self, policies: Params) -> Population:
        """With one more policy a player, leaves `[P, ...]`."""
        return self.put(self.size, policies)

    def policies(self, index: int) -> Params:
        """Every player's policy number `index`, leaves `[P, ...]`."""
        if not 0 <= index < self.size:
            raise IndexError(f"policy {index} of a population of {self.size}")
        return jax.tree.map(lambda leaf: leaf[:, index], self.params)
