"""Text from strangers (names of files, labels, errors that quote them), fit to be printed."""

from __future__ import annotations


def printable(text: str) -> str:
    r"""`text` on one line that a terminal shows and does not obey: line breaks, control characters,
    invisible characters and bytes that are no UTF-8 become escapes such as `\x1b`."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )
