"""One population for all seats: its payoffs, its meta-strategies, and whole runs of it."""

import dataclasses
import itertools

import jax
import numpy as np
import pyspiel
import pytest
import safetensors.numpy
from open_spiel.python.algorithms import exploitability

import psro
from psro import cli, exact
from psro.metagame.solvers import META_SOLVERS, MetaSolverError, cce_gains, ce_gains, regrets
from psro.metagame.strategy import MetaStrategy, over_seats
from psro.oracles import PPOConfig
from psro.runs.config import RunConfig

GOOFSPIEL = "goofspiel(imp_info=True,num_cards=4,points_order=descending)"
THREE = "goofspiel(players=3,imp_info=True,num_cards=3,points_order=descending)"
SMALL_PPO = PPOConfig(
    decisions=2048,
    evaluations=2,
    num_envs=32,
    num_strata=4,
    rollout_length=8,
    sequence_length=4,
    num_minibatches=2,
    epochs=2,
)


def brute_force_average(payoffs):
    """Policy k_p of seat p moves to every seat that a permutation gives it."""
    num_players, mean = len(payoffs), np.zeros_like(payoffs)
    seatings = list(itertools.permutations(range(num_players)))
    for cell in np.ndindex(payoffs.shape[1:]):
        for p, seating in itertools.product(range(num_players), seatings):
            there = [0] * num_players
            for q, seat in enumerate(seating):
                there[seat] = cell[q]
            mean[(p, *cell)] += payoffs[(seating[p], *there)] / len(seatings)
    return mean


@pytest.mark.parametrize(("num_players", "size"), [(2, 4), (3, 3), (4, 2)])
def test_payoffs_are_averaged_over_seats(num_players, size):
    payoffs = np.random.default_rng(0).normal(size=(num_players, *(size,) * num_players))
    average = over_seats(payoffs)
    np.testing.assert_allclose(average, brute_force_average(payoffs), atol=1e-12)
    for p in range(1, num_players):  # exactly, not to rounding
        np.testing.assert_array_equal(average[p], np.swapaxes(average[0], 0, p))
        np.testing.assert_array_equal(average[0], np.swapaxes(average[0], p, num_players - 1))
    np.testing.assert_array_equal(over_seats(average), average)


def test_a_zero_sum_average_is_exactly_antisymmetric():
    table = np.random.default_rng(1).normal(size=(5, 5))
    table += 1e-16 - table.T
    payoffs = over_seats(np.stack([table, -table]))
    np.testing.assert_array_equal(payoffs[0], -payoffs[0].T)
    np.testing.assert_array_equal(payoffs[1], -payoffs[0])


@pytest.mark.parametrize("seed", range(10))
def test_a_zero_sum_equilibrium_can_be_shared(seed):
    table = np.random.default_rng(seed).integers(-3, 4, (5, 5)).astype(float)
    payoffs = np.stack([table - table.T, table.T - table])
    shared = MetaStrategy.of(META_SOLVERS["nash"](payoffs)).shared(payoffs)
    np.testing.assert_array_equal(*shared.marginals)
    assert regrets(payoffs, shared.marginals).max() < 1e-8


PRODUCTS = [name for name, solver in META_SOLVERS.items() if not solver.joint and name != "nash"]
JOINTS = [name for name, solver in META_SOLVERS.items() if solver.joint]


@pytest.mark.parametrize("solver", PRODUCTS)
def test_solvers_that_treat_seats_alike_are_shared_as_they_are(solver):
    table = np.random.default_rng(4).normal(size=(4, 4))
    payoffs = np.stack([table - table.T, table.T - table])
    found = MetaStrategy.of(META_SOLVERS[solver](payoffs))
    shared = found.shared(payoffs)
    np.testing.assert_array_equal(*shared.marginals)
    limit = regrets(payoffs, found.marginals).max() + 1e-8
    assert regrets(payoffs, shared.marginals).max() <= limit


@pytest.mark.parametrize("num_players", [2, 3])
@pytest.mark.parametrize("solver", JOINTS)
def test_joints_are_shared_and_stay_equilibria(solver, num_players):
    rng = np.random.default_rng(5)
    payoffs = over_seats(rng.normal(size=(num_players, *(3,) * num_players)))
    joint = MetaStrategy.of(META_SOLVERS[solver](payoffs)).shared(payoffs).joint
    assert joint.min() >= 0
    np.testing.assert_allclose(joint.sum(), 1, atol=1e-8)
    for seats in itertools.permutations(range(num_players)):
        np.testing.assert_array_equal(joint, joint.transpose(seats))
    if META_SOLVERS[solver].concept == "ce":
        assert max(each.sum() for each in ce_gains(payoffs, joint)) < 1e-5
    if META_SOLVERS[solver].concept == "cce":
        assert cce_gains(payoffs, joint).max() < 1e-5


def test_an_equilibrium_that_gives_each_its_own_cannot_be_shared():
    """Chicken: one yields, the other does not; its two such equilibria average to a crash."""
    own = np.array([[0.0, 7.0], [2.0, 6.0]])
    payoffs = np.stack([own, own.T])
    one = (np.array([1.0, 0.0]), np.array([0.0, 1.0]))
    assert regrets(payoffs, one).max() == 0
    with pytest.raises(MetaSolverError, match="would gain.*mgcce"):
        MetaStrategy.of(one).shared(payoffs)


