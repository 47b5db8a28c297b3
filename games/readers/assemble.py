"""Makes a `GameTree` from the histories that `games.readers.walk` has visited. Info states are
sorted by level. Sequences and slots follow their order."""

from __future__ import annotations

import itertools

import numpy as np

from games.player_tree import PlayerTree
from games.readers.walk import InfoStates, Rules, Walked
from games.texts import Texts
from games.tree import GameTree, Source


def assemble(rules: Rules, walked: Walked, source: Source) -> GameTree:
    """The tree of the visited histories. `walked` is emptied on the way, so that its data are not
    in memory twice."""
    num_actions, max_length = rules.game.num_distinct_actions(), walked.max_length
    num_slots, num_players = walked.num_slots, len(walked.players)
    terminals, decisions = walked.terminal_records(), walked.decision_records()
    seats, info_states = decisions["player"].astype(np.int32), decisions["info_state"].copy()
    sequences, num_children = terminals["sequence"].copy(), np.zeros(len(seats), np.int32)
    players = []
    for seat in range(num_players):
        player, new_info_state, new_sequence = _player(rules, walked.players.pop(0), num_actions)
        moves = seats == seat
        info_states[moves] = new_info_state[info_states[moves]]
        num_children[moves] = np.diff(player.first_sequence)[info_states[moves]]
        sequences[:, seat] = new_sequence[sequences[:, seat]]
        players.append(player)
    chance, returns = terminals["reach"].copy(), terminals["returns"].copy()
    # Decisions, then terminals: each of them is an outcome of the slot that it comes from.
    slots = np.concatenate([decisions["slot"], terminals["slot"]])
    reach = np.concatenate([decisions["reach"], chance])
    del terminals, decisions
    owner = np.repeat(np.arange(len(seats), dtype=np.int32), num_children)  # of slot s + 1
    share = reach.copy()
    later = np.flatnonzero(slots)  # slot 0 has no owner
    share[later] /= reach[owner[slots[later] - 1]]
    del reach, owner, later
    order = np.argsort(slots, kind="stable").astype(np.int32)
    first_outcome = np.zeros(num_slots + 1, np.int32)
    np.cumsum(np.bincount(slots, minlength=num_slots), out=first_outcome[1:])
    return GameTree(
        name=rules.name,
        observation_kind=rules.observation,
        identity=rules.identity.name,
        num_actions=num_actions,
        num_histories=walked.num_histories,
        max_length=max_length,
        players=tuple(players),
        chance=chance,
        terminal_returns=returns,
        sequence=sequences,
        decision_player=seats,
        decision_info_state=info_states,
        first_slot=(1 + np.cumsum(num_children) - num_children).astype(np.int32),
        first_outcome=first_outcome,
        outcome_node=order,
        outcome_probability=share[order],
        source=source,
    )


def _player(
    rules: Rules, met: InfoStates, num_actions: int
) -> tuple[PlayerTree, np.ndarray, np.ndarray]:
    """The `PlayerTree`, and the new number of each info state and of each sequence. The index of
    `met` is emptied."""
    keys = list(met.index)
    met.index.clear()
    depth = np.asarray(met.depth)
    order = np.argsort(depth, kind="stable").astype(np.int32)  # new to old
    new_info_state = np.empty(len(order), np.int32)
    new_info_state[order] = np.arange(len(order), dtype=np.int32)
    first, action, new_sequence = _sequences(met, order)
    info_state = np.repeat(np.arange(len(order), dtype=np.int32), np.diff(first))
    parent = new_sequence[np.asarray(met.parent)[order]]
    names = Texts.of(map((met.names or keys).__getitem__, order), str)
    if rules.named_by is None:
        keys = names
    elif rules.identity.name == "tensor":
        keys = Texts.of(map(keys.__getitem__, order), bytes)
    else:  # a history
        keys = tuple((int(parent[new]), keys[old][1]) for new, old in enumerate(order))
    levels = int(depth.max()) + 1 if len(depth) else 0
    observation = met.observation().reshape(len(order), rules.observation_size)[order]
    player = PlayerTree(
        num_actions=num_actions,
        observation=observation,
        parent=parent,
        first_sequence=first,
        info_state=np.append(np.int32(-1), info_state),
        action=np.append(np.int32(-1), action),
        level_start=np.searchsorted(depth[order], np.arange(levels + 1)).astype(np.int32),
        names=names,
        keys=keys,
    )
    return player, new_info_state, new_sequence


def _sequences(met: InfoStates, order: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Numbers the sequences in the new order of the info states; `order [I]` lists their old
    numbers. Returns three int32 arrays: the first sequence of each info state `[I + 1]`, the action
    of each sequence but the empty one `[S - 1]`, and the new number of each old sequence `[S]`."""
    sets = list(met.legal_sets.values())
    number_of = {id(actions): number for number, actions in enumerate(sets)}
    set_of = np.fromiter((number_of[id(legal)] for legal in met.legal), np.int32, len(order))[order]
    sizes = np.fromiter(map(len, sets), np.int32, len(sets))
    counts = sizes[set_of]
    first = np.concatenate([[1], 1 + np.cumsum(counts)]).astype(np.int32)
    rank = np.arange(first[-1] - 1, dtype=np.int32) - np.repeat(first[:-1] - 1, counts)
    new_sequence = np.zeros(len(met.owner), np.int32)
    old_first = np.asarray(met.first_sequence)[order]
    new_sequence[np.repeat(old_first, counts) + rank] = np.arange(1, first[-1])
    actions = np.fromiter(itertools.chain.from_iterable(sets), np.int32, sizes.sum())
    starts = np.cumsum(sizes) - sizes
    return first, actions[np.repeat(starts[set_of], counts) + rank], new_sequence
