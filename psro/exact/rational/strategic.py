"""A tree in fractions: its sequence form, and its reduced strategic form.

In the reduced strategic form, a player's strategy names an action at each info state that the
strategy itself does not rule out. Strategies with equal realization plans are one strategy.
"""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np

from games.fractional import fraction
from games.info_states import InfoStates
from games.tree import GameTree
from psro.errors import PsroError
from psro.exact.rational.numbers import fractions, zeros

MAX_STRATEGIES = 3_000
"""The most reduced strategies of one player that are listed."""

MAX_PROFILES = 200_000
"""The most profiles whose payoffs are fractions, an object each."""


class TooManyStrategies(PsroError):
    """A strategic form that is too large to be written down; one sentence says so."""


def num_strategies(player: InfoStates) -> int:
    """The number of a player's reduced strategies."""
    below = [1] * player.num_sequences  # what may follow each sequence
    for info_state in reversed(range(player.num_info_states)):
        first, end = player.first_sequence[info_state : info_state + 2]
        below[player.parent[info_state]] *= sum(below[first:end])
    return below[0]


def reduced_strategies(player: InfoStates) -> np.ndarray:
    """The realization plans of all reduced strategies, int8 `[K, S]`, in the order of their
    actions.

    Raises:
        TooManyStrategies: more than `MAX_STRATEGIES`.
    """
    count = num_strategies(player)
    if count > MAX_STRATEGIES:
        raise TooManyStrategies(
            f"a player has {count:,} reduced strategies, and at most {MAX_STRATEGIES:,} are listed"
        )
    after: list[list[int]] = [[] for _ in range(player.num_sequences)]
    for info_state, parent in enumerate(player.parent.tolist()):
        after[parent].append(info_state)

    below: list[list[list[int]]] = [[] for _ in range(player.num_sequences)]
    for sequence in reversed(range(player.num_sequences)):
        choices = []
        for info_state in after[sequence]:
            first, end = player.first_sequence[info_state : info_state + 2]
            choices.append([[a, *rest] for a in range(first, end) for rest in below[a]])
        below[sequence] = [
            [s for part in parts for s in part] for parts in itertools.product(*choices)
        ]
    plans = np.zeros((count, player.num_sequences), np.int8)
    plans[:, 0] = 1
    for k, sequences in enumerate(below[0]):
        plans[k, sequences] = 1
    return plans


def chances(tree: GameTree) -> list[Fraction]:
    """The product of chance's probabilities on the path to each terminal, `[T]`. The probabilities
    of one chance event add up to 1 exactly."""
    if np.all(tree.chance == 1):
        return [Fraction(1)] * tree.num_terminals
    result = [Fraction(0)] * tree.num_terminals
    waiting = [(0, Fraction(1))]
    while waiting:
        slot, reach = waiting.pop()
        first, end = tree.first_outcome[slot : slot + 2].tolist()
        shares = [fraction(share) for share in tree.outcome_probability[first:end]]
        total = sum(shares)
        for node, share in zip(tree.outcome_node[first:end].tolist(), shares, strict=True):
            reached = reach * share / total
            if node >= tree.num_decisions:
                result[node - tree.num_decisions] = reached
                continue
            player = tree.players[tree.decision_player[node]]
            info_state = tree.decision_info_state[node]
            actions = player.first_sequence[info_state + 1] - player.first_sequence[info_state]
            waiting += [(int(tree.first_slot[node]) + a, reached) for a in range(actions)]
    return result


def weighted_returns(tree: GameTree) -> np.ndarray:
    """What each terminal adds to the expected returns, chance included: fractions `[T, P]`."""
    return fractions(tree.terminal_returns) * np.array(chances(tree), object)[:, None]


def strategic_payoffs(tree: GameTree, plans: tuple[np.ndarray, ...]) -> np.ndarray:
    """Payoffs `[P, K_0, ..., K_{P-1}]`, fractions, of pure plans `[K_p, S_p]`.

    Raises:
        TooManyStrategies: more than `MAX_PROFILES` profiles.
    """
    shape = tuple(len(own) for own in plans)
    profiles = int(np.prod([float(size) for size in shape]))
    if profiles > MAX_PROFILES:
        raise TooManyStrategies(
            f"{tree.name} has {profiles:,} profiles of pure strategies, and payoffs of at most "
            f"{MAX_PROFILES:,} are written down as fractions"
        )
    table = zeros((tree.num_players, *shape))
    playing = [[np.flatnonzero(column) for column in own.T] for own in plans]
    for returns, sequences in zip(weighted_returns(tree), tree.sequence.tolist(), strict=True):
        block = np.ix_(*(own[s] for own, s in zip(playing, sequences, strict=True)))
        for p, paid in enumerate(returns):
            table[p][block] += paid
    return table
