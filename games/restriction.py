"""The part of a tree that remains when players may use only some of their actions.

A *mask* says which of one player's sequences are allowed, bool `[S]`; entry 0 is True. Entries at
info states that the player's own allowed actions cannot reach have no effect.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from games.errors import GameError
from games.player_tree import PlayerTree

if TYPE_CHECKING:
    from games.tree import GameTree


class MaskError(GameError):
    """A mask has a wrong shape, or leaves a player no action; one sentence says which."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """The smaller game that remains of a whole game, with S' sequences and I' info states.

    Attributes:
        tree: the smaller game.
        sequences: for each player, the numbers of its sequences in the whole game, int64 `[S'_p]`.
        info_states: for each player, the numbers of its info states there, int64 `[I'_p]`.
    """

    tree: GameTree
    sequences: tuple[np.ndarray, ...]
    info_states: tuple[np.ndarray, ...]


def check(tree: GameTree, masks: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    """Copies of the masks, entry 0 True; raises `MaskError` for other shapes."""
    if len(masks) != tree.num_players:
        raise MaskError(
            f"{tree.name} has {tree.num_players} players, and there are {len(masks)} masks"
        )
    return tuple(_checked(player, mask) for player, mask in zip(tree.players, masks, strict=True))


def restricted(tree: GameTree, masks: Sequence[np.ndarray]) -> Part:
    """`GameTree.restrict`."""
    masks = check(tree, masks)
    decisions, slots, terminals, max_length = _reachable(tree, masks)
    seat = tree.decision_player[decisions]
    info_state, num_children = np.empty((2, len(decisions)), np.int32)
    sequence = np.empty((len(terminals), tree.num_players), np.int32)
    kept = []
    for p, player in enumerate(tree.players):
        is_players = seat == p
        reached = tree.decision_info_state[decisions[is_players]]
        smaller, sequences, info_states = _restricted_player(player, masks[p], reached)
        place = np.searchsorted(info_states, reached)
        info_state[is_players], num_children[is_players] = (
            place,
            np.diff(smaller.first_sequence)[place],
        )
        sequence[:, p] = np.searchsorted(sequences, tree.sequence[terminals, p])
        kept.append((smaller, sequences, info_states))
    nodes = np.concatenate([decisions, tree.num_decisions + terminals])
    first, last = tree.first_outcome[slots], tree.first_outcome[slots + 1]
    outcomes = _ranges(first, last)
    players, sequences, info_states = zip(*kept, strict=True)
    return Part(
        tree=dataclasses.replace(
            tree,
            num_histories=len(nodes),
            max_length=max_length,
            players=players,
            chance=tree.chance[terminals],
            terminal_returns=tree.terminal_returns[terminals],
            sequence=sequence,
            decision_player=seat,
            decision_info_state=info_state,
            first_slot=(1 + np.cumsum(num_children) - num_children).astype(np.int32),
            first_outcome=np.concatenate([[0], np.cumsum(last - first)]).astype(np.int32),
            outcome_node=np.searchsorted(nodes, tree.outcome_node[outcomes]).astype(np.int32),
            outcome_probability=tree.outcome_probability[outcomes],
        ),
        sequences=sequences,
        info_states=info_states,
    )


class _Some(Sequence):
    """Some items of a sequence, looked up when they are read."""

    def __init__(self, items: Sequence, which: np.ndarray):
        self._items, self._which = items, which

    def __len__(self) -> int:
        return len(self._which)

    def __getitem__(self, index):
        return self._items[self._which[index]]


def _restricted_player(
    player: PlayerTree, mask: np.ndarray, reached: np.ndarray
) -> tuple[PlayerTree, np.ndarray, np.ndarray]:
    """A player with only the info states `reached`, which may repeat and are in any order. Also
    the numbers of the sequences and info states that remain, sorted."""
    inside = np.zeros(player.num_info_states + 1, bool)
    inside[reached] = True
    info_states = np.flatnonzero(inside)
    keep = mask & inside[player.info_state]  # sequence 0 has info state -1: the extra entry
    keep[0] = True
    sequences = np.flatnonzero(keep)
    place = np.cumsum(keep, dtype=np.int32) - 1  # of each sequence that is kept
    number = np.cumsum(inside, dtype=np.int32) - 1  # of each info state that is kept
    info_state, action = player.info_state[sequences], player.action[sequences]
    info_state[1:] = number[info_state[1:]]
    first = place[player.first_sequence[info_states] - 1] + 1
    return (
        PlayerTree(
            num_actions=player.num_actions,
            observation=player.observation[info_states],
            parent=place[player.parent[info_states]],
            first_sequence=np.append(first, len(sequences)).astype(np.int32),
            info_state=info_state,
            action=action,
            # Only the deepest levels can be empty; `unique` drops them.
            level_start=np.unique(np.searchsorted(info_states, player.level_start)).astype(
                np.int32
            ),
            names=_Some(player.names, info_states),
            keys=_Some(player.keys, info_states),
            action_names=player.action_names and _Some(player.action_names, sequences),
        ),
        sequences,
        info_states,
    )


def _reachable(
    tree: GameTree, masks: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """The decisions, slots and terminals that allowed actions reach, each sorted, and the most
    decisions on a path to a terminal. Breadth first, so that only what remains is visited."""
    all_decisions, all_slots, all_terminals = [], [np.zeros(1, np.int64)], []
    slots, depth = all_slots[0], 0
    while True:
        nodes = tree.outcome_node[
            _ranges(tree.first_outcome[slots], tree.first_outcome[slots + 1])
        ].astype(np.int64)
        all_terminals.append(nodes[nodes >= tree.num_decisions] - tree.num_decisions)
        decisions = nodes[nodes < tree.num_decisions]
        if not len(decisions):
            break
        seat, next_slots = tree.decision_player[decisions], []
        for p, player in enumerate(tree.players):
            at_player = decisions[seat == p]
            info_state = tree.decision_info_state[at_player]
            first, last = player.first_sequence[info_state], player.first_sequence[info_state + 1]
            may = masks[p][_ranges(first, last)]
            without = np.setdiff1d(info_state, np.repeat(info_state, last - first)[may])
            if len(without):
                raise MaskError(
                    f"the mask of player {p} leaves it no action at {player.names[without[0]]!r}, "
                    "which allowed actions lead to"
                )
            start = tree.first_slot[at_player]
            next_slots.append(_ranges(start, start + last - first)[may])
        slots, depth = np.concatenate(next_slots), depth + 1
        all_decisions.append(decisions)
        all_slots.append(slots)
    decisions, slots, terminals = (
        np.sort(np.concatenate([np.zeros(0, np.int64), *arrays]))
        for arrays in (all_decisions, all_slots, all_terminals)
    )
    return decisions, slots, terminals, depth


def _checked(player: PlayerTree, mask: np.ndarray) -> np.ndarray:
    mask = np.asarray(mask)
    if mask.dtype != bool or mask.shape != (player.num_sequences,):
        raise MaskError(
            f"a mask of type {mask.dtype} and shape {mask.shape} must be bool "
            f"[{player.num_sequences}]"
        )
    mask = mask.copy()
    mask[0] = True
    return mask


def _ranges(first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """`first[0], ..., last[0] - 1, first[1], ..., last[1] - 1, ...`, int64."""
    counts = (last - first).astype(np.int64)
    return np.repeat(first - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())
