"""Symmetric games: whether all seats are equal, and which info states of two players correspond.

A game counts as symmetric if every player's info states can be numbered like player 0's. Numbered
so, they have the same legal actions and parents; and if all players move one seat on with their
policies, each player still earns the same. (This does not ask that two players may exchange seats
while the others stay. Policies may tell opponents apart, for example by who won the last card.)
Actions keep their numbers, because a network's outputs have these numbers. So a game that is
symmetric only after its actions are renamed is refused.

Info states are matched by colour refinement (Weisfeiler and Leman 1968) of the players' sequences
over the terminals; observations break ties. The search may miss a numbering, but it never returns
a wrong one: the result is checked at every terminal.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence

import numpy as np

from games import units
from games.errors import GameError
from games.matrix import NormalForm
from games.player_tree import PlayerTree
from games.texts import Texts
from games.tree import GameTree

TOLERANCE = 1e-9
"""The largest difference of two returns, times the probability of chance, that count as equal: a
share of half the returns' span."""


class SymmetryError(GameError):
    """No symmetry of the game was found; one sentence says why."""


def symmetric_view(tree: GameTree) -> GameTree:
    """The same game, in which every player's info states and sequences are numbered like player
    0's and have player 0's observations. So one plan, table or network is a policy of every player.

    Each player keeps its own names of info states and actions, and its own keys.

    Raises:
        SymmetryError: no numbering was found in which moving on by a seat leaves the game the same.
    """
    if isinstance(tree, NormalForm):
        return _symmetric_normal_form(tree)
    first, *others = tree.players
    for p, player in enumerate(others, 1):
        if not np.array_equal(player.level_start, first.level_start):
            raise SymmetryError(
                f"{tree.name} is not symmetric: at its own decisions, in turn, player {p} has "
                f"{_counts(player)} info states, and player 0 has {_counts(first)}"
            )
    sequence, weights = _merged(tree)
    colours = _colours(tree, sequence, weights)
    info_states = [_matched(tree, p, colours) for p in range(tree.num_players)]
    sequences = [
        _renumbered(first, player, number)
        for player, number in zip(tree.players, info_states, strict=True)
    ]
    _check(
        tree, np.stack([new[sequence[:, p]] for p, new in enumerate(sequences)], axis=1), weights
    )
    decision_info_state = np.empty_like(tree.decision_info_state)
    for p, number in enumerate(info_states):
        is_players = tree.decision_player == p
        decision_info_state[is_players] = number[tree.decision_info_state[is_players]]
    return dataclasses.replace(
        tree,
        players=tuple(
            dataclasses.replace(
                first,
                names=_reordered(player.names, number),
                keys=_reordered(player.keys, number),
                action_names=player.action_names and _reordered(player.action_names, new),
            )
            for player, number, new in zip(tree.players, info_states, sequences, strict=True)
        ),
        sequence=np.stack([new[tree.sequence[:, p]] for p, new in enumerate(sequences)], axis=1),
        decision_info_state=decision_info_state,
    )


def _symmetric_normal_form(tree: NormalForm) -> NormalForm:
    """Every player has one info state: nothing is searched for, and no terminal is laid out."""
    counts = tree.table.shape[1:]
    if len(set(counts)) > 1:
        raise SymmetryError(
            f"{tree.name} is not symmetric: its players have {' and '.join(map(str, counts))} "
            "actions"
        )
    tolerance = TOLERANCE * tree.span / 2
    seats = np.arange(tree.num_players)
    for p in seats[1:]:
        # As player p sees it: axis 0 is its own action, the next axes those of the seats after it.
        payoffs = tree.payoffs_of(p).transpose(np.roll(seats, -p))
        if np.abs(payoffs - tree.payoffs_of(0)).max() > tolerance:
            raise _seats_differ(tree)
    view = copy.copy(tree)
    first = tree.players[0]
    vars(view).update(
        players=tuple(
            dataclasses.replace(
                first, names=player.names, keys=player.keys, action_names=player.action_names
            )
            for player in tree.players
        )
    )
    return view


def _counts(player: PlayerTree) -> str:
    return ", ".join(map(str, np.diff(player.level_start)))


def _seats_differ(tree: GameTree) -> SymmetryError:
    return SymmetryError(
        f"{tree.name} is not symmetric: if all players move one seat on with their policies, they "
        "earn something else"
    )


def _merged(tree: GameTree) -> tuple[np.ndarray, np.ndarray]:
    """The distinct tuples of last sequences of terminals, `[M, P]`, and the total weights of their
    terminals, `[M, 1 + P]`: chance, and chance times every player's return, which is scaled to
    [-1, 1]. Expected returns depend on nothing else."""
    order = np.lexsort(tree.sequence.T)
    sequence = tree.sequence[order]
    new = np.flatnonzero(np.append(True, (sequence[1:] != sequence[:-1]).any(axis=1)))
    returns = units.centred(tree.terminal_returns)  # of all players together
    weights = np.column_stack([tree.chance, tree.chance[:, None] * returns])
    return sequence[new], np.add.reduceat(weights[order], new)


