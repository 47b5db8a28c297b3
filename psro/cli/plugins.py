"""`--import MODULE`: modules of one's own that register games, oracles or other plug-ins.

A saved run names its modules, but opening a run never imports one: a folder may come from a
stranger. Whoever opens it says `--import` again.
"""

from __future__ import annotations

from collections.abc import Sequence

from psro.cli.process import UsageError
from psro.runs.modules import import_all

OPTION = "--import"


def import_modules(arguments: Sequence[str]) -> list[str]:
    """Imports the modules that `--import` names, from the working directory as well, or by the
    paths of their .py files. Returns the arguments without the option; `run` and `sweep` keep it,
    because they save the names."""
    rest, names, taking = [], [], False
    for argument in arguments:
        if argument == OPTION or argument.startswith(f"{OPTION}="):
            taking = argument == OPTION
            names += [] if taking else [argument.removeprefix(f"{OPTION}=")]
        elif taking and not argument.startswith("-"):
            names.append(argument)
        else:
            taking = False
            rest.append(argument)
    if not names:
        if len(rest) < len(arguments):
            raise UsageError(f"{OPTION} needs the name of a module")
        return list(arguments)
    named = import_all(names)
    return [*rest, OPTION, *named] if rest[:1] in (["run"], ["sweep"]) else rest
