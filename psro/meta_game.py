"""The payoff table between the populations, exact on a tree; only missing cells are computed."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from games.tree import GameTree
from psro import exact


@dataclasses.dataclass(frozen=True, kw_only=True)
class MetaGame:
    """P players choose among their policies.

    Attributes:
        tree: the game that the policies play.
        plans: each player's realization plans, float64 `[K_p, S_p]`.
        payoffs: expected returns of every profile, float64 `[P, K_0, ..., K_{P-1}]`.
    """

    tree: GameTree
    plans: tuple[np.ndarray, ...]
    payoffs: np.ndarray

    @classmethod
    def empty(cls, tree: GameTree) -> MetaGame:
        return cls(
            tree=tree,
            plans=tuple(np.zeros((0, player.num_sequences)) for player in tree.players),
            payoffs=np.zeros((tree.num_players, *(0,) * tree.num_players)),
        )

    def add(self, behaviours: Sequence[np.ndarray], payoffs: np.ndarray | None = None) -> MetaGame:
        """With one more policy a player, given by its behaviour `[S_p]`. A known table of the
        larger meta-game, from a file, may be passed instead of being computed again."""
        new = [
            exact.realization_plan(player, behaviour)
            for player, behaviour in zip(self.tree.players, behaviours, strict=True)
        ]
        plans = tuple(np.vstack([old, plan]) for old, plan in zip(self.plans, new, strict=True))
        if payoffs is None:
            payoffs = self._extended(plans)
        return MetaGame(tree=self.tree, plans=plans, payoffs=payoffs)

    def _extended(self, plans: Sequence[np.ndarray]) -> np.ndarray:
        """Cells with a new policy fall into one block per player: those where it is the first
        player whose policy is new."""
        old = self.payoffs.shape[1:]
        payoffs = np.empty((self.tree.num_players, *(len(each) for each in plans)))
        payoffs[(slice(None), *map(slice, old))] = self.payoffs
        for first in range(len(plans)):
            block = [
                slice(0, old[q]) if q < first else slice(old[q] if q == first else 0, len(plans[q]))
                for q in range(len(plans))
            ]
            payoffs[(slice(None), *block)] = exact.payoffs(
                self.tree, [plan[rows] for plan, rows in zip(plans, block, strict=True)]
            )
        return payoffs

    def mixture(self, meta_strategies: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Each player's plan `[S_p]` when it draws a policy for the episode from its strategy."""
        return [
            exact.mix(plan, weights)
            for plan, weights in zip(self.plans, meta_strategies, strict=True)
        ]
