"""Populations of networks, measured exactly on forms."""

import json

import jax
import numpy as np
import pytest
from test_cli import assert_refused, psro_main

import games
import psro
from games.public import public_tree
from psro import exact
from psro.errors import SettingsError
from psro.measure import on_form
from psro.oracles import PPOConfig
from psro.policies.policy import Tabulator

CONFIG = psro.RunConfig(
    evaluation="sampled",
    iterations=1,
    meta_solver="uniform",
    hidden_size=4,
    payoff_episodes=128,
    payoff_error=1.0,
    ppo=PPOConfig(decisions=256, num_envs=16, rollout_length=8, evaluations=1),
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return psro.run(CONFIG, tmp_path_factory.mktemp("sampled") / "run")


def test_a_sampled_run_has_the_exploitability_of_its_tables(run):
    tree, told = games.load("kuhn_poker"), []
    measured = on_form.evaluate(run, public_tree("kuhn_poker"), told.append)
    tabulate, plans = Tabulator(run.policy_network, tree), [0.0, 0.0]
    for k in range(2):
        params = [jax.tree.map(lambda leaf, k=k: leaf[k], own) for own in run.populations]
        stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *params)
        for p, behaviour in enumerate(tabulate(stacked)):
            plans[p] += 0.5 * exact.realization_plan(tree.players[p], behaviour)
    expected = exact.exploitability(tree, plans)
    np.testing.assert_allclose(measured.distance.value, expected.value, atol=1e-6)
    assert measured.distance.exploitability == pytest.approx(expected.exploitability, abs=1e-6)
    assert "policy 1 of player 1" in told[-2]


def test_the_command_measures_it(run, capsys):
    code, out, err = psro_main(capsys, "eval", run.folder, "--exact")
    assert code == 0 and "(exact)" in out and "12 info states" in out
    assert "policy 0 of player 0 at 6 info states" in err and "no exact" not in out
    code, out, _ = psro_main(capsys, "eval", run.folder, "--exact", "--json")
    told, form = json.loads(out), public_tree("kuhn_poker")
    distance = on_form.evaluate(run, form).distance
    assert told["exploitability"] == pytest.approx(distance.exploitability, abs=1e-9)
    assert told["omitted"] == []
    best = distance.best_response_value.tolist()
    assert told["best_response_value"] == pytest.approx(best, abs=1e-9)
    assert (told["info_states"], told["histories"]) == (12, 58)
    refused = assert_refused(psro_main(capsys, "eval", run.folder, run.folder, "--exact"))
    assert "--exact measures one run" in refused


def test_a_run_on_other_tensors_is_refused(run):
    with pytest.raises(SettingsError, match="only runs on information states"):
        on_form.evaluate(run, public_tree("leduc_poker"))
