"""Compiled trees on disk: what comes back is what was kept, or nothing."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

import games
from games.readers import cache, openspiel
from games.texts import Texts
from games.tree import GameTree

NAMES = [
    "kuhn_poker(players=3)",  # told apart by strings
    "dark_hex_ir(board_size=2)",  # by tensors
    "pig(horizon=3)",  # by histories
]

KUHN = {"game": "kuhn_poker", "observation": "information_state"}


@pytest.fixture(autouse=True)
def keep_everything(monkeypatch):
    monkeypatch.setattr(cache, "LEAST_SECONDS", 0.0)


@pytest.fixture
def no_enumeration(monkeypatch):
    def refuse(*arguments):
        raise AssertionError("enumerated")

    return lambda: monkeypatch.setattr(openspiel, "walk", refuse)


def assert_same(tree: GameTree, other: GameTree):
    for ours, theirs in [(tree, other), *zip(tree.players, other.players, strict=True)]:
        for name, value in vars(ours).items():
            if isinstance(value, np.ndarray):
                assert value.dtype == getattr(theirs, name).dtype
                np.testing.assert_array_equal(value, getattr(theirs, name))
            elif name != "players":
                assert value == getattr(theirs, name)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_kept_comes_back(name, tmp_path, no_enumeration):
    first = games.load(name, cache=tmp_path)
    (file,) = tmp_path.iterdir()
    no_enumeration()
    assert_same(games.load(name, cache=tmp_path), first)
    assert list(tmp_path.iterdir()) == [file]


def test_a_policy_plays_a_tree_from_disk_as_the_first(tmp_path):
    trees = [games.load("pig(horizon=3)", cache=tmp_path) for _ in range(2)]
    policies = []
    for tree in trees:
        behaviours = {p: np.ones(mine.num_sequences) for p, mine in enumerate(tree.players)}
        policies.append(games.TreePolicy(tree, behaviours))
    state = openspiel.load_openspiel("pig(horizon=3)").new_initial_state()
    assert policies[0].action_probabilities(state) == policies[1].action_probabilities(state)


def test_nothing_is_kept_unasked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for setting in (None, ""):
        if setting is None:
            monkeypatch.delenv(cache.FOLDER_VARIABLE)
        else:
            monkeypatch.setenv(cache.FOLDER_VARIABLE, setting)
        games.load("kuhn_poker")
        assert not list(tmp_path.rglob("*"))
    monkeypatch.setenv(cache.FOLDER_VARIABLE, str(tmp_path / "trees"))
    games.load("kuhn_poker", cache="")
    assert not list(tmp_path.rglob("*"))
    games.load("kuhn_poker")
    assert len(list((tmp_path / "trees").iterdir())) == 1


def test_a_game_that_is_quickly_enumerated_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "LEAST_SECONDS", 60.0)
    games.load("kuhn_poker", cache=tmp_path)
    assert not list(tmp_path.iterdir())


def test_other_observations_versions_and_formats_are_other_files(tmp_path, monkeypatch):
    whole = games.load("kuhn_poker", cache=tmp_path)
    assert games.load("kuhn_poker", observation="observation", cache=tmp_path).observation_size != (
        whole.observation_size
    )
    assert len(list(tmp_path.iterdir())) == 2
    with monkeypatch.context() as changed:
        changed.setattr(importlib.metadata, "version", lambda package: "99")
        games.load("kuhn_poker", cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 3
    monkeypatch.setattr(cache, "_FORMAT_VERSION", 99)
    games.load("kuhn_poker", cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 4


def test_no_damaged_byte_goes_unnoticed(tmp_path):
    """One of every eleven bytes, header and arrays alike, changed in turn."""
    tree = games.load("kuhn_poker", cache=tmp_path)
    (file,) = tmp_path.iterdir()
    key = KUHN | {"open_spiel": importlib.metadata.version("open_spiel")}
    kept = dataclasses.replace(cache.read(tmp_path, key), source=tree.source)
    assert_same(kept, tree)
    whole = file.read_bytes()
    for place in range(0, len(whole), 11):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 0x15]) + whole[place + 1 :])
        read = cache.read(tmp_path, key)
        if read is not None:  # a space between the header's fields
            assert_same(read, tree)
    for length in (0, 1, 8, 100, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:length])
        assert cache.read(tmp_path, key) is None
        assert_same(games.load("kuhn_poker", cache=tmp_path), tree)  # and mended
        assert file.read_bytes() == whole


@pytest.mark.parametrize("name", NAMES)
def test_indices_that_point_nowhere_are_refused(name):
    """Also with a right checksum: of every array of indices, one entry too large or below zero."""
    tree = games.load(name)
    assert cache._is_sound(tree)
    arrays = [getattr(tree, each) for each in cache._ARRAYS]
    arrays += [getattr(tree.players[0], each) for each in cache._PLAYER_ARRAYS]
    indices = [each for each in arrays if each.dtype == np.int32]
    assert len(indices) == 11
    for each in indices:
        for wrong in (-2, 10**6):
            right = each.flat[-1]
            each.flat[-1] = wrong
            assert not cache._is_sound(tree)
            each.flat[-1] = right
    assert cache._is_sound(tree)


def test_a_file_that_is_whole_and_wrong_is_made_anew(tmp_path):
    """Its checksum is right, its last terminal's sequence is not."""
    tree = games.load("kuhn_poker", cache=tmp_path)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    key = KUHN | {"open_spiel": importlib.metadata.version("open_spiel")}
    wrong = games.load("kuhn_poker")
    wrong.sequence[-1] = 10**6
    cache.write(tmp_path, key, wrong)
    assert list(tmp_path.iterdir()) == [file] and file.read_bytes() != whole
    assert cache.read(tmp_path, key) is None
    assert_same(games.load("kuhn_poker", cache=tmp_path), tree)
    assert file.read_bytes() == whole


