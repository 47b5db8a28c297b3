"""Gambit's game files: extensive form (`.efg`) and strategic form (`.nfg`).

The formats are Gambit's ("Game representation formats" in its documentation). OpenSpiel reads only
a part of them: no comment after the players, no payoffs at decisions, no outcome that was defined
before, no action without a name, and of `.nfg` only bare lists of payoffs. This module reads all of
it. It then writes an extensive game in the part that OpenSpiel reads.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from array import array

import numpy as np

from games.errors import MAX_RETURN, GameError
from games.printing import printable
from games.readers.labels import MAX_AXES, PayoffTable, action_names, distinct, player_names
from games.readers.tokens import QUOTED, Tokens
from games.texts import Texts
from games.tree import GameTree

CHANCE = -1
"""The player of chance's information sets."""


def read_player_names(text: str) -> tuple[str, ...]:
    """The players' names at the beginning of an `.efg` or `.nfg` file. Raises as `read_efg`."""
    tokens = Tokens(text)
    tokens.header("EFG 2" if tokens.at("EFG") else "NFG 1")
    return player_names(tokens.players())


def read_nfg(text: str) -> PayoffTable:
    """The payoffs in a `.nfg` file's text, with its names of players and strategies.

    Raises:
        GameError: it is not such a file. The sentence does not name the file.
    """
    tokens = Tokens(text)
    tokens.header("NFG 1")
    players = tokens.players()
    strategies = _strategies(tokens)
    counts = [own if isinstance(own, int) else len(own) for own in strategies]
    tokens.comment()
    if len(players) != len(counts):
        raise GameError(f"{len(players)} players and {len(counts)} numbers of strategies")
    if len(players) >= MAX_AXES:
        raise GameError(f"it has {len(players)} players; payoffs can be of up to {MAX_AXES - 1}")
    if min(counts) < 1:
        raise GameError(f"a player with {min(counts)} strategies")
    named: tuple[str, ...] | None = None
    if tokens.at("{"):
        names, outcomes = _outcomes(tokens, len(players))
        numbers = tokens.rest(math.prod(counts), "outcomes", int)
        if numbers.max() >= len(outcomes):
            raise GameError(
                f"outcome {numbers.max()} is not one of the {len(outcomes) - 1} that it defines"
            )
        flat = outcomes[numbers]
        if any(names):
            named = tuple(names[k] for k in numbers.reshape(counts[::-1]).T.ravel())
    else:
        flat = tokens.rest(math.prod(counts) * len(players), "payoffs", float)
    labels = [[""] * own if isinstance(own, int) else own for own in strategies]
    return PayoffTable(
        # The first player's strategy changes first, and each profile lists all players' payoffs.
        payoffs=np.ascontiguousarray(flat.reshape(*counts[::-1], len(players)).T),
        player_names=player_names(players),
        action_names=tuple(map(action_names, labels)) if any(map(any, labels)) else None,
        outcome_names=named,
    )


def _strategies(tokens: Tokens) -> list[list[str] | int]:
    """Every player's labels, or only their number if the file gives no labels."""
    tokens.expect("{")
    strategies = []
    while not tokens.at("}"):
        strategies.append(tokens.strings() if tokens.at("{") else tokens.whole())
    tokens.expect("}")
    return strategies


def _outcomes(tokens: Tokens, num_players: int) -> tuple[list[str], np.ndarray]:
    """Names `[N + 1]` and payoffs, float64 `[N + 1, P]`, of all outcomes. Outcome 0 means none and
    pays 0; the others are listed."""
    names, outcomes = [""], [[0.0] * num_players]
    tokens.expect("{")
    while not tokens.at("}"):
        tokens.expect("{")
        names.append(printable(tokens.string()) if tokens.at('"') else "")
        outcomes.append(tokens.payoffs(num_players))
    tokens.expect("}")
    return names, np.array(outcomes)


