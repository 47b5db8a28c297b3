"""The tree of a `.efg` file of any size and depth.

OpenSpiel reads such a file recursively, so a file with some 10,000 moves in a row ends the process.
It also lists every tensor entry of every history. So the tree is built from what
`games.readers.gambit` reads. It equals the tree of OpenSpiel's game in every number, because
earlier runs depend on it.
"""

from __future__ import annotations

import dataclasses
from array import array

import numpy as np

from games.errors import GameError
from games.marks import Marks
from games.readers import gambit
from games.readers.assemble import assemble
from games.readers.gambit import ExtensiveForm
from games.readers.identity import Identity
from games.readers.walk import CHANCE, TERMINAL, ImperfectRecall, Limit, Rules, walk
from games.tree import GameTree, Source


def extensive_tree(name: str, form: ExtensiveForm, source: Source, max_histories: int) -> GameTree:
    """The tree of a file's game, with the file's names.

    Raises:
        GameError: the game has imperfect recall, more than `max_histories` histories, or no
            decision.
    """
    game = ExtensiveGame(form)
    rules = Rules(
        name=name,
        game=game,
        observation="information_state",
        observation_size=3,
        identity=Identity("string", "information_state_string"),
        named_by=None,
    )
    try:
        walked = walk(rules, Limit(rules, max_histories))
    except ImperfectRecall as error:
        own = form.sets[game.keys.index(error.info_state)]
        raise GameError(f"{name!r} has imperfect recall: {own} {error.reason}") from None
    if not walked.decisions:
        raise GameError(f"nobody decides anything in {name!r}")
    tree = assemble(rules, walked, source)
    players = tuple(
        dataclasses.replace(
            player, observation=Marks(player.observation.astype(np.int32), game.num_marks)
        )
        for player in tree.players
    )
    return gambit.labelled(dataclasses.replace(tree, players=players), form)


class ExtensiveGame:
    """A file's game, with the methods of OpenSpiel's games that `walk` calls."""

    def __init__(self, form: ExtensiveForm):
        self.form, numbers = form, form.numbers()
        num_players = len(form.players)
        self.keys = [  # OpenSpiel's strings
            f"{own.player}-{own.player}-{number}-{gambit.openspiel_text(own.label)}"
            for own, number in zip(form.sets, numbers, strict=True)
        ]
        own = [(s.player, number) for s, number in zip(form.sets, numbers, strict=True)]
        # OpenSpiel's tensor: the player who asks, the player to move, and the information set.
        self.marks = [(p, num_players + 1 + p, 2 * num_players + number) for p, number in own]
        self.num_marks = 2 * num_players + 1 + max((n for p, n in own if p >= 0), default=0)
        self.children = array("i")
        self.first = array("i")
        """For each node, the place of its first child in `children`. For a terminal, the place of
        its payoffs."""
        self.depth = self._connect()
        """The largest number of moves on the way to a terminal, chance's included."""

    def num_players(self) -> int:
        return len(self.form.players)

    def num_distinct_actions(self) -> int:
        return max(len(s.actions) for s in self.form.sets if not s.is_chance)

    def new_initial_state(self) -> ExtensiveState:
        return ExtensiveState(self, 0)

    def _connect(self) -> int:
        form, num_children, paid = self.form, 0, 0
        sizes = [len(s.actions) for s in form.sets]
        for k in form.node_set:
            self.first.append(paid if k < 0 else num_children)
            num_children += 0 if k < 0 else sizes[k]
            paid += len(form.players) if k < 0 else 0
        self.children.frombytes(bytes(4 * num_children))
        depth, path = 0, []  # of each node above: its next child's place, and its children's end
        for node, k in enumerate(form.node_set):
            while path and path[-1][0] == path[-1][1]:
                path.pop()
            if path:
                self.children[path[-1][0]] = node
                path[-1][0] += 1
            if k >= 0:
                path.append([self.first[node], self.first[node] + sizes[k]])
                depth = max(depth, len(path))
        return depth


class ExtensiveState:
    """A node, with the methods of an OpenSpiel state that `walk` and `Probes` call."""

    __slots__ = ("_game", "_node")

    def __init__(self, game: ExtensiveGame, node: int):
        self._game, self._node = game, node

    @property
    def set_number(self) -> int:
        """The place of its information set; -1 for a terminal."""
        return self._game.form.node_set[self._node]

    @property
    def place(self) -> int:
        """The place of the node's first child, or of a terminal's payoffs."""
        return self._game.first[self._node]

    def current_player(self) -> int:
        k = self._game.form.node_set[self._node]
        return TERMINAL if k < 0 else self._game.form.sets[k].player

    def is_terminal(self) -> bool:
        return self.current_player() == TERMINAL

    def is_chance_node(self) -> bool:
        return self.current_player() == CHANCE

    def legal_actions(self) -> list[int]:
        game = self._game
        return list(range(len(game.form.sets[game.form.node_set[self._node]].actions)))

    def chance_outcomes(self) -> list[tuple[int, float]]:
        form = self._game.form
        return list(enumerate(form.sets[form.node_set[self._node]].probabilities))

    def information_state_string(self, player: int) -> str:
        return self._game.keys[self._game.form.node_set[self._node]]

    def information_state_tensor(self, player: int) -> tuple[int, int, int]:
        """The places where OpenSpiel's tensor is 1; it is 0 elsewhere."""
        return self._game.marks[self._game.form.node_set[self._node]]

    def returns(self) -> array:
        game = self._game
        first = game.first[self._node]
        return game.form.payoffs[first : first + len(game.form.players)]

    def child(self, action: int) -> ExtensiveState:
        game = self._game
        return ExtensiveState(game, game.children[game.first[self._node] + action])

    def apply_action(self, action: int) -> None:
        self._node = self._game.children[self._game.first[self._node] + action]