def test_a_half_written_file_is_never_in_place(tmp_path, monkeypatch):
    def killed(*arguments):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "replace", killed)
    tree = games.load("kuhn_poker", cache=tmp_path)
    assert tree.num_histories == 58
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_no_trouble(tmp_path):
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    assert games.load("kuhn_poker", cache=in_the_way).num_histories == 58
    assert games.load("kuhn_poker", cache=in_the_way / "below").num_histories == 58


def test_the_limit_holds_for_a_kept_tree_too(tmp_path):
    games.load("kuhn_poker", cache=tmp_path)
    with pytest.raises(games.GameError, match="limit is 57"):
        games.load("kuhn_poker", cache=tmp_path, max_histories=57)


def test_a_game_from_a_file_is_not_kept(tmp_path):
    """The file may change, and its name does not say so."""
    name = f"efg_game(filename={Path(__file__).parent / 'lopsided.efg'})"
    games.load(name, cache=tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_least_recently_used_tree_makes_room(tmp_path, monkeypatch):
    games.load("kuhn_poker", cache=tmp_path)
    (oldest,) = tmp_path.iterdir()
    games.load("kuhn_poker(players=3)", cache=tmp_path)
    (newer,) = set(tmp_path.iterdir()) - {oldest}
    os.utime(newer, (1, 1))
    os.utime(oldest, (2, 2))
    monkeypatch.setattr(cache, "MOST_BYTES", oldest.stat().st_size + newer.stat().st_size)
    games.load("kuhn_poker", observation="observation", cache=tmp_path)
    left = set(tmp_path.iterdir())
    assert oldest in left and newer not in left and len(left) == 2
    monkeypatch.setattr(cache, "MOST_BYTES", 10)
    games.load("leduc_poker", cache=tmp_path)  # larger than the limit by itself
    assert set(tmp_path.iterdir()) == left


@pytest.mark.parametrize("kind", [str, bytes])
def test_texts_are_what_a_tuple_would_be(kind, monkeypatch):
    monkeypatch.setattr(Texts, "_AT_ONCE", 3)
    items = ["", "a", "zwölf", "\udc80", "a\0b", "", "end"]
    if kind is bytes:
        items = [each.encode("utf-8", "surrogatepass") for each in items]
    for some in (items, []):
        texts = Texts.of(iter(some), kind)
        assert tuple(texts) == tuple(some) == tuple(texts[i] for i in range(len(texts)))
        assert texts[1:-1] == tuple(some[1:-1]) and len(texts) == len(some)
        assert texts == Texts.of(some, kind) and texts != Texts.of([*some, items[1]], kind)
        with pytest.raises(IndexError):
            texts[len(some)]
    assert texts != Texts.of([], bytes if kind is str else str)


def signed(where, tree, **changes):
    """Keeps a tree whose description is changed, under a checksum that fits."""
    about = {name: getattr(tree, name) for name in cache._PLAIN} | {"players": tree.num_players}
    about |= {"key": cache._full(KUHN)} | changes
    arrays = cache._arrays(tree)
    about["sha256"] = cache._checksum(about, arrays)
    metadata = {"tree": json.dumps(about)}
    safetensors.numpy.save_file(arrays, cache.path(where, KUHN), metadata)


@pytest.mark.parametrize("changes", [
    {"players": -1}, {"players": 10**30}, {"players": "2"}, {"players": None}, {"players": 3},
    {"num_actions": -1}, {"num_actions": 2.0}, {"num_actions": "2"}, {"num_actions": 10**30},
    {"num_histories": None}, {"max_length": []},
], ids=str)  # fmt: skip
def test_a_strangers_tree_is_refused_or_is_one(tmp_path, changes):
    """The folder of the cache may be another user's, who knows how the checksum is made."""
    tree = games.load("kuhn_poker")
    signed(tmp_path, tree)
    assert cache.read(tmp_path, KUHN) is not None
    signed(tmp_path, tree, **changes)
    assert cache.read(tmp_path, KUHN) is None


@pytest.mark.parametrize("name", ["terminal_returns", "outcome_probability"])
@pytest.mark.parametrize("value", [np.nan, -np.inf, -1e301])
def test_a_strangers_numbers_are_refused(tmp_path, name, value):
    tree = games.load("kuhn_poker")
    getattr(tree, name).flat[-1] = value
    signed(tmp_path, tree)
    assert cache.read(tmp_path, KUHN) is None


def test_what_is_no_file_or_larger_than_any_tree_is_not_opened(tmp_path):
    file = cache.path(tmp_path, KUHN)
    os.mkfifo(file)
    assert cache.read(tmp_path, KUHN) is None
    file.unlink()
    file.touch()
    os.truncate(file, 1 << 40)
    assert cache.read(tmp_path, KUHN) is None
    file.rename(tmp_path / "other")
    file.symlink_to("other")
    assert cache.read(tmp_path, KUHN) is None
    file.unlink()
    for depth in (10, 100_000):
        metadata = {"tree": "[" * depth}
        safetensors.numpy.save_file({"a": np.zeros(1)}, file, metadata)
        assert cache.read(tmp_path, KUHN) is None


def test_half_written_files_of_killed_processes_go_after_a_day(tmp_path):
    old, young = tmp_path / "a.part", tmp_path / "b.part"
    for left in (old, young):
        left.touch()
    os.utime(old, (time.time() - 100_000,) * 2)
    games.load("kuhn_poker", cache=tmp_path)
    assert not old.exists() and young.exists()
