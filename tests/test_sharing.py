"""Exported runs, and what strangers may put into one: nothing of it is run, or believed."""

import dataclasses
import io
import json
import os
import shutil
import stat
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from test_experiment import outcome

import psro
from psro import cli
from psro.runs import archive, experiment, storage
from psro.runs import folder as run_folder
from psro.runs.config import RunConfig
from psro.runs.storage import ExperimentError
from psro.views import page, plots, watch

CONFIG = RunConfig(game="kuhn_poker", oracle="best_response", iterations=3, tolerance=0.0)
PAYOFFS = "1,-1,0\n-1,1,0\n0,0.5,-0.5\n"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return psro.run(CONFIG, tmp_path_factory.mktemp("trained") / "run")


@pytest.fixture(scope="module")
def exported(trained):
    return psro.export(trained.folder, trained.folder.parent / "run.psro")


@pytest.fixture
def copy(trained, tmp_path):
    return shutil.copytree(trained.folder, tmp_path / "copy")


def refused(call):
    """The sentence with which a call is refused, having spent no memory to speak of."""
    tracemalloc.start()
    try:
        with pytest.raises(ExperimentError) as error:
            call()
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()
    sentence = str(error.value)
    assert sentence and "\n" not in sentence and len(sentence) < 500
    return sentence


def members(file):
    with zipfile.ZipFile(file) as opened:
        return {each.filename: opened.read(each) for each in opened.infolist()}


def rewritten(file, target, *, change=lambda info: None, more=(), **contents):
    """The archive again, some members with other contents, others added, all as `change` says."""
    with zipfile.ZipFile(target, "w") as made:
        for name, content in [*(members(file) | contents).items(), *more]:
            info = name if isinstance(name, zipfile.ZipInfo) else zipfile.ZipInfo(name)
            change(info)
            made.writestr(info, content)
    return target


def with_run(exported, target, **changes):
    """The archive with other settings."""
    fields = json.loads(members(exported)["config.json"])
    fields["run"] |= changes
    return rewritten(exported, target, **{"config.json": json.dumps(fields)})


