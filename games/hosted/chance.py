"""Random numbers of a history: a 64-bit digest of it is its name and the seed of its chance.

The digest of a new episode is its seed. Every decision mixes one word into it: the action, and the
random bits that were drawn with it. So a history that is played again, in any order and any
process, meets the same chance. (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number
generators": the finaliser of SplitMix64.)
"""

from __future__ import annotations

import numpy as np

_GAMMA = 0x9E3779B97F4A7C15
_SALT = 0xD1B54A32D192ED03  # tells the numbers of a history from the digests of its successors
_FIRST, _SECOND = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_ALL = (1 << 64) - 1


def mixed(digests: np.ndarray, words: np.ndarray) -> np.ndarray:
    """The digests after one more word each, uint64 `[N]`; of different words they differ."""
    values = digests + (words.astype(np.uint64) + np.uint64(1)) * np.uint64(_GAMMA)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(_FIRST)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(_SECOND)
    return values ^ (values >> np.uint64(31))


def all_mixed(digest: int, words: np.ndarray) -> list[int]:
    """The digest after each of the words of one history."""
    digests = []
    for word in words.tolist():
        digest = _finalised((digest + (word + 1) * _GAMMA) & _ALL)
        digests.append(digest)
    return digests


class Chance:
    """Uniform numbers in [0, 1), of 53 bits, that belong to a digest."""

    __slots__ = ("_state",)

    def __init__(self, digest: int):
        self._state = digest ^ _SALT

    def uniform(self) -> float:
        """The next."""
        self._state = (self._state + _GAMMA) & _ALL
        return (_finalised(self._state) >> 11) * 2.0**-53


def _finalised(value: int) -> int:
    value = ((value ^ (value >> 30)) * _FIRST) & _ALL
    value = ((value ^ (value >> 27)) * _SECOND) & _ALL
    return value ^ (value >> 31)
