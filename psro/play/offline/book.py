"""Data of an offline page: a header in JSON and arrays, in one compressed text.

The bytes are the header's length as uint32, the header, and the arrays, each at a multiple of 8;
all little-endian, in gzip, in base64. The same data gives the same text. `offline.js` reads it.
"""

from __future__ import annotations

import base64
import dataclasses
import gzip
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from psro.play.cards import Picture

_KINDS = ("int8", "uint8", "int32", "float32", "float64")


class Pool:
    """Values of JSON, each held once. Texts, cards and moves recur in thousands of states."""

    def __init__(self):
        self.values: list[Any] = []
        self._places: dict[str, int] = {}

    def put(self, value: Any) -> int:
        """The place of a value; -1 for None."""
        if value is None:
            return -1
        key = json.dumps(value)
        if key not in self._places:
            self._places[key] = len(self.values)
            self.values.append(value)
        return self._places[key]

    def put_picture(self, picture: Picture | None) -> int:
        """The place of a picture, whose moves are a value of their own."""
        if picture is None:
            return -1
        fields = dataclasses.asdict(picture)
        return self.put(fields | {"moves": self.put(fields["moves"])})


def packed(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> str:
    """The text of a page's data. `arrays` are of one of the kinds above."""
    known = [(name, np.ascontiguousarray(array)) for name, array in arrays.items()]
    for name, array in known:
        if array.dtype.name not in _KINDS:
            raise TypeError(f"{name} is of {array.dtype}")
    size = 0  # of the header, which says where arrays begin, and so how long it is itself
    while True:
        places, end = [], -(-(4 + size) // 8) * 8
        for name, array in known:
            places.append([name, array.dtype.name, end, array.size])
            end += -(-array.nbytes // 8) * 8
        text = json.dumps({**header, "arrays": places}, separators=(",", ":"), allow_nan=False)
        if len(text) <= size:
            break
        size = len(text)
    content = bytearray(end)
    content[:4] = size.to_bytes(4, "little")
    content[4 : 4 + size] = text.encode().ljust(size)
    for (_, array), (_, _, place, _) in zip(known, places, strict=True):
        raw = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        content[place : place + len(raw)] = raw
    return base64.b64encode(gzip.compress(bytes(content), 9, mtime=0)).decode()
