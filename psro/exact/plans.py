"""Exact quantities of tabular policies on any `Form` of a game, in float64.

A *behaviour* is one player's action probabilities, flat over its sequences: `[..., S]`, entry
`s` the probability of action `action[s]` at info state `info_state[s]`, entry 0 unused (1).
A *plan* is its realization plan, `[..., S]`: the player's own share of the probability of reaching
each sequence (von Stengel 1996, eq. 2.1). Plans mix linearly, behaviours do not.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import numpy as np

from games.form import Form, Plans
from games.info_states import InfoStates
from games.tree import GameTree
from games.units import without_rounding


def uniform_behaviour(player: InfoStates, mask: np.ndarray | None = None) -> np.ndarray:
    """Every legal action with equal probability, `[S]`; with a `mask`, bool `[S]`, every action of
    it. Every info state must have one."""
    counts = np.diff(player.first_sequence)
    if mask is None:
        return np.concatenate([[1.0], np.repeat(1.0 / counts, counts)])
    allowed = np.add.reduceat(mask[1:], player.first_sequence[:-1] - 1, dtype=np.int64)
    return np.concatenate([[1.0], mask[1:] / np.repeat(allowed, counts)])


def realization_plan(player: InfoStates, behaviour: np.ndarray) -> np.ndarray:
    """`x[I, a] = x[parent(I)] * pi(a | I)`, root 1, for behaviours `[..., S]`."""
    plan = np.ones_like(behaviour, np.float64)
    for first, last in zip(player.level_start[:-1], player.level_start[1:], strict=True):
        bounds = player.first_sequence[first : last + 1]
        reach = plan[..., player.parent[first:last]]  # of the level's info states
        level = slice(bounds[0], bounds[-1])
        plan[..., level] = np.repeat(reach, np.diff(bounds), axis=-1) * behaviour[..., level]
    return plan


def behaviour(player: InfoStates, plan: np.ndarray) -> np.ndarray:
    """The behaviour of a plan `[..., S]`; uniform at info states that the plan never reaches."""
    reach = plan[..., player.parent_sequence]
    with np.errstate(invalid="ignore", divide="ignore"):
        result = np.where(reach > 0, plan / reach, uniform_behaviour(player))
    result[..., 0] = 1.0
    return result


def mix(plans: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The plan `[S]` that plays plan k of `plans [K, S]` with probability `weights[k]`. Realization
    probabilities are averaged, not action probabilities (Kuhn's theorem)."""
    return weights @ plans


def returns(tree: Form, plans: Plans) -> np.ndarray:
    """`Form.returns`: every player's expected return `[P]`, of plans `[S_q]`."""
    return tree.returns(plans)


def payoffs(tree: Form, plans: Plans) -> np.ndarray:
    """`Form.payoffs`: expected returns of every profile, `[P, K_0, ..., K_{P-1}]`, of plans
    `[K_q, S_q]`."""
    return tree.payoffs(plans)


def opponent_reach(tree: GameTree, player: int, plans: Plans) -> np.ndarray:
    """`GameTree.opponent_reach`: the others' and chance's part of reaching terminals, `[T]`."""
    return tree.opponent_reach(player, plans)


def sequence_returns(tree: GameTree, player: int, reach: np.ndarray) -> np.ndarray:
    """`GameTree.sequence_returns`: the returns of sequences, `[S]`, for opponents' reach `[T]`."""
    return tree.sequence_returns(player, reach)


def info_state_reach(tree: GameTree, player: int, reach: np.ndarray) -> np.ndarray:
    """`GameTree.info_state_reach`: opponents' part of reaching info states, `[I]`, from `[T]`."""
    return tree.info_state_reach(player, reach)


def gains(tree: Form, player: int, plans: Plans) -> np.ndarray:
    """`Form.gains`: what a player's sequences earn against the others' plans, `[S]`."""
    return tree.gains(player, plans)


def gains_and_reach(tree: GameTree, player: int, plans: Plans) -> tuple[np.ndarray, np.ndarray]:
    """`GameTree.gains_and_reach`: `gains [S]` and `info_state_reach [I]`."""
    return tree.gains_and_reach(player, plans)


@dataclasses.dataclass(frozen=True, kw_only=True)
class BestResponse:
    """The largest expected return against fixed opponents, `value` in game payoff, and a `plan [S]`
    that earns it. The plan is pure unless ties are mixed."""

    value: float
    plan: np.ndarray


def best_response(tree: Form, player: int, plans: Plans) -> BestResponse:
    """The exact best response of `player` to the other players' `plans`; its own plan is ignored.

    Counterfactual returns are added up by the player's sequence, and maximised over its own info
    states, deepest first. Of equal actions it plays the first.
    """
    return best_response_to(tree.players[player], gains(tree, player, plans))


