"""Folders from strangers, and folders that change while a run goes on: nothing outside is touched,
and what no run writes is refused before anybody computes with it."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from test_cli import assert_refused, psro_main
from test_disk import LINKS_AND_PIPES

import psro
from psro.runs import commit, disk, experiment, storage
from psro.runs import folder as run_folder
from psro.runs.config import RunConfig
from psro.runs.storage import ExperimentError
from psro.views import page

CONFIG = RunConfig(game="kuhn_poker", oracle="best_response", iterations=2, tolerance=0.0)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return psro.run(CONFIG, tmp_path_factory.mktemp("trained") / "run").folder


@pytest.fixture
def copy(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "copy")


def refused(call):
    with pytest.raises(ExperimentError) as error:
        call()
    return str(error.value)


# Links and pipes


@pytest.fixture
def elsewhere(tmp_path):
    """A file of somebody else's, which stays as it is."""
    path = tmp_path / "elsewhere" / "file"
    path.parent.mkdir()
    path.write_text("of somebody else")
    yield path
    assert path.read_text() == "of somebody else" and os.listdir(path.parent) == ["file"]


@pytest.mark.parametrize("kind", LINKS_AND_PIPES)
@pytest.mark.parametrize("name", [
    "config.json", "payoffs.safetensors", "metrics.csv", "policies/0001.safetensors", ".lock",
    "exploitability.png", "game.csv", "summary.csv", "policies", "tensorboard", "seed-3",
])  # fmt: skip
def test_members_that_are_no_plain_files_are_refused(copy, elsewhere, name, kind):
    path = copy / name
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    LINKS_AND_PIPES[kind](path, elsewhere)
    expected = f"{path} is a {'link' if kind == 'dangling' else kind}"
    for use in (psro.load, psro.resume, run_folder.snapshot, lambda at: page.report([at])):
        assert expected in refused(lambda use=use: use(copy))


@pytest.mark.parametrize("kind", LINKS_AND_PIPES)
def test_names_that_older_versions_wrote_to_are_written_to_no_more(copy, elsewhere, capsys, kind):
    """Temporary files were named after what they would become."""
    names = ("config.json", "metrics.csv", "exploitability.png", "payoffs.safetensors")
    for name in names:
        LINKS_AND_PIPES[kind](copy / f".{name}.tmp", elsewhere)
    psro_main(capsys, "resume", copy, "--iterations", "3")
    assert len(psro.load(copy).records) == 4
    assert all(os.path.lexists(copy / f".{name}.tmp") for name in names)


def test_a_seed_that_is_a_link_is_refused(copy, tmp_path, capsys):
    many = tmp_path / "many"
    many.mkdir()
    shutil.copytree(copy, many / "seed-0")
    (many / "seed-1").symlink_to(copy)
    for command in ("resume", "plot", "report", "eval"):
        sentence = assert_refused(psro_main(capsys, command, many))
        assert f"{many / 'seed-1'} is a link" in sentence
    assert len(psro.load(copy).records) == 3


# A folder that becomes another's


def test_a_run_whose_folder_was_moved_ends_and_leaves_the_next_one_alone(copy, tmp_path):
    """As when a run is stopped (SIGSTOP), another one takes its name, and it goes on."""
    training = experiment.reopen(copy, iterations=9).train()
    next(training)
    moved = copy.rename(tmp_path / "moved")
    psro.run(dataclasses.replace(CONFIG, iterations=1), copy)
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    sentence = refused(lambda: list(training))
    assert str(copy) in sentence and "was moved" in sentence
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before
    assert len(psro.load(moved).records) == 4  # what was saved went along
    assert len(psro.resume(moved, iterations=5).records) == 6


