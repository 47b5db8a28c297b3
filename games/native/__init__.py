"""Games written in JAX: the same rules, turns and tensors as OpenSpiel's, and far faster to play.

One file each. `tests/test_native.py` plays every game of the dict beside OpenSpiel.
"""

from __future__ import annotations

import importlib

from games.errors import GameError
from games.game import Game

NATIVE: dict[str, tuple[str, str]] = {
    "battleship": ("games.native.battleship", "Battleship"),
    "dark_hex": ("games.native.dark_hex", "DarkHex"),
    "goofspiel": ("games.native.goofspiel", "Goofspiel"),
    "kuhn_poker": ("games.native.kuhn_poker", "KuhnPoker"),
    "leduc_poker": ("games.native.leduc_poker", "LeducPoker"),
    "liars_dice": ("games.native.liars_dice", "LiarsDice"),
    "oshi_zumo": ("games.native.oshi_zumo", "OshiZumo"),
    "phantom_ttt": ("games.native.phantom_ttt", "PhantomTicTacToe"),
}
"""OpenSpiel's short name: the module and the class that play it.

A class is made by `Class(name, parameters, observation)`: the game's string, OpenSpiel's parameters
with their defaults, and which of its two tensors `observe` returns. It raises `GameError` for
parameters that it does not play. Its method `chance(state)` returns the chance outcomes so far, in
OpenSpiel's order and numbering, int32 `[C]`, -1 where chance has not moved yet.
"""

_TURNS = "turn_based_simultaneous_game("


def native_game(name: str, observation: str | None = None) -> Game:
    """A native game by OpenSpiel's string.

    Args:
        name: `"phantom_ttt(obstype=reveal-numturns)"`.
        observation: which tensor it observes, one of `games.OBSERVATIONS`; None takes the first
            that OpenSpiel's game provides.

    Raises:
        GameError: OpenSpiel does not know the game or its parameters, no native game plays it, or
            it provides no such tensor.
    """
    from games.readers import openspiel  # takes a second to import

    game = openspiel.load_openspiel(name)
    parameters = game.get_parameters()
    short_name, full_name = game.get_type().short_name, str(game)
    if full_name.startswith(_TURNS):  # OpenSpiel's wrapper of a game of simultaneous moves
        parameters = dict(parameters["game"])
        short_name = parameters.pop("name")
        full_name = full_name.removeprefix(f"{_TURNS}game=").removesuffix(")")
    if short_name not in NATIVE:
        raise GameError(f"no native game plays {name!r}; native are {', '.join(sorted(NATIVE))}")
    observation = openspiel.tensor_name(name, game, observation)
    module, attribute = NATIVE[short_name]
    native = getattr(importlib.import_module(module), attribute)(full_name, parameters, observation)
    native.utility_sum = game.utility_sum()
    return native
