"""Exact quantities of tabular policies on a `GameTree`, in float64 (DESIGN, "The exact engine").

A *behaviour* is one player's action probabilities, flat over its sequences: `[..., S]`, entry
`s` the probability of action `action[s]` at info state `info_state[s]`, entry 0 unused (1).
A *plan* is its realization plan, `[..., S]`: the player's own share of the probability of reaching
each sequence (von Stengel 1996, eq. 2.1). Plans mix linearly, behaviours do not.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from scipy import sparse

from games.matrix import NormalForm
from games.tree import GameTree, PlayerTree

_PRODUCT_SIZE = 1 << 22
"""Numbers, of 8 bytes, in an intermediate product of `payoffs`; a few tens of MB."""


def uniform_behaviour(player: PlayerTree) -> np.ndarray:
    """Every legal action alike, `[S]`."""
    counts = np.diff(player.first_sequence)
    return np.concatenate([[1.0], np.repeat(1.0 / counts, counts)])


def realization_plan(player: PlayerTree, behaviour: np.ndarray) -> np.ndarray:
    """`x[I, a] = x[parent(I)] * pi(a | I)`, root 1, for behaviours `[..., S]`."""
    plan = np.ones_like(behaviour, np.float64)
    parent = player.parent_sequence
    for start, stop in _levels(player):
        plan[..., start:stop] = plan[..., parent[start:stop]] * behaviour[..., start:stop]
    return plan


def behaviour(player: PlayerTree, plan: np.ndarray) -> np.ndarray:
    """The behaviour of a plan `[..., S]`; uniform at info states that the plan never reaches."""
    reach = plan[..., player.parent_sequence]
    with np.errstate(invalid="ignore", divide="ignore"):
        result = np.where(reach > 0, plan / reach, uniform_behaviour(player))
    result[..., 0] = 1.0
    return result


def mix(plans: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The plan `[S]` of playing plan k of `plans [K, S]` with probability `weights[k]`
    (Kuhn's theorem: probabilities of reaching are averaged, never action probabilities)."""
    return weights @ plans


def returns(tree: GameTree, plans: Sequence[np.ndarray]) -> np.ndarray:
    """Every player's expected return `[P]` when player q follows `plans[q]`, each `[S_q]`."""
    if isinstance(tree, NormalForm):
        return tree.expected([plan[None, 1:] for plan in plans]).ravel()
    reach = tree.chance.copy()
    for q, plan in enumerate(plans):
        reach *= plan[tree.sequence[:, q]]
    return reach @ tree.returns


