"""Visits all histories of a game, depth first; `games.readers.assemble` makes a tree from them.

A game here is OpenSpiel's, or any object with the methods of it that are called here.
"""

from __future__ import annotations

import dataclasses
import os
import struct
import time
from array import array
from collections.abc import Hashable, Sequence
from operator import methodcaller
from typing import Any

import numpy as np

from games.errors import GameError
from games.readers.identity import Identity
from games.readers.probes import Probes

TERMINAL, CHANCE = -4, -1
"""OpenSpiel's codes of the player to move at nodes where no player moves."""

_PROBE_AFTER = 1_000  # histories seen before the size of the rest is first estimated
_PROBING = 0.03  # nodes made by probes per history seen: a few hundredths of the time,
_PROBING_DOUBTED = 0.3  # and where they say that the game is too large
_PEAK_BYTES, _PEAK_BYTES_INFO_STATE = 100, 220  # while enumerating, per history and info state
_OBSERVED_AT_ONCE = 1 << 22  # bytes of observations that are held as float32 before they are packed


class ImperfectRecall(Exception):
    """Two histories of one info state differ in their player's parent sequence or legal actions."""

    def __init__(self, info_state: object, reason: str):
        super().__init__(info_state, reason)
        self.info_state = info_state
        self.reason = reason


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rules:
    """A game, and what its states are asked.

    Attributes:
        name: for messages.
        game: OpenSpiel's, or one with its methods.
        observation: the tensor that is a policy's input, one of `games.OBSERVATIONS`.
        observation_size: its entries.
        identity: how info states are told apart.
        named_by: the method that names an info state; None if the key is the name.
    """

    name: str
    game: Any
    observation: str
    observation_size: int
    identity: Identity
    named_by: str | None


class InfoStates:
    """One player's info states in the order in which they are met; a parent is met before."""

    def __init__(self, rules: Rules, player: int):
        self.index: dict[Hashable, int] = {}
        self.names: list[str] = []  # none where they are the keys
        self.parent = array("i")
        self.depth = array("i")
        self.first_sequence = array("i")
        self.owner = array("i", [-1])  # the info state of each sequence
        self.legal: list[list[int]] = []  # equal ones are one list
        self.legal_sets: dict[tuple[int, ...], list[int]] = {}
        self._observe = methodcaller(f"{rules.observation}_tensor", player)
        self._describe = rules.named_by and methodcaller(rules.named_by, player)
        self._floats = struct.Struct(f"{rules.observation_size}f").pack  # faster than `array`
        self._observation = bytearray()
        self._observations: list[np.ndarray] = []  # what `_observation` held before

    def add(self, key: Hashable, state: Any, legal: list[int], parent: int) -> int:
        """Adds a new info state, of which `state` is the first history. Returns its number."""
        number = len(self.parent)
        self.index[key] = number
        if self._describe:
            self.names.append(self._describe(state))
        self._observation += self._floats(*self._observe(state))
        if len(self._observation) >= _OBSERVED_AT_ONCE:
            self._pack()
        self.legal.append(self.legal_sets.setdefault(tuple(legal), list(legal)))
        self.parent.append(parent)
        before = self.owner[parent]
        self.depth.append(0 if before < 0 else self.depth[before] + 1)
        self.first_sequence.append(len(self.owner))
        self.owner.fromlist([number] * len(legal))
        return number

    def observation(self) -> np.ndarray:
        """All observations, end to end."""
        self._pack()
        return np.concatenate(self._observations)

    def clash(self, number: int, parent: int) -> ImperfectRecall:
        """The error for a history in info state `number` that differs from the first one there."""
        name = self.names[number] if self.names else list(self.index)[number]
        if self.parent[number] != parent:
            return ImperfectRecall(name, "has more than one parent sequence")
        return ImperfectRecall(name, "has differing legal actions")

    def _pack(self) -> None:
        """As int8 where that loses nothing."""
        seen = np.frombuffer(self._observation, np.float32)
        if not seen.size or (np.abs(seen).max() <= 127 and (seen == np.rint(seen)).all()):
            seen = seen.astype(np.int8)
        self._observations.append(seen)
        self._observation = bytearray()


class Walked:
    """All histories, depth first, as records: where each terminal and decision comes from (`slot`,
    see `GameTree`; chance's `reach`), and what is there.

    Attributes:
        players: each player's info states.
        terminals: packed records of slot, reach, `[P]` returns and everybody's last `[P]` sequence.
        decisions: packed records of slot, reach, player and info state.
        num_slots: of all decisions, and one.
        num_histories: chance nodes and terminals included.
        max_length: the most decisions of all players on the way to a terminal.
    """

    def __init__(self, rules: Rules):
        num_players = rules.game.num_players()
        self.players = [InfoStates(rules, player) for player in range(num_players)]
        self.terminals, self.decisions = bytearray(), bytearray()
        self.num_slots, self.num_histories, self.max_length = 1, 0, 0
        self.pack_terminal = struct.Struct(f"=id{num_players}d{num_players}i").pack
        self.pack_decision = struct.Struct("=idbi").pack

    def terminal_records(self) -> np.ndarray:
        """As an array; they are let go."""
        shape = (len(self.players),)
        fields = [("slot", "=i4"), ("reach", "=f8"), ("returns", "=f8", shape)]
        records = np.frombuffer(self.terminals, np.dtype([*fields, ("sequence", "=i4", shape)]))
        self.terminals = bytearray()
        return records

    def decision_records(self) -> np.ndarray:
        """As an array; they are let go."""
        fields = [("slot", "=i4"), ("reach", "=f8"), ("player", "=i1"), ("info_state", "=i4")]
        records = np.frombuffer(self.decisions, np.dtype(fields))
        self.decisions = bytearray()
        return records


