"""The vectors of policies in games that are too large to enumerate, in a run's folder.

    exact/0-<digest>.plan.npy     the realization plan of a policy of player 0, float32
    exact/0-<digest>.gains.npy    what player 1's sequences gain against it, float32

A name depends on the policy's parameters and on the order of the info states alone. So a run that
is resumed finds the vectors of its policies, and none of others. They can be computed again from
the policies, at some cost: whoever needs the room may delete them, and `psro export` leaves them
out.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

import numpy as np

from psro.metagame.form_meta_game import FormMetaGame
from psro.metagame.meta_game import MetaGame
from psro.runs import disk

VECTORS = "exact"
_NAME = re.compile(r"[01]-[0-9a-f]{32}\.(plan|gains)\.npy", re.ASCII)


class VectorFiles:
    """A `psro.training.on_form.Shelf` in a run's folder.

    Args:
        folder: the run's.
        held: the same folder, held for writing; without it new vectors stay in memory.
    """

    def __init__(self, folder: Path, held: disk.Held | None = None):
        self._folder, self._held = folder / VECTORS, held

    def find(self, name: str, size: int) -> np.ndarray | None:
        """The vector of this name, mapped into memory. None if there is no such file, or if it
        holds something else: then it is computed again."""
        path = self._folder / f"{name}.npy"
        if disk.kind_of(self._folder) is not None:
            return None
        try:
            with disk.open_plain(path) as file:
                if np.lib.format.read_magic(file) != (1, 0):
                    return None
                shape, _, dtype = np.lib.format.read_array_header_1_0(file)
                begin, length = file.tell(), os.fstat(file.fileno()).st_size
                if shape != (size,) or dtype != np.float32 or length != begin + 4 * size:
                    return None
                vector = np.memmap(file, np.float32, "r", offset=begin, shape=shape)
        except (OSError, ValueError):
            return None
        return vector if np.isfinite(vector.sum()) else None

    def keep(self, name: str, vector: np.ndarray) -> np.ndarray:
        """Writes a vector, float32, and maps it into memory."""
        if self._held is None:
            return vector
        path = self._held.path / VECTORS / f"{name}.npy"
        with disk.writing(self._held.path):
            with contextlib.suppress(FileExistsError):
                os.mkdir(VECTORS, dir_fd=self._held.descriptor)
            with disk.replacing(path, self._held) as file:
                np.lib.format.write_array(file, vector, version=(1, 0), allow_pickle=False)
        kept = self.find(name, len(vector))
        return vector if kept is None else kept

    def keep_only(self, meta_game: MetaGame) -> None:
        """Removes the vectors of policies that the meta-game does not hold: those that were
        replaced, and those of an iteration that was not finished."""
        if not isinstance(meta_game, FormMetaGame) or self._held is None:
            return
        names = {policy.name for policies in meta_game.vectors for policy in policies}
        with contextlib.suppress(OSError):
            folder = os.open(
                VECTORS,
                os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC,
                dir_fd=self._held.descriptor,
            )
            try:
                for name in os.listdir(folder):
                    if _NAME.fullmatch(name) and name.partition(".")[0] not in names:
                        os.unlink(name, dir_fd=folder)
            finally:
                os.close(folder)
