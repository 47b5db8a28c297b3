"""What files of experiments hold: they come back as they were written, or are refused."""

import dataclasses
import json

import numpy as np
import pytest
import safetensors.numpy

from psro.metagame.strategy import MetaStrategy
from psro.runs import commit, policies, storage
from psro.runs.config import RunConfig
from psro.runs.storage import Damaged, ExperimentError
from psro.training.record import Record

CONFIG = RunConfig(iterations=3)


def refused(call):
    with pytest.raises(ExperimentError) as error:
        call()
    return str(error.value)


def test_nested_dicts_come_back(tmp_path):
    params = {"a": {"b": np.ones((2, 3), np.float32), "c": {"d": np.zeros(2)}}, "e": np.ones(1)}
    flat = storage.flatten(params)
    assert list(flat) == ["a/b", "a/c/d", "e"]
    digest = storage.write_tensors(tmp_path / "file", flat, {"about": [1]})
    tensors, info = storage.read_tensors(tmp_path / "file")
    nested = storage.unflatten(tensors)
    assert nested.keys() == params.keys() and nested["a"]["c"].keys() == {"d"}
    np.testing.assert_array_equal(nested["a"]["b"], params["a"]["b"])
    assert info == {"about": [1], "format_version": storage.FORMAT_VERSION, "sha256": digest}
    assert storage.read_info(tmp_path / "file") == info


@pytest.mark.parametrize("names", [("a", "a/b"), ("a/b", "a"), ("a/b/c", "a/b")])
def test_names_that_make_no_nested_dict(names):
    with pytest.raises(Damaged, match="lies (within|around) another array"):
        storage.unflatten(dict.fromkeys(names, np.zeros(1)))


def test_a_file_whose_contents_were_changed(tmp_path):
    path = tmp_path / "file"
    assert "is missing" in refused(lambda: storage.read_tensors(path))
    storage.write_tensors(path, {"a": np.zeros(4)}, {})
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    assert "checksum" in refused(lambda: storage.read_tensors(path))
    assert "its arrays at most 31" in refused(
        lambda: (
            storage.read_tensors(tmp_path / "large", lambda info: 31)
            if storage.write_tensors(tmp_path / "large", {"a": np.zeros(1 << 24)}, {})
            else None
        )
    )


@pytest.mark.parametrize(("metadata", "words"), [
    (None, "no checksum"),
    ({}, "no checksum"),
    ({"psro": "7"}, "no checksum"),
    ({"psro": '{"sha256": 7, "format_version": 4}'}, "no checksum"),
    ({"psro": '{"sha256": "", "format_version": "4"}'}, "no format_version"),
    ({"psro": "{"}, "damaged: Expecting"),
    ({"psro": "[" * 100_000}, "nest too deep"),
], ids=str)  # fmt: skip
def test_metadata_that_no_run_writes(tmp_path, metadata, words):
    safetensors.numpy.save_file({"a": np.zeros(1)}, tmp_path / "file", metadata)
    assert words in refused(lambda: storage.read_tensors(tmp_path / "file"))
    assert words in refused(lambda: storage.read_info(tmp_path / "file"))


@pytest.mark.parametrize("arrays", [
    {str(number): np.zeros(1) for number in range(storage.MAX_TENSORS + 1)},
    {"a" * 201: np.zeros(1)},
], ids=["many", "long"])  # fmt: skip
def test_arrays_that_no_network_has(tmp_path, arrays):
    storage.write_tensors(tmp_path / "file", arrays, {})
    assert "arrays, or one whose name" in refused(lambda: storage.read_tensors(tmp_path / "file"))


@pytest.mark.parametrize("kind", [np.int32, np.float16, np.bool_])
def test_arrays_of_other_types(tmp_path, kind):
    storage.write_tensors(tmp_path / "file", {"a": np.zeros(1, kind)}, {})
    assert "float32 or float64" in refused(lambda: storage.read_tensors(tmp_path / "file"))


def test_json_that_is_none(tmp_path):
    path = tmp_path / "file.json"
    for content, words in ((b"[" * 100_000, "too deep"), (b"{", "Expecting"), (b"\xff", "decode")):
        path.write_bytes(content)
        with pytest.raises(Damaged, match=words):
            storage.read_json(path)
    path.write_bytes(b" " * (storage.MAX_JSON + 1))
    with pytest.raises(Damaged, match="larger than"):
        storage.read_json(path)


def test_sentences_are_short_and_printable():
    assert storage.sentence(ValueError("one\ntwo")) == "one"
    assert storage.sentence(ValueError("")) == "ValueError"
    assert storage.sentence(ValueError("\x1b[2J")) == r"\x1b[2J"
    assert storage.sentence(FileNotFoundError(2, "No such file", "name")) == "No such file"
    assert len(storage.sentence(ValueError("x" * 10_000))) == storage.MAX_SENTENCE
    cut = storage.sentence(ValueError("word " * 100))
    assert cut.endswith("word ...") and len(cut) <= storage.MAX_SENTENCE


# Records


def record(number=0, players=2):
    values = tuple(0.5 for _ in range(players))
    counts = tuple(1 for _ in range(players))
    return Record(
        iteration=number, exploitability=0.5, nash_conv=1.0, cce_gap=None, ce_gap=None,
        concept="nash", meaning="", value=values, best_response_value=values, achieved_value=None,
        improvement=None, gap=None, meta_regret=0.0, size=number + 1, support_size=counts,
        decisions=counts, episodes=counts, seconds={"oracle": 1.0},
    )  # fmt: skip


