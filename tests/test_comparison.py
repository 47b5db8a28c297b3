"""Runs against each other: what OpenSpiel gets by playing the same policies, and what must hold."""

import csv
import itertools
import json

import numpy as np
import pytest
from open_spiel.python.algorithms import expected_game_score
from test_cli import assert_refused, psro_main

import games
import psro
from games.readers import openspiel
from psro.measure import comparison, evaluation
from psro.runs.config import RunConfig
from psro.runs.storage import ExperimentError
from psro.views.numbers import three_digits

EFG = """EFG 2 R "" { "Ann" "Bob" }
p "" 1 1 "" { "bet" "fold" } 0
p "" 2 1 "" { "call" "pass" } 0
t "" 1 "" { 2 -2 }
t "" 2 "" { 1 -1 }
t "" 3 "" { -1 1 }
"""
GOOFSPIEL = "goofspiel(imp_info=True,num_cards=3,points_order=descending)"


def trained(folder, **settings):
    config = RunConfig(**{"game": "kuhn_poker", "oracle": "best_response"} | settings)
    return psro.run(config, folder)


@pytest.fixture(scope="module")
def kuhn(tmp_path_factory):
    """A short run, a longer one, and that as a file."""
    root = tmp_path_factory.mktemp("kuhn")
    runs = [trained(root / f"run{n}", iterations=n).folder for n in (1, 4)]
    return [*runs, psro.export(runs[1], root / "run4.psro")]


def opened(paths):
    return [(path, psro.load(path)) for path in paths]


def played(game, policies):
    """Every player's expected return, by OpenSpiel."""
    root = openspiel.load_openspiel(game).new_initial_state()
    return expected_game_score.policy_value(root, policies)


@pytest.mark.parametrize(
    ("game", "meta_solver"), [("kuhn_poker", "nash"), ("kuhn_poker(players=3)", "mgcce")]
)
def test_openspiel_gets_the_same(tmp_path, game, meta_solver):
    runs = [
        trained(tmp_path / f"{n}", game=game, meta_solver=meta_solver, iterations=n) for n in (1, 3)
    ]
    mixtures = comparison.mixtures([(run.folder, run) for run in runs])
    compared = comparison.compare(runs[0].tree, mixtures)
    players = runs[0].tree.num_players
    for i, own in enumerate(runs):
        for j, other in enumerate(runs):
            for p in range(players):
                seated = [(own if q == p else other).policy(q) for q in range(players)]
                assert compared.returns[p, i, j] == pytest.approx(
                    played(game, seated)[p], abs=1e-12
                )
        assert compared.measured[i].nash_conv == pytest.approx(own.measure().nash_conv, abs=1e-12)


def test_a_zero_sum_table_is_antisymmetric_and_the_equilibrium_never_loses(kuhn):
    runs = opened(kuhn)
    tree = runs[0][1].tree
    others, omitted = comparison.baselines(tree, cfr_iterations=100)
    compared = comparison.compare(tree, comparison.mixtures(runs) | others)
    assert compared.names == (
        "run1", "run4", "run4.psro", "uniform", "CFR+ (100)", "equilibrium"
    ) and not omitted  # fmt: skip
    average = compared.average
    np.testing.assert_allclose(average, -average.T, atol=1e-12)
    assert (average[-1] > -1e-9).all()
    np.testing.assert_array_equal(average[1], average[2])  # the run, and its export
    best = np.array([each.best_response_value for each in compared.measured])  # [N, P]
    for p in range(2):  # a best response does no worse than anybody who is there
        assert (compared.returns[p].max(axis=0) <= best[:, p] + 1e-12).all()
    assert compared.measured[-1].nash_conv < 1e-9
    assert 0 < compared.measured[-2].exploitability < 1e-2


