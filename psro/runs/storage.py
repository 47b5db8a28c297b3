"""Files of experiment folders: written in one step and made durable, read with their checksums.

A file is written beside its place, synced, and renamed into it; its folder is synced after that. So
a reader, or the next process after a crash, finds the old file or the new one, whole.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import safetensors
import safetensors.numpy

from psro.errors import PsroError

FORMAT_VERSION = 4
"""2: correlated meta-strategies, gaps by concept. 3: several policies an iteration, and policies
that are trained further. 4: a policy's temperature is a number of its own, and a network that
policies share is there once. Versions 1 to 3 are read as well."""
LOCK = ".lock"
"""An empty file that whoever trains holds with flock(2)."""
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""What file systems without flock answer: there, nothing keeps two processes apart."""

# A folder or an exported file may come from a stranger: nothing above these sizes is read.
MAX_JSON = 1 << 20
"""Bytes of a config.json; what runs write takes three thousand."""
MAX_HEADER = 64 << 20
"""Bytes of a safetensors header. That of payoffs.safetensors holds the records, about a thousand
bytes each; safetensors itself stops at 100 million."""
MAX_SENTENCE = 300
"""Characters that are quoted of what an error says: it may quote a whole file."""
MAX_TENSORS = 10_000
"""Arrays in one safetensors file; a network has some twenty."""
MAX_NAME = 200
"""Characters of an array's name, which slashes make a path of nested dicts."""


class ExperimentError(PsroError):
    """A folder that cannot be made, read or written; one sentence says why."""


def flatten(params: Mapping[str, Any], prefix: str = "") -> dict[str, np.ndarray]:
    """A nested dict of arrays as one dict, keys joined by slashes."""
    flat = {}
    for name, value in params.items():
        flat |= (
            flatten(value, f"{prefix}{name}/")
            if isinstance(value, dict)
            else {prefix + name: np.asarray(value)}
        )
    return flat


