"""What plans earn, and what deviations from them earn, in exact arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from games.info_states import InfoStates
from games.tree import GameTree
from psro.exact.rational.numbers import fractions, zeros
from psro.exact.rational.strategic import chances


class Certifier:
    """A game in fractions."""

    def __init__(self, tree: GameTree):
        self._tree = tree
        self._chance = np.array(chances(tree), object)
        self._returns = fractions(tree.terminal_returns)

    def returns(self, plans: Sequence[np.ndarray]) -> list[Fraction]:
        """Every player's expected return if player p follows `plans[p] [S_p]`, fractions."""
        reach = self._chance.copy()
        for p, plan in enumerate(plans):
            reach = reach * plan[self._tree.sequence[:, p]]
        return (reach @ self._returns).tolist()

    def best_values(self, plans: Sequence[np.ndarray]) -> list[Fraction]:
        """What each player's best response to the others' plans earns."""
        values = []
        for p, player in enumerate(self._tree.players):
            reach = self._chance * self._returns[:, p]
            for q, plan in enumerate(plans):
                if q != p:
                    reach = reach * plan[self._tree.sequence[:, q]]
            gains = zeros([player.num_sequences])
            for sequence, gain in zip(self._tree.sequence[:, p].tolist(), reach, strict=True):
                gains[sequence] += gain
            values.append(_best(player, gains))
        return values

    def regret(self, plans: Sequence[np.ndarray]) -> Fraction:
        """The largest gain of a player by deviating; 0 certifies a Nash equilibrium."""
        both = zip(self.best_values(plans), self.returns(plans), strict=True)
        return max(best - value for best, value in both)


def _best(player: InfoStates, values: np.ndarray) -> Fraction:
    """The value of the best response, from the `values [S]` of sequences, which it changes."""
    for info_state in reversed(range(player.num_info_states)):
        first, end = player.first_sequence[info_state : info_state + 2]
        values[player.parent[info_state]] += max(values[first:end].tolist())
    return values[0]


def behaviour(player: InfoStates, plan: np.ndarray) -> np.ndarray:
    """The behaviour `[S]` of a plan of fractions; None as an entry at info states that the plan
    never reaches."""
    above = plan[player.parent_sequence]
    result = np.array(
        [own / before if before else None for own, before in zip(plan, above, strict=True)], object
    )
    result[0] = Fraction(1)
    return result
