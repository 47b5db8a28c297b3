"""Games whose histories are far too many to store, and whose players' own info states are not.

A `WalkedTree` (`games.walked.tree`) knows only those, and adds up exact quantities in a walk over
what happens on the board. Each game is one file: its rules as a `games.walked.rules.HiddenBoard`.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from games.errors import GameError

if TYPE_CHECKING:
    from games.walked.rules import HiddenBoard
    from games.walked.tree import WalkedTree

WALKED: dict[str, str] = {
    "dark_hex": "games.walked.dark_hex",
    "phantom_ttt": "games.walked.phantom_ttt",
}
"""OpenSpiel's short name, and the module whose `rules(name, parameters)` are of the game."""


def walked_rules(name: str, game: Any = None) -> HiddenBoard:
    """The rules of a game by OpenSpiel's string, such as `"dark_hex(board_size=3)"`. `game` is
    OpenSpiel's, if it is loaded already.

    Raises:
        GameError: OpenSpiel does not know the game or its parameters, or it is not walked.
    """
    from games.readers import openspiel  # takes a second to import

    game = openspiel.load_openspiel(name) if game is None else game
    short_name, parameters = game.get_type().short_name, game.get_parameters()
    if short_name not in WALKED:
        raise GameError(
            f"{name!r} is not walked through; games that are: {', '.join(sorted(WALKED))}"
        )
    rules: Any = importlib.import_module(WALKED[short_name]).rules
    return rules(str(game).removesuffix("()"), parameters)


def walked_tree(
    name: str, observation: str | None = None, *, cache: str | os.PathLike | None = None
) -> WalkedTree:
    """The walked form of a game by OpenSpiel's string.

    Args:
        name: such as `"phantom_ttt(gameversion=abrupt)"`.
        observation: the tensor that policies see, one of `games.OBSERVATIONS`; None for the first.
        cache: folder of compiled trees, as in `games.load`.

    Raises:
        GameError: as in `walked_rules`, or the info states do not fit into memory.
    """
    from games.readers import openspiel
    from games.walked.cache import cached_tree  # imports numba

    game = openspiel.load_openspiel(name)
    observation = openspiel.tensor_name(name, game, observation)
    return cached_tree(walked_rules(name, game), cache, observation=observation)
