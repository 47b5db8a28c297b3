"""The own info states of walked games on disk, in the folder of compiled trees."""

from __future__ import annotations

import os
import time

import numpy as np

from games.readers import cache
from games.walked.kernels import MOST_CELLS
from games.walked.own_trees import OwnTrees, own_trees
from games.walked.rules import HiddenBoard
from games.walked.tree import Progress, WalkedTree

_FORMAT_VERSION = 1
_ARRAYS = {"states": np.int64, "child": np.int32, "parent": np.int32}


def cached_tree(
    rules: HiddenBoard,
    given: str | os.PathLike | None = None,
    progress: Progress | None = None,
) -> WalkedTree:
    """The walked form of a game, from the cache if it is there. `given` is its folder, as in
    `games.load`; `progress` is told how far a walk is."""
    where = cache.folder(given)
    key = {"walked": rules.name, "walked_format": str(_FORMAT_VERSION)}
    read = None if where is None else cache.read_arrays(where, key)
    trees = None if read is None else _sound(rules, *read)
    if trees is None:
        begin = time.perf_counter()
        trees = own_trees(rules)
        if where is not None and time.perf_counter() - begin >= cache.LEAST_SECONDS:
            arrays = {name: getattr(trees, name) for name in _ARRAYS}
            about = {"num_histories": trees.num_histories, "sizes": trees.sizes}
            cache.write_arrays(where, key, about, arrays)
    return WalkedTree.of(rules, trees, progress)


def _sound(rules: HiddenBoard, about: dict, arrays: dict[str, np.ndarray]) -> OwnTrees | None:
    """What was read, or None if an index points nowhere: a walk does not check them."""
    try:
        (own, other), (sequences, others) = about["sizes"]
        trees = OwnTrees(
            num_histories=int(about["num_histories"]),
            sizes=((int(own), int(other)), (int(sequences), int(others))),
            **{name: arrays[name] for name in _ARRAYS},
        )
    except (KeyError, TypeError, ValueError):
        return None
    num_states, num_sequences = sum(trees.sizes[0]), sum(trees.sizes[1])
    shapes = {"states": (num_states,), "child": (2, num_sequences), "parent": (num_states,)}
    if any(
        arrays[name].dtype != dtype or arrays[name].shape != shapes[name]
        for name, dtype in _ARRAYS.items()
    ):
        return None
    first, tried = trees.states >> MOST_CELLS, trees.states & ((1 << MOST_CELLS) - 1)
    untried = np.bitwise_count(rules.open_cells & ~tried)
    sound = (
        min(own, other, sequences, others) >= 1
        and (tried & ~rules.open_cells == 0).all()
        and _follows(first[:own], untried[:own], 1, sequences)
        and _follows(first[own:], untried[own:], sequences + 1, num_sequences)
        and _within(trees.child[:, :sequences], -1, own)
        and _within(trees.child[:, sequences:], own, num_states, missing=True)
        and _within(trees.parent[:own], 0, sequences)
        and _within(trees.parent[own:], sequences, num_sequences)
        and (trees.child[0, [0, sequences]] == [0, own]).all()
        and _continues(trees, rules, untried)
    )
    return trees if sound else None


def _continues(trees: OwnTrees, rules: HiddenBoard, untried: np.ndarray) -> bool:
    """Whether each info state has tried one cell more than the one before it, and stands after its
    parent sequence only. Else a walk might not end."""
    start = trees.sizes[1][0]
    owner = np.repeat(np.arange(len(untried), dtype=np.int32), untried)
    before = np.insert(owner, [0, start - 1], -1)[trees.parent]
    roots = before < 0
    tried = trees.states & ((1 << MOST_CELLS) - 1)
    earlier = np.where(roots, 0, tried[before])
    more = tried & ~earlier
    for row in trees.child:
        after = np.flatnonzero(row >= 0)
        if (trees.parent[row[after]] != after).any():
            return False
    return bool((earlier & ~tried == 0).all() and (np.bitwise_count(more) == ~roots).all())


def _follows(first: np.ndarray, count: np.ndarray, start: int, stop: int) -> bool:
    """Whether info states have as many sequences as cells that are not tried, one after the other,
    and those of a level follow those of the level before."""
    ends = start + np.cumsum(count)
    return bool(
        (first[1:] == ends[:-1]).all()
        and first[0] == start
        and ends[-1] == stop
        and (np.diff(count.astype(np.int8)) <= 0).all()
    )


def _within(indices: np.ndarray, least: int, stop: int, missing: bool = False) -> bool:
    inside = (indices >= least) & (indices < stop)
    return bool((inside | (indices == -1) if missing else inside).all())
