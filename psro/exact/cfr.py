"""Counterfactual regret minimisation plus (CFR+) on a `GameTree`'s arrays: a solver that uses
neither linear programs nor populations."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from games.tree import GameTree, PlayerTree
from psro import exact


def cfr_plus(tree: GameTree) -> Iterator[list[np.ndarray]]:
    """CFR+ (Tammelin 2014, arXiv:1407.5042): yields each player's average plan `[S_p]` after each
    iteration, without end.

    Players update in turn, each against the latest plans of the others. Regrets never fall below
    zero. Iteration t has weight t in the average. In two-player zero-sum games the averages
    converge to an equilibrium, and `exact.exploitability(tree, plans)` says how close they are. In
    other games there is no guarantee.
    """
    regret = [np.zeros(player.num_sequences) for player in tree.players]
    current = [
        exact.realization_plan(player, exact.uniform_behaviour(player)) for player in tree.players
    ]
    total = [np.zeros_like(plan) for plan in current]
    iteration = 0
    while True:
        iteration += 1
        for p, player in enumerate(tree.players):
            total[p] += iteration * current[p]
            returns = exact.gains(tree, p, current)
            strategy = _strategy(player, regret[p])
            regret[p] = np.maximum(regret[p] + _advantages(player, strategy, returns), 0.0)
            current[p] = exact.realization_plan(player, _strategy(player, regret[p]))
        weight = iteration * (iteration + 1) / 2
        yield [plan / weight for plan in total]


def _strategy(player: PlayerTree, regret: np.ndarray) -> np.ndarray:
    """Regret matching: probabilities in proportion to regrets; uniform where all regrets are 0."""
    owner = player.info_state[1:]
    sums = np.bincount(owner, weights=regret[1:], minlength=player.num_info_states)[owner]
    positive = sums > 0
    strategy = exact.uniform_behaviour(player)
    strategy[1:][positive] = regret[1:][positive] / sums[positive]
    return strategy


def _advantages(player: PlayerTree, strategy: np.ndarray, returns: np.ndarray) -> np.ndarray:
    """Counterfactual value of each sequence minus its info state's, `[S]`, for the player's own
    behaviour `strategy [S]` and the counterfactual `returns [S]` that end with each sequence."""
    value = returns.copy()
    advantage = np.zeros_like(value)
    for level in reversed(range(player.num_levels)):
        first, last = player.level_start[level], player.level_start[level + 1]
        start, stop = player.first_sequence[first], player.first_sequence[last]
        owner = player.info_state[start:stop] - first
        below = np.bincount(owner, weights=strategy[start:stop] * value[start:stop])
        advantage[start:stop] = value[start:stop] - below[owner]
        value += np.bincount(player.parent[first:last], weights=below, minlength=len(value))
    return advantage
