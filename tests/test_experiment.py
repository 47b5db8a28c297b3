"""Experiment folders: what is saved is what was trained, whenever the process or the disk stops."""

import dataclasses
import errno
import functools
import json
import os
import shutil
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pyspiel
import pytest
import safetensors
from open_spiel.python import policy as openspiel_policy
from open_spiel.python.algorithms import exploitability

import games
import psro
from games.readers import openspiel
from games.tree_game import TreeGame
from psro.metagame.solvers import META_SOLVERS
from psro.oracles import ORACLES, PPO, PPOConfig, Results
from psro.policies.policy import at_temperature
from psro.runs import experiment, storage
from psro.runs.config import RunConfig
from psro.runs.config_file import read_config
from psro.runs.storage import ExperimentError
from psro.training.growth import TrainingDiverged
from psro.training.record import why_ended

# Small, and yet (where this was written) the meta-strategies of the last iterations are mixed.
CONFIG = RunConfig(
    game="kuhn_poker",
    iterations=5,
    hidden_size=8,
    tolerance=0.0,
    ppo=PPOConfig(
        decisions=2048,
        evaluations=2,
        num_envs=32,
        num_strata=4,
        rollout_length=8,
        sequence_length=4,
        num_minibatches=2,
        epochs=2,
        learning_rate=0.03,
    ),
)
EXACT = dataclasses.replace(CONFIG, oracle="best_response")
"""Nothing to compile: of crashes and disks nothing depends on the oracle."""
POLICIES = [f"policies/{number:04d}.safetensors" for number in range(CONFIG.iterations + 1)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run without a stop."""
    return psro.run(CONFIG, tmp_path_factory.mktemp("trained") / "run")


@pytest.fixture(scope="module")
def exact(tmp_path_factory):
    """A run of `EXACT` without a stop."""
    return psro.run(EXACT, tmp_path_factory.mktemp("exact") / "run")


@pytest.fixture
def copy(trained, tmp_path):
    """A folder of its own that holds the run without a stop."""
    return shutil.copytree(trained.folder, tmp_path / "copy")


@functools.cache
def _compiled(config):
    tree = games.load(CONFIG.game)
    policy = psro.policies.policy.Policy(
        observation_space=tree.observation_space,
        action_space=tree.action_space,
        hidden_size=CONFIG.hidden_size,
        cell=CONFIG.cell,
    )
    return PPO(TreeGame(tree), policy, config)


class Compiled:
    """PPO, made once for each config."""

    tabular = False
    conditional = False

    def __new__(cls, game, policy, config):
        return _compiled(config)


@pytest.fixture
def one_oracle(monkeypatch):
    """All experiments share one oracle, because tracing it is nearly all that a tiny run costs and
    it is a pure function of its arguments."""
    monkeypatch.setitem(ORACLES, "ppo", Compiled)


class Untrained:
    """An oracle whose best responses are the fresh networks, made so sharp that they differ."""

    tabular = False
    conditional = False

    def __init__(self, game, policy, config):
        pass

    def __call__(self, jobs):
        none = np.zeros(len(jobs.player), int)
        return Results(
            params=at_temperature(jobs.initial, 0.02),
            decisions=none,
            episodes=none,
            diverged=none.astype(bool),
            curve=np.zeros((len(jobs.player), 1)),
        )


def finish(folder, iterations=None):
    for _ in experiment.reopen(folder, iterations).train():
        pass


def train_until(last, folder, config=CONFIG):
    """A run that stops after iteration `last`."""
    training = experiment.create(config, folder).train()
    for record in training:
        if record.iteration == last:
            break
    training.close()


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def outcome(folder):
    """All that a run leaves, bit for bit, but for wall times and the versions of packages."""
    files = contents(folder)
    files["config.json"] = json.loads(files["config.json"])["run"]
    files["metrics.csv"] = without_seconds(folder / "metrics.csv")
    with safetensors.safe_open(folder / "payoffs.safetensors", framework="numpy") as file:
        info = json.loads(file.metadata()["psro"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    for record in info["records"]:
        del record["seconds"]
    files["payoffs.safetensors"] = (
        info["records"],
        info["policies"],
        {name: (value.dtype, value.shape, value.tobytes()) for name, value in tensors.items()},
    )
    return files


def without_seconds(path):
    table = pd.read_csv(path, dtype=str)  # as text: every digit counts
    return table.loc[:, ~table.columns.str.startswith("seconds_")].to_csv()


def refused(call):
    """The sentence with which a call is refused."""
    with pytest.raises(ExperimentError) as error:
        call()
    sentence = str(error.value)
    assert sentence and "\n" not in sentence
    return sentence


# Saving and loading


def test_what_is_loaded_is_what_was_trained(trained):
    loaded = psro.load(trained.folder)
    assert loaded.config == trained.config
    assert loaded.records == trained.records
    assert [record.iteration for record in loaded.records] == list(range(CONFIG.iterations + 1))
    for ours, theirs in zip(
        jax.tree.leaves((loaded.payoffs, loaded.meta_strategy, loaded.populations)),
        jax.tree.leaves((trained.payoffs, trained.meta_strategy, trained.populations)),
        strict=True,
    ):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)
    assert jax.tree.structure(loaded.populations) == jax.tree.structure(trained.populations)
    assert {len(leaf) for leaf in jax.tree.leaves(loaded.populations)} == {len(loaded.records)}


def test_measures_are_computed_again_from_the_policies(trained):
    loaded = psro.load(trained.folder)
    measured, record = loaded.measure(), trained.records[-1]
    assert loaded.exploitability() == pytest.approx(record.exploitability, abs=1e-12)
    assert measured.nash_conv == pytest.approx(record.nash_conv, abs=1e-12)
    np.testing.assert_allclose(measured.value, record.value, atol=1e-12)
    np.testing.assert_allclose(measured.best_response_value, record.best_response_value, atol=1e-12)


def test_the_metrics_are_the_records(trained):
    table = pd.read_csv(trained.folder / "metrics.csv")
    assert len(table) == len(trained.records)
    for row, record in zip(table.to_dict("records"), trained.records, strict=True):
        assert row["iteration"] == record.iteration
        assert row["exploitability"] == record.exploitability
        assert (row["value_0"], row["value_1"]) == record.value
        if record.gap is None:
            assert np.isnan(row["gap_0"]) and np.isnan(row["gap_1"])
        else:
            assert (row["gap_0"], row["gap_1"]) == record.gap
        assert row["seconds_oracle"] == record.seconds["oracle"]


def test_a_folder_holds_no_more_than_its_docstring_says(trained):
    assert set(contents(trained.folder)) == {
        ".lock", "config.json", "metrics.csv", "payoffs.safetensors", "policies", *POLICIES
    }  # fmt: skip


# Games from files


@pytest.fixture
def game_of_skill(tmp_path):
    """A matrix of 100 strategies of different strength, with cycles among the equally strong
    (Czarnecki et al. 2020, "Real world games look like spinning tops", section 3)."""
    generator = np.random.default_rng(0)
    skill, luck = generator.normal(size=100), generator.normal(size=(100, 100))
    path = tmp_path / "skill.csv"
    payoffs = skill[:, None] - skill + (luck - luck.T) / 2
    path.write_text("\n".join(",".join(map(repr, row)) for row in payoffs.tolist()))
    return RunConfig(game=str(path), oracle="best_response", iterations=40, max_histories=10)


def test_double_oracle_solves_a_matrix_without_its_terminals(tmp_path, game_of_skill):
    run = psro.run(game_of_skill, tmp_path / "run")
    assert run.ended == "converged" and 2 < len(run.records) < 30
    value = run.records[-1].value[0]
    payoffs = np.loadtxt(game_of_skill.game, delimiter=",")
    row, column = META_SOLVERS["nash"](np.stack([payoffs, -payoffs]))  # of the whole matrix
    assert value == pytest.approx(row @ payoffs @ column, abs=1e-6)


def test_a_folder_needs_its_game_s_file_no_more(tmp_path, game_of_skill):
    short = dataclasses.replace(game_of_skill, iterations=4)
    whole = psro.run(short, tmp_path / "whole")
    train_until(2, tmp_path / "stopped", short)
    Path(short.game).write_text("another game")
    resumed = psro.resume(tmp_path / "stopped")
    assert outcome(tmp_path / "stopped") == outcome(tmp_path / "whole")
    np.testing.assert_array_equal(resumed.payoffs, whole.payoffs)
    assert resumed.config.game == short.game
    longer = psro.resume(tmp_path / "stopped", iterations=6)  # which writes the config again
    assert len(psro.load(longer.folder).records) == 7


def test_a_folder_without_its_game_is_refused(tmp_path, game_of_skill):
    folder = psro.run(dataclasses.replace(game_of_skill, iterations=1), tmp_path / "run").folder
    copy = folder / "game.csv"
    whole = copy.read_text()
    copy.write_text(whole.replace("1", "2", 1))
    assert "not the game that this run began with" in refused(lambda: psro.load(folder))
    copy.unlink()
    assert "game.csv is missing" in refused(lambda: experiment.reopen(folder))
    copy.write_text(whole)
    assert psro.load(folder).tree.num_actions == 100


def test_a_general_sum_tree_from_a_file_with_three_players(tmp_path):
    game = str(Path(__file__).parent / "entry.efg")
    config = RunConfig(game=game, oracle="best_response", meta_solver="uniform", iterations=3)
    run = psro.run(config, tmp_path / "run")
    loaded = psro.load(run.folder)
    np.testing.assert_array_equal(loaded.payoffs, run.payoffs)
    assert set(contents(run.folder)) >= {"game.efg"}
    played = exploitability.nash_conv(openspiel.load_openspiel(game), loaded.policy())
    assert played == pytest.approx(loaded.measure().nash_conv, abs=1e-9)


@pytest.mark.parametrize("oracle", ["ppo", "dqn"])
def test_a_matrix_too_large_to_be_played_leaves_no_folder(tmp_path, game_of_skill, oracle):
    config = dataclasses.replace(game_of_skill, oracle=oracle)
    with pytest.raises(games.GameError, match="10,101 histories"):
        experiment.create(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


# The mixture as an OpenSpiel policy


def test_openspiel_measures_the_same_nash_conv(trained):
    game = pyspiel.load_game(CONFIG.game)
    measured = exploitability.nash_conv(game, trained.policy())
    assert measured == pytest.approx(trained.measure().nash_conv, abs=1e-9)


def test_the_policy_of_one_player_speaks_for_no_other(trained):
    policy = trained.policy(0)
    state = pyspiel.load_game(CONFIG.game).new_initial_state()
    for card in (0, 1):
        state.apply_action(card)
    assert state.current_player() == 0
    assert policy.action_probabilities(state) == trained.policy().action_probabilities(state)
    with pytest.raises(KeyError, match="player 1"):
        policy.action_probabilities(state, 1)
    state.apply_action(0)
    with pytest.raises(KeyError, match="player 1"):
        policy.action_probabilities(state)


@pytest.mark.parametrize("player", [-1, 2])
def test_the_policy_of_a_player_that_the_game_has_not(trained, player):
    with pytest.raises(ValueError, match=f"player {player} "):
        trained.policy(player)


def test_probabilities_of_the_policy_sum_to_one(trained):
    table = trained.policy().to_tabular().action_probability_array
    assert table.shape == (12, 2)
    assert (table >= 0).all()
    np.testing.assert_allclose(table.sum(axis=1), 1, atol=1e-12)


@pytest.mark.parametrize(
    ("game", "meta_solver"),
    [
        ("leduc_poker", "nash"),
        ("kuhn_poker(players=3)", "uniform"),
        ("goofspiel(imp_info=True,num_cards=4,points_order=descending)", "nash"),
        ("matrix_rps", "nash"),
        ("tiny_bridge_2p", "uniform"),
        pytest.param("liars_dice(numdice=1)", "nash", marks=pytest.mark.slow),
    ],
)
def test_openspiel_measures_the_same_in_other_games(tmp_path, monkeypatch, game, meta_solver):
    monkeypatch.setitem(ORACLES, "ppo", Untrained)  # nothing to compile, game by game
    config = RunConfig(game=game, iterations=2, hidden_size=8, meta_solver=meta_solver)
    psro.run(config, tmp_path / "run")
    loaded = psro.load(tmp_path / "run")
    theirs = pyspiel.load_game(game)
    if theirs.get_type().dynamics == pyspiel.GameType.Dynamics.SIMULTANEOUS:
        theirs = pyspiel.convert_to_turn_based(theirs)
    table = openspiel_policy.python_policy_to_pyspiel_policy(loaded.policy().to_tabular())
    assert pyspiel.nash_conv(theirs, table) == pytest.approx(loaded.measure().nash_conv, abs=1e-9)


# Resuming


@pytest.mark.parametrize("last", [0, 2, 4])
def test_resumed_is_uninterrupted(trained, tmp_path, one_oracle, last):
    train_until(last, tmp_path / "run")
    finish(tmp_path / "run")
    assert outcome(tmp_path / "run") == outcome(trained.folder)


def test_stopped_before_the_first_iteration(trained, tmp_path, one_oracle):
    experiment.create(CONFIG, tmp_path / "run")
    assert "no finished iteration" in refused(lambda: psro.load(tmp_path / "run"))
    finish(tmp_path / "run")
    assert outcome(tmp_path / "run") == outcome(trained.folder)


def test_extended_is_planned_longer(trained, tmp_path):
    # The populations' capacity is the next power of two, so these grow and those did not.
    psro.run(dataclasses.replace(CONFIG, iterations=2), tmp_path / "run")
    psro.resume(tmp_path / "run", iterations=CONFIG.iterations)
    assert outcome(tmp_path / "run") == outcome(trained.folder)


@pytest.mark.slow
def test_three_players_extended_is_planned_longer(tmp_path):
    # Opponents' profiles are counted over the capacity, so growing renumbers them.
    config = dataclasses.replace(
        CONFIG, game="kuhn_poker(players=3)", meta_solver="uniform", cell="gru", iterations=4
    )
    psro.run(config, tmp_path / "planned")
    psro.run(dataclasses.replace(config, iterations=1), tmp_path / "run")
    psro.resume(tmp_path / "run", iterations=4)
    assert outcome(tmp_path / "run") == outcome(tmp_path / "planned")


def test_a_finished_run_has_nothing_to_resume(trained, copy):
    assert list(experiment.reopen(copy).train()) == []
    assert outcome(copy) == outcome(trained.folder)


def test_a_run_cannot_be_shortened(copy):
    before = contents(copy)
    sentence = refused(lambda: experiment.reopen(copy, iterations=3))
    assert str(copy) in sentence and "5 iterations" in sentence
    assert contents(copy) == before


# Crashes


FILES = ("policies", "payoffs.safetensors", "metrics.csv")  # in the order in which they are written


@pytest.fixture(scope="module")
def crashes(tmp_path_factory):
    """What a crash leaves before and after each rename of a run: folders by (iteration, file,
    moment). Before, the temporary file is there, half written."""
    root = tmp_path_factory.mktemp("crashes")
    replace, states, iteration = os.replace, {}, -1

    def snapshot(folder, *name):
        states[name] = shutil.copytree(folder, root / f"state{len(states)}")
        return states[name]

    def watched(source, target, *, src_dir_fd, dst_dir_fd):
        nonlocal iteration
        folder, place = root / "run", Path(os.readlink(f"/proc/self/fd/{dst_dir_fd}"))
        source, target = place / source, place / target
        if target == folder / POLICIES[iteration + 1]:
            iteration += 1
        file = target.relative_to(folder).parts[0]
        state = snapshot(folder, iteration, file, "before")
        temporary = state / source.relative_to(folder)
        os.truncate(temporary, temporary.stat().st_size // 2)
        replace(source, target)
        snapshot(folder, iteration, file, "after")

    with pytest.MonkeyPatch.context() as patch:
        training = experiment.create(EXACT, root / "run").train()
        patch.setattr(os, "replace", watched)
        for record in training:
            if record.iteration == 3:
                break
        training.close()
    return states


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("iteration", [0, 3])
def test_a_crash_between_two_files(exact, crashes, tmp_path, iteration, file, moment):
    folder = shutil.copytree(crashes[iteration, file, moment], tmp_path / "run")
    committed = file == "metrics.csv" or (file, moment) == ("payoffs.safetensors", "after")
    finished = iteration if committed else iteration - 1
    before = contents(folder)
    if finished < 0:
        assert "no finished iteration" in refused(lambda: psro.load(folder))
    else:
        loaded = psro.load(folder)
        size = finished + 1
        assert loaded.records[-1].iteration == finished
        np.testing.assert_array_equal(loaded.payoffs, exact.payoffs[:, :size, :size])
    assert contents(folder) == before  # loading repairs nothing
    finish(folder)
    assert outcome(folder) == outcome(exact.folder)  # no temporary file is left either


@pytest.mark.parametrize("call", range(6))  # a commit syncs three files and, after each, its folder
def test_interrupted_while_saving(exact, tmp_path, monkeypatch, call):
    folder, calls, fsync = tmp_path / "run", 0, os.fsync

    def interrupted(descriptor):
        nonlocal calls
        calls += 1
        if calls == call + 1:
            raise KeyboardInterrupt
        fsync(descriptor)

    train_until(1, folder, EXACT)
    training = experiment.reopen(folder).train()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", interrupted)
        with pytest.raises(KeyboardInterrupt):
            next(training)
    assert not list(folder.rglob("*.tmp"))
    assert psro.load(folder).records[-1].iteration == (2 if call >= 3 else 1)
    finish(folder)
    assert outcome(folder) == outcome(exact.folder)


@pytest.mark.parametrize("file", FILES)
def test_a_full_disk(exact, tmp_path, monkeypatch, file):
    folder = tmp_path / "run"
    train_until(1, folder, EXACT)
    name = Path(POLICIES[2] if file == "policies" else file).name
    training = experiment.reopen(folder).train()
    replace = os.replace

    def full(source, target, **folders):
        if target == name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target, **folders)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        sentence = refused(lambda: next(training))
    assert str(folder) in sentence and os.strerror(errno.ENOSPC) in sentence
    assert not list(folder.rglob("*.tmp"))
    assert psro.load(folder).records[-1].iteration == (2 if file == "metrics.csv" else 1)
    finish(folder)
    assert outcome(folder) == outcome(exact.folder)


def test_training_that_diverges_keeps_what_was_saved(copy):
    before = contents(copy)
    opened = experiment.reopen(copy, iterations=CONFIG.iterations + 1)
    opened.setup.config = dataclasses.replace(
        opened.config, ppo=dataclasses.replace(CONFIG.ppo, learning_rate=1e30)
    )
    with pytest.raises(TrainingDiverged, match=r"player \d diverged in iteration 6"):
        next(opened.train())
    after = contents(copy)
    assert after.pop("config.json") != before.pop("config.json")  # it names 6 iterations now
    assert after == before
    assert len(psro.load(copy).records) == len(opened.records) == CONFIG.iterations + 1


# Making a folder


@pytest.mark.parametrize("kind", ["folder", "empty folder", "file", "link"])
def test_what_exists_is_left_alone(tmp_path, kind):
    out = tmp_path / "out"
    if kind == "file":
        out.write_text("mine")
    elif kind == "link":
        out.symlink_to("nowhere")
    else:
        out.mkdir()
        if kind == "folder":
            (out / "config.json").write_text("mine")
    before = contents(tmp_path)
    sentence = refused(lambda: experiment.create(CONFIG, out))
    assert str(out) in sentence and "exists already" in sentence
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    "changes",
    [
        {"game": "kuhn_pokr"},
        {"game": "kuhn_poker(players=99)"},
        {"game": "mfg_crowd_modelling"},
        {"game": "kuhn_poker(players=3)", "meta_solver": "nash"},  # which is for two
        {"game": "kuhn_poker(players=3)", "max_histories": 10, "evaluation": "exact"},
        {"observation": "pixels"},
    ],
    ids=str,
)
def test_a_bad_game_leaves_no_folder(tmp_path, changes):
    config = dataclasses.replace(CONFIG, **changes)
    with pytest.raises(ValueError) as error:
        experiment.create(config, tmp_path / "runs" / "run")
    assert str(error.value) and "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_no_folder(tmp_path, monkeypatch, call):
    def full(*_, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, call, full)
    sentence = refused(lambda: experiment.create(CONFIG, tmp_path / "run"))
    assert str(tmp_path / "run") in sentence and os.strerror(errno.ENOSPC) in sentence
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["taken/run", "x" * 300])
def test_a_folder_that_cannot_be_made(tmp_path, name):
    (tmp_path / "taken").write_text("a file")
    assert str(tmp_path / name) in refused(lambda: experiment.create(CONFIG, tmp_path / name))
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_folders_of_the_same_second(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = dataclasses.replace(CONFIG, game="kuhn_poker(players=2)")
    folders = {experiment.create(config).folder for _ in range(3)}
    assert len(folders) == 3
    for folder in folders:
        assert folder.parent == Path("experiments")
        assert folder.name.startswith("kuhn_poker-players=2-default-2")


# Damage


def flip(path, position, bit=0):
    content = bytearray(path.read_bytes())
    content[position] ^= 1 << bit
    path.write_bytes(content)


def truncate_half(path):
    os.truncate(path, path.stat().st_size // 2)


def truncate_all(path):
    os.truncate(path, 0)


def cut_last_byte(path):
    os.truncate(path, path.stat().st_size - 1)


def flip_in_the_middle(path):
    flip(path, path.stat().st_size // 2)


def flip_the_first_byte(path):
    flip(path, 0)


def flip_the_last_byte(path):
    flip(path, -1)


def fill_with_text(path):
    path.write_text("not what it was\n")


def make_a_folder(path):
    path.unlink()
    path.mkdir()


DAMAGES = [
    truncate_half,
    truncate_all,
    cut_last_byte,
    flip_in_the_middle,
    flip_the_first_byte,
    flip_the_last_byte,
    fill_with_text,
    make_a_folder,
    Path.unlink,
]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda each: each.__name__)
@pytest.mark.parametrize("name", ["payoffs.safetensors", POLICIES[0], POLICIES[-1]])
def test_a_damaged_file(copy, name, damage):
    path = copy / name
    damage(path)
    before = contents(copy)
    sentence = refused(lambda: psro.load(copy))
    missing_commit = name == "payoffs.safetensors" and damage is Path.unlink
    assert str(copy if missing_commit else path) in sentence
    assert contents(copy) == before
    if not missing_commit:  # a run whose first iteration was not finished looks like that
        refused(lambda: experiment.reopen(copy, iterations=9))
        assert contents(copy) == before


def test_policies_of_another_iteration(copy):
    first, second = copy / POLICIES[1], copy / POLICIES[2]
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)
    before = contents(copy)
    assert str(first) in refused(lambda: psro.load(copy))
    assert contents(copy) == before


def test_policies_of_another_network(copy):
    fields = json.loads((copy / "config.json").read_text())
    fields["run"]["hidden_size"] = 16
    (copy / "config.json").write_text(json.dumps(fields))
    assert str(copy / POLICIES[0]) in refused(lambda: psro.load(copy))


@pytest.mark.parametrize("name", ["payoffs.safetensors", POLICIES[0]])
def test_a_flipped_bit_is_noticed_wherever_it_is(copy, name):
    path = copy / name
    content, (_, info) = path.read_bytes(), storage.read_tensors(path)
    harmless = content.index(b"format_version")  # of this file; config.json's is what counts
    for position in range(0, len(content), 13):
        if 0 <= position - harmless < 25:
            continue
        flip(path, position, bit=position % 8)
        try:
            _, found = storage.read_tensors(path)
        except ExperimentError as error:
            assert str(path) in str(error)
        else:  # 1e-05 and 1E-05 are the same number
            assert found == info
        path.write_bytes(content)


@pytest.mark.parametrize("damage", [truncate_half, Path.unlink], ids=["truncate_half", "unlink"])
def test_metrics_are_written_again(trained, copy, damage):
    damage(copy / "metrics.csv")
    assert psro.load(copy).records == trained.records
    experiment.reopen(copy)
    assert contents(copy) == contents(trained.folder)


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "7", "null", "{}", '"run"', '{"format_version": 1}', b"\xff\xfe", b"\x00" * 64],
    ids=repr,
)
def test_a_config_that_is_none(copy, content):
    content = content if isinstance(content, bytes) else content.encode()
    (copy / "config.json").write_bytes(content)
    before = contents(copy)
    assert str(copy / "config.json") in refused(lambda: psro.load(copy))
    assert contents(copy) == before


@pytest.mark.parametrize(
    "changes",
    [
        {"iterations": "4"},
        {"iterations": 0},
        {"iterations": None},
        {"iterations": 5.5},
        {"hidden_size": "8"},
        {"hidden_size": 8.5},
        {"seed": -1},
        {"seed": "0"},
        {"seed": 0.5},
        {"max_histories": "many"},
        {"game": 3},
        {"game": None},
        {"game": "kuhn_pokr"},
        {"game": "kuhn_poker(players=99)"},
        {"game": "kuhn_poker(players=3)"},
        {"observation": 3},
        {"observation": ["observation"]},
        {"diversity": {}},
        {"cell": "transformer"},
        {"cell": ["lstm"]},
        {"cell": None},
        {"oracle": {}},
        {"meta_solver": 1},
        {"temperature": 1},
        {"ppo": None},
        {"ppo": []},
        {"ppo": {"decisions": "many"}},
        {"ppo": {"num_envs": 32.0}},
        {"ppo": {"epochs": 1.5}},
        {"ppo": {"num_envs": 0}},
        {"ppo": {"num_minibatches": 3}},
        {"ppo": {"clip": None}},
        {"ppo": {"learning_rate": [0.1]}},
        {"ppo": {"momentum": 0.9}},
    ],
    ids=str,
)
def test_a_config_with_wrong_fields(copy, changes):
    path = copy / "config.json"
    fields = json.loads(path.read_text())
    if isinstance(changes.get("ppo"), dict):
        changes = {"ppo": {**fields["run"]["ppo"], **changes["ppo"]}}
    fields["run"] |= changes
    path.write_text(json.dumps(fields))
    before = contents(copy)
    assert str(copy) in refused(lambda: psro.load(copy))
    assert contents(copy) == before


@pytest.mark.parametrize("run", [None, [], 7, "kuhn_poker", {}])
def test_a_config_whose_run_is_none(copy, run):
    (copy / "config.json").write_text(json.dumps({"format_version": 1, "run": run}))
    assert str(copy) in refused(lambda: psro.load(copy))


def test_payoffs_that_no_policies_of_the_game_earn(copy):
    """A file's checksum says that it is whole, not that it is true."""
    path = copy / "payoffs.safetensors"
    tensors, info = storage.read_tensors(path)
    del info["sha256"], info["format_version"]
    storage.write_tensors(path, tensors | {"payoffs": 100 * tensors["payoffs"]}, info)
    assert "beyond the game's largest return" in refused(lambda: psro.load(copy))


@pytest.mark.parametrize(
    "payoffs", ["0,0\n0,0\n", "1e-320,1e-320\n1e-320,1e-320\n", "1e300,-1e300\n-1e300,1e300\n"]
)
def test_games_of_extreme_payoffs_are_saved_and_loaded(tmp_path, payoffs):
    game = tmp_path / "game.csv"
    game.write_text(payoffs)
    config = RunConfig(game=str(game), oracle="best_response", meta_solver="uniform", iterations=2)
    run = psro.run(config, tmp_path / "run")
    np.testing.assert_array_equal(psro.load(run.folder).payoffs, run.payoffs)


def test_folders_of_format_1_are_read(trained, copy):
    """They knew independent players only, and their records no gap but NashConv."""
    path = copy / "config.json"
    fields = json.loads(path.read_text()) | {"format_version": 1}
    fields["run"]["evaluation_solver"] = None
    path.write_text(json.dumps(fields))
    tensors, info = storage.read_tensors(copy / "payoffs.safetensors")
    info = {name: info[name] for name in ("records", "policies")}
    for record in info["records"]:
        for name in ("concept", "meaning", "cce_gap", "ce_gap", "size"):
            del record[name]
    for number in range(len(info["policies"])):  # one policy an iteration, without an axis for it
        path = copy / "policies" / f"{number:04d}.safetensors"
        policies, _ = storage.read_tensors(path)
        policies = {name: each[:, 0] for name, each in policies.items()}
        info["policies"][number] = storage.write_tensors(path, policies, {})
    for name in [name for name in tensors if name.startswith("evaluation")]:
        tensors[name.replace("evaluation", "meta_strategy")] = tensors.pop(name)
    storage.write_tensors(copy / "payoffs.safetensors", tensors, info)
    again = psro.load(copy)
    assert again.records == trained.records and again.joint is None
    np.testing.assert_array_equal(again.payoffs, trained.payoffs)
    for ours, theirs in zip(again.plans, trained.plans, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert again.exploitability() == trained.exploitability()


@pytest.mark.parametrize("version", [6, 99, "1", None, 1.6, [1]])
def test_a_format_of_another_version(copy, version):
    path = copy / "config.json"
    fields = json.loads(path.read_text())
    path.write_text(json.dumps(fields | {"format_version": version}))
    before = contents(copy)
    sentence = refused(lambda: psro.load(copy))
    assert str(copy) in sentence and "format" in sentence
    assert contents(copy) == before


@pytest.mark.parametrize("kind", ["nothing", "file", "empty folder", "long name"])
def test_a_folder_that_is_no_experiment(tmp_path, kind):
    folder = tmp_path / ("x" * 300 if kind == "long name" else "run")
    if kind == "file":
        folder.write_text("no folder")
    elif kind == "empty folder":
        folder.mkdir()
    before = contents(tmp_path)
    for call in (psro.load, psro.resume):
        assert str(folder) in refused(lambda call=call: call(folder))
    assert contents(tmp_path) == before


@pytest.mark.parametrize("oracle", ["ppo", "distill", "best_response"])
def test_nothing_is_compiled_after_the_first_best_response(tmp_path, oracle):
    """Shapes do not depend on the iteration: after iteration 1, all code is there."""
    counts, total = [], 0

    def count(event, seconds, **_):
        nonlocal total
        total += event == "/jax/core/compile/backend_compile_duration"

    jax.monitoring.register_event_duration_secs_listener(count)
    try:
        config = dataclasses.replace(CONFIG, oracle=oracle, iterations=6)
        for _ in experiment.create(config, tmp_path / "run").train():
            counts.append(total)
    finally:
        jax.monitoring.unregister_event_duration_listener(count)
    assert counts[1] > 0
    assert counts[1:] == [counts[1]] * 6


# How a run ends


def test_why_a_run_ended(trained):
    def records(*curve):
        return [
            dataclasses.replace(
                trained.records[min(k, 1)], iteration=k, exploitability=value, improvement=gain
            )
            for k, (value, gain) in enumerate(curve)
        ]

    limits = {"iterations": 3, "tolerance": 1e-3, "patience": 2}
    poor, none = (0.5, (0.1, 0.0)), (0.5, (1e-4, -0.2))
    start = (0.5, None)
    assert why_ended([], **limits) is None
    assert why_ended(records(start, poor), **limits) is None
    assert why_ended(records(start, (1e-4, (0.1, 0.1))), **limits) == "converged"
    assert why_ended(records(start, poor, none), **limits) is None
    assert why_ended(records(start, none, none), **limits) == "no oracle improves"
    assert why_ended(records(start, none, poor), **limits) is None
    assert why_ended(records(start, none, none, poor), **limits) == "budget"
    never = {"iterations": 3, "tolerance": 0.0, "patience": 1}
    assert why_ended(records(start, (0.0, (0.0, 0.0))), **never) is None


def test_a_converged_run_has_ended_for_good(tmp_path):
    """Exact best responses solve Kuhn in a few iterations; going on adds nothing."""
    config = RunConfig(game="kuhn_poker", oracle="best_response", iterations=50)
    done = psro.run(config, tmp_path / "run")
    assert done.ended == "converged" and len(done.records) < 20
    assert done.records[-1].exploitability <= done.config.tolerance
    assert max(done.records[1].improvement) > 0
    again = psro.resume(tmp_path / "run")
    assert [r.iteration for r in again.records] == [r.iteration for r in done.records]


@pytest.mark.slow
def test_exact_best_responses_follow_double_oracle(tmp_path):
    """Leduc at 0.09 by iteration 150, where OpenSpiel's own double oracle is at 0.057 to 0.1."""
    config = RunConfig(game="leduc_poker", oracle="best_response", iterations=150)
    done = psro.run(config, tmp_path / "run")
    assert min(r.exploitability for r in done.records) < 0.09
    assert all(abs(gap) < 1e-9 for record in done.records[1:] for gap in record.gap)


# Settings in files


def test_recipes_are_configs():
    recipes = sorted((Path(__file__).parent.parent / "experiments").glob("*.toml"))
    assert len(recipes) >= 3
    for recipe in recipes:
        RunConfig.from_json(read_config(recipe))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["leduc_ppo", "leduc_distill", "liars_dice_ppo"])
def test_recipes_run(name, tmp_path):
    recipe = Path(__file__).parent.parent / "experiments" / f"{name}.toml"
    fields = read_config(recipe)
    fields |= {"iterations": 1, fields["oracle"]: fields.get(fields["oracle"], {})}
    fields[fields["oracle"]] |= {"decisions": 4096} if fields["oracle"] == "ppo" else {"steps": 20}
    done = psro.run(RunConfig.from_json(fields), tmp_path / "run")
    assert max(done.records[-1].improvement) > 0


@pytest.mark.parametrize(
    "text, message",
    [
        ("iterations = ", "Invalid value"),
        ("iteratons = 3", "iteratons is not a setting; did you mean iterations"),
        ("[ppo]\nclipping = 0.1", "ppo.clipping is not a setting"),
        ("ppo = 3", "ppo = 3 must be a table of settings"),
        ('cell = "lstn"', "did you mean lstm"),
        ("[ppo]\nepochs = 1.5", "ppo.epochs = 1.5 must be a whole number"),
        ("[ppo]\ntabulated = 1", "ppo.tabulated = 1 must be true or false"),
        ("patience = 0", "patience = 0 must be at least 1"),
        ('tolerance = "small"', "must be a number"),
    ],
)
def test_bad_settings_in_a_file_are_refused(tmp_path, text, message):
    path = tmp_path / "run.toml"
    path.write_text(text)
    with pytest.raises(ExperimentError, match=message) as error:
        read_config(path)
    assert "\n" not in str(error.value) and str(path) in str(error.value)
