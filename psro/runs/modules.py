"""Modules of one's own: by their name, or as a Python file."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from games.printing import printable
from psro.errors import SettingsError
from psro.runs.config import check_module


def import_named(name: str) -> ModuleType:
    """Imports a module by its name, from the working directory as well, or by the path of its .py
    file. A saved run keeps the module's name: that of a file is its name without the ending.

    Raises:
        SettingsError: there is no such module, or importing it fails.
    """
    path, folder = None, os.getcwd()
    if name.endswith(".py"):
        path = Path(name)
        if not path.is_file():
            raise SettingsError(f"cannot import {name}: there is no such file")
        folder, name = str(path.resolve().parent), path.stem
    check_module(name)
    before = sys.modules.get(name)
    if path is not None and before is not None and not _is_of(before, path):
        raise SettingsError(
            f"cannot import {path}: another module is called {name} already; give the file "
            "another name"
        )
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        module = importlib.import_module(name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever the module of the user raises, sys.exit() included
        said = printable(" ".join(str(error).split())[:300])
        raise SettingsError(f"cannot import {name}: {type(error).__name__}: {said}") from None
    if path is not None and not _is_of(module, path):
        raise SettingsError(
            f"cannot import {path}: another module is called {name} already; give the file "
            "another name"
        )
    return module


def import_all(modules: Sequence[str]) -> list[str]:
    """Imports modules as `import_named`. Returns their names, each once."""
    if isinstance(modules, str):
        raise SettingsError(f"imports = {modules!r} must be a list of modules")
    return list(dict.fromkeys(import_named(os.fspath(name)).__name__ for name in modules))


def _is_of(module: ModuleType, path: Path) -> bool:
    """Whether a module was imported from a file."""
    origin = getattr(module, "__file__", None)
    return origin is not None and os.path.realpath(origin) == os.path.realpath(path)
