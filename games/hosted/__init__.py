"""Games that others play: OpenSpiel's states, stepped on the host, and other libraries' games and
environments (games for one player)."""

from __future__ import annotations

import importlib

from games.errors import GameError
from games.game import Game
from games.hosted.host import HORIZON
from games.hosted.names import check_observation, parsed
from games.wrappers import wrapped, wrapping_of

GAMES = {
    "jaxmarl": ("games.hosted.jaxmarl", "jaxmarl_game"),
    "pettingzoo": ("games.hosted.pettingzoo", "pettingzoo_game"),
    "pgx": ("games.hosted.pgx", "pgx_game"),
}
"""Libraries of games for several players, as `LIBRARIES`."""
ENVIRONMENTS = {
    "brax": ("games.hosted.jax_libraries", "brax_game"),
    "craftax": ("games.hosted.gymnax", "craftax_game"),
    "gymnasium": ("games.hosted.gymnasium", "gymnasium_game"),
    "gymnax": ("games.hosted.gymnax", "gymnax_game"),
    "jumanji": ("games.hosted.jax_libraries", "jumanji_game"),
    "mujoco": ("games.hosted.gymnasium", "mujoco_game"),
    "navix": ("games.hosted.jax_libraries", "navix_game"),
    "popgym": ("games.hosted.gymnasium", "popgym_game"),
    "popgym_arcade": ("games.hosted.gymnax", "popgym_arcade_game"),
    "popjaxrl": ("games.tasks", "task"),
    "xminigrid": ("games.hosted.jax_libraries", "xminigrid_game"),
}
"""Libraries of environments, which are games for one player, as `LIBRARIES`."""
LIBRARIES = GAMES | ENVIRONMENTS
"""By the first part of a name: where the function is that makes a game of the rest."""


def environment(name: str, *, observation: str | None = None, horizon: int | None = None) -> Game:
    """Another library's environment as a game: `"pettingzoo::connect_four_v3"`, or, for one player,
    `"gymnax::CartPole-v1"`.

    The library is imported here. A limit on the length of episodes cuts them off, `truncated`. It
    is the environment's own or `horizon`, whichever is less; without either, it is `HORIZON`.
    Parameters of wrappers (`games.wrappers`) wrap an environment for one player.

    Raises:
        GameError: the library is unknown or not installed, has no such environment, or the
            environment cannot be played as a game.
    """
    library, rest, parameters = parsed(name)
    if library not in LIBRARIES:
        raise GameError(f"unknown library {library!r} in {name!r}; known: {', '.join(LIBRARIES)}")
    check_observation(name, observation)
    if horizon is not None and horizon < 1:
        raise GameError(f"horizon = {horizon} must be at least 1")
    if library in GAMES and horizon is None:
        horizon = HORIZON
    module, function = LIBRARIES[library]
    make = getattr(importlib.import_module(module), function)
    if library in GAMES:
        return make(name, rest, parameters, horizon)
    wrapping, parameters = wrapping_of(name, parameters)
    return wrapped(make(name, rest, parameters, horizon), wrapping)
