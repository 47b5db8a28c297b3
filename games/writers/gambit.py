"""Gambit's files: `.efg`, `.nfg`, and the lines that its programs print for a profile.

Numbers are written as the fractions that they stand for (`games.fractional`), because Gambit needs
probabilities that add up to 1 exactly. What is written can be read again by `games.load`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from games.fractional import fraction
from games.printing import printable
from games.readers.nodes import Node, nodes
from games.tree import GameTree


def one_line(text: str) -> str:
    """A text as Gambit's labels are: printable, with single spaces."""
    return printable(" ".join(text.split()))


def quoted(text: str) -> str:
    """A text between quotes."""
    escaped = one_line(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _block(texts: Iterable[str]) -> str:
    return f"{{ {' '.join(texts)} }}"


def efg(tree: GameTree) -> str:
    """The game as an `.efg` file, with its names of players, info states, actions and outcomes.
    Info states are numbered from 1, as the tree has them.

    Raises:
        GameError: it has too many nodes.
    """
    listed = nodes(tree)
    names = _Names(tree)
    players = _block(map(quoted, names.players))
    lines = [f"EFG 2 R {quoted(tree.name)} {players}", '""', ""]
    chance, ends, waiting = itertools.count(1), itertools.count(1), [0]
    while waiting:
        node = listed[waiting.pop()]
        if node.terminal is not None:
            paid = " ".join(str(fraction(value)) for value in tree.terminal_returns[node.terminal])
            lines.append(f't "" {next(ends)} {quoted(node.outcome)} {{ {paid} }}')
        elif node.is_chance:
            lines.append(_chance(listed, node, next(chance)))
        else:
            lines.append(_decision(tree, node, names))
        waiting += reversed(node.children)
    return "\n".join([*lines, ""])


class _Names:
    """A tree's names, which may be many."""

    def __init__(self, tree: GameTree):
        from games.readers.openspiel_policy import action_names

        self.players = [tree.player_name(p, begins=True) for p in range(tree.num_players)]
        self.actions = action_names(tree)


def _chance(listed: list[Node], node: Node, number: int) -> str:
    shares = [fraction(listed[child].probability) for child in node.children]
    total = sum(shares)
    outcomes = _block(
        f"{quoted(listed[child].move)} {share / total}"
        for child, share in zip(node.children, shares, strict=True)
    )
    return f'c "" {number} "" {outcomes} 0'


def _decision(tree: GameTree, node: Node, names: _Names) -> str:
    player = int(tree.decision_player[node.decision])
    info_state = int(tree.decision_info_state[node.decision])
    own = tree.players[player]
    first, end = own.first_sequence[info_state : info_state + 2]
    actions = _block(map(quoted, names.actions[player][first:end]))
    label = quoted(own.names[info_state])
    return f'p "" {player + 1} {info_state + 1} {label} {actions} 0'


def nfg(
    title: str,
    players: Sequence[str],
    strategies: Sequence[Sequence[str]],
    payoffs: np.ndarray,
) -> str:
    """A strategic form as an `.nfg` file.

    Args:
        title: the game's name.
        players: their names.
        strategies: each player's, `[P][K_p]`.
        payoffs: `[P, K_0, ..., K_{P-1}]`, floats or fractions.
    """
    # The first player's strategy changes first, and each profile lists all players' payoffs.
    flat = payoffs.T.reshape(-1, len(players))
    own = " ".join(_block(map(quoted, names)) for names in strategies)
    lines = [f"NFG 1 R {quoted(title)} {_block(map(quoted, players))}", f"{{ {own} }}", '""', ""]
    lines += [" ".join(_number(value) for value in profile) for profile in flat.tolist()]
    return "\n".join([*lines, ""])


def profile(behaviours: Sequence[Sequence[Any]]) -> str:
    """Action probabilities of all players `[S_p]`, floats or fractions, as Gambit's programs print
    them: in the order of players, their info states and actions."""
    return ",".join(["NE", *(_number(share) for own in behaviours for share in own[1:])])


def _number(value: float | Fraction) -> str:
    return str(value if isinstance(value, Fraction) else fraction(value))
