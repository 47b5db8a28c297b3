"""Rows of zeros with a few ones, stored as the positions of the ones."""

from __future__ import annotations

import numpy as np


class Marks:
    """A sparse int8 array `[I, O]`: row i is 1 at `places[i]` and 0 elsewhere.

    Rows are made when they are read. As an array, 20,000 info states with an entry of their own
    each would take 400 MB.

    Attributes:
        places: int32 `[I, K]`; equal for equal rows.
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
