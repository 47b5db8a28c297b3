"""The histories of a tree as OpenSpiel's states, and the names of outcomes in a game's file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from games.errors import GameError
from games.printing import printable
from games.readers.extensive import ExtensiveGame
from games.readers.sources import Extensive
from games.tree import GameTree


def positions(tree: GameTree) -> Iterator[tuple[Any, int]]:
    """All decisions and terminals, depth first: OpenSpiel's state, and the node's number, d for
    decision d and D + z for terminal z, as in `GameTree.outcome_node`.

    Raises:
        GameError: OpenSpiel has no such game.
    """
    waiting: list[tuple[Any, int]] = list(_after(tree, tree.openspiel().new_initial_state(), 0))
    while waiting:
        state, node = waiting.pop()
        yield state, node
        if node < tree.num_decisions:
            first = int(tree.first_slot[node])
            for rank, action in enumerate(state.legal_actions()):
                waiting += _after(tree, state.child(action), first + rank)


def _after(tree: GameTree, state: Any, slot: int) -> list[tuple[Any, int]]:
    """The states behind a slot, after chance. `games.readers.walk` numbers decisions and terminals
    in the order in which it meets them, chance's later outcomes first."""
    leaves, waiting = [], [state]
    while waiting:
        state = waiting.pop()
        if state.is_chance_node():
            waiting += [state.child(a) for a, share in state.chance_outcomes() if share > 0]
        else:
            leaves.append(state)
    outcomes = np.sort(tree.outcome_node[slice(*tree.first_outcome[slot : slot + 2])]).tolist()
    if len(outcomes) != len(leaves):
        raise GameError(f"OpenSpiel's game of {tree.name} has other histories than its tree")
    decisions = iter([node for node in outcomes if node < tree.num_decisions])
    ends = iter([node for node in outcomes if node >= tree.num_decisions])
    return [(leaf, next(ends if leaf.is_terminal() else decisions)) for leaf in leaves]


class Outcomes:
    """The names that a game's file gives to outcomes."""

    def __init__(self, tree: GameTree | None):
        self._tree, self._game = tree, None
        if tree is not None and isinstance(tree.source, Extensive) and any(_labels(tree.source)):
            self._game = ExtensiveGame(tree.source.form)

    def name(self, state: Any) -> str:
        """The name of the outcome at a terminal state of `GameTree.openspiel`; "" for none."""
        tree = self._tree
        if tree is None:
            return ""
        if tree.outcome_names is not None:  # of a table, whose states are profiles of actions
            profile = np.ravel_multi_index(
                state.history(), [own.num_sequences - 1 for own in tree.players]
            )
            return tree.outcome_names[int(profile)]
        if self._game is None:
            return ""
        own, before = self._game.new_initial_state(), tree.openspiel().new_initial_state()
        for action in state.history():
            own.apply_action(before.legal_actions().index(action))
            before.apply_action(action)
        return printable(_labels(tree.source)[own.place // len(tree.players)])


def _labels(source: Extensive) -> list[str]:
    return source.form.outcomes


def check_histories(tree: GameTree, most: int, what: str) -> None:
    """Raises `GameError` if a tree has more than `most` histories, too many for `what`."""
    if tree.num_histories > most:
        raise GameError(
            f"{tree.name} has {tree.num_histories:,} histories, and {what} holds at most {most:,}"
        )
