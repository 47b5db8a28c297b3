"""A small game node by node, with the names of its file: to draw it, to write it, and to say which
histories a player takes for possible."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from games.errors import GameError
from games.printing import printable
from games.readers.extensive import ExtensiveGame, ExtensiveState
from games.readers.labels import action_names, distinct
from games.readers.sources import Extensive
from games.readers.walk import CHANCE, TERMINAL
from games.tree import GameTree

MAX_NODES = 100_000
"""The most nodes that are listed."""


@dataclasses.dataclass(kw_only=True)
class Node:
    """A history.

    Attributes:
        parent: the number of the node before; -1 for the root.
        move: the name of the action, or of chance's outcome, that leads here; "" for the root.
        probability: of chance's outcome that leads here; None after a player's action.
        children: numbers of the nodes after it, in the order of actions.
        decision: the number of the tree's decision; None at chance and at an end.
        terminal: the number of the tree's terminal; None elsewhere.
        outcome: the name of a terminal's outcome in the file, "" for none.
    """

    parent: int
    move: str = ""
    probability: float | None = None
    children: list[int] = dataclasses.field(default_factory=list)
    decision: int | None = None
    terminal: int | None = None
    outcome: str = ""

    @property
    def is_chance(self) -> bool:
        return self.decision is None and self.terminal is None


def nodes(tree: GameTree, most: int = MAX_NODES) -> list[Node]:
    """All nodes of a tree depth first, the root first.

    Raises:
        GameError: it has more than `most`.
    """
    if tree.num_histories > most:
        raise GameError(
            f"{tree.name} has {tree.num_histories:,} histories, and at most {most:,} are listed"
        )
    if tree.source is None:
        return _of_arrays(tree)
    result = _of_states(tree.source)
    _number(result)
    return result


def _of_arrays(tree: GameTree) -> list[Node]:
    """The nodes of a tree without a source. Chance's outcomes after one action are one event."""
    from games.readers.openspiel_policy import action_names as names_of

    names, result = names_of(tree), [Node(parent=-1)]
    waiting = [(0, 0)]  # a slot, and the node that it leads to
    while waiting:
        slot, place = waiting.pop()
        first, end = tree.first_outcome[slot : slot + 2].tolist()
        for outcome in range(first, end):
            own = place
            if end - first > 1:
                own = _add(result, place, str(1 + outcome - first))
                result[own].probability = float(tree.outcome_probability[outcome])
            node = int(tree.outcome_node[outcome])
            if node >= tree.num_decisions:
                result[own].terminal = node - tree.num_decisions
                if tree.outcome_names is not None:
                    result[own].outcome = tree.outcome_names[node - tree.num_decisions]
                continue
            result[own].decision = node
            player, info_state = tree.decision_player[node], tree.decision_info_state[node]
            starts = tree.players[player].first_sequence[info_state : info_state + 2].tolist()
            for k, s in enumerate(range(*starts)):
                waiting.append(
                    (int(tree.first_slot[node]) + k, _add(result, own, names[player][s]))
                )
    return result


def _add(result: list[Node], parent: int, move: str) -> int:
    result.append(Node(parent=parent, move=move))
    result[parent].children.append(len(result) - 1)
    return len(result) - 1


def _of_states(source: Any) -> list[Node]:
    """The nodes of a file's game, or of OpenSpiel's; decisions and terminals are marked by 0."""
    form = None
    if isinstance(source, Extensive):
        root, named = ExtensiveGame(source.form).new_initial_state(), _file_names(source)
        form = source.form
    else:
        root, named = source.openspiel().new_initial_state(), _openspiel_names
    result, waiting = [Node(parent=-1)], [(root, 0)]
    while waiting:
        state, place = waiting.pop()
        mover = state.current_player()
        if mover == TERMINAL:
            result[place].terminal = 0
            if form is not None:
                number = state.place // len(form.players)
                result[place].outcome = printable(form.outcomes[number])
            continue
        chances = dict(state.chance_outcomes()) if mover == CHANCE else {}
        actions = [a for a, share in chances.items() if share > 0] or state.legal_actions()
        names = named(state, actions)
        if mover != CHANCE:
            result[place].decision = 0
        for action, name in zip(actions, names, strict=True):
            child = _add(result, place, name)
            result[child].probability = chances.get(action)
            waiting.append((state.child(action), child))
    return result


def _openspiel_names(state: Any, actions: list[int]) -> list[str]:
    mover = state.current_player()
    labels = [state.action_to_string(mover, action) for action in actions]
    return list(distinct(labels, list(map(str, actions))))


def _file_names(source: Extensive) -> Callable[[ExtensiveState, list[int]], list[str]]:
    names = [action_names(own.actions) for own in source.form.sets]
    return lambda state, actions: [names[state.set_number][action] for action in actions]


def _number(result: list[Node]) -> None:
    """Gives decisions and terminals their numbers in the tree. `games.readers.walk` numbers them
    depth first, actions of higher numbers before those of lower ones."""
    decisions = terminals = 0
    waiting = [0]
    while waiting:
        node = result[waiting.pop()]
        if node.terminal is not None:
            node.terminal, terminals = terminals, terminals + 1
        elif node.decision is not None:
            node.decision, decisions = decisions, decisions + 1
        waiting += node.children  # the last is the next