def test_seeds_whose_folder_was_moved_write_no_summary_elsewhere(tmp_path):
    runs = psro.runs.seeds.create_many(CONFIG, 2, tmp_path / "many")
    training = runs.train()
    next(training)
    (tmp_path / "many").rename(tmp_path / "moved")
    (tmp_path / "many").mkdir()
    assert "was moved" in refused(lambda: list(training))
    assert not os.listdir(tmp_path / "many")


# Numbers


def change(folder, do):
    """Rewrites a commit by `do(tensors, info)`."""
    path = folder / commit.COMMIT
    tensors, info = storage.read_tensors(path)
    del info["sha256"], info["format_version"]
    do(tensors, info)
    storage.write_tensors(path, tensors, info)


@pytest.mark.parametrize("weights", [[-9e-7, 0.5, 0.5 + 9e-7], [0.3, 0.3, 0.4 - 9e-7]])
def test_weights_that_rounding_has_left_beside_one_are_put_right(copy, capsys, weights):
    def do(tensors, info):
        for name in tensors:
            if name != "payoffs":
                tensors[name] = np.array(weights)

    change(copy, do)
    opened = psro.load(copy)
    for marginal in opened.meta_strategy:
        assert marginal.min() >= 0 and abs(marginal.sum() - 1) < 1e-15
    opened.bot(0, seed=0)
    page.report([copy])


def test_weights_that_are_sums_of_floats_are_left_as_they_are():
    weights = np.array([0.7, 0.2, 0.1])
    assert weights.sum() != 1
    read = commit._distribution(weights, (3,), "meta_strategy")
    assert read is weights


@pytest.mark.parametrize("weights", [[-2e-6, 0.5, 0.5], [0.5, 0.5, 2e-6], [0.5, 0.5, np.nan]])
def test_weights_that_are_no_distribution_are_refused(copy, weights):
    change(copy, lambda tensors, info: tensors.update({"meta_strategy/0": np.array(weights)}))
    assert "meta_strategy is missing or wrong" in refused(lambda: psro.load(copy))


def set_in(record, name, value):
    old = record[name]
    if isinstance(old, list):
        record[name] = [value, *old[1:]]
    elif isinstance(old, dict):
        record[name] = {part: value for part in old}
    else:
        record[name] = value


COUNTS = ("iteration", "size", "support_size", "decisions", "episodes")
NUMBERS = (
    "exploitability", "nash_conv", "value", "best_response_value", "achieved_value", "improvement",
    "gap", "meta_regret", "seconds",
)  # fmt: skip


@pytest.mark.parametrize(("names", "value"), [
    (NUMBERS, 1.7e308), (NUMBERS, -1.7e308), (NUMBERS, float("nan")), (NUMBERS, 10**300),
    (NUMBERS, "1"), (NUMBERS, True), (COUNTS, 10**300), (COUNTS, -1), (COUNTS, 1.5),
    (COUNTS, True), (("seconds",), -1.0), (("concept", "meaning"), "\x1b[2J"), (("meaning",), 7),
])  # fmt: skip
def test_numbers_of_records_that_no_sum_could_hold_are_refused(trained, names, value):
    config = run_folder.read_run(trained)
    _, saved = storage.read_tensors(trained / commit.COMMIT)
    for name in names:
        info = json.loads(json.dumps(saved))
        commit._records(info, config)
        set_in(info["records"][1], name, value)
        with pytest.raises(storage.Damaged, match=rf"\b({name}|iteration)\b.* of (a )?record"):
            commit._records(info, config)


@pytest.mark.parametrize("part", ["=cmd", "\x1b[2J", "a b", "", "x" * 41])
def test_parts_of_an_iteration_that_are_no_names_are_refused(trained, part):
    """They become columns of a table, and tags of tensorboard."""
    config = run_folder.read_run(trained)
    _, info = storage.read_tensors(trained / commit.COMMIT)
    info["records"][1]["seconds"] = {part: 1.0}
    with pytest.raises(storage.Damaged, match="seconds of record 1"):
        commit._records(info, config)


