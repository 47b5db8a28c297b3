"""OpenSpiel policies as tables over a tree's sequences. `TreePolicy` is the way back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyspiel

from games.errors import GameError
from games.readers.openspiel_policy import decisions
from games.tree import GameTree

TOLERANCE = 1e-6
"""By how much probabilities may miss 1, and differ between two states of one info state."""


def behaviours_of(tree: GameTree, policies: Any | Sequence[Any]) -> list[np.ndarray]:
    """Each player's action probabilities, `[S_p]`.

    The policy is asked at the first two histories of each info state, and must say the same at
    both: what differs between them is hidden from the player. OpenSpiel's policies of
    `pyspiel.Policy` and of `open_spiel.python.policy.Policy` do, and whatever has their method
    `action_probabilities(state, player)`.

    Args:
        tree: the game.
        policies: one policy for all players, or one for each.

    Raises:
        GameError: it plays an illegal action, its probabilities do not add up to 1, or it sees what
            is hidden from its player.
    """
    if not isinstance(policies, Sequence):
        policies = [policies] * tree.num_players
    asked = [np.zeros(player.num_info_states, np.int8) for player in tree.players]
    tables = [np.ones(player.num_sequences) for player in tree.players]
    for state, player, info_state, legal in decisions(tree):
        if asked[player][info_state] == 2:
            continue
        told = _probabilities(policies[player], state, player, legal)
        first, end = tree.players[player].first_sequence[info_state : info_state + 2]
        own = tables[player][first:end]
        if asked[player][info_state] and not np.allclose(own, told, 0, TOLERANCE):
            raise GameError(
                f"the policy of player {player} sees more than its player: it plays "
                "differently in two states that look the same"
            )
        own[:] = told
        asked[player][info_state] += 1
    return tables


def probabilities_at(policy: Any, state: Any, player: int) -> dict[int, float]:
    """A policy's probabilities of actions, by their numbers. OpenSpiel's policies in C++ take the
    state alone."""
    if isinstance(policy, pyspiel.Policy):
        return policy.action_probabilities(state)
    return dict(policy.action_probabilities(state, player))


def _probabilities(policy: Any, state: Any, player: int, legal: Sequence[int]) -> np.ndarray:
    """A policy's probabilities of the legal actions at a state; they add up to 1."""
    told = {int(a): float(q) for a, q in probabilities_at(policy, state, player).items()}
    for action, probability in told.items():
        if action not in legal and probability != 0:
            raise GameError(
                f"the policy of player {player} plays {action}, which is not legal there; legal "
                f"are {', '.join(map(str, legal))}"
            )
    result = np.array([told.get(action, 0.0) for action in legal])
    if not ((result >= 0).all() and abs(result.sum() - 1) <= TOLERANCE):
        raise GameError(
            f"the probabilities of player {player}'s actions must be at least 0 and add up to 1, "
            f"and are {', '.join(f'{q:.6g}' for q in result)}"
        )
    return result / result.sum()
