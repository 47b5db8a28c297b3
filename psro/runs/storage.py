"""What files of experiment folders hold: arrays and what is said about them, with a checksum of
both, and JSON. How they get to disk is in `psro.runs.disk`."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from games.printing import printable
from psro.runs import disk
from psro.runs.disk import ExperimentError

FORMAT_VERSION = 4
"""2: correlated meta-strategies, gaps by concept. 3: several policies an iteration, and policies
that are trained further. 4: a policy's temperature is a number of its own, and a network that
policies share is there once. Versions 1 to 3 are read as well."""
# A folder or an exported file may come from a stranger: nothing above these sizes is read.
MAX_JSON = 1 << 20
"""Bytes of a config.json; what runs write takes three thousand."""
MAX_HEADER = 64 << 20
"""Bytes of a safetensors header. That of payoffs.safetensors holds the records, about a thousand
bytes each; safetensors itself stops at 100 million."""
MAX_BYTES = 4 << 30
"""Bytes of the arrays in one file: the payoffs between two populations of 16,384 policies."""
MAX_SENTENCE = 300
"""Characters that are quoted of what an error says: it may quote a whole file."""
MAX_TENSORS = 10_000
"""Arrays in one safetensors file; a network has some twenty."""
MAX_NAME = 200
"""Characters of an array's name, which slashes make a path of nested dicts."""
_DTYPES = ("F64", "F32")
"""Of all arrays that runs write; there are some that NumPy has not."""


class Damaged(Exception):
    """What a file holds that no run writes; the rest of a sentence. Readers catch it, and no error
    of ours, which is no damage."""


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
    """The nested dict that `flatten` made flat; raises Damaged where it cannot be one."""
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
    """Writes a safetensors file whose metadata hold `info` and a SHA-256 of all; returns that."""
    tensors = {name: np.ascontiguousarray(value) for name, value in tensors.items()}
    digest = _digest(tensors, info)
    # One key, because safetensors writes several in no particular order.
    metadata = {"psro": json.dumps({**info, "format_version": FORMAT_VERSION, "sha256": digest})}
    disk.write(path, safetensors.numpy.save(tensors, metadata), held)
    return digest


def read_tensors(
    path: Path, most: Callable[[dict[str, Any]], int] = lambda info: MAX_BYTES
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and `info` of what `write_tensors` wrote.

    Args:
        path: the file.
        most: bytes that the arrays may have, by what `info` says; it may raise Damaged. They are
            not read if they have more.

    Raises:
        ExperimentError: there is no such file, it is damaged, or larger than any run writes.
    """
    with _reading(path) as (file, names, info):
        size, room = path.stat().st_size, min(most(info), MAX_BYTES)
        if size > room + MAX_HEADER:
            raise Damaged(f"it has {size:,} bytes, and its arrays at most {room:,}")
        for name in names:
            if file.get_slice(name).get_dtype() not in _DTYPES:
                raise Damaged(f"{name!r} must be finite float32 or float64 numbers")
        tensors = {name: file.get_tensor(name) for name in names}
        content = {k: v for k, v in info.items() if k not in ("format_version", "sha256")}
        if _digest(tensors, content) != info["sha256"]:
            raise Damaged("its contents do not match their checksum")
    return tensors, info


def read_info(path: Path) -> dict[str, Any]:
    """The `info` of what `write_tensors` wrote, from the file's head alone: the checksum, which is
    part of it, is not compared. Raises as `read_tensors`."""
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
    """Before anything is parsed; that shapes fit the file's size safetensors checks itself."""
    with disk.open_plain(path) as file:
        header = int.from_bytes(file.read(8), "little")
        if not header <= min(MAX_HEADER, file.seek(0, os.SEEK_END) - 8):
            raise Damaged(f"its header claims {header:,} bytes")


def read_json(path: Path) -> Any:
    """What a JSON file in a folder holds; raises Damaged where it is none, and OSError."""
    return parse_json(read_bytes(path, MAX_JSON))


def check_version(folder: Path, version: Any) -> None:
    """Of what a folder's config.json says as its `format_version`.

    Raises:
        ExperimentError: it is newer than this.
        Damaged: it is no whole number.
    """
    if type(version) is not int:
        raise Damaged("format_version must be a whole number")
    if version > FORMAT_VERSION:
        raise ExperimentError(
            f"{folder} was written in format {str(version)[:20]}, this psro reads up to "
            f"{FORMAT_VERSION}; install a newer psro"
        )


def read_bytes(path: Path, most: int) -> bytes:
    """The bytes of a plain file in a folder; raises Damaged where it has more, and OSError."""
    with disk.open_plain(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise Damaged(f"it is larger than {most:,} bytes")
    return content


def parse_json(text: str | bytes) -> Any:
    """`json.loads`; raises Damaged where the text is no JSON. Python's reads NaN as well."""
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


def sentence(error: Exception) -> str:
    """The first line of what an error says, as it can be printed."""
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return printable(said.strip().split("\n")[0][:MAX_SENTENCE]) or type(error).__name__