@pytest.mark.parametrize(("setting", "value"), [
    ("tolerance", 1.7e308), ("tolerance", float("inf")), ("tolerance", 10**309),
    ("diversity_weight", 1e301), ("patience", 10**300), ("seed", -1),
])  # fmt: skip
def test_settings_that_no_sum_could_hold_are_refused(copy, setting, value):
    fields = json.loads((copy / "config.json").read_text())
    fields["run"][setting] = value
    (copy / "config.json").write_text(json.dumps(fields))
    assert setting in refused(lambda: run_folder.read_run(copy))


def test_more_iterations_than_a_run_can_have(copy):
    with pytest.raises(psro.runs.config.SettingsError, match="iterations must be at most"):
        psro.resume(copy, iterations=10**30)
    assert psro.load(copy).config.iterations == 2


def test_networks_that_compute_nothing_are_refused(tmp_path):
    tiny = dataclasses.replace(CONFIG, oracle="full_width", iterations=1, hidden_size=2)
    folder = experiment.create(tiny, tmp_path / "run").folder
    training = experiment.reopen(folder).train()
    next(training)
    training.close()
    path = folder / "policies" / "0000.safetensors"
    tensors, info = storage.read_tensors(path)
    del info["sha256"], info["format_version"]
    huge = {name: np.full_like(value, 3e38) for name, value in tensors.items()}
    digest = storage.write_tensors(path, huge, info)
    change(folder, lambda tensors, info: info.update(policies=[digest]))
    assert "no probabilities" in refused(lambda: psro.load(folder))


# Sizes


@pytest.mark.parametrize("name", ["payoffs.safetensors", "policies/0001.safetensors"])
def test_a_file_with_a_hole_of_a_terabyte_is_refused_by_its_size(copy, name):
    """Its header says so: a tensor of that size, of which the disk holds nothing."""
    path = copy / name
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    first = next(name for name in header if name != "__metadata__")
    kept = {"__metadata__": header["__metadata__"]}
    kept[first] = {"dtype": "F64", "shape": [1 << 37], "data_offsets": [0, 1 << 40]}
    text = json.dumps(kept).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    os.truncate(path, 8 + len(text) + (1 << 40))
    assert "bytes, and its arrays at most" in refused(lambda: psro.load(copy))


def test_sizes_of_policies_are_those_that_iterations_can_make(copy):
    change(copy, lambda tensors, info: info["records"][-1].update(size=1_000))
    assert "2 iterations" in refused(lambda: run_folder.snapshot(copy)).replace("3 ", "2 ")


@pytest.mark.parametrize(("name", "size"), [("config.json", 1 << 27), ("game.csv", 1 << 30)])
def test_a_member_larger_than_any_run_writes_is_not_unpacked(trained, tmp_path, name, size):
    """Its zeros take no room on the disk, and would where they are unpacked to."""
    file = tmp_path / "run.psro"
    members = [zipfile.ZipInfo("config.json"), zipfile.ZipInfo(name)][name == "config.json" :]
    with zipfile.ZipFile(file, "w", allowZip64=False) as made:
        for member in members[:-1]:
            made.writestr(member, "{}")
        made.writestr(members[-1], "")
        start = made.fp.tell()
        info = made.infolist()[-1]
        info.file_size = info.compress_size = size
        made.fp.truncate(start + size)
        made.fp.seek(start + size)
        made.start_dir = start + size
    sentence = refused(lambda: psro.load(file))
    assert f"its {name} has {size:,} bytes" in sentence


# Several processes


