"""Expected returns by JAX: the arrays that they need, and the formulas. (The same in numpy is in
`games.tree` and `games.matrix`.)

`GameTree.device_form` returns the form of a game.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from games.tree import Plans


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Terminals:
    """A tree's terminals: one entry for each of T terminals."""

    chance: jax.Array  # [T]
    returns: jax.Array  # [P, T]
    sequence: jax.Array  # [P, T]

    def earned(self, player: int, plans: Plans, by: int) -> jax.Array:
        """`player`'s returns by the sequences of player `by`, `[S]`, against the plans of all
        players except `by`."""
        reach = self.chance
        for q, plan in enumerate(plans):
            if q != by:
                reach = reach * plan[self.sequence[q]]
        return jax.ops.segment_sum(
            reach * self.returns[player], self.sequence[by], plans[by].shape[-1]
        )

    def values(self, plans: Plans) -> jax.Array:
        """All players' expected returns, `[P]`."""
        reach = self.chance
        for q, plan in enumerate(plans):
            reach = reach * plan[self.sequence[q]]
        return self.returns @ reach


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Tensor:
    """Payoffs `[P, A_0, ..., A_{P-1}]` of a `NormalForm`, without arrays over terminals."""

    payoffs: jax.Array

    def earned(self, player: int, plans: Plans, by: int) -> jax.Array:
        """As `Terminals.earned`."""
        table = self.payoffs[player]
        for q in reversed(range(len(plans))):  # last axis first: earlier axes keep their numbers
            if q != by:
                table = jnp.tensordot(table, plans[q][1:], axes=(q, 0))
        return jnp.concatenate([jnp.zeros(1), table])

    def values(self, plans: Plans) -> jax.Array:
        """As `Terminals.values`."""
        return jnp.stack([self.earned(p, plans, p) @ plan for p, plan in enumerate(plans)])


DeviceForm = Terminals | Tensor
