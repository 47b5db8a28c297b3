"""Magnetic mirror descent in self-play (Sokota et al. 2023, arXiv:2206.05825)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from games.tree import GameTree, PlayerTree
from psro import exact


def magnetic_mirror_descent(
    tree: GameTree,
    *,
    learning_rate: float = 1.0,
    temperature: float = 0.05,
    magnet_rate: float = 0.02,
) -> Iterator[list[np.ndarray]]:
    """Yields realization plans `[S_p]` of every player after each step, without end. All players
    step at once. The latest policies approach an equilibrium; no average is taken.

    At every info state, with q the values of its actions if the opponents lead there,

        pi'(a)  is proportional to  (pi(a) rho(a)^(eta alpha) exp(eta q(a)))^(1 / (1 + eta alpha))
        rho'(a) is proportional to  rho(a)^(1 - tau) pi'(a)^tau

    (section 3, the closed form for entropy with a magnet rho, and the moving magnet of section
    5). In logits it is NeuRD's step (Hennes et al. 2020, arXiv:1906.00190, eq. 9) with a pull to
    the magnet.

    Args:
        tree: the game; convergence is guaranteed only for two players and zero sum.
        learning_rate: eta, per half the span of the game's returns.
        temperature: alpha, in units of half that span: how strongly the magnet pulls.
        magnet_rate: tau: the speed at which the magnet follows the policy.
    """
    scale = 2 / tree.span if tree.span > 0 else 0.0
    logits = [np.log(exact.uniform_behaviour(player)) for player in tree.players]
    magnet = [log.copy() for log in logits]
    pull = learning_rate * temperature
    plans = [
        exact.realization_plan(player, np.exp(log))
        for player, log in zip(tree.players, logits, strict=True)
    ]
    while True:
        values = [scale * _action_values(tree, p, plans) for p in range(tree.num_players)]
        for p, player in enumerate(tree.players):
            moved = logits[p] + pull * magnet[p] + learning_rate * values[p]
            logits[p] = _normalised(player, moved / (1 + pull))
            magnet[p] = _normalised(player, (1 - magnet_rate) * magnet[p] + magnet_rate * logits[p])
            plans[p] = exact.realization_plan(player, np.exp(logits[p]))
        yield list(plans)


def _action_values(tree: GameTree, p: int, plans: list[np.ndarray]) -> np.ndarray:
    """Expected return of each of a player's actions, `[S]`, given that its opponents lead to the
    info state; zero if they never do."""
    player = tree.players[p]
    total, reach = exact.gains_and_reach(tree, p, plans)
    total = total.copy()
    behaviour = exact.behaviour(player, plans[p])
    for level in reversed(range(player.num_levels)):
        first, last = player.level_start[level], player.level_start[level + 1]
        start, stop = player.first_sequence[first], player.first_sequence[last]
        owner = player.info_state[start:stop] - first
        below = np.bincount(owner, weights=behaviour[start:stop] * total[start:stop])
        total += np.bincount(player.parent[first:last], weights=below, minlength=len(total))
    given = np.append(reach, 1.0)[player.info_state]
    return np.divide(total, given, out=np.zeros_like(total), where=given > 1e-12)


def _normalised(player: PlayerTree, logits: np.ndarray) -> np.ndarray:
    """Log-probabilities `[S]` at every info state; entry 0 is 0."""
    first = player.first_sequence[:-1]
    owner = player.info_state[1:]
    logits = logits.copy()
    logits[0] = 0.0
    logits[1:] -= np.maximum.reduceat(logits, first)[owner]
    logits[1:] -= np.log(np.add.reduceat(np.exp(logits), first))[owner]
    return np.maximum(logits, -50.0)