def best_response_to(
    player: InfoStates, gains: np.ndarray, *, mix_ties: float | np.ndarray | None = None
) -> BestResponse:
    """`best_response` from a player's `gains [S]`; it depends on nothing else. With `mix_ties`, all
    actions whose value is within this much of the best one's get equal probability; it is one
    number, or one for each info state, `[I]`."""
    values = gains.copy()
    choice = np.zeros(player.num_sequences)
    choice[0] = 1.0
    margin = 0.0 if mix_ties is None else mix_ties
    for first, start, stop, best in _backward(player, values):
        owner = player.info_state[start:stop] - first
        least = best - (margin[first : first + len(best)] if np.ndim(margin) else margin)
        candidates = np.flatnonzero(values[start:stop] >= least[owner])
        if mix_ties is None:
            is_first = np.diff(owner[candidates], prepend=-1) > 0  # owners are in order
            choice[start + candidates[is_first]] = 1.0
        else:
            choice[start + candidates] = 1 / np.bincount(owner[candidates])[owner[candidates]]
    return BestResponse(value=float(values[0]), plan=realization_plan(player, choice))


def action_values(player: InfoStates, gains: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """From a player's `gains [S]`: what each sequence earns if the best actions follow it, `[S]`,
    and the difference between the best and the worst action of each info state, `[I]`. Both are
    counterfactual: they have the opponents' probability of leading there as a factor."""
    values, spread = gains.copy(), np.zeros(player.num_info_states)
    for first, start, stop, best in _backward(player, values):
        offsets = player.first_sequence[first : first + len(best)] - start
        spread[first : first + len(best)] = best - np.minimum.reduceat(values[start:stop], offsets)
    return values, spread


def magnitudes(player: InfoStates, gains: np.ndarray) -> np.ndarray:
    """The most that can be added up from each info state on, `[I]`, of the absolute values of
    `gains [S]`: the scale of rounding there. It is 0 where the opponents never lead."""
    result = np.zeros(player.num_info_states)
    for first, _, _, best in _backward(player, np.abs(gains)):
        result[first : first + len(best)] = best
    return result


def best_response_value(player: InfoStates, gains: np.ndarray) -> float:
    """The value of `best_response_to`, without its plan."""
    values = gains.copy()
    for _ in _backward(player, values):
        pass
    return float(values[0])


def _backward(player: InfoStates, values: np.ndarray) -> Iterator[tuple[int, int, int, np.ndarray]]:
    """Adds to the `values [S]` of sequences, in place, what the best actions after them earn,
    deepest level first. For each level: its first info state, the start and stop of its sequences,
    and the value of the best action at each of its info states."""
    for level in reversed(range(player.num_levels)):
        first, last = player.level_start[level], player.level_start[level + 1]
        start, stop = player.first_sequence[first], player.first_sequence[last]
        offsets = player.first_sequence[first:last] - start
        best = np.maximum.reduceat(values[start:stop], offsets)  # [info states of the level]
        above, end = 0, 1  # the sequences that lead here: of the level above, or the empty one
        if level:
            above, end = player.first_sequence[player.level_start[level - 1]], start
        parent = player.parent[first:last] - above
        values[above:end] += np.bincount(parent, weights=best, minlength=end - above)
        yield first, start, stop, best


@dataclasses.dataclass(frozen=True, kw_only=True)
class Exploitability:
    """How far a profile is from an equilibrium, in game payoff; all arrays `[P]`.

    `nash_conv` is the sum over players of best-response value minus value, `exploitability` is
    NashConv / P (OpenSpiel's). Zero means a Nash equilibrium. With two players and zero sum,
    exploitability also bounds the distance from the game's value; with more players it does not.
    """

    value: np.ndarray
    best_response_value: np.ndarray

    @classmethod
    def of(cls, value: np.ndarray, best: np.ndarray, rounding: float) -> Exploitability:
        """From the players' values and best-response values, `[P]` each. Values and gains that are
        not larger than `rounding` become 0."""
        value = without_rounding(value, rounding)
        gains = without_rounding(best - value, rounding)
        return cls(value=value, best_response_value=np.where(gains == 0, value, best))

    @property
    def nash_conv(self) -> float:
        return math.fsum(self.best_response_value - self.value)

    @property
    def exploitability(self) -> float:
        return self.nash_conv / len(self.value)


def exploitability(tree: Form, plans: Plans) -> Exploitability:
    """NashConv and its parts when player q follows `plans[q]`, each `[S_q]`."""
    value, gains = tree.returns_and_gains(plans)
    best = map(best_response_value, tree.players, gains)
    return Exploitability.of(value, np.array(list(best)), tree.rounding)
