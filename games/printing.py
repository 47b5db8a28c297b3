"""Safe printing of text from outside: names of files, labels, errors that quote them."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence


def printable(text: str) -> str:
    r"""`text` on one line, without anything that a terminal would act on: line breaks, control
    characters, invisible characters and bytes that are not UTF-8 become escapes such as `\x1b`."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def player_name(names: Sequence[str] | None, seat: int, *, begins: bool = False) -> str:
    """A player's name for readers: its name in the game's file if `names` are given, else its seat,
    `player 0`; or `Player 0` where it `begins` a sentence or a title."""
    if names is not None:
        return names[seat]
    return f"{'Player' if begins else 'player'} {seat}"


def html_table(facts: Mapping[str, str]) -> str:
    """Facts by name as a table for notebooks, a row each. Names and facts are only text in it."""
    left = "style='text-align: left'"
    pairs = [(html.escape(name), html.escape(printable(fact))) for name, fact in facts.items()]
    rows = "".join(f"<tr><th {left}>{name}</th><td {left}>{fact}</td></tr>" for name, fact in pairs)
    return f"<table>{rows}</table>"
