"""Files of experiment folders: written in one step and made durable, read with their checksums.

A file is written beside its place, synced, and renamed into it; its folder is synced after that. So
a reader, or the next process after a crash, finds the old file or the new one, whole.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

FORMAT_VERSION = 2
"""2: correlated meta-strategies, gaps by concept. Version 1 is read as well."""


class ExperimentError(ValueError):
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
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            info = json.loads((file.metadata() or {})["psro"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        sha256 = info["sha256"]
        content = {k: v for k, v in info.items() if k not in ("format_version", "sha256")}
        intact = _digest(tensors, content) == sha256
    except FileNotFoundError:
        raise ExperimentError(f"{path} is missing") from None
    except (safetensors.SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise ExperimentError(f"{path} is damaged: {sentence(error)}") from None
    if not intact:
        raise ExperimentError(f"{path} is damaged: its contents do not match their checksum")
    return tensors, info


def _digest(tensors: Mapping[str, np.ndarray], info: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(info, sort_keys=True).encode())
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(f"{name} {value.dtype.str} {value.shape}".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()


def write(path: Path, content: bytes | str) -> None:
    """Replaces a file in one step: a reader, or a crash, sees the old one or the new one."""
    aside = path.with_name(f".{path.name}.tmp")
    try:
        with open(aside, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
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
    return str(error).strip().split("\n")[0] or type(error).__name__
