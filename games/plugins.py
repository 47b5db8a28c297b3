"""Plug-ins of installed packages: entry points of the groups `psro.games`, `psro.oracles`,
`psro.cells`, `psro.meta_solvers` and `psro.expansions`.

An entry point is read only when its name is asked for and is not known otherwise, so packages that
are not used cost nothing.
"""

from __future__ import annotations

import importlib.metadata
import types
from collections.abc import MutableMapping
from typing import Any

from games.errors import GameError
from games.printing import printable

GROUPS = ("psro.games", "psro.oracles", "psro.cells", "psro.meta_solvers", "psro.expansions")


def find(group: str, name: str, known: MutableMapping[str, Any] | None = None) -> bool:
    """Loads the entry point of this name, if an installed package has one. What it names is put
    into the dict `known`, unless it has the name by then or it is a module: importing a module
    registers what it has. Returns whether there was one.

    Raises:
        GameError: it cannot be loaded.
    """
    entry = _entry(group, name)
    if entry is None:
        return False
    try:
        value = entry.load()
    except Exception as error:  # whatever the package raises
        told = printable(" ".join(str(error).split())[:200])
        raise GameError(
            f"the plug-in {name} of the package {_package(entry)} cannot be loaded: "
            f"{type(error).__name__}: {told}"
        ) from None
    if known is not None and name not in known and not isinstance(value, types.ModuleType):
        if not (callable(value) or hasattr(value, "function")):
            raise GameError(
                f"the plug-in {name} of the package {_package(entry)} is of no use: "
                f"{type(value).__name__} cannot be called"
            )
        known[name] = value
    return True


def package_of(group: str, name: str) -> str | None:
    """The package, with its version, whose entry point has this name; None if there is none."""
    entry = _entry(group, name)
    return None if entry is None else _package(entry)


def _entry(group: str, name: str) -> importlib.metadata.EntryPoint | None:
    return next(iter(importlib.metadata.entry_points(group=group, name=name)), None)


def _package(entry: importlib.metadata.EntryPoint) -> str:
    package = entry.dist
    return entry.module if package is None else f"{package.name} {package.version}"