@dataclasses.dataclass(kw_only=True)
class InformationSet:
    """Nodes that the player to move cannot tell apart, or a set of chance's nodes.

    Attributes:
        player: counted from 0, or `CHANCE`.
        number: its number in the file, among the player's own.
        label: its label in the file, "" for none.
        actions: their labels in the file, in order.
        probabilities: of chance's actions; none for a player.
        line: the line of the file on which it first occurs.
    """

    player: int
    number: int
    label: str
    actions: list[str]
    probabilities: list[float]
    line: int

    @property
    def is_chance(self) -> bool:
        return self.player == CHANCE

    def __str__(self) -> str:
        label = f" {self.label[:QUOTED]!r}" if self.label else ""
        whose = "chance" if self.is_chance else f"player {self.player + 1}"
        return f"information set {self.number}{label} of {whose}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExtensiveForm:
    """The game in a `.efg` file.

    N nodes depth first: a node, then all below its first action, then all below its second. T of
    them are terminals. P players.

    Attributes:
        players: their labels in the file.
        sets: information sets, in the order in which they first occur.
        node_set: for each node, the place of its set in `sets`; -1 for a terminal, int32 `[N]`.
        payoffs: for each terminal, all payoffs on the way to it and its own, added up, player by
            player, float64 `[T * P]`.
        outcomes: for each terminal, the name of its outcome in the file, "" for none.
        title: the file's.
    """

    players: list[str]
    sets: list[InformationSet]
    node_set: array
    payoffs: array
    outcomes: list[str] = dataclasses.field(default_factory=list)
    title: str = ""

    def numbers(self) -> list[int]:
        """For each information set, its number among its player's own, counted from 1."""
        numbers = [0] * len(self.sets)
        for player in range(CHANCE, len(self.players)):
            own = sorted((s.number, k) for k, s in enumerate(self.sets) if s.player == player)
            for number, (_, k) in enumerate(own, start=1):
                numbers[k] = number
        return numbers


def read_efg(text: str) -> ExtensiveForm:
    """The game of a `.efg` file's text. Payoffs at decisions are added to the terminals below them.

    Raises:
        GameError: it is not such a file. The sentence does not name the file.
    """
    return _EfgReader(text).read()


@dataclasses.dataclass(kw_only=True)
class _Open:
    """A node with children that are still to be read."""

    paid: list[float]  # on the way to it, including its own payoffs
    missing: int


class _EfgReader:
    """Reads one file, node by node."""

    def __init__(self, text: str):
        self._tokens = Tokens(text)
        self._sets: dict[tuple[int, int], int] = {}  # the place of (player, number)
        self._outcomes: dict[int, tuple[str, list[float]]] = {}
        self._outcome = ""  # the name of the last node's
        self._form: ExtensiveForm

    def read(self) -> ExtensiveForm:
        tokens = self._tokens
        title = tokens.header("EFG 2")
        players = tokens.players()
        tokens.comment()
        form = self._form = ExtensiveForm(
            players=players, sets=[], node_set=array("i"), payoffs=array("d"), title=title
        )
        stack = [_Open(paid=[0.0] * len(players), missing=1)]
        while not tokens.done:
            kind = tokens.next()
            while stack and not stack[-1].missing:
                stack.pop()
            if not stack:
                raise tokens.error("a node after the game's last one")
            if kind not in ("c", "p", "t"):
                raise tokens.error(f"{kind[:QUOTED]!r} where a node (c, p or t) should begin")
            tokens.string()
            place = -1 if kind == "t" else self._information_set(kind)
            above = stack[-1]
            above.missing -= 1
            paid = self._paid(above.paid)
            form.node_set.append(place)
            if kind == "t":
                form.payoffs.extend(paid)
                form.outcomes.append(self._outcome)
            else:
                stack.append(_Open(paid=paid, missing=len(form.sets[place].actions)))
        if any(node.missing for node in stack):
            raise GameError("it ends in the middle of the game")
        return form

    def _information_set(self, kind: str) -> int:
        """The place of the set to which a decision or a chance node belongs.

        Its label, actions and probabilities must be given at the set's first node. They must be the
        same if they are given again.
        """
        tokens, sets = self._tokens, self._form.sets
        player = CHANCE
        if kind == "p":
            player = tokens.whole() - 1
            if not 0 <= player < len(self._form.players):
                raise tokens.error(
                    f"player {player + 1} of a game for {len(self._form.players)} players"
                )
        number = tokens.whole()
        label = tokens.string() if tokens.at('"') else ""
        place = self._sets.get((player, number))
        given = InformationSet(
            player=player, number=number, label=label, actions=[], probabilities=[],
            line=tokens.line,
        )  # fmt: skip
        if place is None or tokens.at("{"):
            self._actions(given)
        if place is None:
            self._sets[player, number] = len(sets)
            sets.append(given)
            return len(sets) - 1
        self._check_same(sets[place], given)
        return place

    def _actions(self, own: InformationSet) -> None:
        """Reads a set's actions, with their probabilities if they are chance's."""
        tokens = self._tokens
        if tokens.at("{"):
            tokens.expect("{")
            while not tokens.at("}"):
                own.actions.append(tokens.string())
                if own.is_chance:
                    own.probabilities.append(tokens.number())
                    if own.probabilities[-1] < 0:
                        raise tokens.error(
                            f"{own} plays {own.actions[-1][:QUOTED]!r} with probability "
                            f"{own.probabilities[-1]:.9g}, which is negative"
                        )
            tokens.expect("}")
        if not own.actions:
            raise tokens.error(f"{own} has no actions")
        total = math.fsum(own.probabilities)
        if own.is_chance and not abs(total - 1) < 1e-9:
            raise tokens.error(f"the probabilities of {own} sum to {total:.9g} and not to 1")

    def _check_same(self, before: InformationSet, given: InformationSet) -> None:
        """Raises `GameError` if a set is given again and differs. A label may be left out."""
        if before.label and given.label and before.label != given.label:
            raise self._tokens.error(
                f"{before} (line {before.line}) has another label here, {given.label[:QUOTED]!r}"
            )
        before.label = before.label or given.label
        for what in ("actions", "probabilities"):
            if given.actions and getattr(before, what) != getattr(given, what):
                raise self._tokens.error(f"{before} had other {what} before, on line {before.line}")

    def _paid(self, above: list[float]) -> list[float]:
        """Reads a node's outcome. Returns all players' payoffs on the way to the node, including
        this outcome's."""
        tokens, num_players = self._tokens, len(self._form.players)
        number = tokens.whole()
        label = tokens.string() if tokens.at('"') else ""
        if number == 0:
            self._outcome = ""
            if label or tokens.at("{"):
                raise tokens.error("outcome 0 means none, and has neither a name nor payoffs")
            return above
        before = self._outcomes.get(number)
        if tokens.at("{"):
            tokens.expect("{")
            payoffs = tokens.payoffs(num_players)
            if before and before[1] != payoffs:
                raise tokens.error(f"outcome {number} was defined before, with other payoffs")
        elif before is None:
            raise tokens.error(f"outcome {number} has no payoffs")
        else:
            payoffs = before[1]
        if before and label and before[0] and before[0] != label:
            raise tokens.error(
                f"outcome {number} was defined before, with another name, {before[0][:QUOTED]!r}"
            )
        self._outcome = (before and before[0]) or label
        self._outcomes[number] = self._outcome, payoffs
        paid = [a + b for a, b in zip(above, payoffs, strict=True)]
        if not all(abs(sum_) <= MAX_RETURN for sum_ in paid):
            raise tokens.error(f"payoffs add up to more than {MAX_RETURN:g}")
        return paid


def openspiel_efg(form: ExtensiveForm) -> str:
    """The game in the part of the format that OpenSpiel reads.

    Players' actions are named by their number, so that every info state's actions are the first few
    of one list. Chance's actions keep their names. Information sets keep their labels and order,
    and are numbered from 1.
    """
    numbers = form.numbers()
    set_lines = [_openspiel_set(*item) for item in zip(form.sets, numbers, strict=True)]
    players = " ".join(f'"{p + 1}"' for p in range(len(form.players)))
    lines = [f'EFG 2 R "" {{ {players} }}']
    payoffs = iter(form.payoffs)
    for line, k in enumerate(form.node_set, start=1):
        if k < 0:  # every terminal has an outcome of its own
            paid = " ".join(repr(next(payoffs)) for _ in form.players)
            lines.append(f't "" {line} "" {{ {paid} }}')
        else:
            lines.append(set_lines[k])
    return "\n".join([*lines, ""])


def _openspiel_set(own: InformationSet, number: int) -> str:
    """A node of the set, as a line."""
    if own.is_chance:
        chances = zip(action_names(own.actions), own.probabilities, strict=True)
        actions = " ".join(f'"{openspiel_text(name)}" {share!r}' for name, share in chances)
        return f'c "" {number} "{openspiel_text(own.label)}" {{ {actions} }} 0'
    actions = " ".join(f'"{k}"' for k in range(1, len(own.actions) + 1))
    return f'p "" {own.player + 1} {number} "{openspiel_text(own.label)}" {{ {actions} }} 0'


def openspiel_text(label: str) -> str:
    """A label without the characters that OpenSpiel's reader does not expect between quotes."""
    return printable(label).replace("\\", "").replace('"', "'")


def labelled(tree: GameTree, form: ExtensiveForm) -> GameTree:
    """The tree of `form`, with the file's names of players, info states and actions. In `tree`,
    info states still have OpenSpiel's names."""
    players = []
    for seat, player in enumerate(tree.players):
        own = sorted((s for s in form.sets if s.player == seat), key=lambda s: s.number)
        names = distinct([s.label for s in own], [f"information set {s.number}" for s in own])
        actions = [action_names(s.actions) for s in own]
        # OpenSpiel's strings are the player twice, the number of the set and its label.
        places = [int(name.split("-")[2]) - 1 for name in player.names]
        players.append(
            dataclasses.replace(
                player,
                names=Texts.of((names[k] for k in places), str),
                action_names=Texts.of(itertools.chain([""], *(actions[k] for k in places)), str),
            )
        )
    return dataclasses.replace(
        tree, players=tuple(players), player_names=player_names(form.players)
    )