def files_of(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


# There and back


def test_an_exported_run_is_the_run(trained, exported):
    loaded = psro.load(exported)
    assert loaded.config == trained.config and loaded.records == trained.records
    np.testing.assert_array_equal(loaded.payoffs, trained.payoffs)
    for ours, theirs in zip(loaded.plans, trained.plans, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert loaded.exploitability() == trained.exploitability()
    assert loaded.folder == exported


def test_the_same_run_gives_the_same_bytes(trained, exported, copy, tmp_path):
    for path in copy.rglob("*"):
        os.utime(path, (0, 2_000_000_000))
    (copy / "exploitability.png").write_bytes(b"a picture")
    (copy / "metrics.csv").unlink()  # a stop after the commit
    (copy / "policies" / "0004.safetensors").write_bytes(b"not finished")
    again = psro.export(copy, tmp_path / "again.psro")
    assert again.read_bytes() == exported.read_bytes()
    assert psro.export(exported, tmp_path / "b.psro").read_bytes() == exported.read_bytes()


def test_settings_that_are_left_out_are_the_defaults(trained, copy, tmp_path):
    """Kuhn poker among them."""
    fields = json.loads((copy / "config.json").read_text())
    del fields["run"]["game"]
    (copy / "config.json").write_text(json.dumps(fields))
    again = psro.load(psro.export(copy, tmp_path / "again.psro"))
    assert again.config.game == "kuhn_poker" and again.records == trained.records


def test_a_file_is_unpacked_to_be_resumed(exported, tmp_path):
    longer = psro.run(dataclasses.replace(CONFIG, iterations=5), tmp_path / "longer")
    resumed = psro.resume(exported, iterations=5, out=tmp_path / "there" / "on")
    assert resumed.folder == tmp_path / "there" / "on"
    np.testing.assert_array_equal(resumed.payoffs, longer.payoffs)
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["on"]
    beside = shutil.copy(exported, tmp_path / "beside.psro")
    assert experiment.reopen(beside).folder == tmp_path / "beside"
    assert "--out" in refused(lambda: experiment.reopen(beside))  # the folder is there already
    assert "not an exported file" in refused(lambda: experiment.reopen(longer.folder, out=tmp_path))
    refused(lambda: experiment.reopen(exported, iterations=1, out=tmp_path / "shorter"))
    assert not (tmp_path / "shorter").exists()


@pytest.mark.parametrize("expansion", ["stochastic", "pipeline"])
def test_an_export_of_several_policies_an_iteration_goes_on_bit_for_bit(tmp_path, expansion):
    config = dataclasses.replace(CONFIG, expansion=expansion, levels=2, rounds=3, iterations=4)
    whole = psro.run(config, tmp_path / "whole")
    short = psro.run(dataclasses.replace(config, iterations=2), tmp_path / "short")
    file = psro.export(short.folder, tmp_path / "run.psro")
    loaded = psro.load(file)
    assert loaded.records == short.records and loaded.records[-1].size > len(loaded.records)
    np.testing.assert_array_equal(loaded.payoffs, short.payoffs)
    for ours, theirs in zip(loaded.plans, short.plans, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert psro.export(file, tmp_path / "again.psro").read_bytes() == file.read_bytes()
    resumed = psro.resume(file, iterations=4, out=tmp_path / "on")
    assert outcome(resumed.folder) == outcome(whole.folder)


def test_a_game_s_file_goes_along_and_its_path_does_not(tmp_path):
    game = tmp_path / "secret" / "rps.csv"
    game.parent.mkdir()
    game.write_text(PAYOFFS)
    config = dataclasses.replace(CONFIG, game=str(game), iterations=2)
    run = psro.run(config, tmp_path / "run")
    file = psro.export(run.folder, tmp_path / "run.psro")
    assert b"secret" not in file.read_bytes()
    game.write_text("5,5\n5,5\n")  # whatever has that name here is not the game
    loaded = psro.load(file)
    assert loaded.config.game == "rps.csv" and loaded.tree.num_actions == 3
    np.testing.assert_array_equal(loaded.payoffs, run.payoffs)


def test_a_game_that_is_not_inside_is_not_looked_for(tmp_path, exported, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.csv").write_text(PAYOFFS)
    for name in ("mine.csv", str(tmp_path / "mine.csv"), "../mine.csv"):
        file = with_run(exported, tmp_path / "run.psro", game=name)
        assert "game.csv is missing" in refused(lambda file=file: psro.load(file))
    for name in ("efg_game(filename=mine.efg)", "start_at(game=nfg_game( filename = a.nfg))"):
        file = with_run(exported, tmp_path / "run.psro", game=name)
        assert "must not name files" in refused(lambda file=file: psro.load(file))
        assert "must not name files" in refused(lambda file=file: psro.resume(file))
    assert sorted(each.name for each in tmp_path.iterdir()) == ["mine.csv", "run.psro"]


def test_commands_take_files(capsys, exported, trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def printed(*arguments):
        cli.main([str(each) for each in arguments])
        return capsys.readouterr().out

    assert printed("eval", exported, "--json") == printed("eval", trained.folder, "--json")
    for kind in ([], ["--payoffs"]):
        printed("plot", exported, "--out", "a.svg", *kind)
        printed("plot", trained.folder, "--out", "b.svg", *kind)
    assert printed("export", trained.folder, "a.psro") == "a.psro\n"
    assert "a has ended" in printed("resume", "a.psro")
    for arguments in (
        ["export", trained.folder, "a.psro"],  # exists
        ["export", trained.folder, "no/b.psro"],
        ["export", "missing", "b.psro"],
        ["resume", exported, "--out", "a"],
    ):
        with pytest.raises(SystemExit) as end:
            cli.main([str(each) for each in arguments])
        err = capsys.readouterr().err
        assert end.value.code == 2 and err.startswith("psro: ") and err.count("\n") == 1
    assert not list(tmp_path.glob("*.tmp")) and not (tmp_path / "b.psro").exists()


def test_messages_name_the_file_and_not_where_it_was_unpacked(exported, tmp_path):
    file = rewritten(exported, tmp_path / "a.psro", **{"policies/0001.safetensors": b"x" * 90})
    assert f"{file}/policies/0001.safetensors is damaged" in refused(lambda: psro.load(file))
    file = rewritten(exported, tmp_path / "b.psro", **{"payoffs.safetensors": b"x" * 90})
    with (
        pytest.raises(ExperimentError, match="b.psro/payoffs.safetensors is damaged"),
        archive.as_folder(file) as folder,
    ):
        plots.exploitability_figure([folder])


# Archives of strangers


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "/etc/evil",
        "policies/../../evil",
        "policies/../config.json",
        "./config.json",
        "policies\\..\\..\\evil",
        "C:\\evil",
        "policies/",
        "policies/evil.py",
        "policies/0000.safetensors/x",
        "policies/٠٠٠٠.safetensors",
        "game.py",
        "config.json\n",
        "",
        "~/evil",
        "x" * 60_000,
    ],
    ids=lambda name: repr(name)[:30],
)
def test_no_other_name_is_accepted(exported, tmp_path, name):
    (tmp_path / "inner").mkdir()
    file = rewritten(exported, tmp_path / "a.psro", more=[(name, b"evil")])
    before = files_of(tmp_path)
    assert "a.psro" in refused(lambda: psro.load(file))
    assert "a.psro" in refused(lambda: experiment.reopen(file, out=tmp_path / "inner" / "run"))
    assert files_of(tmp_path) == before and not list((tmp_path / "inner").iterdir())


def test_links_devices_and_locked_members_are_refused(exported, tmp_path):
    for kind in (stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFDIR):
        info = zipfile.ZipInfo("game.csv")
        info.create_system, info.external_attr = 3, (kind | 0o777) << 16
        file = rewritten(exported, tmp_path / "a.psro", more=[(info, b"/etc/passwd")])
        assert "game.csv is no plain file" in refused(lambda file=file: psro.load(file))
    content = bytearray(exported.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1  # encrypted
    (tmp_path / "b.psro").write_bytes(content)
    assert "no plain file" in refused(lambda: psro.load(tmp_path / "b.psro"))


def test_duplicates_are_refused(exported, tmp_path):
    with pytest.warns(UserWarning, match="Duplicate"):
        file = rewritten(exported, tmp_path / "a.psro", more=[("config.json", b"{}")])
    assert "config.json twice" in refused(lambda: psro.load(file))


def test_a_compressed_bomb_is_refused(exported, tmp_path):
    def deflate(info):
        info.compress_type = zipfile.ZIP_DEFLATED

    file = rewritten(exported, tmp_path / "a.psro", change=deflate)
    assert "is compressed" in refused(lambda: psro.load(file))
    with (
        zipfile.ZipFile(tmp_path / "b.psro", "w", zipfile.ZIP_DEFLATED) as made,
        made.open("metrics.csv", "w") as member,
    ):
        for _ in range(64):
            member.write(bytes(1 << 20))
    assert (tmp_path / "b.psro").stat().st_size < 1 << 18
    assert "is compressed" in refused(lambda: psro.load(tmp_path / "b.psro"))


def test_members_that_share_their_bytes_are_refused(exported, tmp_path):
    """Many entries of the table for one stored member: a bomb without compression."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as opened:
        opened.writestr("policies/0000.safetensors", bytes(1 << 16))
        first = opened.infolist()[0]
        for number in range(1, 500):
            other = zipfile.ZipInfo(f"policies/{number:04d}.safetensors")
            for name in ("header_offset", "CRC", "file_size", "compress_size"):
                setattr(other, name, getattr(first, name))
            other.external_attr = 0
            opened.filelist.append(other)
        opened.filelist.append(zipfile.ZipInfo("config.json"))
        for name in ("CRC", "file_size", "compress_size"):
            setattr(opened.filelist[-1], name, 0)
        opened.filelist[-1].header_offset = 0
    (tmp_path / "a.psro").write_bytes(made.getvalue())
    assert "its members claim 32,768,000 bytes" in refused(lambda: psro.load(tmp_path / "a.psro"))


def test_a_table_of_absurd_size_is_not_read(exported, tmp_path):
    content = exported.read_bytes()
    names = ["start", "disk", "first", "here", "members", "table", "offset", "comment"]
    end = dict(zip(names, struct.unpack("<4s4H2LH", content[-22:]), strict=True))
    file = tmp_path / "a.psro"

    def with_end(**changes):
        return content[:-22] + struct.pack("<4s4H2LH", *(end | changes).values())

    for changed in (
        with_end(members=60_001, here=60_001),
        with_end(members=65_535, here=65_535, table=0xFFFFFFFF, offset=0xFFFFFFFF),
        with_end(table=0),
        with_end(offset=0),
        with_end(disk=1),
        with_end(comment=3) + b"abc",
        content[:-22] + b"PK\x06\x07" + bytes(16) + content[-22:],
        content + b"\0",
        b"\0" + content,
        content[:-1],
        content[:30],
        content[-22:],
        b"",
        b"PK\x05\x06" + bytes(18),
    ):
        file.write_bytes(changed)
        assert "a.psro is no exported experiment" in refused(lambda: psro.load(file))
    # A table of a gigabyte, which is really there (as a hole).
    with open(file, "wb") as made:
        made.truncate(1 << 30)
        made.seek(0, os.SEEK_END)
        made.write(struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 9, 9, 1 << 30, 0, 0))
    assert "table of 1,073,741,824 bytes" in refused(lambda: psro.load(file))


def test_every_flipped_byte_is_refused_or_harmless(exported, trained, tmp_path):
    """Wherever an archive is damaged, what is loaded is the run; or it is refused in a sentence."""
    content, file = exported.read_bytes(), tmp_path / "a.psro"
    refusals = 0
    for position in range(3, len(content), 197):
        spoilt = bytearray(content)
        spoilt[position] ^= 1 << position % 8
        file.write_bytes(spoilt)
        try:
            with archive.as_folder(file) as folder:
                assert (folder / "payoffs.safetensors").read_bytes() == (
                    trained.folder / "payoffs.safetensors"
                ).read_bytes()
        except ExperimentError as error:
            assert "a.psro" in str(error)
            refusals += 1
    assert refusals > 50  # the CRC of every member


# Contents of strangers: the same in an archive and in a folder


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"iterations": 10**12}, "iterations must be at most 1,000,000"),
        ({"hidden_size": 10**9}, "hidden_size must be at most 16,384"),
        ({"levels": 10**6}, "levels must be at most 1,000"),
        ({"rounds": 10**9}, "rounds must be at most 1,000,000"),
        ({"max_histories": 10**15}, "max_histories"),
        ({"meta_solver": "qre(scale=\x1b[2J)"}, "scale"),
        ({"expansion": "x" * 100_000}, "unknown expansion"),
        ({"patience": 10**400}, "patience must be at most"),
        ({"game": "kuhn_poker" + "(" * 100_000}, "longer than 10,000 characters"),
        ({"game": "\x1b[2Jkuhn_poker"}, "cannot be printed"),
        ({"ppo": {"num_envs": 10**30, "num_strata": 1}}, "num_envs"),
    ],
    ids=lambda each: next(iter(each)) if isinstance(each, dict) else "",
)
def test_absurd_settings_are_refused(exported, copy, tmp_path, changes, says):
    fields = json.loads((copy / "config.json").read_text())
    if "ppo" in changes:
        changes = {"ppo": fields["run"]["ppo"] | changes["ppo"]}
    fields["run"] |= changes
    (copy / "config.json").write_text(json.dumps(fields))
    file = with_run(exported, tmp_path / "run.psro", **changes)
    for path in (copy, file):
        sentence = refused(lambda path=path: psro.load(path))
        assert says in sentence and str(path) in sentence


@pytest.mark.parametrize(
    "changes",
    [{"iterations": 1_000_000}, {"iterations": 1000, "levels": 1000, "expansion": "rectified"}],
    ids=["iterations", "levels"],
)
def test_many_policies_are_not_set_aside(copy, changes):
    fields = json.loads((copy / "config.json").read_text())
    fields["run"] |= changes
    (copy / "config.json").write_text(json.dumps(fields))
    opened = experiment.reopen(copy)
    assert opened._last.population.capacity == 1024


def test_a_run_that_would_not_be_read_is_not_begun(tmp_path):
    for changes in (
        {"levels": 10**6},
        {"hidden_size": 10**6},
        {"game": "kuhn_poker" + " " * 10**5},
    ):
        config = dataclasses.replace(CONFIG, **changes)
        refused(lambda config=config: experiment.create(config, tmp_path / "run"))
    config = RunConfig(
        game="kuhn_poker(players=3)", oracle="conditional", expansion="hierarchy", levels=1000,
        meta_solver="mgcce",
    )  # fmt: skip
    with pytest.raises(ValueError, match="a condition of more than 1,048,576 numbers"):
        experiment.create(config, tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_large_games_are_for_folders(exported, copy, tmp_path):
    file = with_run(exported, tmp_path / "run.psro", max_histories=20_000_001)
    assert "20,000,001 must be at most 20,000,000" in refused(lambda: psro.load(file))


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 500_000,
        b'{"a":' * 150_000,
        b'{"format_version": 2, "run": {"game": "' + b"x" * (2 << 20) + b'"}}',
        b'{"format_version": ' + b"9" * 5_000 + b"}",
        b'{"format_version": 2, "run": {"tolerance": NaN}}',
    ],
    ids=["brackets", "braces", "long", "digits", "nan"],
)
def test_an_absurd_config_is_refused(exported, copy, tmp_path, content):
    (copy / "config.json").write_bytes(content)
    file = rewritten(exported, tmp_path / "run.psro", **{"config.json": content})
    for path in (copy, file):
        assert "config.json is damaged" in refused(lambda path=path: psro.load(path))
        with (
            pytest.raises(ExperimentError, match="config.json is damaged"),
            archive.as_folder(path) as folder,
        ):
            plots.exploitability_figure([folder])


def test_a_config_of_ten_gigabytes_is_not_read(copy):
    with open(copy / "config.json", "wb") as file:
        file.truncate(10 << 30)  # a hole: it takes no room
    assert "larger than 1,048,576 bytes" in refused(lambda: psro.load(copy))
    with pytest.raises(ExperimentError, match="config.json is damaged"):
        plots.exploitability_figure([copy])


def header(tensors, data=b"", **metadata):
    text = json.dumps({"__metadata__": metadata, **tensors}).encode()
    return struct.pack("<Q", len(text)) + text + data


ABSURD_HEADERS = {
    "length": struct.pack("<Q", 1 << 62) + b"{}",
    "longer than the file": struct.pack("<Q", 1 << 20) + b"{}",
    "shape": header(
        {"a": {"dtype": "F32", "shape": [10**9, 10**9], "data_offsets": [0, 4]}}, b"abcd"
    ),
    "overflow": header(
        {"a": {"dtype": "F32", "shape": [2**32, 2**32], "data_offsets": [0, 0]}}
    ),
    "offsets": header({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 1 << 60]}}, b"abcd"),
    "depth": struct.pack("<Q", 300_000) + b"[" * 300_000,
    "records": header({}, psro="[" * 300_000),
    "name": header(
        {"a/" * 200: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, b"abcd", psro="{}"
    ),
    "number": header(
        {str(k): {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for k in range(10_001)},
        psro="{}",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ["payoffs.safetensors", "policies/0002.safetensors"])
@pytest.mark.parametrize("kind", ABSURD_HEADERS)
def test_absurd_headers_are_refused(exported, copy, tmp_path, name, kind):
    (copy / name).write_bytes(ABSURD_HEADERS[kind])
    file = rewritten(exported, tmp_path / "run.psro", **{name: ABSURD_HEADERS[kind]})
    for path in (copy, file):
        assert f"{path}/{name} is damaged" in refused(lambda path=path: psro.load(path))


def test_a_pipe_instead_of_a_file_does_not_wait_for_a_writer(copy):
    for name in ("payoffs.safetensors", "policies/0000.safetensors", "config.json"):
        saved = (copy / name).read_bytes()
        (copy / name).unlink()
        os.mkfifo(copy / name)
        refused(lambda: psro.load(copy))
        (copy / name).unlink()
        (copy / name).write_bytes(saved)


def commit(copy, change):
    """Writes the commit again, changed, with a checksum that fits."""
    path = copy / "payoffs.safetensors"
    tensors, info = storage.read_tensors(path)
    info = {name: info[name] for name in ("records", "policies")}
    change(tensors, info)
    storage.write_tensors(path, tensors, info)


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors, info: info.update(records=[]),
        lambda tensors, info: info.update(records={}),
        lambda tensors, info: info.update(records=info["records"] * 2),
        lambda tensors, info: info.update(policies=[]),
        lambda tensors, info: info.update(policies=7),
        lambda tensors, info: info["records"][1].update(iteration=7),
        lambda tensors, info: info["records"][1].update(iteration="1"),
        lambda tensors, info: info["records"][1].update(exploitability=[1]),
        lambda tensors, info: info["records"][1].update(exploitability=None),
        lambda tensors, info: info["records"][1].update(exploitability=float("nan")),
        lambda tensors, info: info["records"][1].update(exploitability=10**400),
        lambda tensors, info: info["records"][1].update(size=4),  # and then fewer
        lambda tensors, info: info["records"][1].update(size=2.0),
        lambda tensors, info: info["records"][0].update(size=0),
        lambda tensors, info: info["records"][-1].update(size=5),
        lambda tensors, info: info["records"][1].update(value=[0.0] * 3),
        lambda tensors, info: info["records"][1].update(value="ab"),
        lambda tensors, info: info["records"][1].update(value=None),
        lambda tensors, info: info["records"][1].update(seconds=[]),
        lambda tensors, info: info["records"][1].update(seconds={"oracle": "x"}),
        lambda tensors, info: info["records"][1].update(concept="peace"),
        lambda tensors, info: info["records"][1].update(concept="cce"),
        lambda tensors, info: info["records"][1].update(concept=[]),
        lambda tensors, info: info["records"].__setitem__(1, 7),
        lambda tensors, info: tensors["payoffs"].__setitem__((0, 0, 0), np.nan),
        lambda tensors, info: tensors.update(payoffs=tensors["payoffs"].astype(np.float32)),
        lambda tensors, info: tensors.update(payoffs=tensors["payoffs"][0]),
        lambda tensors, info: tensors.update({"meta_strategy/0": np.zeros(4)}),
        lambda tensors, info: tensors.update({"meta_strategy/0": np.ones(1)}),
        lambda tensors, info: tensors.update({"meta_strategy/0": np.array([3.0, -2, 0, 0])}),
        lambda tensors, info: tensors.update({"meta_strategy/joint": np.ones((1, 1))}),
    ],
)  # fmt: skip
def test_a_commit_whose_parts_do_not_fit_is_refused(copy, change):
    """A checksum is no proof of sense: whoever writes the file writes that too."""
    commit(copy, change)
    for read in (psro.load, run_folder.snapshot):
        assert f"{copy / 'payoffs.safetensors'} is damaged" in refused(lambda read=read: read(copy))


@pytest.mark.parametrize(
    "value",
    [
        np.array([[[np.nan, 0.0]] * 3], np.float32),
        np.zeros((2, 3, 2), np.float64),
        np.zeros((2, 3, 2), np.int32),
    ],
    ids=["nan", "float64", "int32"],
)
def test_policies_that_are_no_numbers_are_refused(copy, value):
    path = copy / "policies" / "0001.safetensors"
    tensors, _ = storage.read_tensors(path)
    tensors[sorted(tensors)[0]] = value
    digest = storage.write_tensors(path, tensors, {})
    commit(copy, lambda _, info: info["policies"].__setitem__(1, digest))
    assert "finite float32" in refused(lambda: psro.load(copy))
    storage.write_tensors(path, {"a": value, "a/b": value}, {})
    refused(lambda: psro.load(copy))


def policies(copy, number, change):
    """Writes an iteration's policies again, changed, with checksums that fit."""
    path = copy / "policies" / f"{number:04d}.safetensors"
    tensors, info = storage.read_tensors(path)
    info = {name: info[name] for name in ("slots", "meta_strategy")}
    change(tensors, info)
    digest = storage.write_tensors(path, tensors, info)
    commit(copy, lambda _, info: info["policies"].__setitem__(number, digest))
    return path


def twice(tensors, info):
    for name in tensors:
        tensors[name] = np.repeat(tensors[name], 2, axis=1)


@pytest.mark.parametrize("slots", [
    [], 7, "2", {}, [True], [2.0], ["2"], [[2]], [-1], [1], [3], [10**400], [2, 2], [2, 3], None
])  # fmt: skip
def test_slots_that_do_not_fit_are_refused(copy, slots):
    def change(tensors, info):
        if isinstance(slots, list) and len(slots) == 2:
            twice(tensors, info)
        info["slots"] = slots

    path = policies(copy, 2, change)
    assert f"{path} is damaged" in refused(lambda: psro.load(copy))


def test_more_policies_than_slots_are_refused(copy):
    path = policies(copy, 2, twice)
    assert f"{path} is damaged" in refused(lambda: psro.load(copy))


@pytest.mark.parametrize("kept", [
    7, "ab", [], [[1.0]], [[1.0, 0, 0], 7], [[1.0, 0, 0], [1.0, 0]], [[1.0, 0, 0], [0.5, 0, 0]],
    [[1.0, 0, 0], [3.0, -2.0, 0]], [[1.0, 0, 0], [float("nan"), 1.0, 0]], [[1.0, 0, 0]] * 3,
    [[1.0, 0, 0], [[1.0], [0], [0]]], [[1.0, 0, 0], ["1", "0", "0"]], [[1.0, 0, 0], [10**400, 0, 0]]
])  # fmt: skip
def test_past_meta_strategies_that_are_none_are_refused(copy, kept):
    """Only pages read them; what is loaded does not rest on them."""
    path = policies(copy, 2, lambda tensors, info: info.update(meta_strategy=kept))
    assert f"{path} is damaged" in refused(lambda: run_folder.snapshot(copy))
    assert len(psro.load(copy).records) == 4


def test_pages_of_exported_runs(exported, trained, tmp_path):
    ours = page.report([trained.folder])
    assert page.report([exported]) == ours.replace('· run"', '· run.psro"') != ours
    assert "run.psro" in page.report([exported, trained.folder])
    file = with_run(exported, tmp_path / "a.psro", game="efg_game(filename=mine.efg)")
    assert "must not name files" in refused(lambda: page.report([file]))
    assert "psro report" in refused(lambda: watch.Watched(exported))


def test_nothing_is_left_when_there_is_no_room(exported, trained, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert "No space left" in refused(
            lambda: experiment.reopen(exported, out=tmp_path / "deep" / "run")
        )
        assert "No space left" in refused(lambda: psro.export(trained.folder, tmp_path / "a.psro"))
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_an_export_too_large_for_the_format_is_refused(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_BYTES", 1000)
    assert "7 files" in refused(lambda: psro.export(trained.folder, tmp_path / "a.psro"))
    assert not list(tmp_path.iterdir())
