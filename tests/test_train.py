"""`psro train`: one learner alone, its folder, and what the other commands make of it."""

import json

import jax
import numpy as np
import pytest

from psro import cli
from psro.errors import PsroError
from psro.runs import learner
from psro.runs.learner_config import LearnerConfig
from psro.runs.storage import ExperimentError

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


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A learner that trained without a stop."""
    run = learner.create(CONFIG, tmp_path_factory.mktemp("train") / "whole")
    list(run.train())
    return run


def test_a_stopped_learner_continues_bit_for_bit(whole, tmp_path):
    part = learner.create(CONFIG, tmp_path / "part", whole)
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
    assert [record.decisions for record in again.records] == [0, 32, 64, 96]
    params, _, scale = again._last.learner.student
    assert params["normaliser"]["count"] == scale.moments.count == 96
    spread = np.sqrt(params["normaliser"]["variance"]["0"])
    assert (spread > 0.05).all() and (spread < 2).all()
    assert again._last.best["normaliser"]["count"] == 32 * again.records[-1].best


def test_the_commands_read_its_folder(whole, tmp_path, capsys):
    loaded = learner.load(whole.folder, whole)
    mean, error = loaded.evaluate(8)
    assert -1 <= mean <= 1 and error >= 0
    assert learner.is_learner(whole.folder)
    cli.main(["plot", str(whole.folder), "--out", str(tmp_path / "x.png")])
    assert (tmp_path / "x.png").stat().st_size > 5_000
    columns = (whole.folder / "metrics.csv").read_text().splitlines()[0].split(",")
    assert {"return", "return_standard_error", "decisions"} <= set(columns)
    config = json.loads((whole.folder / "config.json").read_text())
    assert config["train"]["game"] == CONFIG.game


def test_a_damaged_state_is_refused(whole, tmp_path):
    copy = learner.create(CONFIG, tmp_path / "copy", whole)
    content = bytearray((whole.folder / learner.STATE).read_bytes())
    content[-1] ^= 1
    (copy.folder / learner.STATE).write_bytes(content)
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
