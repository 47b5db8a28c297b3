"""From OpenSpiel's policies to realization plans, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from games import GameTree, TreePolicy
from psro.exact.plans import behaviour, realization_plan


def plans_of(tree: GameTree, policy: Any) -> list[np.ndarray]:
    """Each player's realization plan, `[S_p]`, of an OpenSpiel policy that plays for all.

    Args:
        tree: the game.
        policy: of `pyspiel.Policy` or `open_spiel.python.policy.Policy`, or a sequence of them, one
            for each player.

    Raises:
        GameError: it plays illegal actions, or sees what is hidden from its player
            (`games.readers.policy_tables`).
    """
    from games.readers.policy_tables import behaviours_of

    tables = behaviours_of(tree, policy)
    return [realization_plan(own, table) for own, table in zip(tree.players, tables, strict=True)]


def policy_of(tree: GameTree, plans: Sequence[np.ndarray]) -> TreePolicy:
    """An OpenSpiel policy that plays each player's realization plan, `[S_p]`; at info states that a
    plan never reaches, it plays each action with equal probability."""
    return TreePolicy(tree, {p: behaviour(own, plans[p]) for p, own in enumerate(tree.players)})
