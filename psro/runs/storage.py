"""The files of experiment folders: arrays with metadata and a checksum of both, and JSON.
`psro.runs.disk` writes them to disk."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from games.printing import printable
from psro.errors import PsroError
from psro.runs import disk
from psro.runs.disk import ExperimentError

FORMAT_VERSION = 5
"""2: correlated meta-strategies, gaps by concept. 3: several policies an iteration, and policies
that are trained further. 4: a policy's temperature is a number of its own, and a network that
policies share is there once. 5: payoffs that are sampled, with their errors. Versions 1 to 4 are
read as well."""
# A folder or an exported file may come from a stranger: nothing above these sizes is read.
MAX_JSON = 1 << 20
"""Bytes of a config.json; what runs write takes three thousand."""
MAX_HEADER = 64 << 20
"""Bytes of a safetensors header. That of payoffs.safetensors holds the records, about a thousand
bytes each; safetensors itself stops at 100 million."""
MAX_BYTES = 4 << 30
"""Bytes of the arrays in one file: the payoffs between two populations of 16,384 policies."""
MAX_SENTENCE = 300
"""Most characters of an error's text that are quoted. An error may quote a whole file."""
MAX_TENSORS = 10_000
"""Arrays in one safetensors file; a network has some twenty."""
MAX_NAME = 200
"""Most characters of an array's name. Slashes in it separate the keys of nested dicts."""
_DTYPES = ("F64", "F32")
"""The types of the arrays of a run. NumPy lacks some other types of safetensors."""


class Damaged(Exception):
    """A file holds something that no run writes. The text is the rest of a sentence. Readers catch
    only this error, because an error in this program is not damage."""


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
    """The inverse of `flatten`. Raises Damaged if the names do not make a nested dict."""
    nested: dict[str, Any] = {}
    for name, value in flat.items():
        *above, last = name.split("/")
        inner = nested
        for part in above:
            inner = inner.setdefault(part, {})
            if not isinstance(inner, dict):
                raise Damaged(f"{name!r} lies within another array")
        if last in inner:
            raise Damaged(f"{name!r} lies around another array")
        inner[last] = value
    return nested


def write_tensors(
    path: Path,
    tensors: Mapping[str, np.ndarray],
    info: dict[str, Any],
    held: disk.Held | None = None,
) -> str:
    """Writes a safetensors file with `info` and a SHA-256 of all in its metadata. Returns the
    SHA-256."""
    tensors = {name: np.ascontiguousarray(value) for name, value in tensors.items()}
    digest = _digest(tensors, info)
    # One key, because safetensors writes several in no particular order.
    metadata = {"psro": json.dumps({**info, "format_version": FORMAT_VERSION, "sha256": digest})}
    disk.write(path, safetensors.numpy.save(tensors, metadata), held)
    return digest


