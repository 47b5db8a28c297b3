"""A game by its name, in the form in which exact quantities cost least."""

from __future__ import annotations

import importlib
from typing import Any

from games.errors import MAX_HISTORIES, GameError
from games.form import Form
from games.readers.openspiel import OBSERVATIONS, load

FORMS: dict[str, tuple[str, str]] = {
    "kuhn_poker": ("games.public", "public_tree"),
    "leduc_poker": ("games.public", "public_tree"),
    "liars_dice": ("games.public", "public_tree"),
    "universal_poker": ("games.public", "public_tree"),
}
"""OpenSpiel's short name: the module and the function that make a form of it without its histories.

A function takes the game's string. It raises `GameError` for parameters that it does not know, and
where the form would not fit into memory.
"""


def form_of(
    name: str, *, observation: str | None = None, max_histories: int = MAX_HISTORIES
) -> Form:
    """The form of a game in which exact quantities cost least: one without histories if there is
    one, else its whole tree.

    Args:
        name: what `games.load` takes, if it is not only played.
        observation: as in `games.load`.
        max_histories: as in `games.load`. A form without histories may have more.

    Raises:
        GameError: the game is unknown, too large, or another library's.
    """
    refusal = ""
    try:
        return without_histories(name, observation)
    except GameError as error:
        refusal = str(error)
    try:
        tree: Any = load(name, observation=observation, max_histories=max_histories)
    except GameError as error:
        both = _short_name(name) in FORMS and str(error) != refusal
        raise GameError(f"{error}; and {refusal}" if both else str(error)) from None
    if not hasattr(tree, "players"):
        raise GameError(f"{name!r} is played by its own library, so nothing of it is exact")
    return tree


def without_histories(name: str, observation: str | None = None) -> Form:
    """The form of a game that does not store histories.

    Raises `GameError` if there is none, or if it does not fit into memory.
    """
    if _short_name(name) not in FORMS:
        raise GameError(f"{name!r} has no form without histories; {', '.join(FORMS)} have one")
    if observation not in (None, OBSERVATIONS[0]):
        raise GameError(f"forms without histories have the {OBSERVATIONS[0]} tensor only")
    module, function = FORMS[_short_name(name)]
    return getattr(importlib.import_module(module), function)(name)


def _short_name(name: str) -> str:
    return name.partition("(")[0].strip()
