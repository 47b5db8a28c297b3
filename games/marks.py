"""Rows of zeros with a few ones, kept as the places of the ones."""

from __future__ import annotations

import numpy as np


class Marks:
    """What an int8 array `[I, O]` holds that is 1 at `places[i]` in row i and 0 elsewhere.

    Rows are made when they are asked for: 20,000 info states that are told apart by one entry each
    would be 400 MB.

    Attributes:
        places: int32 `[I, K]`; the same for two rows that are equal.
        shape: `(I, O)`.
    """

    dtype = np.dtype(np.int8)
    ndim = 2

    def __init__(self, places: np.ndarray, size: int):
        self.places = places
        self.shape = (len(places), size)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index) -> np.ndarray:
        """Rows by a number, a slice or an array."""
        places = self.places[index]
        rows = np.zeros((*places.shape[:-1], self.shape[1]), np.int8)
        np.put_along_axis(rows, places, 1, axis=-1)
        return rows

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return self[:].astype(dtype or np.int8, copy=False)
