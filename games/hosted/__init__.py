"""Games that others play: OpenSpiel's states, stepped on the host, and other libraries' games."""

from __future__ import annotations

import importlib

from games.errors import GameError
from games.game import Game
from games.hosted.host import HORIZON
from games.hosted.names import check_observation, parsed

LIBRARIES = {
    "jaxmarl": ("games.hosted.jaxmarl", "jaxmarl_game"),
    "pettingzoo": ("games.hosted.pettingzoo", "pettingzoo_game"),
    "pgx": ("games.hosted.pgx", "pgx_game"),
}
"""By the first part of a name: where the function is that makes a game of the rest."""


def environment(name: str, *, observation: str | None = None, horizon: int = HORIZON) -> Game:
    """Another library's environment as a game: `"pettingzoo::connect_four_v3"`.

    The library is imported here. A limit on the length of episodes cuts them off, `truncated`.

    Raises:
        GameError: the library is unknown or not installed, has no such environment, or the
            environment cannot be played as a game between several players.
    """
    library, rest, parameters = parsed(name)
    if library not in LIBRARIES:
        raise GameError(f"unknown library {library!r} in {name!r}; known: {', '.join(LIBRARIES)}")
    check_observation(name, observation)
    if horizon < 1:
        raise GameError(f"horizon = {horizon} must be at least 1")
    module, function = LIBRARIES[library]
    return getattr(importlib.import_module(module), function)(name, rest, parameters, horizon)
