"""What a profile does at every info state: reach, values of actions, regrets."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from games.tree import GameTree
from psro.exact.plans import realization_plan


@dataclasses.dataclass(frozen=True, kw_only=True)
class Details:
    """One player's info states (I) and sequences (S) if everybody follows a profile.

    Attributes:
        reach: the probability that an episode comes to each info state, `[I]`.
        allowed: the player's own part of it, `[I]`.
        action_value: what the player expects from each info state on if it takes the action there
            and follows its own strategy afterwards, `[S]`; NaN where the others never lead.
        value: the same if it follows its strategy at once, `[I]`.
        regret: the best action's value minus `value`, `[I]`; NaN where the others never lead.
    """

    reach: np.ndarray
    allowed: np.ndarray
    action_value: np.ndarray
    value: np.ndarray
    regret: np.ndarray


def details(tree: GameTree, behaviours: Sequence[np.ndarray]) -> list[Details]:
    """Each player's `Details`, of behaviours `[S_p]`. Expectations are over what the player does
    not know, by Bayes' rule."""
    plans = [realization_plan(own, b) for own, b in zip(tree.players, behaviours, strict=True)]
    result = []
    for p, (player, behaviour) in enumerate(zip(tree.players, behaviours, strict=True)):
        values, by_others = tree.gains_and_reach(p, plans)
        values = values.copy()
        starts = player.first_sequence[:-1]
        for level in reversed(range(player.num_levels)):
            first, last = player.level_start[level : level + 2]
            start, stop = player.first_sequence[first], player.first_sequence[last]
            own = behaviour[start:stop] * values[start:stop]
            np.add.at(
                values, player.parent[first:last], np.add.reduceat(own, starts[first:last] - start)
            )
        with np.errstate(invalid="ignore", divide="ignore"):
            action_value = values / np.append(1.0, by_others[player.info_state[1:]])
            action_value[~np.isfinite(action_value)] = np.nan
        value = np.add.reduceat((behaviour * action_value)[1:], starts - 1)
        best = np.maximum.reduceat(action_value[1:], starts - 1)
        allowed = plans[p][player.parent]
        result.append(
            Details(
                reach=by_others * allowed,
                allowed=allowed,
                action_value=action_value,
                value=value,
                regret=np.maximum(best - value, 0.0),
            )
        )
    return result