class Limit:
    """Refuses a game that is too large, long before all of it has been seen.

    Args:
        rules: the game.
        max_histories: that it may have; fewer where memory holds no more.
    """

    def __init__(self, rules: Rules, max_histories: int):
        self._name, self._size = rules.name, rules.observation_size
        self._memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        self._most = min(max_histories, self._memory // _PEAK_BYTES)
        self._set_by = "--max-histories" if self._most == max_histories else "memory"
        self._probes = Probes(rules.game, self._most)
        self._started = time.perf_counter()
        self.next_check = min(_PROBE_AFTER, self._most + 1)
        """After how many histories `check` is to be called again."""

    def check(self, num_histories: int, players: Sequence[InfoStates]) -> int:
        """Raises `GameError` where it is clear that the rest is too much; returns `next_check`."""
        spent, probes = time.perf_counter() - self._started, self._probes
        probes.probe()
        share = _PROBING if probes.mean <= self._most else _PROBING_DOUBTED
        while probes.steps < share * num_histories and not probes.hopeless:
            probes.probe()
        self._started = time.perf_counter() - spent  # the probes' own time does not count
        info_states = sum(len(of_player.index) for of_player in players) / num_histories
        num_bytes = _PEAK_BYTES + info_states * (_PEAK_BYTES_INFO_STATE + self._size)
        if 2 * num_histories * num_bytes > self._memory:  # at the next check it would be too late
            raise GameError(
                f"{self._name!r} is too large for {self._memory / 2**30:.0f} GiB of memory: "
                f"{num_histories:,} histories were seen, and "
                f"{probes.sentence(spent / num_histories, num_bytes)}"
            )
        if num_histories > self._most or probes.hopeless:
            raise GameError(
                f"{self._name!r} is too large to enumerate: {num_histories:,} histories were seen, "
                f"{probes.sentence(spent / num_histories, num_bytes)}, and the limit is "
                f"{self._most:,} ({self._set_by})"
            )
        self.next_check = min(2 * self.next_check, self._most + 1)
        return self.next_check


def walk(rules: Rules, limit: Limit) -> Walked:
    """Depth first over all histories, an action of a higher number before one of a lower.

    Raises `GameError` for a game that is too large, and `ImperfectRecall`."""
    walked, by_history = Walked(rules), rules.identity.by_history
    keys = [rules.identity.question(player) for player in range(len(walked.players))]
    players, terminals, decisions = walked.players, walked.terminals, walked.decisions
    pack_terminal, pack_decision = walked.pack_terminal, walked.pack_decision
    at = [0] * len(players)  # every player's last sequence on the way to where we are
    # That node: what is left to play there, the player to move, its sequence before and the first
    # of its own, the first slot, chance's reach and the number of decisions; above it, `path`.
    state, actions, player, parent, first, first_slot, here, length = None, [], -1, 0, 0, 0, 1.0, 0
    path: list[tuple] = []
    child, slot, reach = rules.game.new_initial_state(), 0, 1.0
    num_histories, num_slots, max_length, check = 0, 1, 0, limit.next_check
    while True:
        num_histories += 1
        if num_histories == check:
            check = limit.check(num_histories, players)
        mover = child.current_player()
        if mover == TERMINAL:
            terminals += pack_terminal(slot, reach, *child.returns(), *at)
        else:
            path.append((state, actions, player, parent, first, first_slot, here, length))
            state, player, here = child, mover, reach
            if player >= 0:
                own, parent, actions = players[player], at[player], state.legal_actions()
                key = keys[player](state)
                if by_history:
                    key = (parent, key)
                number = own.index.get(key)
                if number is None:
                    number = own.add(key, state, actions, parent)
                elif own.parent[number] != parent or own.legal[number] != actions:
                    raise own.clash(number, parent)
                decisions += pack_decision(slot, here, player, number)
                first, first_slot = own.first_sequence[number], num_slots
                num_slots += len(actions)
                length += 1
                max_length = length if length > max_length else max_length
            else:
                actions, first_slot = _chance(rules, state), slot
        while not actions:  # every child was seen: back to the node above
            if player >= 0:
                at[player] = parent
            if not path:
                walked.num_histories, walked.num_slots = num_histories, num_slots
                walked.max_length = max_length
                return walked
            state, actions, player, parent, first, first_slot, here, length = path.pop()
        action = actions.pop()
        if player >= 0:
            slot, reach = first_slot + len(actions), here
            at[player] = first + len(actions)
        else:
            action, share = action
            slot, reach = first_slot, here * share
        child = state.child(action) if actions else _after(state, action)


def _chance(rules: Rules, state: Any) -> list[tuple[int, float]]:
    """What chance may play, and how likely."""
    if state.current_player() != CHANCE:
        kind = state.current_player()
        raise GameError(f"{rules.name!r} has a node of kind {kind}, which no tree can hold")
    return [outcome for outcome in state.chance_outcomes() if outcome[1] > 0]


def _after(state: Any, action: int) -> Any:
    """`state.child(action)` of a state that nobody needs any more."""
    state.apply_action(action)
    return state
