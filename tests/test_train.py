"""`psro train`: one learner alone, its folder, and what the other commands make of it."""

import dataclasses
import json
import shutil

import jax
import numpy as np
import pytest
from test_cli import assert_refused, psro_main

import psro
from psro import cli
from psro.errors import PsroError
from psro.policies.networks.settings import NetworkConfig
from psro.runs import learner, loggers, storage
from psro.runs.learner_config import LearnerConfig
from psro.runs.learner_folder import STATE, is_learner, snapshot
from psro.runs.storage import ExperimentError
from psro.views import dashboard, page, returns, watch
from psro.views.page import reading

SMALL = {
    "num_envs": 4, "rollout_length": 8, "sequence_length": 8, "epochs": 1,
    "target_kl": 0.1, "normalize_returns": True,
}  # fmt: skip
CONFIG = LearnerConfig.from_json(
    {
        "game": "popjaxrl::PositionOnlyCartPoleEasy(noise=0.1,flicker=0.1,delay=1,sticky=0.1)",
        "decisions": 96,
        "evaluations": 3,
        "evaluation_episodes": 4,
        "hidden_size": 4,
        "network": {"normalize_observations": True},
        "ppo": SMALL,
    }
)


def smaller(name):
    """The defaults of a learner alone, in small."""
    own = {"num_envs": 4, "rollout_length": 16}
    own |= {"num_minibatches": 4} if name == "pqn" else {"buffer_size": 64, "num_sequences": 4}
    return dataclasses.replace(getattr(CONFIG, name), **own)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A learner that trained without a stop."""
    run = learner.create(CONFIG, tmp_path_factory.mktemp("train") / "whole")
    list(run.train())
    return run


@pytest.mark.parametrize(
    "name",
    [
        "ppo",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("dqn", "r2d2", "pqn", "sac", "dreamer")
        ),
    ],
)
def test_a_stopped_learner_continues_bit_for_bit(name, whole, tmp_path):
    if name != "ppo":
        config = dataclasses.replace(CONFIG, learner=name, **{name: smaller(name)})
        if name == "dreamer":  # its layers are its own
            config = dataclasses.replace(config, network=NetworkConfig())
        whole = learner.create(config, tmp_path / "whole")
        list(whole.train())
    part = learner.create(whole.config, tmp_path / "part", whole)
    training = part.train()
    next(training), next(training)  # the evaluation before training, and one stretch
    training.close()
    again = learner.load(part.folder, whole)
    assert len(again.records) == 2 and not again.ended
    list(again.train())
    assert again.ended
    for ours, theirs in zip(
        jax.tree.leaves((again._last.learner, again._last.best)),
        jax.tree.leaves((whole._last.learner, whole._last.best)),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)
    for ours, theirs in zip(again.records, whole.records, strict=True):
        assert ours.mean_return == theirs.mean_return
    step = 32 if name == "ppo" else 64
    assert [record.decisions for record in again.records] == [0, step, 2 * step, 3 * step]
    if name == "dreamer":
        return
    assert again._last.best["normaliser"]["count"] == step * again.records[-1].best
    student = again._last.learner.student
    if name == "sac":
        for params in (student.trained.networks.critics, student.trained.target):
            assert (params["normaliser"]["count"] == 3 * step).all()
    elif name == "ppo":
        params, _, scale = student
        assert params["normaliser"]["count"] == scale.moments.count == 96
        spread = np.sqrt(params["normaliser"]["variance"]["0"])
        assert (spread > 0.05).all() and (spread < 2).all()


def test_the_commands_read_its_folder(whole, tmp_path, capsys):
    loaded = learner.load(whole.folder, whole)
    mean, error = loaded.evaluate(8)
    assert -1 <= mean <= 1 and error >= 0
    assert is_learner(whole.folder)
    cli.main(["plot", str(whole.folder), "--out", str(tmp_path / "x.png")])
    assert (tmp_path / "x.png").stat().st_size > 5_000
    columns = (whole.folder / "metrics.csv").read_text().splitlines()[0].split(",")
    assert {"return", "return_standard_error", "decisions", "loss_value"} <= set(columns)
    config = json.loads((whole.folder / "config.json").read_text())
    assert config["train"]["game"] == CONFIG.game


@pytest.fixture(scope="module")
def seeds(whole, tmp_path_factory):
    """The folder of two seeds; the second differs in the number alone."""
    folder = tmp_path_factory.mktemp("seeds") / "two"
    for seed in range(2):
        copy = shutil.copytree(whole.folder, folder / f"seed-{seed}")
        config = json.loads((copy / "config.json").read_text())
        config["train"]["seed"] = seed
        (copy / "config.json").write_text(json.dumps(config))
    return folder


def test_a_page_shows_return_time_and_settings(whole, seeds, tmp_path):
    one = reading.of_one(snapshot(whole.folder))
    sections = ["return", "losses", "time", "configuration"]
    assert [section["id"] for section in one["sections"]] == sections
    loss = {figure["id"]: figure["views"][""]["data"] for figure in one["sections"][1]["figures"]}
    assert set(loss) == {"loss-policy", "loss-value", "loss-entropy", "loss-kl"}
    assert loss["loss-kl"][0]["y"] == [record.losses["kl"] for record in whole.records[1:]]
    assert all(record.losses["entropy"] > 0 for record in whole.records[1:])
    views = one["sections"][0]["figures"][0]["views"]
    assert list(views) == ["decisions", "seconds", "CPU seconds"]
    band, curve, training = views["decisions"]["data"]
    assert curve["x"] == [0, 32, 64, 96] and training["x"] == [32, 64, 96]
    assert curve["y"] == [record.mean_return for record in whole.records]
    half = [1.96 * record.return_standard_error for record in whole.records]
    assert curve["customdata"] == half
    assert band["y"][:4] == pytest.approx(np.subtract(curve["y"], half))
    changed = one["sections"][-1]["tables"][0]["rows"]
    assert ["ppo.epochs", "1", "4"] in changed and all(row[0][:4] != "dqn." for row in changed)
    cpu = [record.cpu_seconds for record in whole.records]
    assert views["CPU seconds"]["data"][1]["x"] == pytest.approx(np.cumsum(cpu)) and min(cpu) > 0
    cli.main(["report", str(seeds), "--out", str(tmp_path / "two.html")])
    assert "mean of 2 seeds" in (tmp_path / "two.html").read_text()


def test_seeds_are_one_curve_with_their_spread(seeds, whole):
    runs = [snapshot(seeds / f"seed-{seed}") for seed in range(2)]
    lower = [dataclasses.replace(r, mean_return=r.mean_return - 1) for r in runs[1].records]
    runs[1] = dataclasses.replace(runs[1], records=lower)
    (curve,) = returns.curves(runs, "decisions")
    assert curve.seeds == 2 and list(curve.x) == [0, 32, 64, 96]
    np.testing.assert_allclose(curve.mean, [r.mean_return - 0.5 for r in whole.records])
    np.testing.assert_allclose(curve.half, 12.706 * 0.5, rtol=1e-4)  # Student's, for two values
    assert len(returns.figure(runs, x="cpu_seconds").axes[0].lines) == 1


def test_a_learner_is_watched(whole):
    watched = watch.Watched(whole.folder)
    shown = json.loads(watched.document())
    assert (shown["status"], shown["ended"]) == ("ended: budget", True)
    assert str((whole.folder / STATE).stat().st_ino) in watched.version()


def test_a_page_follows_several_seeds(seeds, tmp_path, monkeypatch):
    """Their mean as far as all are, and each one's curve. One that has not begun is waited for."""
    folder = shutil.copytree(seeds, tmp_path / "three")
    shutil.copytree(folder / "seed-1", folder / "seed-2")
    (folder / "seed-2" / STATE).unlink()
    watched = watch.Watched(*(folder / f"seed-{seed}" for seed in range(3)))
    shown = json.loads(watched.document())
    assert (shown["status"], shown["ended"]) == ("2 of 3 have ended; 1 without a record", False)
    band, mean, *ones = shown["sections"][0]["figures"][0]["views"]["decisions"]["data"]
    assert "2 seeds" in mean["name"] and [one["y"] for one in ones] == [mean["y"]] * 2
    before = watched.version()
    shutil.copyfile(folder / "seed-1" / STATE, folder / "seed-2" / STATE)
    assert watched.version() != before
    shown = json.loads(watched.document())
    assert (shown["status"], shown["ended"]) == ("3 of 3 have ended", True)
    for seed in range(3):
        (folder / f"seed-{seed}" / STATE).unlink()
    assert json.loads(watched.document())["sections"] == []
    served = []
    monkeypatch.setattr(watch, "watch", lambda *folders, port: served.append(folders))
    cli.main(["watch", str(seeds)])
    assert served == [(str(seeds / "seed-0"), str(seeds / "seed-1"))]