def test_seats_that_are_alike_play_those_that_are_not(tmp_path):
    plain = trained(tmp_path / "plain", game=GOOFSPIEL, iterations=3)
    alike = trained(tmp_path / "alike", game=GOOFSPIEL, iterations=3, symmetric=True)
    for runs in ((plain, alike), (alike, plain)):
        mixtures = comparison.mixtures([(run.folder, run) for run in runs])
        tree = runs[0].tree
        compared = comparison.compare(tree, mixtures)
        for number, run in enumerate(runs):
            assert compared.measured[number].nash_conv == pytest.approx(
                run.measure().nash_conv, abs=1e-12
            )
        value = played(GOOFSPIEL, [runs[0].policy(0), runs[1].policy(1)])
        assert compared.returns[0, 0, 1] == pytest.approx(value[0], abs=1e-12)


def test_the_game_counts_and_not_its_name_or_what_is_seen_of_it(kuhn, tmp_path):
    other = trained(tmp_path / "other", game="kuhn_poker(players=2)", observation="observation")
    compared = comparison.compare(
        other.tree, comparison.mixtures([*opened(kuhn[:1]), (other.folder, other)])
    )
    assert compared.returns.shape == (2, 2, 2)
    for game, solver in (
        ("leduc_poker", "nash"), ("kuhn_poker(players=3)", "mgcce"), ("matrix_rps", "nash")
    ):  # fmt: skip
        another = trained(tmp_path / solver / game, game=game, meta_solver=solver, iterations=1)
        for runs in (
            [*opened(kuhn[:1]), (another.folder, another)],
            [(another.folder, another), *opened(kuhn[:1])],
        ):
            with pytest.raises(ExperimentError, match="only runs of one game"):
                comparison.mixtures(runs)


def test_matrices_from_files_are_the_same_by_their_payoffs(tmp_path):
    runs = []
    for number, payoffs in enumerate(("0,-1\n1,0\n", "0,-1\n1,0\n", "0,-2\n1,0\n")):
        file = tmp_path / f"{number}.csv"
        file.write_text(payoffs)
        run = trained(tmp_path / f"{number}", game=str(file), iterations=1)
        runs.append((run.folder, run))
    tree = runs[0][1].tree
    others, _ = comparison.baselines(tree, cfr_iterations=20)
    compared = comparison.compare(tree, comparison.mixtures(runs[:2]) | others)
    # Against uniform play the second row gets 1/2, and so does the second column.
    assert compared.returns[:, -1, 2] == pytest.approx(0.5)
    with pytest.raises(ExperimentError, match="only runs of one game"):
        comparison.mixtures([runs[0], runs[2]])


def test_files_of_one_name_may_be_other_games(tmp_path, monkeypatch):
    """A path says what a run began with; what the file held then is what counts."""
    monkeypatch.chdir(tmp_path)
    runs = []
    for content in (EFG, EFG.replace("2 -2", "3 -3"), "0,-1\n1,0\n"):
        file = tmp_path / ("game.efg" if content.startswith("EFG") else "game.csv")
        file.write_text(content)
        run = trained(tmp_path / f"{len(runs)}", game=file.name, iterations=1)
        runs.append((run.folder, run))
    for first, second in itertools.permutations(runs, 2):
        with pytest.raises(ExperimentError, match="only runs of one game"):
            comparison.mixtures([first, second])


def test_what_is_left_out_is_said(kuhn, tmp_path, monkeypatch):
    tree = psro.load(kuhn[0]).tree
    assert list(comparison.baselines(tree, cfr_iterations=0)[0]) == ["uniform", "equilibrium"]
    monkeypatch.setattr(comparison, "MAX_SEQUENCES", 10)
    found, (sentence,) = comparison.baselines(tree, cfr_iterations=0)
    assert list(found) == ["uniform"] and "--equilibrium" in sentence
    assert "equilibrium" in comparison.baselines(tree, cfr_iterations=0, programs=True)[0]
    three = trained(tmp_path / "3", game="kuhn_poker(players=3)", meta_solver="mgcce", iterations=1)
    found, (sentence,) = comparison.baselines(three.tree, cfr_iterations=2, programs=True)
    assert list(found) == ["uniform", "CFR+ (2)"] and "3 players" in sentence


