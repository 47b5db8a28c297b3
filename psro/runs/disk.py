"""Safe writing to disk: no data is lost, and no other file is changed.

A file is first written in the same folder under a random name that is opened exclusively. Then it
is synced and renamed to its name, and the folder is synced. So a reader, or the next process after
a crash, finds the whole old file or the whole new file. Several processes may write one file at the
same time.

A folder may come from a stranger. Its name may become the name of another folder while a run
trains. So links within a folder are not followed, and a run holds its folder by a descriptor, not
by its name.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from psro.errors import PsroError

LOCK = ".lock"
"""An empty file. The process that trains holds it with flock(2)."""

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""Errors of file systems without flock. There, nothing keeps two processes apart."""
_TAKEN = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR)
"""Errors of renaming a folder to a name that exists already."""
_TEMPORARY = re.compile(r"\.psro-[0-9a-f]{16}\.tmp")
_BEGINNING = 60.0
"""Seconds that a process may take from making a temporary folder to holding it."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_KINDS = {
    stat.S_IFLNK: "a link",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class ExperimentError(PsroError):
    """A folder cannot be made, read or written. One sentence says why."""


class writing:
    """Turns an error of the operating system into a sentence about the folder."""

    def __init__(self, folder: Path):
        self._folder = folder

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind, error, traceback) -> None:
        if isinstance(error, OSError):
            raise ExperimentError(
                f"cannot write to {self._folder}: {error.strerror or error}; what was saved before "
                "is intact"
            ) from None


# Kinds of files


def kind_of(path: str | os.PathLike) -> str | None:
    """`a link`, `a pipe`, `a socket` or `a device`; None if a path is a plain file or a folder, or
    does not exist."""
    try:
        return _KINDS.get(stat.S_IFMT(os.lstat(path).st_mode))
    except FileNotFoundError:
        return None


def open_plain(path: Path) -> BinaryIO:
    """A plain file, open for reading. Nothing else is opened: opening a pipe could wait for ever.

    Raises:
        OSError: there is no such file, or it is something else.
    """
    kind = "a folder" if path.is_dir() else kind_of(path)
    if kind is not None:
        raise OSError(errno.EINVAL, f"it is {kind}, not a file")
    return open(os.open(path, _FILE), "rb")


# Files


def write(path: Path, content: bytes | str, held: Held | None = None) -> None:
    """Replaces a file in one step. A reader finds the old file or the new one, also after a
    crash."""
    with replacing(path, held) as file:
        text = isinstance(content, str)
        file.write(content.encode(errors="backslashreplace") if text else content)


@contextlib.contextmanager
def replacing(path: Path, held: Held | None = None, *, new: bool = False) -> Iterator[BinaryIO]:
    """Yields a new file to write. When it is complete and on disk, it replaces the old file in one
    step. If the caller fails, the old file stays.

    Args:
        path: the path of the file.
        held: a folder that contains `path`. The file is written to this folder itself. If another
            folder has its name by now, no file is replaced.
        new: `path` must not exist.

    Raises:
        ExperimentError: the `held` folder was moved.
        FileExistsError: the file must be `new` and it exists.
        OSError: any other error; also if `path` is a folder, a pipe or a device, or is a link in a
            held folder.
    """
    with _parent(path, held) as folder:
        _check_place(path.name, folder, links=held is None)
        temporary = _temporary_name()
        descriptor = os.open(temporary, _NEW_FILE, 0o666, dir_fd=folder)
        try:
            with open(descriptor, "wb") as file:
                _hold(descriptor)
                yield file
                file.flush()
                os.fsync(file.fileno())
                if held is not None:
                    held.check()
                _publish(temporary, path.name, folder, new=new)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=folder)
            raise
        os.fsync(folder)


def _parent(path: Path, held: Held | None) -> contextlib.AbstractContextManager[int]:
    """A descriptor of the folder that a file is in."""
    if held is None:
        return _opened(path.parent, None, _FOLDER)
    inside = path.parent.relative_to(held.path)
    return _opened(inside, held.descriptor, _FOLDER | os.O_NOFOLLOW)


def _check_place(name: str, folder: int, *, links: bool) -> None:
    """Raises OSError if a path must not be replaced, such as `/dev/null`. With `links`, a link to a
    file may be replaced: the user has typed its name. The link itself is replaced."""
    try:
        mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
        if stat.S_ISLNK(mode) and links:
            mode = os.stat(name, dir_fd=folder).st_mode
    except FileNotFoundError:
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, f"{name} is {_KINDS[stat.S_IFMT(mode)]}")


def _publish(temporary: str, name: str, folder: int, *, new: bool) -> None:
    if new:
        try:
            os.link(
                temporary, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False
            )  # a link never replaces a file
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links: the name is taken first
            os.close(os.open(name, _NEW_FILE, 0o666, dir_fd=folder))
        else:
            os.unlink(temporary, dir_fd=folder)
            return
    os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)


def sync(path: Path) -> None:
    """Makes a file's contents, or renames in a folder, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# Folders


