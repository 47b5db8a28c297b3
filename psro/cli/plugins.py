"""`--import MODULE`: modules of one's own that register games, oracles or other plug-ins.

A saved run names its modules, but opening a run never imports one: a folder may come from a
stranger. Whoever opens it says `--import` again.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Sequence

from psro.cli.process import UsageError
from psro.runs.modules import import_all

OPTION = "--import"
_KEEPING = ("run", "sweep", "arena")


def import_modules(arguments: Sequence[str]) -> list[str]:
    """Imports the modules that `--import` names, from the working directory as well, or by the
    paths of their .py files. Returns the arguments without the option; those of `_KEEPING` keep it,
    because they save the names, or pass them on."""
    rest, names = _divided(arguments)
    if not names:
        if len(rest) < len(arguments):
            raise UsageError(f"{OPTION} needs the name of a module")
        return list(arguments)
    named = import_all(names)
    return [*rest, OPTION, *named] if rest[0] in _KEEPING else rest


def imported() -> list[str]:
    """The option as it was typed for this process, for commands that are proposed."""
    names = _divided(sys.argv[1:])[1]
    return [OPTION, *names] if names else []


def _divided(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The arguments without the option, and the modules that it names. After the first, whatever is
    no module ends the option: `--import my_game.py experiments/mine`."""
    rest, names, taking = [], [], 0
    for argument in arguments:
        if argument == OPTION or argument.startswith(f"{OPTION}="):
            taking = 2 if argument == OPTION else 0
            names += [] if taking else [argument.removeprefix(f"{OPTION}=")]
        elif not argument.startswith("-") and (taking == 2 or (taking and _is_module(argument))):
            names.append(argument)
            taking = 1
        else:
            taking = 0
            rest.append(argument)
    return rest, names


def _is_module(word: str) -> bool:
    """Whether a word names a module, of the working directory too, or a .py file. Folders without
    an __init__.py are none."""
    if word.endswith(".py"):
        return True
    name = word.partition(".")[0]
    if not name.isidentifier():
        return False
    if name in sys.modules:
        return True
    found = importlib.machinery.PathFinder.find_spec(name, [os.getcwd()])
    found = found if found is not None and found.origin else importlib.util.find_spec(name)
    return found is not None and found.origin is not None
