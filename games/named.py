"""A game's players, info states and actions by their names, as texts for tables and files."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np

import games
from games.readers.labels import distinct
from games.tree import GameTree
from games.writers.gambit import one_line


@dataclasses.dataclass(frozen=True, eq=False)
class Named:
    """A game with names that are printable and different from each other."""

    tree: GameTree

    @functools.cached_property
    def players(self) -> tuple[str, ...]:
        """All players' names."""
        return tuple(one_line(self.tree.player_name(p)) for p in range(self.tree.num_players))

    @functools.cached_property
    def actions(self) -> list[list[str]]:
        """Each sequence's action, `[P][S_p]`."""
        return [list(map(one_line, own)) for own in games.action_names(self.tree)]

    @functools.cached_property
    def info_states(self) -> list[tuple[str, ...]]:
        """Each info state, `[P][I_p]`."""
        return [
            distinct(
                list(map(one_line, own.names)),
                [f"info state {i}" for i in range(own.num_info_states)],
            )
            for own in self.tree.players
        ]

    @functools.cached_property
    def is_one_shot(self) -> bool:
        """Whether everybody decides once: then info states need no names."""
        return all(own.num_info_states <= 1 for own in self.tree.players)

    def strategy(self, player: int, plan: np.ndarray) -> str:
        """A reduced pure strategy, from its plan `[S]`: its actions at the info states that it does
        not rule out, in order, with `*` for the others, such as `Bet/Pass/*`."""
        own = self.tree.players[player]
        words = []
        for info_state in range(own.num_info_states):
            first, end = own.first_sequence[info_state : info_state + 2]
            played = np.flatnonzero(plan[first:end])
            words.append(self.actions[player][first + played[0]] if len(played) else "*")
        return "/".join(words)

    def by_name(self, values: Sequence[np.ndarray]) -> dict:
        """Numbers of actions `[S_p]`, as `{player: {info state: {action: number}}}`; in a one-shot
        game `{player: {action: number}}`."""
        result = {}
        for p, own in enumerate(self.tree.players):
            states = {}
            for i, name in enumerate(self.info_states[p]):
                first, end = own.first_sequence[i : i + 2]
                states[name] = dict(
                    zip(self.actions[p][first:end], list(values[p][first:end]), strict=True)
                )
            if self.is_one_shot:
                states = next(iter(states.values()), {})
            result[self.players[p]] = states
        return result
