"""Names of other libraries' environments: `pgx::go_9x9`, `jaxmarl::coin_game(cnn=False)`."""

from __future__ import annotations

import ast
import contextlib
import difflib
import importlib
import io
import re
import warnings
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any, NoReturn, TypeVar

from games.errors import GameError, sentence

_NAME = re.compile(r"(?P<library>\w+)::(?P<environment>[^()]+)(\((?P<parameters>.*)\))?")
T = TypeVar("T")
RETURNS = {
    "Acrobot-v1": 500.0,
    "Breakout-MinAtar": 100.0,
    "CartPole-v1": 500.0,
    "Catch-bsuite": 1.0,
    "MountainCar-v0": 200.0,
    "MountainCarContinuous-v0": 100.0,
    "Pendulum-v1": 1600.0,
}
"""About the largest absolute returns, where random play would not show them."""
OBSERVATION = "observation"
"""The only tensor that these environments have."""


def parsed(name: str) -> tuple[str, str, dict[str, Any]]:
    """Library, environment and parameters, whose values are Python's literals or else texts."""
    match = _NAME.fullmatch(name.strip())
    if not match:
        raise GameError(f"{name!r} is no name like LIBRARY::NAME or LIBRARY::NAME(key=value,...)")
    parameters = {}
    for pair in filter(str.strip, (match["parameters"] or "").split(",")):
        key, equals, value = (part.strip() for part in pair.partition("="))
        if not (equals and key.isidentifier()):
            raise GameError(f"{pair.strip()!r} in {name!r} is no parameter like key=value")
        try:
            parameters[key] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            parameters[key] = value
    return match["library"], match["environment"].strip(), parameters


def imported(name: str, module: str) -> ModuleType:
    """The module that plays the environment `name`; its library is named by its first part."""
    library = module.partition(".")[0]
    try:
        # What some libraries print when they are imported is not for whoever named the game.
        with warnings.catch_warnings(action="ignore"), contextlib.redirect_stdout(io.StringIO()):
            return importlib.import_module(module)
    except ImportError as error:
        missing = (error.name or "").partition(".")[0]
        what = f"the package {missing}" if missing else f"what {library} asks for"
        raise GameError(
            f"{name!r} needs {what}, which is not installed; pip install 'psro[{library}]'"
        ) from None


def unknown(name: str, environment: str, known: Iterable[str]) -> NoReturn:
    """Raises the error of an environment that its library does not have."""
    known = sorted(known)
    near = difflib.get_close_matches(environment, known, n=3, cutoff=0.5)
    near += [other for other in known if environment in other and other not in near]
    hint = f"did you mean {' or '.join(near[:3])}?" if near else f"known: {', '.join(known)}"
    raise GameError(f"no environment is called {name!r}; {hint}")


def made(name: str, environment: str, known: Iterable[str], make: Callable[[], T]) -> T:
    """What `make` returns, the game of an environment that is in `known`.

    Raises:
        GameError: it is not known, or its library cannot make it.
    """
    if environment not in known:
        unknown(name, environment, known)
    try:
        return make()
    except Exception as error:  # of several kinds, depending on the environment
        _refused(name, error)


def _refused(name: str, error: Exception) -> NoReturn:
    """Raises the error of an environment that its library cannot make."""
    if isinstance(error, GameError):
        raise error
    raise GameError(f"{name!r} cannot be made: {sentence(error)}") from None


def check_observation(name: str, observation: str | None) -> None:
    if observation not in (None, OBSERVATION):
        raise GameError(f"{name!r} provides no {observation} tensor; it provides {OBSERVATION}")
