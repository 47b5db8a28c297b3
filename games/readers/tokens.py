"""The tokens of Gambit's files, and how a number is read in any text file."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from games.errors import MAX_RETURN, GameError

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}]|[^\s{}",]+|"', re.DOTALL)  # commas are white space
_DECIMAL = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_NUMBER = re.compile(rf"({_DECIMAL})(?:/({_DECIMAL}))?")
QUOTED = 40
"""Characters of a token that an error quotes."""


def number(text: str) -> float | None:
    """The value of a decimal (`-1.5e3`) or a ratio of two (`1/3`), in ASCII digits; None where the
    text is anything else, or no finite number."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    above, below = match.groups()
    try:
        value = float(above) / float(below) if below else float(above)
    except ZeroDivisionError:
        return None
    return value if abs(value) <= MAX_RETURN else None


def encoding(file: BinaryIO) -> str:
    """The encoding of a text, from its first bytes. The file is at its start again afterwards.

    Raises:
        GameError: it is not a text.
    """
    beginning = file.read(1 << 16)
    file.seek(0)
    if beginning.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if b"\0" in beginning:
        raise GameError(f"it is not a text: its byte {beginning.index(0) + 1} is 0")
    return "utf-8-sig"


def read_text(file: BinaryIO, most: int = -1) -> str:
    """A text, or its first `most` bytes. Raises as `encoding`."""
    kind = encoding(file)
    return file.read(most).decode(kind, errors="replace")


class Tokens:
    """A file's tokens, one after another. Anything unexpected raises `GameError`."""

    def __init__(self, text: str):
        self._text = text
        self._tokens = _TOKEN.finditer(text)
        self._ahead: re.Match | None = next(self._tokens, None)
        self._last: re.Match | None = None
        self._line, self._counted = 1, 0  # the line of the character `_counted`

    @property
    def done(self) -> bool:
        return self._ahead is None

    @property
    def line(self) -> int:
        """The line of the last token, counted from 1."""
        last = self._last.start() if self._last else 0
        self._line += self._text.count("\n", self._counted, last)
        self._counted = last
        return self._line

    def error(self, sentence: str) -> GameError:
        """An error at the last token."""
        return GameError(f"line {self.line}: {sentence}")

    def at(self, beginning: str) -> bool:
        """Whether the next token begins with `beginning`."""
        return self._ahead is not None and self._ahead.group().startswith(beginning)

    def next(self) -> str:
        if self._ahead is None:
            raise GameError("it ends too early")
        self._last, self._ahead = self._ahead, next(self._tokens, None)
        return self._last.group()

    def expect(self, token: str) -> None:
        given = self.next()
        if given != token:
            raise self.error(f"{given[:QUOTED]!r} where {token!r} should be")

    def string(self) -> str:
        """The text between two quotes, on one line."""
        given = self.next()
        if len(given) < 2 or given[0] != '"':
            raise self.error(f"{given[:QUOTED]!r} where a text in quotes should be")
        return " ".join(re.sub(r'\\(["\\])', r"\1", given[1:-1]).split())

    def strings(self) -> list[str]:
        """`{ "a" "b" }`"""
        self.expect("{")
        strings = []
        while not self.at("}"):
            strings.append(self.string())
        self.expect("}")
        return strings

    def header(self, kind: str) -> str:
        """The title of a file that begins with `kind`, R and a title, such as `EFG 2 R "title"`."""
        if [None if self.done else self.next() for _ in kind.split()] != kind.split():
            raise GameError(f"it does not begin with {kind}")
        if self.next() not in ("R", "D"):  # rationals; D in old files
            raise GameError(f"it does not begin with {kind} R")
        return self.string()

    def players(self) -> list[str]:
        """The names of two players or more."""
        players = self.strings()
        if len(players) < 2:
            number = f"{len(players)} player" + "s" * (len(players) != 1)
            raise GameError(f"it has {number}; a population needs opponents")
        return players

    def comment(self) -> None:
        """Skips a text in quotes, if there is one."""
        if self.at('"'):
            self.string()

    def whole(self) -> int:
        given = self.next()
        if not re.fullmatch(r"[0-9]{1,9}", given):
            raise self.error(f"{given[:QUOTED]!r} where a whole number should be")
        return int(given)

    def number(self) -> float:
        given = self.next()
        value = number(given)
        if value is None:
            raise self.error(f"{given[:QUOTED]!r} is not a number up to {MAX_RETURN:g}")
        return value

    def payoffs(self, count: int) -> list[float]:
        """The numbers after an opening brace, such as `1, 1/2 }`: one for each of `count`
        players."""
        payoffs = []
        while not self.at("}"):
            payoffs.append(self.number())
        self.expect("}")
        if len(payoffs) != count:
            raise self.error(f"{len(payoffs)} payoffs for {count} players")
        return payoffs

    def rest(self, count: int, what: str, kind: type[float] | type[int]) -> np.ndarray:
        """The `count` numbers up to the end of the file, all of one kind."""
        read = self.whole if kind is int else self.number

        def remaining() -> Iterator[float]:
            while not self.done:
                yield read()

        numbers = np.fromiter(remaining(), np.int64 if kind is int else np.float64)
        if len(numbers) != count:
            raise GameError(f"it has {len(numbers):,} {what}, and there should be {count:,}")
        return numbers