def test_an_older_folder_keeps_what_its_learner_did(whole, tmp_path):
    """Settings that came later are not at the defaults of today: the learner resumes as it was."""
    folder = shutil.copytree(whole.folder, tmp_path / "older")
    config = json.loads((folder / "config.json").read_text())
    for name in ("dqn", "r2d2", "pqn"):
        assert config["train"][name].pop("reward_scale") == 10
    assert config["train"]["sac"].pop("entropy_weight_rate") == 10
    del config["train"]["dreamer"]  # older than that learner
    (folder / "config.json").write_text(json.dumps(config))
    read = snapshot(folder).config
    assert (read.dqn.reward_scale, read.r2d2.reward_scale, read.pqn.reward_scale) == (1, 1, 1)
    assert read.sac.entropy_weight_rate == 1 and read.dreamer == LearnerConfig(game="x").dreamer
    assert read.pqn.num_minibatches == 16  # what is saved stays
    assert LearnerConfig.from_json({"game": "x", "dqn": {}}).dqn.reward_scale == 10


def test_an_exported_learner_is_one_all_the_same(whole, tmp_path, capsys):
    file = psro.export(whole.folder, tmp_path / "run.psro")
    assert is_learner(file) and snapshot(file).records == whole.records
    assert learner.load(file, whole).evaluate(8) == learner.load(whole.folder, whole).evaluate(8)
    again = learner.reopen(file, None, whole)
    assert again.folder == tmp_path / "run" and again.ended == "budget"
    assert psro.export(again.folder, tmp_path / "same.psro").read_bytes() == file.read_bytes()
    page.report([file])


