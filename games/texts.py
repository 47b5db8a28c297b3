"""Many strings in one array."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

import numpy as np

Text = TypeVar("Text", str, bytes)


class Texts(Sequence[Text]):
    """Many strings, or byte strings, end to end. A tuple would take 60 bytes more for each. Two
    are equal if their contents are.

    Attributes:
        content: the strings in UTF-8, or the bytes, uint8.
        start: item i is `content[start[i]:start[i + 1]]`, int64 `[N + 1]`.
        kind: `str` or `bytes`.
    """

    _AT_ONCE = 1 << 16  # the most items that exist as Python objects at once during iteration

    def __init__(self, content: np.ndarray, start: np.ndarray, kind: type[Text]):
        self.content, self.start, self.kind = content, start, kind

    @classmethod
    def of(cls, items: Iterable[Text], kind: type[Text]) -> Texts[Text]:
        """Holds `items`, all of one kind."""
        items, content, sizes = iter(items), bytearray(), [np.zeros(1, np.int64)]
        while some := list(islice(items, cls._AT_ONCE)):
            if kind is str:
                some = [text.encode("utf-8", "surrogatepass") for text in some]
            sizes.append(np.fromiter(map(len, some), np.int64, len(some)))
            content += b"".join(some)
        return cls(np.frombuffer(content, np.uint8), np.concatenate(sizes).cumsum(), kind)

    def __len__(self) -> int:
        return len(self.start) - 1

    def __getitem__(self, index):
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(self))))
        if not -len(self) <= index < len(self):
            raise IndexError(f"item {index} of {len(self)}")
        index %= len(self)
        return self._item(self.content[self.start[index] : self.start[index + 1]].tobytes())

    def __iter__(self) -> Iterator[Text]:
        for first in range(0, len(self), self._AT_ONCE):
            start = self.start[first : first + self._AT_ONCE + 1]
            some = self.content[start[0] : start[-1]].tobytes()
            start = (start - start[0]).tolist()
            for i in range(len(start) - 1):
                yield self._item(some[start[i] : start[i + 1]])

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Texts)
            and self.kind is other.kind
            and np.array_equal(self.start, other.start)
            and np.array_equal(self.content, other.content)
        )

    __hash__ = None

    def _item(self, raw: bytes) -> Text:
        return raw.decode("utf-8", "surrogatepass") if self.kind is str else raw
