"""The meta-game of policies in an enumerated game: exact. Only missing cells are computed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from games.tree import GameTree
from psro import exact
from psro.metagame.meta_game import MetaGame


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExactMetaGame(MetaGame):
    """A `MetaGame` that holds the policies as plans, so that everything about them is exact.

    Attributes:
        tree: the game that the policies play.
        plans: each player's realization plans, float64 `[K_p, S_p]`.
    """

    tree: GameTree
    plans: tuple[np.ndarray, ...]

    @classmethod
    def empty(cls, tree: GameTree) -> ExactMetaGame:
        return cls(
            tree=tree,
            plans=tuple(np.zeros((0, player.num_sequences)) for player in tree.players),
            payoffs=np.zeros((tree.num_players, *(0,) * tree.num_players)),
        )

    @property
    def rounding(self) -> float:
        """The largest difference that rounding can make between two equal expected returns."""
        return self.tree.rounding

    @classmethod
    def of(cls, tree: GameTree, plans: Sequence[np.ndarray]) -> ExactMetaGame:
        """The meta-game of populations of plans `[K_p, S_p]`; all payoffs are computed."""
        return cls(tree=tree, plans=tuple(plans), payoffs=exact.payoffs(tree, plans))

    def put(
        self,
        slots: Sequence[int],
        behaviours: Sequence[Sequence[np.ndarray]],
        payoffs: np.ndarray | None = None,
    ) -> ExactMetaGame:
        """The meta-game with new policies at the numbers `slots`: they replace the policies of
        these numbers, or follow the last one. `behaviours` has, for each slot, one `[S_p]` for each
        player. `payoffs`, for example from a file, is the whole table of the result; by default it
        is computed."""
        size = max(self.size, *(slot + 1 for slot in slots))
        if not set(range(self.size, size)) <= set(slots):
            raise IndexError(f"slots {list(slots)} leave a gap after {self.size} policies")
        plans = []
        for p, (old, player) in enumerate(zip(self.plans, self.tree.players, strict=True)):
            stack = np.concatenate([old, np.empty((size - self.size, old.shape[1]))])
            for slot, behaviour in zip(slots, behaviours, strict=True):
                stack[slot] = exact.realization_plan(player, behaviour[p])
            plans.append(stack)
        if payoffs is None:
            payoffs = self._completed(plans, np.unique(slots))
        return ExactMetaGame(tree=self.tree, plans=tuple(plans), payoffs=payoffs)

    def add(
        self, behaviours: Sequence[np.ndarray], payoffs: np.ndarray | None = None
    ) -> ExactMetaGame:
        """The meta-game with one more policy for each player, by its behaviour `[S_p]`; `payoffs`
        as in `put`."""
        return self.put([self.size], [behaviours], payoffs)

    def take(self, members: Sequence[int]) -> ExactMetaGame:
        fewer = super().take(members)
        return dataclasses.replace(
            fewer, plans=tuple(plans[np.asarray(members)] for plans in self.plans)
        )

    def _completed(self, plans: Sequence[np.ndarray], new: np.ndarray) -> np.ndarray:
        """The table with all new cells computed, in one block per player: the cells in which this
        player is the first whose policy is new."""
        num_players, size = self.tree.num_players, len(plans[0])
        everybody = np.arange(size)
        known = np.setdiff1d(everybody, new)
        payoffs = np.empty((num_players, *(size,) * num_players))
        kept = np.ix_(*[known] * num_players)
        payoffs[(slice(None), *kept)] = self.payoffs[(slice(None), *kept)]
        for first in range(num_players):
            block = [
                known if q < first else new if q == first else everybody for q in range(num_players)
            ]
            payoffs[(slice(None), *np.ix_(*block))] = exact.payoffs(
                self.tree, [plan[rows] for plan, rows in zip(plans, block, strict=True)]
            )
        return payoffs

    def mixture(self, meta_strategies: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Each player's plan `[S_p]` if it draws a policy for each episode from its strategy."""
        return [
            exact.mix(plan, weights)
            for plan, weights in zip(self.plans, meta_strategies, strict=True)
        ]

    def plans_of(self, player: int, members: Sequence[int]) -> np.ndarray:
        """The plans of some of a player's policies, float64 `[len(members), S]`."""
        return self.plans[player][list(members)]

    def gains_against(self, player: int, weights: np.ndarray) -> np.ndarray:
        """What a player's sequences earn in a game for two against the opponent's policies, drawn
        by `weights [K]`, `[S]`."""
        return exact.gains(self.tree, player, [exact.mix(self.plans[1 - player], weights)] * 2)

    def worth(self, player: int, gains: np.ndarray, policy: int) -> float:
        """What a player's policy earns where its sequences earn `gains [S]`."""
        return float(gains @ self.plans[player][policy])

    def exploitability(
        self, marginals: Sequence[np.ndarray], by: Callable | None = None
    ) -> exact.Exploitability:
        """NashConv of a meta-strategy whose players draw independently. `by` is the function of
        plans that computes it, by default `exact.exploitability` (numpy)."""
        plans = self.mixture(marginals)
        return exact.exploitability(self.tree, plans) if by is None else by(plans)
