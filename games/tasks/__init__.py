"""Environments of the memory benchmarks POPGym and popjaxrl, written here: no library is needed.

The rules and the scaled rewards are those of POPGym (Morad et al. 2023, arXiv:2303.01859), in JAX
as in popjaxrl (Lu et al. 2023, arXiv:2303.03982). The names are POPGym's of today; its paper calls
`PositionOnly...` stateless. `tests/test_tasks.py` plays each beside POPGym where it is installed.
"""

from __future__ import annotations

import importlib
from typing import Any

from games.errors import GameError
from games.hosted.names import unknown
from games.solo import Solo

_CARDS, _CONTROL = "games.tasks.cards", "games.tasks.control"

TASKS: dict[str, tuple[str, str, tuple[dict[str, Any], ...]]] = {
    "RepeatFirst": (_CARDS, "RepeatFirst", ({"decks": 1}, {"decks": 8}, {"decks": 16})),
    "RepeatPrevious": (
        _CARDS,
        "RepeatPrevious",
        ({"decks": 1, "ago": 4}, {"decks": 2, "ago": 32}, {"decks": 3, "ago": 64}),
    ),
    "CountRecall": (
        _CARDS,
        "CountRecall",
        ({"decks": 1, "kinds": 2}, {"decks": 2, "kinds": 4}, {"decks": 4, "kinds": 13}),
    ),
    "HigherLower": (_CARDS, "HigherLower", ({"decks": 1}, {"decks": 2}, {"decks": 3})),
    "MultiarmedBandit": (
        "games.tasks.bandit",
        "MultiarmedBandit",
        (
            {"arms": 10, "length": 200},
            {"arms": 20, "length": 400},
            {"arms": 30, "length": 600},
        ),
    ),
    "PositionOnlyCartPole": (
        _CONTROL,
        "CartPole",
        ({"length": 200}, {"length": 400}, {"length": 600}),
    ),
    "NoisyPositionOnlyCartPole": (
        _CONTROL,
        "CartPole",
        tuple({"length": 200, "noise": noise} for noise in (0.1, 0.2, 0.3)),
    ),
    "PositionOnlyPendulum": (
        _CONTROL,
        "Pendulum",
        ({"length": 200}, {"length": 150}, {"length": 100}),
    ),
    "NoisyPositionOnlyPendulum": (
        _CONTROL,
        "Pendulum",
        tuple({"length": 200, "noise": noise} for noise in (0.1, 0.2, 0.3)),
    ),
}
"""By the name without its level: the module, the class, and its arguments for each level."""
LEVELS = ("Easy", "Medium", "Hard")
NAMES = {
    f"{task}{level}": (module, attribute, arguments[number])
    for task, (module, attribute, arguments) in TASKS.items()
    for number, level in enumerate(LEVELS)
}
"""Every task with its level, such as `RepeatPreviousEasy`."""


def task(name: str, environment: str, parameters: dict[str, Any], horizon: int | None) -> Solo:
    """`popjaxrl::RepeatPreviousEasy`. See `games.hosted.environment`."""
    if environment not in NAMES:
        unknown(name, environment, NAMES)
    if parameters or horizon is not None:
        raise GameError(f"the tasks of popjaxrl have levels and no parameters, as in {environment}")
    module, attribute, arguments = NAMES[environment]
    return getattr(importlib.import_module(module), attribute)(name, **arguments)
