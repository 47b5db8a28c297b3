"""A test double of the disk under a folder: what would be left if the machine lost power just now.

A file's contents are certain as of its last fsync, a folder's names as of that folder's. What came
after may be there or not, each name and each file by itself, in any order, and contents in part: no
file system is worse. (POSIX promises no more; a rename that replaces leaves the old or the new.)
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path


class PowerLoss:
    """Watches the calls of this process below `root` that make things durable or move them."""

    def __init__(self, root: Path, monkeypatch, at_moment: Callable[[], None]):
        self._root = root
        self._kept: list[int] = []  # open descriptors: no inode's number is used again
        self._content: dict[int, bytes] = {}
        self._names: dict[int, dict[str, int]] = {root.stat().st_ino: {}}
        self._folders = {root.stat().st_ino}
        for name in ("fsync", "replace", "rename", "mkdir", "unlink"):
            monkeypatch.setattr(os, name, self._watched(name, getattr(os, name), at_moment))

    def close(self) -> None:
        for descriptor in self._kept:
            os.close(descriptor)

    def _watched(self, name: str, call: Callable, at_moment: Callable[[], None]) -> Callable:
        def watched(*arguments, **options):
            at_moment()  # what was done before is there, this is not
            result = call(*arguments, **options)
            if name == "fsync":
                self._synced(arguments[0])
            at_moment()
            return result

        return watched

    def _synced(self, descriptor: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        if self._root != path and self._root not in path.parents:
            return
        # Opened once more, not duplicated: what is locked must not stay so.
        self._kept.append(os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY))
        inode = os.fstat(descriptor).st_ino
        if path.is_dir():
            self._folders.add(inode)
            self._names[inode] = {each.name: each.inode() for each in os.scandir(path)}
        else:
            self._content[inode] = path.read_bytes()

    def survivors(self, chance: random.Random) -> dict[str, bytes | None]:
        """One of the states the disk may be in, by path: a file's contents, None for folders."""
        now = {self._root.stat().st_ino: self._root}
        now |= {path.stat().st_ino: path for path in self._root.rglob("*")}
        left: dict[str, bytes | None] = {}

        def visit(inode: int, where: str) -> None:
            path = now.get(inode)
            certain = self._names.get(inode, {})
            current = {each.name: each.inode() for each in os.scandir(path)} if path else {}
            for name in sorted(certain.keys() | current.keys()):
                chosen = chance.choice([certain.get(name), current.get(name)])
                if chosen is None:
                    continue
                if chosen in self._folders or (chosen in now and now[chosen].is_dir()):
                    left[where + name] = None
                    visit(chosen, f"{where}{name}/")
                else:
                    left[where + name] = self._torn(chosen, now.get(chosen), chance)

        visit(self._root.stat().st_ino, "")
        return left

    def _torn(self, inode: int, path: Path | None, chance: random.Random) -> bytes:
        certain = self._content.get(inode, b"")
        current = path.read_bytes() if path else certain
        if current == certain:
            return certain
        cut = chance.randrange(len(current) + 1)
        return chance.choice(
            [certain, current, current[:cut], current[:cut] + bytes(len(current) - cut)]
        )


def write(left: dict[str, bytes | None], root: Path) -> None:
    """The state of a disk as a folder."""
    root.mkdir(parents=True)
    for name, content in left.items():
        if content is None:
            (root / name).mkdir()
        else:
            (root / name).write_bytes(content)