def _check(tree: GameTree, sequence: np.ndarray, weights: np.ndarray) -> None:
    """Raises `SymmetryError` if moving on by a seat changes the game, that is, the rows of
    `_merged`, with sequences numbered like player 0's."""
    moved = np.roll(sequence, 1, axis=1)
    moved_weights = np.column_stack([weights[:, 0], np.roll(weights[:, 1:], 1, axis=1)])
    here, there = np.lexsort(sequence.T), np.lexsort(moved.T)
    apart = np.abs(weights[here] - moved_weights[there]).max()
    if not np.array_equal(sequence[here], moved[there]) or apart > TOLERANCE:
        raise _seats_differ(tree)


def _matched(tree: GameTree, player: int, colours: Sequence[np.ndarray]) -> np.ndarray:
    """For each info state of a player, the corresponding one of player 0, int64 `[I]`."""
    first, own = tree.players[0], tree.players[player]
    order_there, order = (
        # Entries that name the seat are the same within a player, so they do not change the order.
        np.lexsort([*np.asarray(player_tree.observation).T[::-1], colours[p]])
        for p, player_tree in ((0, first), (player, own))
    )
    number = np.empty(len(order), np.int64)
    number[order] = order_there
    counts, counts_there = np.diff(own.first_sequence), np.diff(first.first_sequence)[number]
    there = _renumbered(first, own, number)
    if not (
        np.array_equal(colours[player][order], colours[0][order_there])
        and np.array_equal(counts, counts_there)
        and np.array_equal(own.action, first.action[there])
        and np.array_equal(there[own.parent], first.parent[number])
    ):
        raise SymmetryError(
            f"{tree.name} is not symmetric, or no symmetry was found: player {player} has other "
            "choices than player 0, or earns something else by them"
        )
    return number


def _renumbered(first: PlayerTree, player: PlayerTree, number: np.ndarray) -> np.ndarray:
    """For each sequence of a player, the corresponding one of player 0, int32 `[S]`: the k-th
    action of an info state corresponds to the k-th."""
    owner = player.info_state[1:]
    rank = np.arange(1, player.num_sequences) - player.first_sequence[owner]
    return np.append(0, first.first_sequence[number[owner]] + rank).astype(np.int32)


def _colours(tree: GameTree, sequence: np.ndarray, weights: np.ndarray) -> list[np.ndarray]:
    """A colour for each info state of each player, uint64 `[I]`. Info states of different colours
    do not correspond.

    An info state's colour depends on its legal actions, on the path to it, and on what ends below
    it: chance, returns, and the colours of the others' sequences, in the order of their seats after
    the player. Colours are refined until their number stays the same.
    """
    players = tree.players
    # At worst, rounding separates equal weights: then no numbering is found.
    weights = np.round(weights / TOLERANCE).astype(np.int64)
    ends = [_mix(weights[:, 0], weights[:, 1 + p]) for p in range(tree.num_players)]
    states = [
        _mix(
            np.repeat(np.arange(player.num_levels), np.diff(player.level_start)),
            _added(player.info_state[1:], _mix(player.action[1:]), player.num_info_states),
        )
        for player in players
    ]
    kinds = 0
    while True:
        num_colours = len(np.unique(np.concatenate(states)))
        if num_colours == kinds:
            return states
        kinds = num_colours
        sequences = [
            np.append(np.uint64(0), _mix(own[player.info_state[1:]], player.action[1:]))
            for player, own in zip(players, states, strict=True)
        ]
        seats = [
            _mix(end, own[sequence[:, p]])
            for p, (end, own) in enumerate(zip(ends, sequences, strict=True))
        ]
        states = [
            _refined(
                player,
                states[p],
                _added(sequence[:, p], _mix(*seats[p:], *seats[:p]), player.num_sequences),
            )
            for p, player in enumerate(players)
        ]


def _refined(player: PlayerTree, states: np.ndarray, below: np.ndarray) -> np.ndarray:
    """New colours of info states `[I]`, from the old ones and the colours of what ends at each
    sequence, `[S]`."""
    rows = list(zip(player.level_start[:-1], player.level_start[1:], strict=True))
    below, new = below.copy(), states.copy()
    for first, last in reversed(rows):
        slots = slice(player.first_sequence[first], player.first_sequence[last])
        ending = _mix(player.action[slots], below[slots])
        total = _added(player.info_state[slots] - first, ending, last - first)
        new[first:last] = _mix(new[first:last], total)
        below += _added(player.parent[first:last], _mix(new[first:last]), len(below))
    for first, last in rows[1:]:  # from the root down: the path to each info state
        above = new[player.parent_info_state[first:last]]
        new[first:last] = _mix(new[first:last], above, player.previous_action[first:last])
    return new


def _added(at: np.ndarray, colours: np.ndarray, size: int) -> np.ndarray:
    """Sums of colours by index, uint64 `[size]`. A sum does not depend on the order."""
    total = np.zeros(size, np.uint64)
    np.add.at(total, at, colours)
    return total


def _mix(*columns: np.ndarray) -> np.ndarray:
    """A colour for each row of columns of integers, by SplitMix64 (Steele et al. 2014)."""
    mixed = np.zeros(len(columns[0]), np.uint64)
    for column in columns:
        mixed = (mixed ^ column.astype(np.int64, copy=False).view(np.uint64)) + np.uint64(
            0x9E3779B97F4A7C15
        )
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return mixed


def _reordered(items: Sequence, number: np.ndarray) -> Sequence:
    """A player's items, in the order of the corresponding ones of player 0."""
    some = (items[i] for i in np.argsort(number))
    return Texts.of(some, items.kind) if isinstance(items, Texts) else tuple(some)
