"""Compiled trees on disk, so that a large game is enumerated once.

Each file is one tree, in the safetensors format. Its metadata describe the tree and give its
SHA-256. It is written under a temporary name and then renamed, so a half-written file is never
read. If anything is wrong with a file or a folder, the game is enumerated again, without a message.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from games.errors import MAX_RETURN
from games.player_tree import PlayerTree
from games.texts import Texts
from games.tree import GameTree

FOLDER_VARIABLE = "PSRO_TREE_CACHE"
"""The environment variable that names the folder if the caller names none. Unset or empty means no
cache."""

LEAST_SECONDS = 0.5
"""A game that is enumerated faster than this is not kept."""

MOST_BYTES = 4 << 30
"""The most bytes of all files in a folder. If there are more, the least recently used files are
deleted."""

_MOST_HEADER = 100_000_000
"""The most bytes of a file's header; safetensors reads no more."""
_LEFT_OVER = 86_400.0
"""A half-written file that is older than this many seconds was left by a process that was
killed."""
_NO_TREE = (
    OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, AssertionError,
    OverflowError, RecursionError, MemoryError, safetensors.SafetensorError,
)  # fmt: skip
"""Exceptions from reading a file with arbitrary content."""
_FORMAT_VERSION = 2
_TEXTS = ("names", "keys")
_PLAYER_ARRAYS = (
    "observation", "parent", "first_sequence", "info_state", "action", "level_start",
)  # fmt: skip
_ARRAYS = (
    "chance", "terminal_returns", "sequence", "decision_player", "decision_info_state",
    "first_slot", "first_outcome", "outcome_node", "outcome_probability",
)  # fmt: skip
_PLAIN = (
    "name", "observation_kind", "identity", "num_actions", "num_histories", "max_length",
)  # fmt: skip


def folder(given: str | os.PathLike | None) -> Path | None:
    """The folder of trees: `given`, or else the one that the environment names. None means no
    cache."""
    where = os.environ.get(FOLDER_VARIABLE) if given is None else os.fspath(given)
    return Path(where) if where else None


def path(where: Path, key: Mapping[str, str]) -> Path:
    """The file for `key`: game string, OpenSpiel's version, observation."""
    return where / f"{_digest(json.dumps(_full(key), sort_keys=True))[:32]}.safetensors"


def read(where: Path, key: Mapping[str, str]) -> GameTree | None:
    """The tree, or None if the file is missing, damaged, or not a tree."""
    kept = read_arrays(where, key)
    try:
        tree = None if kept is None else _tree(*kept)
        return tree if tree is not None and _is_sound(tree) else None
    except _NO_TREE:
        return None


def read_arrays(
    where: Path, key: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, np.ndarray]] | None:
    """What `write_arrays` was given, or None if the file is missing or damaged."""
    file = path(where, key)
    try:
        status = file.lstat()  # not a link, nor a pipe, which would block
        if not stat.S_ISREG(status.st_mode) or status.st_size > MOST_BYTES + _MOST_HEADER:
            return None
        with safetensors.safe_open(file, framework="numpy") as opened:
            about = json.loads(opened.metadata()["tree"])
            arrays = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        if about["key"] != _full(key) or about["sha256"] != _checksum(about, arrays):
            return None
        os.utime(file)  # records the use
        return about, arrays
    except _NO_TREE:
        return None


def write(where: Path, key: Mapping[str, str], tree: GameTree) -> None:
    """Writes the tree to the cache. Errors of the disk are ignored."""
    about: dict[str, Any] = {name: getattr(tree, name) for name in _PLAIN}
    write_arrays(where, key, about | {"players": tree.num_players}, _arrays(tree))


def write_arrays(
    where: Path, key: Mapping[str, str], about: Mapping[str, Any], arrays: dict[str, np.ndarray]
) -> None:
    """Writes arrays to the cache with what is known `about` them, as JSON. Errors of the disk are
    ignored."""
    about = {**about, "key": _full(key)}
    about["sha256"] = _checksum(about, arrays)
    size = sum(array.nbytes for array in arrays.values())
    if size > MOST_BYTES:
        return
    with contextlib.suppress(OSError, safetensors.SafetensorError):
        where.mkdir(parents=True, exist_ok=True)
        _make_room(where, size)
        handle, temporary = tempfile.mkstemp(dir=where, suffix=".part")
        os.close(handle)
        try:
            safetensors.numpy.save_file(arrays, temporary, {"tree": json.dumps(about)})
            with open(temporary, "rb+") as written:
                os.fsync(written.fileno())
            os.replace(temporary, path(where, key))
        finally:
            Path(temporary).unlink(missing_ok=True)


