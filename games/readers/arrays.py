"""Payoffs as NumPy's arrays: `.npy` and `.npz` files."""

from __future__ import annotations

import lzma
import os
import zipfile
import zlib
from typing import BinaryIO

import numpy as np

from games.errors import MAX_RETURN, GameError, sentence
from games.readers.labels import MAX_AXES, MAX_PAYOFFS, PayoffTable


def read_npy(file: BinaryIO) -> PayoffTable:
    """An array `[rows, columns]` of the row player's payoffs in a zero-sum game, or all players'
    payoffs `[P, A_0, ..., A_{P-1}]`.

    Raises:
        GameError: it holds anything else, or more numbers than `MAX_PAYOFFS`.
    """
    array = _array(file, os.fstat(file.fileno()).st_size)
    return PayoffTable(payoffs=array[None] if array.ndim == 2 else _all_players(array))


def read_npz(file: BinaryIO) -> PayoffTable:
    """`payoffs` as in a `.npy` file; or matrices `row` and `column`; or `row` alone. Raises as
    `read_npy`."""
    arrays = _members(file)
    if "payoffs" in arrays:
        whole = arrays["payoffs"]
        return PayoffTable(payoffs=whole[None] if whole.ndim == 2 else _all_players(whole))
    for key, array in arrays.items():
        if array.ndim != 2:
            raise GameError(f"{key} has shape {array.shape} and must be [rows, columns]")
    row, column = arrays["row"], arrays.get("column")
    if column is None:
        return PayoffTable(payoffs=row[None])
    if row.shape != column.shape:
        raise GameError(f"row has shape {row.shape} and column {column.shape}")
    return PayoffTable(payoffs=np.stack([row, column]))


def _members(file: BinaryIO) -> dict[str, np.ndarray]:
    """An archive's arrays, if they are those of one game."""
    try:
        with zipfile.ZipFile(file) as archive:
            sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
            keys = {key.removesuffix(".npy") for key in sizes}
            if keys not in ({"payoffs"}, {"row", "column"}, {"row"}):
                raise GameError(
                    "its arrays must be payoffs, or row and column, or row alone, but it has "
                    + (", ".join(repr(key[:40]) for key in sorted(keys)[:5]) or "none")
                )
            arrays = {}
            for key in keys:
                with archive.open(f"{key}.npy") as member:
                    arrays[key] = _array(member, sizes[f"{key}.npy"])
            return arrays
    except (
        zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, lzma.LZMAError, KeyError, EOFError,
        RuntimeError,
    ) as error:  # fmt: skip
        raise GameError(f"it is not an archive of arrays ({sentence(error)})") from None


def _all_players(array: np.ndarray) -> np.ndarray:
    if array.ndim < 3 or array.shape[0] != array.ndim - 1:
        raise GameError(
            f"it has shape {array.shape}; payoffs are [rows, columns], or [P, A_0, ..., A_(P-1)] "
            "for P players"
        )
    return array


def _array(file: BinaryIO, size: int) -> np.ndarray:
    """An array in NumPy's format, from a file of `size` bytes. The header is checked before memory
    for the array is allocated."""
    header = np.lib.format
    try:
        version = header.read_magic(file)
        read = header.read_array_header_1_0 if version == (1, 0) else header.read_array_header_2_0
        shape, fortran, kind = read(file)
    except (OSError, zipfile.BadZipFile):
        raise
    except Exception as error:  # of any kind: NumPy parses the header as Python
        raise GameError(f"it is not an array ({sentence(error)})") from None
    if len(shape) > MAX_AXES or any(type(length) is not int or length < 0 for length in shape):
        raise GameError(f"{str(shape)[:100]} is not a shape of an array")
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