def payoffs(tree: GameTree, plans: Sequence[np.ndarray]) -> np.ndarray:
    """Expected returns of every profile, `[P, K_0, ..., K_{P-1}]`, of plans `[K_q, S_q]`.

    The two players with the most plans are contracted at once, profiles of all others visited in
    turn. So a table of two players takes `T min(K_0, K_1) + S K_0 K_1` products: the terminals are
    gone through once for each plan of the player with fewer, a new one against 200 others too.
    """
    if isinstance(tree, NormalForm):
        return tree.expected([each[:, 1:] for each in plans])
    counts = [len(each) for each in plans]
    table = np.empty((tree.num_players, *counts))
    if 0 in counts:
        return table
    *others, few, many = sorted(range(tree.num_players), key=counts.__getitem__)
    others.sort()
    blocks = np.moveaxis(table, (1 + few, 1 + many), (-2, -1))
    opposed = tree.num_players == 2 and np.array_equal(tree.returns[:, 0], -tree.returns[:, 1])
    for profile in np.ndindex(*(counts[q] for q in others)):
        reach = tree.chance.copy()
        for q, k in zip(others, profile, strict=True):
            reach *= plans[q][k][tree.sequence[:, q]]
        for p in range(tree.num_players):
            if p and opposed:
                blocks[p] = -blocks[0]
                continue
            weight = sparse.csr_array(
                (reach * tree.returns[:, p], (tree.sequence[:, many], tree.sequence[:, few])),
                shape=(plans[many].shape[1], plans[few].shape[1]),
            )
            at_once = max(1, _PRODUCT_SIZE // plans[many].shape[1])
            for first in range(0, counts[few], at_once):
                some = slice(first, first + at_once)
                returns = weight @ np.ascontiguousarray(plans[few][some].T)  # [S_many, some]
                blocks[(p, *profile, some)] = (plans[many] @ returns).T
    return table


def opponent_reach(tree: GameTree, player: int, plans: Sequence[np.ndarray]) -> np.ndarray:
    """Probability that chance and the others, with their `plans`, play their parts of the way to
    each terminal, `[T]`; the player's own plan is ignored."""
    reach = tree.chance.copy()
    for q, plan in enumerate(plans):
        if q != player:
            reach *= plan[tree.sequence[:, q]]
    return reach


def sequence_returns(tree: GameTree, player: int, reach: np.ndarray) -> np.ndarray:
    """The player's returns, weighted by its opponents' `reach [T]`, by its last sequence, `[S]`:
    its expected return is the product of this with its plan."""
    return _by_sequence(tree, player, reach * tree.returns[:, player])


def info_state_reach(tree: GameTree, player: int, reach: np.ndarray) -> np.ndarray:
    """Probability that the opponents, with their `reach [T]` of the terminals, and chance lead to
    each info state of the player while it does all it can to get there, `[I]`."""
    mine = tree.players[player]
    below = _by_sequence(tree, player, reach)  # [S]
    result = np.zeros(mine.num_info_states)
    for level in reversed(range(mine.num_levels)):
        first, last = mine.level_start[level], mine.level_start[level + 1]
        # Whatever the player does at an info state, it stays reached: any action will do.
        result[first:last] = below[mine.first_sequence[first:last]]
        below += np.bincount(
            mine.parent[first:last], weights=result[first:last], minlength=len(below)
        )
    return result


def gains(tree: GameTree, player: int, plans: Sequence[np.ndarray]) -> np.ndarray:
    """What a player's sequences earn against the other players' `plans`, `[S]`: `sequence_returns`
    against their reach. Its own plan is ignored."""
    if isinstance(tree, NormalForm):
        others = [None if q == player else plan[None, 1:] for q, plan in enumerate(plans)]
        return np.concatenate([[0.0], tree.expected_of(player, others).ravel()])
    return sequence_returns(tree, player, opponent_reach(tree, player, plans))


def gains_and_reach(
    tree: GameTree, player: int, plans: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """All that a learner needs to know of the other players' `plans`: its `gains [S]` and its
    `info_state_reach [I]`, from one pass over the terminals."""
    if isinstance(tree, NormalForm):
        return gains(tree, player, plans), np.ones(1)  # everybody always comes to choose
    reach = opponent_reach(tree, player, plans)
    return sequence_returns(tree, player, reach), info_state_reach(tree, player, reach)


@dataclasses.dataclass(frozen=True, kw_only=True)
class BestResponse:
    """What a player can get against fixed opponents: `value` in game payoff, and a `plan [S]` that
    gets it, pure unless ties are mixed; zero where its own actions do not lead."""

    value: float
    plan: np.ndarray


def best_response(tree: GameTree, player: int, plans: Sequence[np.ndarray]) -> BestResponse:
    """The exact best response of `player` to the other players' `plans`; its own is ignored.

    Counterfactual returns are added up by the player's sequence and maximised backwards over its
    own info states, deepest first. Ties go to the first action.
    """
    return best_response_to(tree.players[player], gains(tree, player, plans))


def best_response_to(
    mine: PlayerTree, gains: np.ndarray, *, mix_ties: float | None = None
) -> BestResponse:
    """`best_response` from the `gains [S]` of a player, which are all it depends on. With
    `mix_ties`, all actions that are worth the best one's value, within this much, are played
    alike: then the plan is not pure."""
    gain = gains.copy()
    choice = np.zeros(mine.num_sequences)
    choice[0] = 1.0
    for level in reversed(range(mine.num_levels)):
        first, last = mine.level_start[level], mine.level_start[level + 1]
        start, stop = mine.first_sequence[first], mine.first_sequence[last]
        offsets = mine.first_sequence[first:last] - start
        best = np.maximum.reduceat(gain[start:stop], offsets)  # [info states of the level]
        owner = mine.info_state[start:stop] - first
        candidates = np.flatnonzero(gain[start:stop] >= best[owner] - (mix_ties or 0.0))
        if mix_ties is None:
            _, earliest = np.unique(owner[candidates], return_index=True)
            choice[start + candidates[earliest]] = 1.0
        else:
            choice[start + candidates] = 1 / np.bincount(owner[candidates])[owner[candidates]]
        gain += np.bincount(mine.parent[first:last], weights=best, minlength=len(gain))
    return BestResponse(value=float(gain[0]), plan=realization_plan(mine, choice))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Exploitability:
    """How far a profile is from an equilibrium, in game payoff; all arrays `[P]`.

    `nash_conv` is the sum over players of best-response value minus value, `exploitability` is
    NashConv / P (OpenSpiel's). Zero means a Nash equilibrium; with two players and zero sum,
    exploitability bounds the distance from the game's value, with more players it does not.
    """

    value: np.ndarray
    best_response_value: np.ndarray

    @property
    def nash_conv(self) -> float:
        return math.fsum(self.best_response_value - self.value)

    @property
    def exploitability(self) -> float:
        return self.nash_conv / len(self.value)


def exploitability(tree: GameTree, plans: Sequence[np.ndarray]) -> Exploitability:
    """NashConv and its parts when player q follows `plans[q]`, each `[S_q]`."""
    best = [best_response(tree, p, plans).value for p in range(tree.num_players)]
    return Exploitability(value=returns(tree, plans), best_response_value=np.array(best))


def _levels(player: PlayerTree) -> list[tuple[int, int]]:
    """The sequences of each level, as (start, stop)."""
    bounds = player.first_sequence[player.level_start]
    return list(zip(bounds[:-1], bounds[1:], strict=True))


def _by_sequence(tree: GameTree, player: int, weight: np.ndarray) -> np.ndarray:
    """Terminal weights `[T]` added up by the player's last sequence, `[S]`."""
    return np.bincount(
        tree.sequence[:, player], weights=weight, minlength=tree.players[player].num_sequences
    )