def info(*records):
    saved = [json.loads(json.dumps(dataclasses.asdict(each))) for each in records]
    return {"records": saved, "policies": ["digest"] * len(records)}


def test_records_come_back():
    records = [record(0), record(1)]
    assert commit._records(info(*records), CONFIG) == records


def test_records_of_older_versions():
    """Format 1 knew no concepts, and formats before 3 one policy an iteration."""
    older = info(record(0), record(1))
    for saved in older["records"]:
        for name in ("concept", "meaning", "cce_gap", "ce_gap", "size"):
            del saved[name]
    assert [each.size for each in commit._records(older, CONFIG)] == [1, 2]
    assert {each.concept for each in commit._records(older, CONFIG)} == {"nash"}


@pytest.mark.parametrize(("changed", "words"), [
    ({"records": None}, "records or policies"),
    ({"records": []}, "records or policies"),
    ({"policies": ["digest"]}, "2 records for 1 policies"),
    ({"policies": ["digest", 7]}, "2 records for 2 policies"),
    ({"records": [1, 2]}, "record 0"),
    (info(record(0), record(1, players=3)), "different numbers of players"),
    (info(record(1), record(2)), "iteration"),
    (info(record(0, players=0), record(1, players=0)), "players"),
    (info(record(0, players=101), record(1, players=101)), "players"),
    (info(dataclasses.replace(record(0), concept="ce"), record(1)), "concept"),
    (info(dataclasses.replace(record(0), size=3), record(1)), "size"),
    (info(record(0), dataclasses.replace(record(1), size=9)), "at most 2 policies"),
], ids=str)  # fmt: skip
def test_records_that_do_not_fit_together(changed, words):
    with pytest.raises(Damaged, match=words):
        commit._records(info(record(0), record(1)) | changed, CONFIG)


@pytest.mark.parametrize("change", [lambda saved: saved.pop("value"), lambda s: s.update(new=1)])
def test_records_of_other_fields(change):
    saved = info(record(0))
    change(saved["records"][0])
    with pytest.raises(Damaged, match="'(value|new)' of record 0 is missing or wrong"):
        commit._records(saved, CONFIG)


def test_a_new_field_of_records_needs_a_check():
    with pytest.raises(AssertionError, match=r"complex"):
        commit._is_sound(1, "complex", 2)


def test_strategies_come_back():
    joint = np.full((2, 2), 0.25)
    for strategy in (MetaStrategy.of([np.ones(1)] * 2), MetaStrategy.of(joint)):
        tensors = commit._strategy_tensors("name", strategy)
        size = len(strategy.marginals[0])
        read = commit._read_strategy(tensors, "name", 2, size)
        for ours, theirs in zip(read.marginals, strategy.marginals, strict=True):
            np.testing.assert_array_equal(ours, theirs)
        assert (read.joint is None) == (strategy.joint is None)


# Policies


@pytest.mark.parametrize(("tensors", "words"), [
    ({}, "of every player"),
    ({"a": np.zeros(2, np.float32)}, "of every player"),
    ({"a": np.zeros((2, 2), np.float32)}, "of every player"),
    ({"a": np.zeros((2, 1)), "b": np.zeros((2, 1), np.float32)}, "a must be finite float32"),
    ({"a": np.full((2, 1), np.inf, np.float32)}, "a must be finite float32"),
    ({"a": np.zeros((2, 1), np.float32), "b": np.zeros((1, 1), np.float32)}, "b must hold 1"),
    ({"a": np.zeros((2, 1), np.float32), "shared/b": np.zeros(3)}, "b must be finite float32"),
], ids=str)  # fmt: skip
def test_policies_that_are_none(tensors, words):
    with pytest.raises(Damaged, match=words):
        policies._stacks(tensors, {"slots": [0]}, 1)


def test_what_policies_share_is_there_once():
    stack = np.ones((2, 3, 4), np.float32)
    name, shared = policies._once("network/a", stack)
    assert name == "shared/network/a" and shared.shape == (4,)
    own = {"network/b": np.arange(24, dtype=np.float32).reshape(2, 3, 4)}
    stacks = policies._stacks({name: shared, **own}, {"slots": [0, 1, 2]}, 3)
    np.testing.assert_array_equal(stacks["network/a"], stack)
    np.testing.assert_array_equal(stacks["network/b"], own["network/b"])


@pytest.mark.parametrize("params", [
    {}, {"policy_head": np.ones((1, 1))}, {"policy_head": {}}, {"network": np.ones(1)},
    {"policy_head": {"bias": {"a": np.ones((1, 1))}}},
    {"policy_head": {"bias": np.ones((1, 1)), "kernel": {"a": np.ones((1, 1))}}},
], ids=str)  # fmt: skip
def test_policies_of_an_older_version_without_a_policy_head(params):
    with pytest.raises(Damaged, match="policy head"):
        policies._with_temperature(params, 1, CONFIG)


def test_too_little_memory_is_no_damage(tmp_path, monkeypatch):
    path = tmp_path / "payoffs.safetensors"
    storage.write_tensors(path, {"a": np.zeros(3)}, {})

    def full(*arguments, **options):
        raise MemoryError

    monkeypatch.setattr(storage.safetensors, "safe_open", full)
    with pytest.raises(ExperimentError, match="payoffs.safetensors needs more memory than there"):
        storage.read_tensors(path)