def test_eval_of_many(capsys, kuhn, tmp_path):
    table = tmp_path / "table.csv"
    code, out, err = psro_main(capsys, "eval", *kuhn, "--json", "--csv", table)
    assert (code, err) == (0, "")
    printed = json.loads(out)
    compared = comparison.compare(psro.load(kuhn[0]).tree, comparison.mixtures(opened(kuhn)))
    assert printed["names"][:3] == ["run1", "run4", "run4.psro"]
    np.testing.assert_array_equal(np.array(printed["returns"])[:, :3, :3], compared.returns)
    with open(table, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == printed["names"]
    for i, row in enumerate(rows):
        assert float(row["exploitability"]) == printed["exploitability"][i]
        for j, name in enumerate(printed["names"]):
            assert float(row[f"against {name}"]) == printed["average"][i][j]
            assert float(row[f"against {name}, seat 1"]) == printed["returns"][1][i][j]
    code, out, err = psro_main(capsys, "eval", *kuhn, "--json", "--device", "cpu")
    on_device = json.loads(out)
    assert (code, err) == (0, "") and on_device["returns"] == printed["returns"]
    assert on_device["exploitability"] == pytest.approx(printed["exploitability"], abs=1e-12)
    code, out, err = psro_main(capsys, "eval", *kuhn, "--cfr-iterations", "7")
    assert (code, err) == (0, "") and "CFR+ (7)" in out and "against 6" in out
    assert three_digits(printed["average"][1][0], sign=True) in out


def test_eval_of_many_says_who_drew_together(capsys, kuhn, tmp_path):
    joint = trained(tmp_path / "joint", meta_solver="mgcce", iterations=2).folder
    code, out, err = psro_main(capsys, "eval", kuhn[0], joint, "--cfr-iterations", "0")
    assert (code, err) == (
        0,
        "",
    ) and f"note: in {joint}, players draw their policies together" in out


def test_eval_of_one_says_what_a_common_draw_is_worth(capsys, tmp_path):
    run = trained(tmp_path / "run", meta_solver="mgcce", iterations=3)
    code, out, err = psro_main(capsys, "eval", run.folder)
    assert (code, err) == (0, "") and "Policies are drawn together: CCE gap" in out
    found = evaluation.evaluate(run.meta_game, run.measured_strategy)
    assert f"CCE gap {three_digits(found.cce_gap)}, CE gap {three_digits(found.ce_gap)}" in out


def test_eval_of_one_as_csv(capsys, kuhn, tmp_path):
    plain = psro_main(capsys, "eval", kuhn[1])
    assert psro_main(capsys, "eval", kuhn[1], "--csv", tmp_path / "one.csv") == plain
    with open(tmp_path / "one.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    run = psro.load(kuhn[1])
    assert [float(row["weight_1"]) for row in rows] == run.meta_strategy[1].tolist()
    assert {"policy", "exploitability", "rating_0", "worst_case_1", "nash_average_0"} <= set(
        rows[0]
    )


def test_names_tell_runs_apart(kuhn):
    run = psro.load(kuhn[0])
    names = comparison.mixtures([("a/run", run), ("b/run", run), ("a/run", run)])
    assert list(names) == ["a/run", "b/run", "a/run (2)"]


def test_what_eval_of_many_refuses(capsys, kuhn, tmp_path):
    other = trained(tmp_path / "other", game="matrix_rps", iterations=1).folder
    for arguments in (
        ["eval", kuhn[0], other],
        ["eval", kuhn[0], tmp_path / "missing"],
        ["eval", *kuhn, "--cfr-iterations", "-1"],
        ["eval", *kuhn, "--csv", tmp_path / "no" / "a.csv"],
        ["eval", kuhn[0], "--csv", tmp_path / "no" / "a.csv"],
    ):
        assert_refused(psro_main(capsys, *arguments))


def test_a_matrix_written_in_two_ways_is_one_game():
    """Of a zero-sum matrix the column player's payoffs may be there or be left out."""
    table = np.random.default_rng(0).normal(size=(3, 4))
    short, whole = games.NormalForm(table[None]), games.NormalForm(np.stack([table, -table]))
    assert short.same_as(short) and not short.same_as(games.load("matrix_rps"))
    assert not games.NormalForm(table[None] + 1).same_as(short)
    plans = [np.ones(4), np.ones(5)]
    np.testing.assert_allclose(short.returns(plans), whole.returns(plans))