def test_a_learner_is_logged_by_its_decisions(whole):
    with loggers.logging(["file"], whole, complain=pytest.fail):
        pass
    rows = [json.loads(line) for line in (whole.folder / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [0, 32, 64, 96]
    assert [row["return"] for row in rows] == [record.mean_return for record in whole.records]
    assert "training_return" not in rows[0] and "seconds_train" in rows[1]


def test_a_terminal_shows_several_at_once(seeds, capsys, monkeypatch):
    cli.main(["watch", str(seeds), "--terminal"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [["seed-0", "3/3"], ["seed-1", "3/3"]]
    monkeypatch.setenv("FORCE_COLOR", "1")  # to rich, any output is a terminal then
    dashboard.follow([seeds / "seed-0", seeds / "seed-1"])
    shown = capsys.readouterr().out
    assert "seed-1" in shown and "ended: budget" in shown and "\x1b[" in shown
    assert dashboard.trend([0, 7, 3.4]) == "▁█▄" and dashboard.trend(range(160))[-1] == "█"


def test_folders_of_before_have_neither_cpu_seconds_nor_losses(whole, tmp_path):
    folder = shutil.copytree(whole.folder, tmp_path / "old")
    tensors, info = storage.read_tensors(folder / STATE, types=("F32", "U8"))
    for record in info["records"]:
        del record["cpu_seconds"], record["losses"]
    info = {name: info[name] for name in ("records", "best_return")}
    storage.write_tensors(folder / STATE, tensors, info)
    old = snapshot(folder)
    assert [record.cpu_seconds for record in old.records] == [None] * 4
    assert returns.axes_of([old]) == ["decisions", "seconds"] and page.report([folder])
    assert learner.load(folder, whole).ended


def test_the_commands_train_resume_and_measure_seeds(whole, tmp_path, capsys, monkeypatch):
    """What they compile is that of `whole`."""
    monkeypatch.setattr(learner, "LearnerSetup", lambda config: whole.setup)
    folder = tmp_path / "two"
    words = "--decisions 96 --evaluations 3 --evaluation-episodes 4 --hidden-size 4 "
    words += "--network.normalize-observations --ppo.num-envs 4 --ppo.rollout-length 8 "
    words += "--ppo.sequence-length 8 --ppo.epochs 1 --ppo.target-kl 0.1 --ppo.normalize-returns"
    train = ["train", CONFIG.game, *words.split(), "--out", folder, "--seeds", 2, "--log", "file"]
    code, out, err = psro_main(capsys, *train)
    assert (code, err) == (0, "") and f"psro eval {folder}" in out
    assert out.count("after 96 decisions") + out.count("the best; last") >= 2
    first, second = (learner.load(folder / f"seed-{seed}", whole) for seed in range(2))
    assert first.config == CONFIG and second.config == dataclasses.replace(CONFIG, seed=1)
    means = [record.mean_return for record in whole.records]
    assert [record.mean_return for record in first.records] == means
    assert [record.mean_return for record in second.records] != means
    assert len((first.folder / "log.jsonl").read_text().splitlines()) == 4
    code, out, _ = psro_main(capsys, "eval", folder, "--episodes", 8)
    assert code == 0 and "mean of 2 seeds" in out
    code, out, _ = psro_main(capsys, "eval", first.folder, "--json", "--episodes", 8)
    mean, error = first.evaluate(8)
    told = json.loads(out)
    assert (told["return"], told["return_standard_error"]) == (mean, error)

    part = learner.create(CONFIG, tmp_path / "part")
    training = part.train()
    next(training)
    training.close()
    code, out, _ = psro_main(capsys, "resume", part.folder)
    assert code == 0 and out.count(" 96 ") == 1
    assert [record.mean_return for record in learner.load(part.folder, whole).records] == means


@pytest.mark.parametrize(
    "command, words",
    [
        ("play {one}", "holds one learner"),
        ("plot {one} --payoffs", "for populations"),
        ("plot {one} --x nothing", "cannot draw along"),
        ("resume {one} --iterations 5", "no iterations"),
        ("resume {one} --out x", "not an exported file"),
        ("resume {one} --log neptune", "unknown logger"),
        ("watch {one} --terminal --port 1", "is for the page"),
        ("log {one} --to neptune", "unknown logger"),
        ("export {seeds} x.psro", "takes only one run"),
        ("eval {one} --csv x.csv", "for populations"),
    ],
)
def test_what_a_learner_s_folder_cannot_serve(whole, seeds, capsys, command, words):
    words_of_command = command.format(one=whole.folder, seeds=seeds).split()
    assert words in assert_refused(psro_main(capsys, *words_of_command))


def test_a_damaged_state_is_refused(whole, tmp_path):
    copy = learner.create(CONFIG, tmp_path / "copy", whole)
    content = bytearray((whole.folder / STATE).read_bytes())
    content[-1] ^= 1
    (copy.folder / STATE).write_bytes(content)
    with pytest.raises(ExperimentError, match="checksum"):
        learner.load(copy.folder, whole)


@pytest.mark.parametrize(
    "fields, words",
    [
        ({"game": "pgx::any", "learner": "pgo"}, "unknown learner"),
        ({"game": "x", "evaluation_episodes": 1}, "no standard error"),
        ({"game": "x", "decisions": 0}, "at least 1"),
        ({"game": "x", "ppo": {"decision": 3}}, "not a setting"),
        ({}, "name of a game"),
    ],
)
def test_wrong_settings_are_refused(fields, words):
    with pytest.raises(PsroError, match=words):
        LearnerConfig.from_json(fields)


def test_a_game_for_several_players_is_refused(tmp_path):
    config = LearnerConfig(game="kuhn_poker")
    with pytest.raises(PsroError, match="psro train is for one player"):
        learner.create(config, tmp_path / "new")
    assert not (tmp_path / "new").exists()
