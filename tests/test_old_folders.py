"""Folders and exports of format 3: version 0.9 wrote them (`tests/data/format_3`)."""

import json
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest

import psro
from psro import cli, exact
from psro.runs import disk, experiment, policies, storage

OLD = Path(__file__).parent / "data" / "format_3"
NAMES = ["kuhn_ppo", "kuhn_neupl", "matrix_exact"]


@pytest.fixture(params=NAMES)
def copy(request, tmp_path):
    return shutil.copytree(OLD / request.param, tmp_path / request.param)


def same_policies(run):
    """That its policies are those whose payoffs and exploitability were recorded."""
    np.testing.assert_allclose(exact.payoffs(run.tree, run.plans), run.payoffs, atol=1e-6)
    assert run.exploitability() == pytest.approx(run.records[-1].exploitability, abs=1e-6)
    assert run.disagreement() is None


def test_what_they_recorded_is_computed_again(copy):
    run = psro.load(copy)
    same_policies(run)
    for player, params in enumerate(run.populations):
        if run.config.oracle != "best_response":  # the untrained ones have temperature 1
            oracle = getattr(run.config, run.config.oracle)
            temperatures = params["temperature"]
            assert temperatures[0] == 1
            np.testing.assert_array_equal(np.log2(temperatures) % 1, 0)  # nothing is rounded
            assert (np.abs(np.log2(temperatures[1:] / oracle.temperature)) <= 0.5).all()
        assert len(run.meta_strategy[player]) == run.records[-1].size


def test_they_are_played(copy):
    run = psro.load(copy)
    bots = [run.bot(player, seed=player) for player in range(2)]
    state = run.policy()._index.game.new_initial_state()
    while not state.is_terminal():
        if state.is_chance_node():
            state.apply_action(state.legal_actions()[0])
        else:
            state.apply_action(bots[state.current_player()].step(state))
    assert np.abs(state.returns()).max() <= run.tree.max_return


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name == "kuhn_neupl" else name
        for name in NAMES
    ],
)
def test_they_go_on(tmp_path, name):
    copy = shutil.copytree(OLD / name, tmp_path / name)
    config = json.loads((copy / "config.json").read_text())
    before = psro.load(copy).records
    config["run"] |= {"iterations": len(before), "tolerance": 0.0}
    (copy / "config.json").write_text(json.dumps(config))
    run = psro.resume(copy)
    assert run.records[:-1] == before
    fields = json.loads((copy / "config.json").read_text())
    assert fields["format_version"] == storage.FORMAT_VERSION
    same_policies(psro.load(copy))
    if name == "kuhn_ppo":  # what was trained now has the oracle's temperature
        np.testing.assert_array_equal(
            run.populations[0]["temperature"][-1], np.float32(run.config.ppo.temperature)
        )


def test_exports(tmp_path):
    same_policies(psro.load(OLD / "kuhn_ppo.psro"))
    again = experiment.reopen(OLD / "kuhn_ppo.psro", out=tmp_path / "run")
    same_policies(again)


def test_a_policy_without_its_head_is_damaged(tmp_path):
    copy = shutil.copytree(OLD / "kuhn_ppo", tmp_path / "run")
    path = copy / "policies" / "0001.safetensors"
    tensors, info = storage.read_tensors(path)
    kept = {name: value for name, value in tensors.items() if "policy_head" not in name}
    digest = write_as(3, path, kept, {k: info[k] for k in ("slots", "meta_strategy")})
    commit, info = storage.read_tensors(copy / "payoffs.safetensors")
    info["policies"][1] = digest
    write_as(3, copy / "payoffs.safetensors", commit, {k: info[k] for k in ("records", "policies")})
    with pytest.raises(storage.ExperimentError, match="0001.safetensors is damaged"):
        psro.load(copy)


def write_as(version, *arguments):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage, "FORMAT_VERSION", version)
        return storage.write_tensors(*arguments)


def test_payoffs_that_disagree_with_policies_are_told(tmp_path, capsys):
    """By `eval` of one and of several, and by `resume`, with the largest difference."""
    copy = shutil.copytree(OLD / "matrix_exact", tmp_path / "run")
    path = copy / "payoffs.safetensors"
    tensors, info = storage.read_tensors(path)
    payoffs = tensors["payoffs"].copy()
    payoffs[1, -1, 0] += 0.25
    storage.write_tensors(
        path, tensors | {"payoffs": payoffs}, {k: info[k] for k in ("records", "policies")}
    )
    last = payoffs.shape[1] - 1
    words = f"if policies {last}, 0 meet, player 1 earns"
    for command in (["eval", str(copy)], ["eval", str(copy), str(OLD / "matrix_exact")]):
        cli.main(command)
        (note,) = capsys.readouterr().err.splitlines()
        assert str(copy) in note and words in note
    cli.main(["resume", str(copy)])  # which has ended
    assert words in capsys.readouterr().err


def test_a_conditional_network_is_kept_once(tmp_path):
    """In memory and on disk, and comes back as it was."""
    run = psro.load(OLD / "kuhn_neupl")
    last, config = run._last, run.config
    with disk.lock(tmp_path) as held:
        digest = policies.write_policies(held, last, 2)
    path = policies.policy_file(tmp_path, last.record.iteration)
    tensors, _ = storage.read_tensors(path)
    assert tensors["shared/network/encoder/kernel"].ndim == 2
    assert not [name for name in tensors if name.startswith("network/")]
    number, size = last.record.iteration, last.record.size
    stacks, slots = policies._read(path, digest, number, config, size=size, room=1 << 20)
    for number, slot in enumerate(slots):
        kept = jax.tree.map(lambda leaf, n=number: leaf[:, n], stacks)
        jax.tree.map(np.testing.assert_array_equal, kept, last.policies[slot])
    untrained, *trained = (
        member["network"]["encoder"]["kernel"] for member in last.population.members
    )
    assert len(trained) == 8 and not np.shares_memory(untrained, trained[0])
    assert len({kernel.ctypes.data for kernel in trained}) == 1
    assert trained[0].strides[0] == 0  # for all players


def test_the_magnet_of_mirror_was_uniform(tmp_path):
    folder = shutil.copytree(OLD / "matrix_exact", tmp_path / "run")
    config = json.loads((folder / "config.json").read_text())
    config["run"]["mirror"] = {"average_rate": 0.02}
    (folder / "config.json").write_text(json.dumps(config))
    mirror = psro.load(folder).config.mirror
    assert (mirror.magnet, mirror.average_rate) == ("uniform", 0.02)
    config["run"]["mirror"] |= {"magnet": "average"}
    (folder / "config.json").write_text(json.dumps(config))
    assert psro.load(folder).config.mirror.magnet == "average"
