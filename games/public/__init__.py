"""Games by their public states and private types (`PublicTree`)."""

from __future__ import annotations

import importlib
from typing import Any

from games.errors import GameError
from games.public.tree import PublicTree

PUBLIC = {
    "liars_dice": ("games.public.liars_dice", "liars_dice"),
    "kuhn_poker": ("games.public.poker", "kuhn_poker"),
    "leduc_poker": ("games.public.poker", "leduc_poker"),
    "universal_poker": ("games.public.poker", "universal_poker"),
}
"""OpenSpiel's short name: the module and the function that describes the game.

A function takes the string, OpenSpiel's game and the tensor that policies see, and returns a
`games.public.game.PublicGame`. It raises `GameError` for parameters that it does not know.
"""


def public_tree(name: str, observation: str | None = None, game: Any = None) -> PublicTree:
    """The game of an OpenSpiel string as a `PublicTree`.

    Args:
        name: one of `PUBLIC`, with parameters.
        observation: the tensor that policies see, one of `games.OBSERVATIONS`; None for the first.
        game: OpenSpiel's, if it is loaded already.

    Raises:
        GameError: the game has no public tree, or it is too large.
    """
    from games.readers import openspiel  # takes a second to import

    game = openspiel.load_openspiel(name) if game is None else game
    short_name = game.get_type().short_name
    if short_name not in PUBLIC:
        raise GameError(f"no public tree holds {name!r}; there are those of {', '.join(PUBLIC)}")
    observation = openspiel.tensor_name(name, game, observation)
    module, function = PUBLIC[short_name]
    describe = getattr(importlib.import_module(module), function)
    return PublicTree(describe(name, game, observation))
