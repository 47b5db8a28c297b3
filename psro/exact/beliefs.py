"""What a player takes for possible at its info states, and how likely outcomes are, by name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from games.readers.nodes import Node
from games.tree import GameTree
from psro.exact.plans import realization_plan

Beliefs = dict[tuple[int, int], dict[str, float] | None]
"""For each (player, info state) with several histories: the probability of each history, by the
names of its moves; None where Bayes' rule says nothing."""


def beliefs(tree: GameTree, listed: Sequence[Node], logs: Sequence[np.ndarray]) -> Beliefs:
    """The beliefs of all players, by Bayes' rule.

    Args:
        tree: the game.
        listed: its nodes, see `games.readers.nodes`.
        logs: logarithms of every player's action probabilities, `[S_p]`. Small probabilities in
            place of zeros (trembles) give beliefs at info sets that play does not reach.
    """
    histories: dict[tuple[int, int], list[tuple[str, float]]] = {}
    # Of each node that waits: the log-probability of chance and of each player on the way.
    waiting: list[tuple[int, tuple[str, ...], np.ndarray]] = [
        (0, (), np.zeros(tree.num_players + 1))
    ]
    while waiting:
        number, moves, reach = waiting.pop()
        node, player, first = listed[number], tree.num_players, 0
        if node.decision is not None:
            player = int(tree.decision_player[node.decision])
            info_state = int(tree.decision_info_state[node.decision])
            first = int(tree.players[player].first_sequence[info_state])
            by_others = float(np.delete(reach, player).sum())
            histories.setdefault((player, info_state), []).append((", ".join(moves), by_others))
        for k, child in enumerate(node.children):
            step = reach.copy()
            share = listed[child].probability
            step[player] += logs[player][first + k] if share is None else np.log(share)
            waiting.append((child, (*moves, listed[child].move), step))
    return {key: _normalised(possible) for key, possible in histories.items() if len(possible) > 1}


def _normalised(possible: list[tuple[str, float]]) -> dict[str, float] | None:
    """Histories with log-probabilities as probabilities; equal names are added up."""
    reach = np.array([log for _, log in possible])
    if reach.max() == -np.inf:
        return None
    shares = np.exp(reach - reach.max())
    result: dict[str, float] = {}
    for (name, _), share in zip(possible, shares / shares.sum(), strict=True):
        result[name] = result.get(name, 0.0) + float(share)
    return result


def outcomes(
    tree: GameTree, listed: Sequence[Node], behaviours: Sequence[np.ndarray]
) -> dict[str, float]:
    """The probability of each outcome that has a name in the game's file; empty if none has."""
    reach = tree.chance.copy()
    for p, (player, own) in enumerate(zip(tree.players, behaviours, strict=True)):
        reach *= realization_plan(player, own)[tree.sequence[:, p]]
    result: dict[str, float] = {}
    for node in listed:
        if node.terminal is not None and node.outcome:
            result[node.outcome] = result.get(node.outcome, 0.0) + float(reach[node.terminal])
    return result
