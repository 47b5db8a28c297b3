"""Every player's policies. They are on the host, where adding a policy compiles nothing. Compiled
code gets them as stacks with spare capacity. The capacity doubles when it is full, so that shapes
rarely change."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np

from psro.policies.policy import Params


@dataclasses.dataclass(frozen=True, kw_only=True)
class Population:
    """`size` policies of each of P players.

    Attributes:
        members: every player's policy by number, leaves `[P, ...]`. Members may share memory: if
            policies are one network with different conditions, the network is kept once.
        capacity: number of policies per player that `params` has room for.
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
        """A stack of all policies, leaves `[P, capacity, ...]`. Unused entries are zero."""

        def stack(*leaves: np.ndarray) -> np.ndarray:
            first, *_ = leaves
            stacked = np.zeros((len(first), self.capacity, *first.shape[1:]), first.dtype)
            for number, leaf in enumerate(leaves):
                stacked[:, number] = leaf
            return stacked

        return jax.tree.map(stack, *self.members)

    def put(self, slot: int, policies: Params) -> Population:
        """The population with these policies, one per player, leaves `[P, ...]`, as number `slot`.
        They replace the policies there, or come next. The capacity doubles if necessary."""
        if not 0 <= slot <= self.size:
            raise IndexError(f"slot {slot} of a population of {self.size}")
        policies = self._sharing(jax.tree.map(np.asarray, jax.device_get(policies)), slot)
        full = slot == self.capacity
        return Population(
            members=(*self.members[:slot], policies, *self.members[slot + 1 :]),
            capacity=self.capacity * (2 if full else 1),
        )

    def _sharing(self, policies: Params, slot: int) -> Params:
        """The same policies in less memory, if they are one network with different conditions, or
        equal to the previous member."""
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
        """The population with one more policy per player, leaves `[P, ...]`."""
        return self.put(self.size, policies)

    def policies(self, index: int) -> Params:
        """Every player's policy number `index`, leaves `[P, ...]`."""
        if not 0 <= index < self.size:
            raise IndexError(f"policy {index} of a population of {self.size}")
        return self.members[index]