def read_tensors(
    path: Path,
    most: Callable[[dict[str, Any]], int] = lambda info: MAX_BYTES,
    *,
    types: Sequence[str] = _DTYPES,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays and `info` in a file of `write_tensors`.

    Args:
        path: the file.
        most: computes from `info` the most bytes that the arrays may have. If they have more, they
            are not read. It may raise Damaged.
        types: the types of arrays that the file may hold, in safetensors' words. "U8" are bytes.

    Raises:
        ExperimentError: there is no such file, or it is damaged, or larger than any run writes.
    """
    with _reading(path) as (file, names, info):
        size, room = path.stat().st_size, min(most(info), MAX_BYTES)
        if size > room + MAX_HEADER:
            raise Damaged(f"it has {size:,} bytes, and its arrays at most {room:,}")
        for name in names:
            if file.get_slice(name).get_dtype() not in types:
                raise Damaged(f"{name!r} must be finite float32 or float64 numbers")
        tensors = {name: file.get_tensor(name) for name in names}
        content = {k: v for k, v in info.items() if k not in ("format_version", "sha256")}
        if _digest(tensors, content) != info["sha256"]:
            raise Damaged("its contents do not match their checksum")
    return tensors, info


def read_info(path: Path) -> dict[str, Any]:
    """The `info` in a file of `write_tensors`. Only the file's head is read, and the checksum is
    not compared. Raises the errors of `read_tensors`."""
    with _reading(path) as (_, _, info):
        return info


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[tuple[Any, list[str], dict[str, Any]]]:
    """The open file, the names of its arrays and its `info`; Damaged becomes a sentence."""
    try:
        _check_header(path)
        with safetensors.safe_open(path, framework="numpy") as file:
            names = list(file.keys())
            if len(names) > MAX_TENSORS or max(map(len, names), default=0) > MAX_NAME:
                raise Damaged(
                    f"it holds {len(names):,} arrays, or one whose name is longer than {MAX_NAME}"
                )
            info = parse_json((file.metadata() or {}).get("psro", "null"))
            if not isinstance(info, dict) or not isinstance(info.get("sha256"), str):
                raise Damaged("its metadata name no checksum")
            if type(info.get("format_version")) is not int:
                raise Damaged("its metadata name no format_version")
            yield file, names, info
    except FileNotFoundError:
        raise ExperimentError(f"{path} is missing") from None
    except MemoryError:
        raise ExperimentError(f"{path} needs more memory than there is") from None
    except (Damaged, safetensors.SafetensorError, OSError) as error:
        raise ExperimentError(f"{path} is damaged: {sentence(error)}") from None


def _check_header(path: Path) -> None:
    """Checks the header's size before it is parsed. Safetensors itself checks that shapes fit."""
    with disk.open_plain(path) as file:
        header = int.from_bytes(file.read(8), "little")
        if not header <= min(MAX_HEADER, file.seek(0, os.SEEK_END) - 8):
            raise Damaged(f"its header claims {header:,} bytes")


def read_json(path: Path) -> Any:
    """The contents of a JSON file in a folder. Raises Damaged if it is not JSON, and OSError."""
    return parse_json(read_bytes(path, MAX_JSON))


def check_version(folder: Path, version: Any) -> None:
    """Checks the `format_version` of a folder's config.json.

    Raises:
        ExperimentError: it is newer than `FORMAT_VERSION`.
        Damaged: it is not a whole number.
    """
    if type(version) is not int:
        raise Damaged("format_version must be a whole number")
    if version > FORMAT_VERSION:
        raise ExperimentError(
            f"{folder} was written in format {str(version)[:20]}, and this psro reads only formats "
            f"up to {FORMAT_VERSION}; install a newer psro"
        )


def read_bytes(path: Path, most: int) -> bytes:
    """The bytes of a plain file. Raises Damaged if there are more than `most`, and OSError."""
    with disk.open_plain(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise Damaged(f"it is larger than {most:,} bytes")
    return content


def parse_json(text: str | bytes) -> Any:
    """`json.loads`. Raises Damaged if the text is not JSON. Python also accepts NaN."""
    try:
        return json.loads(text)
    except RecursionError:
        raise Damaged("its brackets nest too deep") from None
    except ValueError as error:
        raise Damaged(sentence(error)) from None


def _digest(tensors: Mapping[str, np.ndarray], info: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(info, sort_keys=True).encode())
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(f"{name} {value.dtype.str} {value.shape}".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """While the config at `path` is read: what is wrong with it becomes an ExperimentError."""
    try:
        yield
    except ExperimentError:
        raise
    except OSError as error:
        raise ExperimentError(f"cannot read {path}: {sentence(error)}") from None
    except (Damaged, PsroError) as error:
        raise ExperimentError(f"{path} is damaged: {sentence(error)}") from None


def sentence(error: Exception) -> str:
    """The first line of an error's text, made printable. A long one is cut after a word."""
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    line = said.strip().split("\n")[0]
    if len(line) > MAX_SENTENCE:
        line = line[: MAX_SENTENCE - 4]
        line = f"{line.rpartition(' ')[0] or line} ..."
    return printable(line) or type(error).__name__
