"""What a worker does: it calls the functions of tasks, and says which versions it has.

This module is imported before JAX, and by processes that have no settings yet.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import importlib
import importlib.metadata
import platform
import socket
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from psro.training.pool import Pool, Reference, Task, TaskFailed

ALIVE = 5.0
"""Seconds between two signs of life."""
OWN = ("psro", "games")
"""The packages whose functions may be tasks."""
PACKAGES = ("jax", "jaxlib", "numpy", "flax", "optax", "flashbax", "scipy", "open_spiel")
"""Packages on whose versions results depend."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Versions:
    """What the results of a process depend on, besides its tasks.

    Attributes:
        host: the machine's name.
        packages: versions by name, of Python and of `PACKAGES`, and a digest of this package's
            source.
    """

    host: str
    packages: Mapping[str, str]

    def differ(self, worker: Versions) -> str | None:
        """A sentence if a worker has other versions; None if it has the same."""
        for name, version in self.packages.items():
            other = worker.packages.get(name, "none")
            if other != version:
                return (
                    f"{worker.host} has {name} {other}, and this process has {name} {version}; "
                    "results could differ, so install the same on both"
                )
        return None


@functools.cache
def versions() -> Versions:
    """Those of this process."""
    packages = {"Python": platform.python_version(), **installed(PACKAGES)}
    return Versions(
        host=socket.gethostname(), packages=packages | {"psro with the source": _source()}
    )


def installed(packages: Sequence[str]) -> dict[str, str]:
    """The version of each package by its name: "none" if it is not installed, as this one is not
    where it runs from a checkout alone."""
    result = dict.fromkeys(packages, "none")
    for name in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            result[name] = importlib.metadata.version(name)
    return result


def _source() -> str:
    """A digest of the source of this package and of `games`."""
    root, digest = Path(__file__).parent.parent.parent, hashlib.sha256()
    for package in ("games", "psro"):
        for path in sorted((root / package).rglob("*.py")):
            digest.update(str(path.relative_to(root)).encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


class Performer:
    """Does tasks, one after another, and keeps the values of references."""

    def __init__(self):
        self._values: dict[int, Any] = {}

    def forget(self, numbers: list[int]) -> None:
        for number in numbers:
            self._values.pop(number, None)

    def perform(self, task: Task, values: Mapping[int, Any]) -> tuple[str, Any]:
        """`done` and the result, or `raised` and an exception that can be sent."""
        try:
            self._values |= values
            arguments = {
                name: self._values[value.number] if isinstance(value, Reference) else value
                for name, value in task.arguments.items()
            }
            return "done", _function(task.function)(**arguments)
        except Exception as error:
            return "raised", _sendable(error)


def completed(tasks: Sequence[Task], pool: Pool | None) -> Iterator[tuple[int, Any]]:
    """Does tasks that name no references. Yields the place of each, and its result or the exception
    that it raised, as they come. Without a pool, this process does them."""
    if pool is None:
        performer = Performer()
        for place, task in enumerate(tasks):
            yield place, performer.perform(task, {})[1]
        return
    places = {pool.submit(task): place for place, task in enumerate(tasks)}
    for _ in tasks:
        number, result = pool.finished()
        yield places[number], result


def _function(path: str) -> Any:
    """The function at `module:name`. Only this package's own are called."""
    module, _, name = path.partition(":")
    if module.split(".")[0] not in OWN:
        raise ValueError(f"{path} is not a task of this package")
    return getattr(importlib.import_module(module), name)


def _sendable(error: Exception) -> Exception:
    """An error that a user can mend as it is; of any other, the traceback as text."""
    from games import GameError
    from psro.errors import PsroError

    if isinstance(error, PsroError | GameError) and type(error).__module__ in sys.modules:
        return error
    return TaskFailed("".join(traceback.format_exception(error)))
