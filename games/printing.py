"""Text from strangers (names of files, labels, errors that quote them), fit to be printed."""

from __future__ import annotations

from collections.abc import Sequence


def printable(text: str) -> str:
    r"""`text` on one line that a terminal shows and does not obey: line breaks, control characters,
    invisible characters and bytes that are no UTF-8 become escapes such as `\x1b`."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def player_name(names: Sequence[str] | None, seat: int, *, begins: bool = False) -> str:
    """What a player is called where somebody reads: as in the game's file, if `names` says so, else
    by its seat, `player 0`; `begins` a sentence or a title: `Player 0`."""
    if names is not None:
        return names[seat]
    return f"{'Player' if begins else 'player'} {seat}"
