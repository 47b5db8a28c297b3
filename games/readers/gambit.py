"""Gambit's game files: extensive form (`.efg`) and strategic form (`.nfg`).

The formats are Gambit's ("Game representation formats" in its documentation). OpenSpiel's readers
know a part of them: no comment after the players, no payoffs at decisions, no outcome that was
defined before, no action without a name, and of `.nfg` only bare lists of payoffs. Here all of it
is read; an extensive game is then written down in the part that OpenSpiel reads.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator

import numpy as np

from games.tree import MAX_RETURN, GameError

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}]|[^\s{}",]+|"')  # commas are white space


def read_nfg(text: str) -> np.ndarray:
    """Payoffs `[P, A_0, ..., A_{P-1}]` of a `.nfg` file's text, float64.

    Raises:
        GameError: it is none; the sentence lacks the file's name.
    """
    tokens = _Tokens(text)
    tokens.header("NFG", "1")
    players = tokens.strings()
    tokens.expect("{")
    counts = []
    while not tokens.at("}"):
        counts.append(len(tokens.strings()) if tokens.at("{") else tokens.whole())
    tokens.expect("}")
    if tokens.at('"'):
        tokens.next()  # a comment
    if len(players) != len(counts) or len(players) < 2:
        raise GameError(f"{len(players)} players and {len(counts)} numbers of strategies")
    if min(counts) < 1:
        raise GameError(f"a player with {min(counts)} strategies")
    if tokens.at("{"):
        outcomes = [[0.0] * len(players)]
        tokens.expect("{")
        while not tokens.at("}"):
            tokens.expect("{")
            if tokens.at('"'):
                tokens.next()
            outcomes.append(tokens.payoffs(len(players)))
        tokens.expect("}")
        rows = tokens.rest(math.prod(counts), "outcomes")
        if not (np.equal(rows, np.floor(rows)) & (rows >= 0) & (rows < len(outcomes))).all():
            raise GameError(f"an outcome that is not one of the {len(outcomes) - 1} defined")
        flat = np.array(outcomes)[rows.astype(np.int64)]
    else:
        flat = tokens.rest(math.prod(counts) * len(players), "payoffs")
    # The first player's strategy runs fastest, and each profile has all players' payoffs.
    return np.ascontiguousarray(flat.reshape(*counts[::-1], len(players)).T)


@dataclasses.dataclass(kw_only=True)
class _Node:
    """A node of an extensive game, and how many of its children are still to come."""

    payoffs: list[float]  # collected on the way, its own included
    missing: int = 0


def openspiel_efg(text: str) -> str:
    """The game of a `.efg` file's text in the part of the format that OpenSpiel reads.

    Payoffs at decisions are added to the terminals below. Actions are called by their number, so
    that every info state's are the first few of one list; information sets keep their names and
    order, and are numbered from 1.

    Raises:
        GameError: it is no such file; the sentence lacks the file's name.
    """
    tokens = _Tokens(text)
    tokens.header("EFG", "2")
    num_players = len(tokens.strings())
    if num_players < 2:
        raise GameError(f"it has {num_players} player; a population needs opponents")
    if tokens.at('"'):
        tokens.next()  # a comment
    outcomes: dict[int, list[float]] = {0: [0.0] * num_players}
    known: dict[tuple[int, int], tuple[str, list[str], list[float]]] = {}
    nodes: list[tuple[str, int, int, str]] = []  # kind, player, information set, what follows
    stack = [_Node(payoffs=outcomes[0], missing=1)]
    while not tokens.done:
        kind = tokens.next()
        while stack and not stack[-1].missing:
            stack.pop()
        if not stack:
            raise GameError(f"{tokens.where}: a node after the game's last one")
        if kind not in ("c", "p", "t"):
            raise GameError(f"{tokens.where}: {kind!r} where a node (c, p or t) should begin")
        tokens.string()
        player, number = 0, 0
        if kind == "p":
            player = tokens.whole()
            if not 1 <= player <= num_players:
                raise GameError(f"{tokens.where}: player {player} of {num_players}")
        if kind != "t":
            number = tokens.whole()
            _information_set(tokens, known, player, number)
        outcome = tokens.whole()
        if tokens.at('"'):
            tokens.next()
        if tokens.at("{"):
            tokens.expect("{")
            outcomes[outcome] = tokens.payoffs(num_players)
        if outcome not in outcomes:
            raise GameError(f"{tokens.where}: outcome {outcome} has no payoffs")
        above = stack[-1]
        above.missing -= 1
        paid = [a + b for a, b in zip(above.payoffs, outcomes[outcome], strict=True)]
        if not all(abs(each) <= MAX_RETURN for each in paid):
            raise GameError(f"{tokens.where}: payoffs add up to more than {MAX_RETURN:g}")
        if kind == "t":
            nodes.append((kind, 0, 0, f'"" {{ {" ".join(map(repr, paid))} }}'))
            continue
        name, actions, probabilities = known[player, number]
        stack.append(_Node(payoffs=paid, missing=len(actions)))
        listed = " ".join(
            f'"{k + 1}" {probabilities[k]!r}' if kind == "c" else f'"{k + 1}"'
            for k in range(len(actions))
        )
        nodes.append((kind, player, number, f'"{name}" {{ {listed} }} 0'))
    if any(node.missing for node in stack):
        raise GameError("it ends in the middle of the game")
    place: dict[tuple[int, int], int] = {}
    for player in range(num_players + 1):
        own = sorted(number for p, number in known if p == player)
        place |= {(player, number): k + 1 for k, number in enumerate(own)}
    players = " ".join(f'"{p + 1}"' for p in range(num_players))
    lines = [f'EFG 2 R "" {{ {players} }}']
    for line, (kind, player, number, follows) in enumerate(nodes, start=1):
        if kind == "t":
            lines.append(f't "" {line} {follows}')  # every terminal an outcome of its own
        else:
            seat = f"{player} " if kind == "p" else ""
            lines.append(f'{kind} "" {seat}{place[player, number]} {follows}')
    return "\n".join([*lines, ""])


def _information_set(
    tokens: _Tokens,
    known: dict[tuple[int, int], tuple[str, list[str], list[float]]],
    player: int,
    number: int,
) -> None:
    """Reads name and actions (with probabilities if it is chance's, player 0) where they are
    given; they must be at the set's first node, and be the same at the others."""
    name = tokens.string() if tokens.at('"') else ""
    if not tokens.at("{"):
        if (player, number) not in known:
            raise GameError(f"{tokens.where}: information set {number} has no actions")
        return
    tokens.expect("{")
    actions, probabilities = [], []
    while not tokens.at("}"):
        actions.append(tokens.string())
        if player == 0:
            probabilities.append(tokens.number())
    tokens.expect("}")
    if not actions:
        raise GameError(f"{tokens.where}: information set {number} has no actions")
    if player == 0 and not (min(probabilities) >= 0 and abs(math.fsum(probabilities) - 1) < 1e-9):
        raise GameError(f"{tokens.where}: chance's probabilities sum to {sum(probabilities):.9g}")
    name = " ".join(name.replace("\\", "").replace('"', "'").split())
    before = known.setdefault((player, number), (name, actions, probabilities))
    if before[1:] != (actions, probabilities):
        raise GameError(f"{tokens.where}: information set {number} had other actions before")


class _Tokens:
    """A file's tokens one after another; what is not as it should be raises `GameError`."""

    def __init__(self, text: str):
        self._text = text
        self._tokens = _TOKEN.finditer(text)
        self._ahead: re.Match | None = next(self._tokens, None)
        self._last: re.Match | None = None

    @property
    def done(self) -> bool:
        return self._ahead is None

    @property
    def where(self) -> str:
        """The line of the last token."""
        last = self._last.start() if self._last else 0
        return f"line {self._text.count(chr(10), 0, last) + 1}"

    def at(self, beginning: str) -> bool:
        """Whether the next token begins so."""
        return self._ahead is not None and self._ahead.group().startswith(beginning)

    def next(self) -> str:
        if self._ahead is None:
            raise GameError("it ends too early")
        self._last, self._ahead = self._ahead, next(self._tokens, None)
        return self._last.group()

    def expect(self, token: str) -> None:
        found = self.next()
        if found != token:
            raise GameError(f"{self.where}: {found[:40]!r} where {token!r} should be")

    def string(self) -> str:
        found = self.next()
        if len(found) < 2 or found[0] != '"':
            raise GameError(f"{self.where}: {found[:40]!r} where a text in quotes should be")
        return found[1:-1]

    def strings(self) -> list[str]:
        """`{ "a" "b" }`"""
        self.expect("{")
        found = []
        while not self.at("}"):
            found.append(self.string())
        self.expect("}")
        return found

    def header(self, kind: str, version: str) -> None:
        if [self._next_or_none() for _ in range(2)] != [kind, version]:
            raise GameError(f"it does not begin with {kind} {version}")
        if self.next() not in ("R", "D"):  # rationals; D in old files
            raise GameError(f"it does not begin with {kind} {version} R")
        self.string()

    def _next_or_none(self) -> str | None:
        return None if self.done else self.next()

    def number(self) -> float:
        return self._number(self.next())

    def whole(self) -> int:
        found = self.next()
        if not re.fullmatch(r"[0-9]{1,9}", found):
            raise GameError(f"{self.where}: {found[:40]!r} where a whole number should be")
        return int(found)

    def payoffs(self, count: int) -> list[float]:
        """`1, 1/2 }`: what follows an opening brace."""
        found = []
        while not self.at("}"):
            found.append(self.number())
        self.expect("}")
        if len(found) != count:
            raise GameError(f"{self.where}: {len(found)} payoffs for {count} players")
        return found

    def rest(self, count: int, what: str) -> np.ndarray:
        """All numbers to the end, `[count]`."""
        found = np.fromiter(self._numbers(), np.float64)
        if len(found) != count:
            raise GameError(f"it has {len(found):,} {what}, and there should be {count:,}")
        return found

    def _numbers(self) -> Iterator[float]:
        while not self.done:
            yield self.number()

    def _number(self, token: str) -> float:
        above, bar, below = token.partition("/")
        try:
            value = float(above) / float(below) if bar else float(token)
        except (ValueError, ZeroDivisionError):
            value = math.nan
        if not abs(value) <= MAX_RETURN:
            raise GameError(f"{self.where}: {token[:40]!r} is not a number up to {MAX_RETURN:g}")
        return value
