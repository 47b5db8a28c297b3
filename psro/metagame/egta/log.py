"""Logged matches: which strategies played, and what each seat earned."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from games.errors import MAX_RETURN
from games.printing import printable
from psro.errors import PsroError

if TYPE_CHECKING:
    import pandas as pd

MAX_BYTES = 1 << 30
"""Bytes of a log. A million matches of two players take some 40 MB."""
MAX_MATCHES = 5_000_000
MAX_PLAYERS = 10
MAX_STRATEGIES = 200
"""Most strategies of a seat."""
SEATS = ("auto", "roles", "symmetric")
_NAMES = ("strategy", "strategies", "agent", "policy", "player", "name", "team")
_PAYOFFS = ("payoff", "reward", "return", "score", "utility", "result")


class EgtaError(PsroError):
    """Logged matches of which no game can be made; one sentence says why."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class MatchLog:
    """M matches of P players.

    Attributes:
        source: where they come from, for readers.
        players: the seats' names.
        strategies: the strategies of each player, in alphabetical order; of a symmetric game those
            of all seats, once.
        played: each match's strategies by number, int `[M, P]`.
        payoffs: what each seat earned, float64 `[M, P]`.
        symmetric: whether seats do not matter: then `strategies` has one entry.
        chosen: how it was decided whether they do, in words.
    """

    source: str
    players: tuple[str, ...]
    strategies: tuple[tuple[str, ...], ...]
    played: np.ndarray
    payoffs: np.ndarray
    symmetric: bool
    chosen: str

    @property
    def num_players(self) -> int:
        return len(self.players)


def read_log(
    source: str | os.PathLike | pd.DataFrame,
    *,
    seats: str = "auto",
    strategies: Sequence[str] = (),
    payoffs: Sequence[str] = (),
) -> MatchLog:
    """The matches in a CSV file or a DataFrame, one row a match.

    Args:
        source: the file, or the frame.
        seats: `roles` (what seat a strategy has matters), `symmetric` (it does not), or `auto`:
            symmetric if seats are numbered, not named, and every seat has had every strategy.
        strategies: the columns of the strategies, a seat each. By default those that are called
            strategy, agent, policy, player, name or team, with the seat behind, such as
            `strategy_1`.
        payoffs: the columns of the payoffs in the order of seats. By default those that are called
            payoff, reward, return, score, utility or result, with the same seats behind.

    Raises:
        EgtaError: it cannot be read, or holds something else.
    """
    if seats not in SEATS:
        raise EgtaError(f"seats = {seats!r} must be one of {', '.join(SEATS)}")
    if isinstance(source, str | os.PathLike):
        name, (header, rows) = os.fspath(source), _read(Path(source))
    else:
        name, header = "matches", [str(column) for column in source.columns]
        rows = [list(row) for row in source.itertuples(index=False)]
    names, own, earned = _columns(name, header, strategies, payoffs)
    if not rows:
        raise EgtaError(f"{name} holds no match")
    if len(rows) > MAX_MATCHES:
        raise EgtaError(f"{name} holds {len(rows):,} matches, more than {MAX_MATCHES:,}")
    texts = [[_label(name, number, row[place]) for place in own] for number, row in enumerate(rows)]
    table = np.array(
        [
            [_number(name, number, header[place], row[place]) for place in earned]
            for number, row in enumerate(rows)
        ]
    )
    symmetric, chosen = _symmetric(names, texts, seats)
    known = [sorted({row[p] for row in texts}) for p in range(len(names))]
    if symmetric:
        known = [sorted(set().union(*known))]
    _check_strategies(name, known, [header[place] for place in own])
    places = [{label: k for k, label in enumerate(labels)} for labels in known]
    places = places * len(names) if symmetric else places
    played = np.array([[place[label] for place, label in zip(places, row, strict=True)]
                       for row in texts])  # fmt: skip
    return MatchLog(
        source=name,
        players=tuple(names),
        strategies=tuple(map(tuple, known)),
        played=played,
        payoffs=table,
        symmetric=symmetric,
        chosen=chosen,
    )


def _check_strategies(name: str, known: list[list[str]], columns: list[str]) -> None:
    """Raises EgtaError if a column has too many names to be one of strategies."""
    for p, labels in enumerate(known):
        if len(labels) > MAX_STRATEGIES:
            raise EgtaError(
                f"{name} has {len(labels):,} strategies in column {columns[p]!r}, more than "
                f"{MAX_STRATEGIES}; is it the column of strategies?"
            )


def _read(path: Path) -> tuple[list[str], list[list[str]]]:
    """The first line and the other lines of a CSV file, as cells."""
    try:
        if not path.is_file():
            raise EgtaError(f"cannot read {path}: there is no such file")
        if path.stat().st_size > MAX_BYTES:
            raise EgtaError(f"{path} is larger than {MAX_BYTES:,} bytes")
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise EgtaError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise EgtaError(f"{path} is no text in UTF-8") from None
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    try:
        lines = [row for row in csv.reader(io.StringIO(text), delimiter=separator) if any(row)]
    except csv.Error as error:
        raise EgtaError(f"{path} is no CSV file: {error}") from None
    if not lines:
        raise EgtaError(f"{path} is empty")
    header, *rows = lines
    header = [cell.strip() for cell in header]
    for number, row in enumerate(rows):
        if len(row) != len(header):
            raise EgtaError(
                f"{path}: match {number + 1} has {len(row)} cells, and the first line has "
                f"{len(header)}"
            )
    return header, rows


def _columns(
    name: str, header: list[str], strategies: Sequence[str], payoffs: Sequence[str]
) -> tuple[list[str], list[int], list[int]]:
    """The seats' names, and the columns of their strategies and of their payoffs."""
    if len(set(header)) < len(header):
        twice = next(column for column in header if header.count(column) > 1)
        raise EgtaError(f"{name} has two columns {printable(twice)[:80]!r}")
    if bool(strategies) != bool(payoffs):
        raise EgtaError("name the columns of strategies and those of payoffs, or neither")
    if strategies:
        if len(strategies) != len(payoffs):
            raise EgtaError(
                f"{len(strategies)} columns of strategies and {len(payoffs)} of payoffs"
            )
        for column in (*strategies, *payoffs):
            if column not in header:
                raise EgtaError(f"{name} has no column {column!r}; it has {_listed(header)}")
        seats = [str(number) for number in range(1, len(strategies) + 1)]
        own = [header.index(column) for column in strategies]
        earned = [header.index(column) for column in payoffs]
    else:
        kinds = [_seats_of(header, words) for words in (_NAMES, _PAYOFFS)]
        own_by_seat, earned_by_seat = kinds
        seats = sorted(own_by_seat.keys() & earned_by_seat.keys(), key=_natural)
        alone = own_by_seat.keys() ^ earned_by_seat.keys()
        if not seats or alone:
            hint = f", and seat {sorted(alone)[0]!r} has only one of them" if seats else ""
            raise EgtaError(
                f"{name} needs a column of strategies and one of payoffs for each seat, such as "
                f"strategy_1, strategy_2, payoff_1, payoff_2{hint}; it has {_listed(header)}"
            )
        own = [own_by_seat[seat] for seat in seats]
        earned = [earned_by_seat[seat] for seat in seats]
    if not 2 <= len(seats) <= MAX_PLAYERS:
        raise EgtaError(f"{name} has {len(seats)} seats; a match has 2 to {MAX_PLAYERS}")
    return [printable(s) if not s.isdigit() else f"player {s}" for s in seats], own, earned


def _seats_of(header: list[str], words: Sequence[str]) -> dict[str, int]:
    """The column of each seat, by what stands behind (or before) one of the words. The first word
    that any column has decides."""
    for word in words:
        seats = {}
        for place, column in enumerate(header):
            match = re.fullmatch(
                rf"(?:{word}[\s_.-]*(\w+)|(\w+?)[\s_.-]+{word})", column, re.IGNORECASE
            )
            if match:
                seats.setdefault((match[1] or match[2]).lower(), place)
        if seats:
            return seats
    return {}


def _natural(seat: str) -> tuple[int, str]:
    return (int(seat), "") if seat.isdecimal() and len(seat) < 10 else (1 << 40, seat)


def _listed(header: list[str]) -> str:
    shown = ", ".join(printable(column)[:40] for column in header[:8])
    return shown + (", ..." if len(header) > 8 else "")


def _label(name: str, number: int, cell: Any) -> str:
    label = printable(" ".join(str(cell).split()))[:80]
    if not label or cell is None or (isinstance(cell, float) and math.isnan(cell)):
        raise EgtaError(f"{name}: match {number + 1} names no strategy for a seat")
    return label


def _number(name: str, number: int, column: str, cell: Any) -> float:
    try:
        value = float(cell)
    except (TypeError, ValueError):
        value = math.nan
    if not abs(value) <= MAX_RETURN:
        shown = printable(str(cell))[:40]
        raise EgtaError(
            f"{name}: {printable(column)[:40]} of match {number + 1} is {shown!r}, which is not a "
            f"number up to {MAX_RETURN:g}"
        )
    return value


def _symmetric(names: list[str], texts: list[list[str]], seats: str) -> tuple[bool, str]:
    if seats != "auto":
        return seats == "symmetric", "as asked for"
    if any(not name.startswith("player ") for name in names):
        return False, "because seats have names"
    sets = [{row[p] for row in texts} for p in range(len(names))]
    if all(own == sets[0] for own in sets):
        return True, "because seats are numbered, and all have had the same strategies"
    return False, "because seats have had different strategies"
