"""Every player's policies, on the host, where adding a policy compiles nothing. Compiled code sees
them as stacks with spare capacity, so that shapes rarely change: it doubles when it is full."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np

from psro.policies.policy import Params


@dataclasses.dataclass(frozen=True, kw_only=True)
class Population:
    """`size` policies of each of P players.

    Attributes:
        members: every player's policy by number, leaves `[P, ...]`. Members may share memory: the
            network of policies that are one network told apart by a condition is kept once.
        capacity: policies a player that there is room for in `params`.
    """

    members: tuple[Params, ...]
    capacity: int

    @classmethod
    def empty(cls, capacity: int) -> Population:
        if capacity < 1:
            raise ValueError(f"capacity = {capacity} must be at least 1")
        return cls(members=(), capacity=capacity)

    @property
    def size(self) -> int:
        return len(self.members)

    @property
    def params(self) -> Params:
        """A stack of all, leaves `[P, capacity, ...]`, zeros where unused."""

        def stack(*leaves: np.ndarray) -> np.ndarray:
            first, *_ = leaves
            stacked = np.zeros((len(first), self.capacity, *first.shape[1:]), first.dtype)
            for number, leaf in enumerate(leaves):
                stacked[:, number] = leaf
            return stacked

        return jax.tree.map(stack, *self.members)

    def put(self, slot: int, policies: Params) -> Population:
        """With these policies, one a player, leaves `[P, ...]`, as number `slot`: instead of those
        that are there, or as the next ones; capacity doubles where needed."""
        if not 0 <= slot <= self.size:
            raise IndexError(f"slot {slot} of a population of {self.size}")
        policies = self._sharing(jax.tree.map(np.asarray, jax.device_get(policies)), slot)
        full = slot == self.capacity
        return Population(
            members=(*self.members[:slot], policies, *self.members[slot + 1 :]),
            capacity=self.capacity * (2 if full else 1),
        )

    def _sharing(self, policies: Params, slot: int) -> Params:
        """The same in less memory, where they are one network told apart by conditions, or those of
        the member before."""
        if "condition" not in policies:
            return policies
        leaves, structure = jax.tree.flatten(policies["network"])
        if all((leaf == leaf[:1]).all() for leaf in leaves):
            leaves = [np.broadcast_to(leaf[0].copy(), leaf.shape) for leaf in leaves]
        network = jax.tree.unflatten(structure, leaves)
        if slot:
            before = self.members[slot - 1]["network"]
            if all(map(np.array_equal, jax.tree.leaves(before), leaves)):
                network = before
        return policies | {"network": network}

    def add(self, policies: Params) -> Population:
        """With one more policy a player, leaves `[P, ...]`."""
        return self.put(self.size, policies)

    def policies(self, index: int) -> Params:
        """Every player's policy number `index`, leaves `[P, ...]`."""
        if not 0 <= index < self.size:
            raise IndexError(f"policy {index} of a population of {self.size}")
        return self.members[index]