def _full(key: Mapping[str, str]) -> dict[str, str | int]:
    return {**key, "format": _FORMAT_VERSION}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _checksum(about: Mapping, arrays: Mapping[str, np.ndarray]) -> str:
    """The SHA-256 of all arrays and of the metadata without the checksum."""
    described = {name: value for name, value in about.items() if name != "sha256"}
    digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode())
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype} {arrays[name].shape}".encode())
        digest.update(np.ascontiguousarray(arrays[name]).reshape(-1).view(np.uint8))
    return digest.hexdigest()


def _make_room(where: Path, size: int) -> None:
    for left in where.glob("*.part"):
        if time.time() - left.lstat().st_mtime > _LEFT_OVER:
            left.unlink(missing_ok=True)
    files = [(file.stat(), file) for file in where.glob("*.safetensors")]
    total = size + sum(about.st_size for about, _ in files)
    for about, file in sorted(files, key=lambda entry: entry[0].st_mtime):
        if total <= MOST_BYTES:
            return
        file.unlink(missing_ok=True)
        total -= about.st_size


def _arrays(tree: GameTree) -> dict[str, np.ndarray]:
    arrays = {name: getattr(tree, name) for name in _ARRAYS}
    for seat, player in enumerate(tree.players):
        for name in _PLAYER_ARRAYS:
            arrays[f"{seat}/{name}"] = getattr(player, name)
        texts = {"names": player.names}
        if tree.identity == "tensor":
            texts["keys"] = player.keys
        elif tree.identity == "history":
            seen = [what for _, what in player.keys]  # `parent` holds the first part of a key
            texts["keys"] = Texts.of(seen, type(seen[0]) if seen else str)
        for name, text in texts.items():
            arrays[f"{seat}/{name}/{text.kind.__name__}"] = text.content
            arrays[f"{seat}/{name}/start"] = text.start
    return arrays


def _tree(about: Mapping, arrays: Mapping[str, np.ndarray]) -> GameTree:
    players = []
    for seat in range(about["players"]):
        texts = {
            name: Texts(
                arrays[f"{seat}/{name}/{kind.__name__}"], arrays[f"{seat}/{name}/start"], kind
            )
            for name in _TEXTS
            for kind in (str, bytes)
            if f"{seat}/{name}/{kind.__name__}" in arrays
        }
        player_arrays = {name: arrays[f"{seat}/{name}"] for name in _PLAYER_ARRAYS}
        keys = texts.get("keys", texts["names"])
        if about["identity"] == "history":
            keys = tuple(zip(player_arrays["parent"].tolist(), keys, strict=True))
        players.append(
            PlayerTree(
                num_actions=about["num_actions"], **player_arrays, names=texts["names"], keys=keys
            )
        )
    return GameTree(
        **{name: about[name] for name in _PLAIN},
        **{name: arrays[name] for name in _ARRAYS},
        players=tuple(players),
    )


def _is_sound(tree: GameTree) -> bool:
    """Whether shapes fit together, indices stay within the arrays that they point into, and numbers
    are possible in a game."""
    num_slots, seats = len(tree.first_outcome) - 1, tree.num_players
    nodes = tree.num_decisions + tree.num_terminals
    sizes = (tree.num_actions, tree.num_histories, tree.max_length)
    if not all(type(size) is int and 0 <= size < 1 << 31 for size in sizes):
        return False
    sound = [
        bool((np.abs(tree.terminal_returns) <= MAX_RETURN).all()),
        bool((tree.outcome_probability >= 0).all()),
        tree.terminal_returns.shape == tree.sequence.shape == (tree.num_terminals, seats),
        len(tree.decision_info_state) == len(tree.first_slot) == tree.num_decisions,
        len(tree.outcome_node) == len(tree.outcome_probability) == nodes,
        _within(tree.decision_player, seats),
        _within(tree.first_slot, num_slots),
        _within(tree.outcome_node, nodes),
        _starts(tree.first_outcome, 0, nodes),
    ]
    for seat, player in enumerate(tree.players):
        count, sequences = player.num_info_states, player.num_sequences
        decided = tree.decision_info_state[tree.decision_player == seat]
        sound += [
            _within(tree.sequence[:, seat], sequences),
            _within(decided, count),
            player.observation.shape == (count, tree.observation_size),
            len(player.names) == len(player.keys) == count,
            _within(player.parent, sequences),
            len(player.first_sequence) == count + 1,
            _starts(player.first_sequence, 1, sequences),
            len(player.info_state) == sequences,
            _within(player.info_state + 1, count + 1),
            _within(player.action + 1, tree.num_actions + 1),
            _starts(player.level_start, 0, count),
            _starts(player.names.start, 0, len(player.names.content)),
        ]
    return all(sound)


def _within(index: np.ndarray, stop: int) -> bool:
    return not index.size or bool(index.min() >= 0 and index.max() < stop)


def _starts(start: np.ndarray, first: int, last: int) -> bool:
    """Whether these are the starts of consecutive pieces, from `first` to `last`."""
    return (
        len(start) > 0
        and int(start[0]) == first
        and int(start[-1]) == last
        and bool((np.diff(start) >= 0).all())
    )
