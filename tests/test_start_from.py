"""Runs that start from policies that there are already."""

import dataclasses
import json
import shutil

import jax
import numpy as np
import pytest
from open_spiel.python import policy as openspiel_policy
from open_spiel.python.algorithms import expected_game_score

import games
import psro
from games.levels import levels
from games.spaces import Discrete
from psro import exact
from psro.cli.options import settings_of
from psro.errors import PsroError
from psro.policies.guests import ActingTable, GuestPolicy
from psro.policies.policy import Policy
from psro.runs import experiment as runs

ORACLE = {"game": "kuhn_poker", "oracle": "best_response"}
NETWORK = {
    "game": "kuhn_poker", "hidden_size": 8, "ppo": psro.PPOConfig(decisions=1024, num_envs=16),
}  # fmt: skip


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    folder = tmp_path_factory.mktemp("source") / "tables"
    return psro.run(psro.RunConfig(**ORACLE, iterations=2), folder)


def test_a_run_goes_on_from_the_policies_of_another_and_says_so(tables, tmp_path):
    config = psro.RunConfig(
        **ORACLE, iterations=2, expansion="hierarchy", levels=2, meta_solver="uniform",
        start_from=str(tables.folder),
    )  # fmt: skip
    run = psro.run(config, tmp_path / "run")
    np.testing.assert_allclose(run.payoffs[:, :3, :3], tables.payoffs, atol=1e-7)
    assert [record.size for record in run.records] == [3, 5, 5]
    saved = json.loads((tmp_path / "run/config.json").read_text())["run"]
    assert saved["start_from"] == str(tables.folder)
    assert saved["origin"]["size"] == 3
    assert len(saved["origin"]["sha256"]) == 64
    psro.export(run.folder, tmp_path / "run.psro")
    assert psro.load(tmp_path / "run.psro").config.start_from == "tables"
    changed = dataclasses.replace(run.config.origin, sha256="0" * 64)
    with pytest.raises(PsroError, match="are not those that this config began from"):
        runs.create(dataclasses.replace(config, origin=changed), tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_stopped_run_continues_bit_for_bit_without_its_source(tables, tmp_path):
    source = shutil.copytree(tables.folder, tmp_path / "source")
    config = psro.RunConfig(**ORACLE, iterations=2, start_from=str(source))
    whole = psro.run(config, tmp_path / "whole")
    stopped = {0: runs.create(config, tmp_path / "0"), 1: runs.create(config, tmp_path / "1")}
    shutil.rmtree(source)
    next(training := stopped[1].train())
    training.close()
    for number in stopped:
        run = psro.resume(tmp_path / str(number))
        assert np.array_equal(run.payoffs, whole.payoffs)
        assert np.array_equal(run.meta_strategy, whole.meta_strategy)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"game": "kuhn_poker(players=3)"}, "for 2 players, and .* is for 3"),
        ({"game": "matrix_rps"}, "which is not the game matrix_rps"),
        ({"symmetric": True, "game": "matrix_rps"}, "which is not the game"),
        ({"evaluation": "sampled", "oracle": "ppo"}, "policies that are tables"),
        ({"oracle": "conditional", "expansion": "hierarchy"}, "cannot start from"),
    ],
)
def test_what_cannot_be_continued_is_refused(tables, tmp_path, settings, sentence):
    config = psro.RunConfig(**{**ORACLE, **settings}, start_from=str(tables.folder))
    with pytest.raises(PsroError, match=sentence):
        runs.create(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_game_and_the_network_are_defaults_of_the_command(tables):
    settings = settings_of(["run", "--start-from", str(tables.folder)])
    assert settings["game"] == "kuhn_poker"
    assert "oracle" not in settings
    settings = settings_of(["run", f"--start-from={tables.folder}", "--variant", "psro_rn"])
    assert settings["expansion"] == "rectified"


@pytest.mark.slow
def test_a_table_acts_on_what_networks_see():
    tree = games.load("kuhn_poker")
    table = ActingTable(tree)
    rng, rows = np.random.default_rng(3), levels(tree)
    plans = [exact.realization_plan(p, _random(p, rng)) for p in tree.players]
    params = [table.from_plan(tree, p, plan) for p, plan in enumerate(plans)]
    params = table.seated(jax.tree.map(lambda *leaves: np.stack(leaves), *params))
    for p in range(2):
        own = jax.tree.map(lambda leaf, p=p: leaf[p], params)
        carry, expected = None, table.tabulate(own, rows)[0]
        for level, logits in zip(rows, expected, strict=True):
            real = level.legal[p].any(axis=1)
            before = np.full(len(real), -1) if carry is None else carry[level.parent[p]]
            said, _, carry = table(own, level.observation[p], level.last_action[p], before)
            np.testing.assert_array_equal(said[real], logits[real])


def test_a_policy_with_guests_has_all_that_a_policy_has():
    """Everything that others ask of a `Policy` is there: a member of `Policy` that reads its own
    parameters must be passed on to the own network."""
    tree = games.load("kuhn_poker")
    space = {"observation_space": tree.observation_space, "action_space": Discrete(2)}
    own = Policy(**space, hidden_size=4, cell="none")
    policy = GuestPolicy(own, [ActingTable(tree)])
    missing = {name for name in vars(own) if not hasattr(policy, name)} - {"_graph", "_build"}
    assert missing == set()
    reads_parameters = {
        name
        for name, member in vars(Policy).items()
        if not name.startswith("_")
        and "params" in getattr(getattr(member, "__code__", None), "co_varnames", ())
    }
    assert reads_parameters - {"unroll"} <= set(vars(GuestPolicy))  # unroll calls unroll_on


def _random(player, rng):
    behaviour = np.ones(player.num_sequences)
    for first, end in zip(player.first_sequence[:-1], player.first_sequence[1:], strict=True):
        behaviour[first:end] = rng.dirichlet(np.ones(end - first))
    return behaviour


def test_openspiel_policies_are_members(tmp_path):
    game = games.load("kuhn_poker").openspiel()
    policies = [openspiel_policy.TabularPolicy(game), openspiel_policy.FirstActionPolicy(game)]
    config = psro.RunConfig(**ORACLE, iterations=1)
    run = psro.run(config, tmp_path / "run", start=policies)
    assert run.records[0].size == 2
    for profile in np.ndindex(2, 2):
        seated = [policies[number] for number in profile]
        value = expected_game_score.policy_value(game.new_initial_state(), seated)
        np.testing.assert_allclose(run.payoffs[(slice(None), *profile)], value, atol=1e-6)

    class Broken:
        def action_probabilities(self, state, player_id=None):
            return {0: 0.4, 7: 0.6}

    for wrong, sentence in (
        ([Broken()], "no probabilities of the legal actions"),
        ([7], "no OpenSpiel policy"),
        ([], "with one at least"),
    ):
        with pytest.raises((PsroError, games.GameError), match=sentence):
            psro.run(config, tmp_path / "wrong", start=wrong)
    with pytest.raises(PsroError, match="give them again"):
        psro.run(run.config, tmp_path / "wrong")


@pytest.mark.slow
def test_networks_tables_and_other_cells_stand_side_by_side(tables, tmp_path):
    """Each population's payoffs stay, whatever network or table is added after it; and episodes
    agree with them."""
    before, sizes = tables, []
    for number, settings in enumerate(
        (
            NETWORK | {"cell": "gru"},
            NETWORK | {"cell": "none", "init": "fusion"},
            ORACLE,
            NETWORK | {"cell": "gru", "expansion": "self_play"},
            NETWORK | {"oracle": "dreamer", "dreamer": psro.oracles.DreamerConfig(decisions=1024)},
        )
    ):
        config = psro.RunConfig(**settings, iterations=1, start_from=str(before.folder))
        if settings.get("oracle") == "dreamer":
            with pytest.raises(PsroError, match="same world model"):
                runs.create(config, tmp_path / "refused")
            continue
        run = psro.run(config, tmp_path / str(number))
        size = before.meta_game.size
        np.testing.assert_allclose(run.payoffs[:, :size, :size], before.payoffs, atol=1e-5)
        loaded = psro.load(run.folder)
        assert np.array_equal(loaded.payoffs, run.payoffs)
        assert loaded.measure().exploitability == run.measure().exploitability
        before = run
        sizes.append(run.meta_game.size)
    assert sizes == sorted(sizes)
    config = psro.RunConfig(**ORACLE, iterations=1, start_from=str(before.folder))
    run = psro.run(config, tmp_path / "after_self_play")
    np.testing.assert_allclose(run.payoffs[:, : sizes[-1], : sizes[-1]], before.payoffs, atol=1e-6)


@pytest.mark.slow
def test_networks_of_another_cell_are_measured_by_episodes(tmp_path):
    """Sampled payoffs of guests agree with their exact ones within four standard errors."""
    known = psro.run(psro.RunConfig(**NETWORK, cell="gru", iterations=1), tmp_path / "known")
    config = psro.RunConfig(
        **NETWORK, cell="lstm", iterations=1, evaluation="sampled", start_from=str(known.folder)
    )
    run = psro.run(config, tmp_path / "run")
    error = run.meta_game.standard_error[:, :2, :2]
    assert (np.abs(run.payoffs[:, :2, :2] - known.payoffs) < 4 * error + 1e-9).all()
    again = runs.create(config, tmp_path / "again")
    next(training := again.train())
    training.close()
    shutil.rmtree(known.folder)
    assert np.array_equal(psro.resume(tmp_path / "again").payoffs, run.payoffs)