def test_processes_that_write_the_same_file(trained, tmp_path):
    """Four reports at once all succeed; of four exports one does, the others say why not."""
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from psro.runs import archive, disk\n"
        "sys.stdin.readline()\n"
        "folder, page, file = map(Path, sys.argv[1:])\n"
        "for number in range(20):\n"
        "    disk.write(page, 'x' * 1_000_000)\n"
        "try:\n"
        "    archive.pack(folder, file)\n"
        "except FileExistsError:\n"
        "    sys.exit(3)\n"
    )
    page_file, file = tmp_path / "same.html", tmp_path / "run.psro"
    command = [sys.executable, "-c", script, str(trained), str(page_file), str(file)]
    root = str(Path(psro.__file__).parents[1])
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, env=os.environ | {"PYTHONPATH": root})
        for _ in range(4)
    ]
    for process in processes:
        process.stdin.write(b"go\n")
        process.stdin.close()
    assert sorted(process.wait() for process in processes) == [0, 3, 3, 3]
    assert page_file.read_text() == "x" * 1_000_000
    assert psro.load(file).exploitability() == psro.load(trained).exploitability()
    assert sorted(os.listdir(tmp_path)) == ["run.psro", "same.html"]


def test_an_export_that_another_process_makes_first(trained, tmp_path, monkeypatch):
    pack = psro.runs.archive.pack

    def late(folder, file):
        file.write_text("early")
        pack(folder, file)

    monkeypatch.setattr(psro.runs.archive, "pack", late)
    assert "exists already" in refused(lambda: psro.export(trained, tmp_path / "run.psro"))
    assert (tmp_path / "run.psro").read_text() == "early"


def test_two_runs_that_begin_in_one_folder(tmp_path, monkeypatch):
    """As a scheduler that starts a job twice has it: one runs, one ends in a sentence."""
    begin = run_folder.begin

    def late(aside, config):
        begin(aside, config)
        if not (tmp_path / "run").exists():
            monkeypatch.setattr(run_folder, "begin", begin)
            experiment.create(CONFIG, tmp_path / "run")

    monkeypatch.setattr(run_folder, "begin", late)
    assert "exists already" in refused(lambda: experiment.create(CONFIG, tmp_path / "run"))
    assert os.listdir(tmp_path) == ["run"]
    first, second = (experiment.reopen(tmp_path / "run") for _ in range(2))
    training = first.train()
    next(training)
    assert "another psro" in refused(lambda: list(second.train()))
    training.close()


def test_a_job_that_a_scheduler_starts_twice(copy, capsys):
    arguments = ("run", "--or-resume", "--out", copy, "--oracle", "best_response")
    with disk.lock(copy):
        sentence = assert_refused(
            psro_main(capsys, *arguments, "--iterations", "3", "--tolerance", "0")
        )
    assert "another psro" in sentence and len(psro.load(copy).records) == 3


# Names


def test_a_config_names_its_variant(tmp_path):
    for settings, name in (
        ({}, "default"),
        ({"meta_solver": "uniform", "evaluation_solver": "same"}, "fictitious_play"),
        ({"meta_solver": "last", "evaluation_solver": "mgcce"}, None),
    ):
        config = dataclasses.replace(CONFIG, **settings)
        folder = experiment.create(config, tmp_path / str(name)).folder
        fields = json.loads((folder / "config.json").read_text())
        assert fields["variant"] == name
        del fields["variant"]  # as older versions wrote it
        (folder / "config.json").write_text(json.dumps(fields))
        assert experiment.reopen(folder).config.meta_solver == (config.meta_solver or "nash")


def test_a_folder_is_named_after_game_and_variant():
    name = run_folder.default_folder(dataclasses.replace(CONFIG, game="a/b c.csv")).name
    assert name.startswith("b-c.csv-default-2")
    assert disk.kind_of(Path("experiments") / name) is None


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "--config", "loop"),
        ("run", "--out", "loop/run", "--oracle", "best_response"),
        ("resume", "loop"),
        ("eval", "loop"),
        ("plot", "loop/run"),
        ("games", "loop"),
    ],
    ids=str,
)
def test_links_that_lead_in_a_circle(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("loop").symlink_to("loop")
    code, _, err = psro_main(capsys, *arguments)
    assert code == 2 and err.startswith("psro: ") and err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["loop"]