@contextlib.contextmanager
def making(folder: Path) -> Iterator[Path]:
    """Makes a new folder complete or not at all. The caller fills the folder that is yielded, and
    it is then renamed to `folder`. The folder and new parents are then durable.

    Raises:
        ExperimentError: it cannot be made, or another process has made it meanwhile.
    """
    with writing(folder):
        made = [parent for parent in folder.parents if not parent.exists()]
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with _aside(folder) as aside:
                yield aside
                sync(aside)
                try:
                    aside.rename(folder)
                except OSError as error:
                    if error.errno in _TAKEN:
                        raise ExperimentError(
                            f"{folder} exists already: another process has made it meanwhile"
                        ) from None
                    raise
        except BaseException:
            for parent in made:
                with contextlib.suppress(OSError):  # not there, or in use by others
                    parent.rmdir()
            raise
        for parent in (folder.parent, *(parent.parent for parent in made)):
            sync(parent)


def check_free(folder: Path, instead: str) -> None:
    """Raises ExperimentError if anything is at the place of a new folder. `instead` says what to
    do."""
    with writing(folder):
        taken = folder.exists() or folder.is_symlink()
    if taken:
        raise ExperimentError(f"{folder} exists already; {instead}")


@contextlib.contextmanager
def _aside(folder: Path) -> Iterator[Path]:
    """A new, empty folder next to `folder`. It is removed if the caller fails."""
    with _opened(folder.parent, None, _FOLDER) as parent:
        _sweep(parent, age=_BEGINNING)
    aside = folder.with_name(_temporary_name())
    aside.mkdir()
    try:
        with _opened(aside, None, _FOLDER) as descriptor:
            _hold(descriptor)
            yield aside
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


@dataclasses.dataclass(frozen=True)
class Held:
    """A folder that a process writes to for some time.

    Attributes:
        path: its path, as it was given.
        place: its full path, without links.
        descriptor: the open folder itself, even if another folder has its name by now.
    """

    path: Path
    place: Path
    descriptor: int

    def check(self) -> None:
        """Raises ExperimentError if the path no longer leads to this folder."""
        try:
            same = os.path.samestat(os.stat(self.place), os.fstat(self.descriptor))
        except OSError:
            same = False
        if not same:
            raise ExperimentError(
                f"{self.path} is no longer the folder that this run began in; the old folder was "
                "moved, and it keeps everything that was saved"
            )


@contextlib.contextmanager
def hold(folder: Path) -> Iterator[Held]:
    """Opens a folder for writing. Other processes may write to it as well."""
    with writing(folder):
        place = Path(os.path.realpath(folder))  # `resolve` raises where links lead in a circle
        descriptor = os.open(place, _FOLDER)
    try:
        yield Held(folder, place, descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def lock(folder: Path) -> Iterator[Held]:
    """Holds a folder for one writer. The operating system releases it when the process ends for any
    reason. A copy of the folder is not held, and readers need no lock.

    Raises:
        ExperimentError: another process holds the folder.
    """
    with hold(folder) as held, contextlib.ExitStack() as stack:
        with writing(folder):
            _check_place(LOCK, held.descriptor, links=False)
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = stack.enter_context(_opened(LOCK, held.descriptor, flags))
            if not _hold(descriptor):
                raise ExperimentError(
                    f"{folder} is being trained by another psro; stop that one, or wait until it "
                    "ends"
                )
            _sweep(held.descriptor, age=0.0)
            for name in os.listdir(held.descriptor):
                with (
                    contextlib.suppress(OSError),  # no folder
                    _opened(name, held.descriptor, _FOLDER | os.O_NOFOLLOW) as inner,
                ):
                    _sweep(inner, age=0.0)
        yield held


def _hold(descriptor: int) -> bool:
    """Locks a file or a folder until it is closed. Returns whether the lock was free. If the file
    system has no locks, the result is True."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    return True


def _temporary_name() -> str:
    return f".psro-{secrets.token_hex(8)}.tmp"


def _sweep(folder: int, *, age: float) -> None:
    """Removes temporary files and folders of killed processes from a folder: those that no process
    holds and that are at least `age` seconds old."""
    for name in filter(_TEMPORARY.fullmatch, os.listdir(folder)):
        with contextlib.suppress(OSError):
            status = os.lstat(name, dir_fd=folder)
            is_folder = stat.S_ISDIR(status.st_mode)
            old = time.time() - status.st_mtime >= age
            if old and (is_folder or stat.S_ISREG(status.st_mode)):
                with _opened(name, folder) as descriptor:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if is_folder:
                        shutil.rmtree(name, dir_fd=folder)
                    else:
                        os.unlink(name, dir_fd=folder)


@contextlib.contextmanager
def _opened(name: str | Path, folder: int | None, flags: int = _FILE) -> Iterator[int]:
    """A descriptor of a file or a folder in an open folder."""
    descriptor = os.open(name, flags, 0o644, dir_fd=folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