def assert_shared(run):
    first, *others = run.populations
    for other in others:
        jax.tree.map(np.testing.assert_array_equal, first, other)
    if run.joint is None:
        for strategy in run.meta_strategy:
            np.testing.assert_array_equal(strategy, run.meta_strategy[0])
    else:
        for seats in itertools.permutations(range(run.joint.ndim)):
            np.testing.assert_array_equal(run.joint, run.joint.transpose(seats))
    np.testing.assert_array_equal(over_seats(run.payoffs), run.payoffs)


def test_double_oracle_with_one_population(tmp_path):
    config = RunConfig(game=GOOFSPIEL, oracle="best_response", symmetric=True, iterations=30)
    run = psro.run(config, tmp_path / "one")
    both = psro.run(dataclasses.replace(config, symmetric=False), tmp_path / "both")
    assert_shared(run)
    np.testing.assert_array_equal(run.payoffs[0], -run.payoffs[0].T)
    assert run.ended == both.ended == "converged"
    # Half of the training: one best response an iteration, and about as many iterations.
    assert len(run.records) <= 1.5 * len(both.records)
    loaded = psro.load(tmp_path / "one")
    np.testing.assert_allclose(loaded.exploitability(), 0, atol=1e-6)
    game = pyspiel.convert_to_turn_based(pyspiel.load_game(GOOFSPIEL))
    theirs = exploitability.exploitability(game, loaded.policy())
    np.testing.assert_allclose(theirs, loaded.exploitability(), atol=1e-9)


def test_three_seats_and_a_coarse_correlated_equilibrium(tmp_path):
    """Who else won a card has a name here, so seats can be moved on but not exchanged."""
    config = RunConfig(
        game=THREE, oracle="best_response", symmetric=True, meta_solver="mgcce", iterations=25
    )
    run = psro.run(config, tmp_path / "run")
    assert_shared(run)
    assert run.records[-1].cce_gap < 1e-6
    np.testing.assert_allclose(run.measure().value, run.measure().value[0], atol=1e-9)
    # The payoffs are the averages over all seatings of what the game pays.
    np.testing.assert_allclose(
        run.payoffs, brute_force_average(exact.payoffs(run.tree, run.plans)), atol=1e-12
    )
    assert_resumes(run, tmp_path / "stopped")


@pytest.mark.parametrize("solver", ["alpha_rank_single", "replicator", "mgce"])
def test_other_meta_solvers(tmp_path, solver):
    config = RunConfig(
        game="matrix_pd", oracle="best_response", symmetric=True, meta_solver=solver, iterations=3
    )
    assert_shared(psro.run(config, tmp_path / "run"))


def test_a_network_of_every_seat(tmp_path):
    """As near as with a population each, for half of the training."""
    config = RunConfig(
        game="goofspiel(imp_info=True,num_cards=3,points_order=descending)",
        oracle="distill",
        symmetric=True,
        iterations=4,
        hidden_size=16,
        tolerance=1e-3,
    )
    run = psro.run(config, tmp_path / "run")
    assert_shared(run)
    assert run.records[-1].exploitability < 0.02
    saved = safetensors.numpy.load_file(run.folder / "policies" / "0000.safetensors")
    assert {len(leaf) for leaf in saved.values()} == {1}


def assert_resumes(whole, folder):
    """A run that stops after iteration 1 and goes on ends as the one without a stop."""
    for record in psro.runs.experiment.create(whole.config, folder).train():
        if record.iteration == 1:
            break
    resumed = psro.resume(folder)
    np.testing.assert_array_equal(resumed.payoffs, whole.payoffs)
    jax.tree.map(np.testing.assert_array_equal, resumed.populations, whole.populations)
    for ours, theirs in zip(resumed.records, whole.records, strict=True):
        assert dataclasses.replace(ours, seconds={}) == dataclasses.replace(theirs, seconds={})


@pytest.mark.slow
def test_ppo_trains_one_seat_and_resumes_bit_for_bit(tmp_path):
    config = RunConfig(
        game="goofspiel(imp_info=True,num_cards=3,points_order=descending)",
        symmetric=True,
        iterations=3,
        hidden_size=8,
        tolerance=0.0,
        ppo=SMALL_PPO,
    )
    whole = psro.run(config, tmp_path / "whole")
    assert_shared(whole)
    for record in whole.records[1:]:
        assert record.decisions[0] >= SMALL_PPO.decisions and record.decisions[1] == 0
        assert record.episodes[0] > 0 and record.episodes[1] == 0
        np.testing.assert_array_equal(*record.achieved_value)
    assert_resumes(whole, tmp_path / "stopped")


@pytest.mark.parametrize("game", ["kuhn_poker", "matrix_bos"])
def test_the_command_refuses_other_games(tmp_path, capsys, game):
    with pytest.raises(SystemExit) as end:
        cli.main(["run", "--game", game, "--symmetric", "--out", str(tmp_path / "run")])
    assert end.value.code == 2
    assert f"psro: {game} is not symmetric" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_solver_of_one_population_needs_one(tmp_path):
    config = RunConfig(game="matrix_rps", meta_solver="alpha_rank_single")
    with pytest.raises(ValueError, match="share one population; add --symmetric"):
        psro.run(config, tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_the_command_measures_what_it_trained(tmp_path, capsys):
    folder = str(tmp_path / "run")
    arguments = ["--game", "matrix_rps", "--symmetric", "--oracle", "best_response"]
    for command in (["run", *arguments, "--out", folder], ["eval", folder]):
        try:
            cli.main(command)
        except SystemExit as end:
            assert not end.code
    assert "xploitability" in capsys.readouterr().out