def unflatten(flat: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The nested dict that `flatten` made flat."""
    nested: dict[str, Any] = {}
    for name, value in flat.items():
        *above, last = name.split("/")
        inner = nested
        for part in above:
            inner = inner.setdefault(part, {})
            if not isinstance(inner, dict):
                raise ValueError(f"{name!r} lies within another array")
        inner[last] = value
    return nested


def write_tensors(path: Path, tensors: Mapping[str, np.ndarray], info: dict[str, Any]) -> str:
    """Writes a safetensors file whose metadata hold `info` and a SHA-256 of all; returns that."""
    tensors = {name: np.ascontiguousarray(value) for name, value in tensors.items()}
    digest = _digest(tensors, info)
    # One key, because safetensors writes several in no particular order.
    metadata = {"psro": json.dumps({**info, "format_version": FORMAT_VERSION, "sha256": digest})}
    write(path, safetensors.numpy.save(tensors, metadata))
    return digest


def read_tensors(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and `info` of what `write_tensors` wrote.

    Raises:
        ExperimentError: there is no such file, it is damaged, or larger than any run writes.
    """
    with _reading(path) as (file, names, info):
        tensors = {name: file.get_tensor(name) for name in names}
        content = {k: v for k, v in info.items() if k not in ("format_version", "sha256")}
        intact = _digest(tensors, content) == info["sha256"]
    if not intact:
        raise ExperimentError(f"{path} is damaged: its contents do not match their checksum")
    return tensors, info


def read_info(path: Path) -> dict[str, Any]:
    """The `info` of what `write_tensors` wrote, from the file's head alone: the checksum, which is
    part of it, is not compared. Raises as `read_tensors`."""
    with _reading(path) as (_, _, info):
        return info


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[tuple[Any, list[str], dict[str, Any]]]:
    """The open file, the names of its arrays and its `info`."""
    try:
        _check_header(path)
        with safetensors.safe_open(path, framework="numpy") as file:
            names = list(file.keys())
            if len(names) > MAX_TENSORS or max(map(len, names), default=0) > MAX_NAME:
                raise ValueError(
                    f"it holds {len(names):,} arrays, or one whose name is longer than {MAX_NAME}"
                )
            info = parse_json((file.metadata() or {})["psro"])
            if not isinstance(info, dict) or "sha256" not in info:
                raise ValueError("its metadata name no checksum")
            yield file, names, info
    except FileNotFoundError:
        raise ExperimentError(f"{path} is missing") from None
    except MemoryError:
        raise ExperimentError(f"{path} needs more memory than there is") from None
    except (
        safetensors.SafetensorError, OSError, ValueError, KeyError, TypeError, RecursionError
    ) as error:  # fmt: skip
        raise ExperimentError(f"{path} is damaged: {sentence(error)}") from None


def _check_header(path: Path) -> None:
    """Before anything is parsed; that shapes fit the file's size safetensors checks itself."""
    if not path.exists():
        raise FileNotFoundError
    if not path.is_file():
        raise ValueError("it is no file")
    with open(path, "rb") as file:
        header = int.from_bytes(file.read(8), "little")
    if not header <= min(MAX_HEADER, path.stat().st_size - 8):
        raise ValueError(f"its header claims {header:,} bytes")


def read_json(path: Path) -> Any:
    """What a JSON file holds; ValueError where it holds something else or more than `MAX_JSON`."""
    return parse_json(read_bytes(path, MAX_JSON).decode())


def check_version(folder: Path, version: Any) -> None:
    """Of what a folder's config.json says as its `format_version`.

    Raises:
        ExperimentError: it is newer than this.
        TypeError: it is no whole number.
    """
    if type(version) is not int:
        raise TypeError("format_version must be a whole number")
    if version > FORMAT_VERSION:
        raise ExperimentError(
            f"{folder} was written in format {str(version)[:20]}, this psro reads up to "
            f"{FORMAT_VERSION}; install a newer psro"
        )


def read_bytes(path: Path, most: int) -> bytes:
    """A file's bytes; ValueError where it is none (a pipe would never end), or has more."""
    if path.exists() and not path.is_file():
        raise ValueError("it is no file")
    with open(path, "rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"it is larger than {most:,} bytes")
    return content


def parse_json(text: str) -> Any:
    """`json.loads`, whose error is a ValueError also where brackets nest too deep."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("its brackets nest too deep") from None


def _digest(tensors: Mapping[str, np.ndarray], info: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(info, sort_keys=True).encode())
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(f"{name} {value.dtype.str} {value.shape}".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()


def write(path: Path, content: bytes | str) -> None:
    """Replaces a file in one step: a reader, or a crash, sees the old one or the new one."""
    with replacing(path) as file:
        text = isinstance(content, str)
        file.write(content.encode(errors="backslashreplace") if text else content)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A new file to be written, which takes the place of an old one in one step, once it is whole
    and on disk; or not at all."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    aside = path.with_name(f".{path.name}.tmp")
    try:
        with open(aside, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    sync(path.parent)


def sync(path: Path) -> None:
    """Makes a file's contents, or renames in a folder, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def making(folder: Path) -> Iterator[Path]:
    """A new folder that is there all at once, or not at all: callers fill what is yielded, which
    is renamed in the end. It is durable then, and so are parents that had to be made."""
    aside = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    with writing(folder):
        made = [parent for parent in aside.parents if not parent.exists()]
        try:
            aside.mkdir(parents=True)
            yield aside
            sync(aside)
            aside.rename(folder)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
        for parent in (folder.parent, *(parent.parent for parent in made)):
            sync(parent)


@contextlib.contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Holds a folder for one writer. The operating system lets go of it when the process ends,
    however it ends; a copy of the folder is not held, and readers do not ask.

    Raises:
        ExperimentError: somebody else holds it.
    """
    with writing(folder):
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ExperimentError(
                f"{folder} is being trained by another psro; stop that one, or wait until it ends"
            ) from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
        yield
    finally:
        os.close(descriptor)


class writing:
    """Turns what the operating system says into a sentence about the folder."""

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


def sentence(error: Exception) -> str:
    """The first line of what an error says, as it can be printed."""
    line = str(error).strip().split("\n")[0][:MAX_SENTENCE] or type(error).__name__
    return line if line.isprintable() else repr(line)
