"""Games in files: which names are files, and the payoffs that CSV, NumPy and Gambit files hold.

| ending | holds |
|---|---|
| `.csv` | the row player's payoffs of a two-player zero-sum game: a line per row, commas between |
| `.npy` | the same as an array `[rows, columns]`, or everybody's, `[P, A_0, ..., A_{P-1}]` |
| `.npz` | `payoffs`, as in a `.npy`; or matrices `row` and `column`, one a player; or `row` alone |
| `.nfg` | Gambit's strategic form |
| `.efg` | Gambit's extensive form |

Nothing in a file is run: arrays of objects, which would be pickles, are refused.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import lzma
import os
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from games.readers import gambit
from games.tree import MAX_RETURN, GameError

ENDINGS = (".csv", ".npy", ".npz", ".nfg", ".efg")

MAX_PAYOFFS = 60_000_000
"""The most numbers in a file: a general-sum game of 5,000 x 5,000 has 50 million."""
_MOST_AXES = 32
"""Of an array; NumPy's own limit is 64, and some of what it is then given to takes 32."""


def is_file(name: str) -> bool:
    """Whether a game's name is that of a file, by its ending; OpenSpiel's names have none."""
    return Path(name).suffix.lower() in ENDINGS


def is_extensive(name: str) -> bool:
    """Whether the file holds a tree; the others hold payoffs."""
    return Path(name).suffix.lower() == ".efg"


def digest(name: str | os.PathLike) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with _reading(name), open(name, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_efg(name: str) -> str:
    """An extensive game in the words of `games.readers.gambit.openspiel_efg`."""
    with _reading(name):
        return gambit.openspiel_efg(Path(name).read_text("utf-8-sig", errors="replace"))


def read_payoffs(name: str) -> np.ndarray:
    """Payoffs of everybody, `[P, A_0, ..., A_{P-1}]`, or of all players but the last where the file
    says no more (see `games.matrix.NormalForm`), float64.

    Raises:
        GameError: there is no such file, or it holds something else.
    """
    read = {".csv": _csv, ".npy": _npy, ".npz": _npz, ".nfg": _nfg}[Path(name).suffix.lower()]
    with _reading(name):
        return read(name)


@contextlib.contextmanager
def _reading(name: str | os.PathLike) -> Iterator[None]:
    """Names the file in what went wrong with it."""
    try:
        yield
    except GameError as error:
        raise GameError(f"{str(name)!r} cannot be read as a game: {error}") from None
    except FileNotFoundError:
        raise GameError(f"there is no file {str(name)!r}") from None
    except OSError as error:
        raise GameError(f"cannot read {str(name)!r}: {error.strerror or error}") from None


def _nfg(name: str) -> np.ndarray:
    return _finite(gambit.read_nfg(Path(name).read_text("utf-8-sig", errors="replace")))


def _csv(name: str) -> np.ndarray:
    with open(name, encoding="utf-8-sig", errors="replace") as file:
        lines = (line for line in file if line.strip())
        first = next(lines, None)
        if first is None:
            raise GameError("it is empty")
        most = MAX_PAYOFFS // (first.count(",") + 1) + 1
        rows = itertools.islice(itertools.chain([first], lines), most)
        try:
            matrix = np.loadtxt(rows, delimiter=",", ndmin=2, comments=None)
        except ValueError as error:
            raise GameError(_sentence(error)) from None
    _check_size(matrix.shape)
    return _finite(matrix)[None]


def _npy(name: str) -> np.ndarray:
    with open(name, "rb") as file:
        array = _array(file, os.path.getsize(name))
    if array.ndim == 2:
        return array[None]
    return _everybody(array)


def _npz(name: str) -> np.ndarray:
    try:
        with zipfile.ZipFile(name) as archive:
            sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
            keys = {key.removesuffix(".npy") for key in sizes}
            if keys not in ({"payoffs"}, {"row", "column"}, {"row"}):
                raise GameError(
                    "its arrays must be payoffs, or row and column, or row alone, and it has "
                    + (", ".join(repr(key[:40]) for key in sorted(keys)[:5]) or "none")
                )
            arrays = {}
            for key in keys:
                with archive.open(f"{key}.npy") as file:
                    arrays[key] = _array(file, sizes[f"{key}.npy"])
    except (
        zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, lzma.LZMAError, KeyError, EOFError,
        RuntimeError,
    ) as error:  # fmt: skip
        raise GameError(f"it is no archive of arrays ({_sentence(error)})") from None
    if "payoffs" in arrays:
        whole = arrays["payoffs"]
        return whole[None] if whole.ndim == 2 else _everybody(whole)
    for key, array in arrays.items():
        if array.ndim != 2:
            raise GameError(f"{key} has shape {array.shape} and must be [rows, columns]")
    row, column = arrays["row"], arrays.get("column")
    if column is None:
        return row[None]
    if row.shape != column.shape:
        raise GameError(f"row has shape {row.shape} and column {column.shape}")
    return np.stack([row, column])


def _everybody(array: np.ndarray) -> np.ndarray:
    if array.ndim < 3 or array.shape[0] != array.ndim - 1:
        raise GameError(
            f"it has shape {array.shape}; payoffs are [rows, columns], or [P, A_0, ..., A_(P-1)] "
            "for P players"
        )
    return array


def _array(file: BinaryIO, size: int) -> np.ndarray:
    """An array in NumPy's format, of a file of `size` bytes; the header is looked at before
    anything of the size that it promises is set aside."""
    header = np.lib.format
    try:
        version = header.read_magic(file)
        read = header.read_array_header_1_0 if version == (1, 0) else header.read_array_header_2_0
        shape, fortran, kind = read(file)
    except (OSError, zipfile.BadZipFile):
        raise
    except Exception as error:  # of several kinds: NumPy parses the header as Python
        raise GameError(f"it is no array ({_sentence(error)})") from None
    if len(shape) > _MOST_AXES or any(type(length) is not int or length < 0 for length in shape):
        raise GameError(f"{str(shape)[:100]} is no shape")
    if kind.kind not in "biuf":
        raise GameError(f"its entries are {kind}, not numbers")
    _check_size(shape)
    count = int(np.prod(shape, dtype=object))
    if count * kind.itemsize > size - file.tell():
        raise GameError(f"it is cut off: {shape} numbers do not fit into its {size:,} bytes")
    data = np.frombuffer(file.read(count * kind.itemsize), kind)
    if len(data) != count:
        raise GameError(f"it is cut off: {len(data):,} of {count:,} numbers are there")
    array = data.reshape(shape, order="F" if fortran else "C")
    return _finite(np.ascontiguousarray(array, np.float64))


def _check_size(shape: tuple[int, ...]) -> None:
    count = int(np.prod(shape, dtype=object))
    if not count:
        raise GameError(f"it is empty, of shape {shape}")
    if count > MAX_PAYOFFS:
        raise GameError(f"it holds more than {MAX_PAYOFFS:,} numbers")


def _finite(payoffs: np.ndarray) -> np.ndarray:
    if not -MAX_RETURN <= payoffs.min() <= payoffs.max() <= MAX_RETURN:
        at = np.unravel_index(int(np.argmin(np.abs(payoffs) <= MAX_RETURN)), payoffs.shape)
        raise GameError(
            f"the payoff at {tuple(map(int, at))} is {payoffs[at]}, not a number up to "
            f"{MAX_RETURN:g}"
        )
    return payoffs


def _sentence(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
