"""The own info states of walked games on disk, in the folder of compiled trees."""

from __future__ import annotations

import os
import time

import numpy as np

from games.readers import cache
from games.readers.openspiel import OBSERVATIONS
from games.walked.own_trees import OwnTrees, own_trees
from games.walked.rules import HiddenBoard
from games.walked.tree import Progress, WalkedTree

_FORMAT_VERSION = 3


def cached_tree(
    rules: HiddenBoard,
    given: str | os.PathLike | None = None,
    progress: Progress | None = None,
    observation: str = OBSERVATIONS[0],
) -> WalkedTree:
    """The walked form of a game, from the cache if it is there. `given` is its folder, as in
    `games.load`; `progress` is told how far a walk is; policies see the tensor `observation`."""
    where = cache.folder(given)
    key = {"walked": rules.name, "walked_format": str(_FORMAT_VERSION)}
    read = None if where is None else cache.read_arrays(where, key)
    if read is not None:
        try:
            return WalkedTree.of(rules, _unpacked(*read), progress, observation)
        except (KeyError, TypeError, ValueError, IndexError):
            pass  # made again
    begin = time.perf_counter()
    trees = own_trees(rules)
    if where is not None and time.perf_counter() - begin >= cache.LEAST_SECONDS:
        about = {
            "num_histories": trees.num_histories, "num_numbers": trees.num_numbers,
            "num_sequences": len(trees.follows),
        }  # fmt: skip
        cache.write_arrays(where, key, about, {"follows": np.packbits(trees.follows)})
    return WalkedTree.of(rules, trees, progress, observation)


def _unpacked(about: dict, arrays: dict[str, np.ndarray]) -> OwnTrees:
    size = int(about["num_sequences"])
    follows = np.unpackbits(arrays["follows"], count=2 * size).astype(bool).reshape(size, 2)
    return OwnTrees(
        num_histories=int(about["num_histories"]), num_numbers=int(about["num_numbers"]),
        follows=follows,
    )  # fmt: skip
