"""Behaviours of plans, with a reasonable action where a plan itself does not lead."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from games.info_states import InfoStates
from games.tree import GameTree
from psro import exact


def completed(tree: GameTree, plans: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    """The behaviours `[S_p]` of plans `[S_p]`. At info states that a player's own plan never
    reaches but the others' plans do, it plays a best response from there on; at those that nobody
    leads to, actions have equal probability. No expected payoff depends on these."""
    return tuple(
        _completed(player, plans[p], *tree.gains_and_reach(p, plans))
        for p, player in enumerate(tree.players)
    )


def _completed(
    player: InfoStates, plan: np.ndarray, gains: np.ndarray, reach: np.ndarray
) -> np.ndarray:
    behaviour, values = exact.behaviour(player, plan), gains.copy()
    for info_state in reversed(range(player.num_info_states)):
        own = slice(*player.first_sequence[info_state : info_state + 2])
        if plan[player.parent[info_state]] == 0 and reach[info_state] > 0:
            behaviour[own] = 0.0
            behaviour[own.start + int(np.argmax(values[own]))] = 1.0
        values[player.parent[info_state]] += behaviour[own] @ values[own]
    return behaviour


def uniform_where_unreached(player: InfoStates, behaviour: np.ndarray) -> np.ndarray:
    """A behaviour `[S]` of fractions as floats, with equal probabilities where it has None."""
    uniform = exact.uniform_behaviour(player)
    return np.array([u if b is None else float(b) for u, b in zip(uniform, behaviour, strict=True)])
