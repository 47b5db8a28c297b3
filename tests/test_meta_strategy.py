"""Meta-strategies, independent and correlated: what they are measured by and trained against."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from probes import random_behaviours

import games
import psro
from psro import exact
from psro.metagame import joint_gaps
from psro.metagame.exact_meta_game import ExactMetaGame
from psro.metagame.gaps import gaps_of
from psro.metagame.solvers import joint_of, regrets
from psro.metagame.strategy import MetaStrategy
from psro.metagame.target import target_of
from psro.runs.experiment import create
from psro.runs.fitting import with_defaults

GAMES = ["kuhn_poker", "tiny_hanabi", "kuhn_poker(players=3)"]
SIZE, CAPACITY = 3, 4
CASES = Path(__file__).parent / "cases"


def meta_game_of(name: str) -> ExactMetaGame:
    meta_game = ExactMetaGame.empty(games.load(name))
    for seed in range(SIZE):
        meta_game = meta_game.add(random_behaviours(meta_game.tree, seed))
    return meta_game


def random_joint(meta_game: ExactMetaGame, seed: int) -> np.ndarray:
    """With some profiles that have no weight."""
    rng = np.random.default_rng(seed)
    shape = meta_game.payoffs.shape[1:]
    joint = rng.exponential(size=shape) * (rng.uniform(size=shape) < 0.7)
    return joint / joint.sum()


def product(meta_game: ExactMetaGame, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.dirichlet(np.ones(SIZE)) for _ in meta_game.tree.players]


@pytest.mark.parametrize("concept", ["nash", "cce", "ce"])
@pytest.mark.parametrize("name", GAMES)
def test_a_target_is_what_its_opponents_add_up_to(name, concept):
    """Profile by profile, drawn from `opponents` in the order in which they sit."""
    meta_game = meta_game_of(name)
    tree, num_players = meta_game.tree, meta_game.tree.num_players
    solution = product(meta_game, 1) if concept == "nash" else random_joint(meta_game, 1)
    against = target_of(meta_game, MetaStrategy.of(solution), concept, CAPACITY)
    assert against.opponents.shape == (num_players, *(CAPACITY,) * (num_players - 1))
    np.testing.assert_allclose(against.opponents.reshape(num_players, -1).sum(axis=1), 1.0)
    for p in range(num_players):
        gains, reach = 0.0, 0.0
        for profile in itertools.product(range(SIZE), repeat=num_players - 1):
            plans = [None] * num_players
            for seat, k in enumerate(profile):
                q = (p + 1 + seat) % num_players
                plans[q] = meta_game.plans[q][k]
            gain, reached = exact.gains_and_reach(tree, p, plans)
            gains = gains + against.opponents[(p, *profile)] * gain
            reach = reach + against.opponents[(p, *profile)] * reached
        np.testing.assert_allclose(against.exact.gains[p], gains, atol=1e-12)
        np.testing.assert_allclose(against.exact.reach[p], reach, atol=1e-12)
        best = exact.best_response_to(tree.players[p], gains).value
        assert against.exact.best_response_value[p] == pytest.approx(best, abs=1e-12)


@pytest.mark.parametrize("name", GAMES)
def test_what_a_best_response_has_to_beat(name):
    """A product's value; a joint's; what the recommendation that it leaves was worth."""
    meta_game = meta_game_of(name)
    solution, joint = product(meta_game, 2), random_joint(meta_game, 2)
    independent = target_of(meta_game, MetaStrategy.of(solution), "nash", CAPACITY)
    np.testing.assert_allclose(
        independent.value, exact.returns(meta_game.tree, meta_game.mixture(solution)), atol=1e-12
    )
    coarse = target_of(meta_game, MetaStrategy.of(joint), "cce", CAPACITY)
    expected = [(table * joint).sum() for table in meta_game.payoffs]
    np.testing.assert_allclose(coarse.value, expected, atol=1e-12)
    told = target_of(meta_game, MetaStrategy.of(joint), "ce", CAPACITY)
    found = joint_gaps.correlated_gap(meta_game, MetaStrategy.of(joint))
    for p, k in enumerate(found.recommendation):
        probability = np.take(joint, k, axis=p).sum()
        gain = (told.exact.best_response_value[p] - told.value[p]) * probability
        assert gain == pytest.approx(found.recommendation_gains[p].max(), abs=1e-12)


def test_a_correlated_equilibrium_leaves_nothing_to_beat():
    """Battle of the sexes by a coin, in which policy 0 is never told."""
    meta_game = ExactMetaGame.empty(games.load("matrix_bos"))
    for action in (0, 0, 1):
        pure = np.array([1.0, 1 - action, action])
        meta_game = meta_game.add([pure, pure])
    joint = np.diag([0.0, 0.5, 0.5])
    against = target_of(meta_game, MetaStrategy.of(joint), "ce", CAPACITY)
    np.testing.assert_allclose(against.exact.best_response_value, against.value, atol=1e-12)
    assert np.isfinite(against.opponents).all()


@pytest.mark.parametrize("name", GAMES)
def test_gains_that_were_measured_need_not_be_computed_again(name):
    meta_game = meta_game_of(name)
    strategy = MetaStrategy.of(joint_of(product(meta_game, 3)))
    found = gaps_of(meta_game, strategy, "ce").correlated
    shared = target_of(meta_game, strategy, "ce", CAPACITY, found)
    alone = target_of(meta_game, strategy, "ce", CAPACITY)
    np.testing.assert_array_equal(shared.value, alone.value)
    np.testing.assert_array_equal(shared.opponents, alone.opponents)
    for mine, theirs in zip(shared.exact.gains, alone.exact.gains, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("name", GAMES)
def test_independence_is_a_special_case_of_correlation(name):
    meta_game = meta_game_of(name)
    solution = product(meta_game, 3)
    independent = gaps_of(meta_game, MetaStrategy.of(solution), "nash")
    joint = gaps_of(meta_game, MetaStrategy.of(joint_of(solution)), "ce")
    assert independent.cce_gap is None and independent.ce_gap is None
    np.testing.assert_allclose(joint.value, independent.value, atol=1e-12)
    for gap in (joint.nash_conv, joint.cce_gap, joint.ce_gap):
        assert gap == pytest.approx(independent.nash_conv, abs=1e-12)


@pytest.mark.parametrize(
    ("game", "meta_solver", "concept"),
    [
        ("kuhn_poker(players=3)", "mgcce", "cce"),
        ("tiny_hanabi", "mgcce", "cce"),
        ("matrix_bos", "mgce", "ce"),
        ("matching_pennies_3p", "mwcce", "cce"),
        ("matrix_bos", "nash", "nash"),
    ],
)
def test_exact_best_responses_reach_an_equilibrium(tmp_path, game, meta_solver, concept):
    """JPSRO converges in a finite game (Marris et al. 2021, theorem 1)."""
    config = psro.RunConfig(
        game=game, oracle="best_response", meta_solver=meta_solver, iterations=60, patience=60
    )
    run = psro.run(config, tmp_path / "run")
    last = run.records[-1]
    assert run.ended == "converged" and last.concept == run.concept == concept
    assert 0 <= last.distance <= run.config.tolerance
    assert {"nash": last.exploitability, "cce": last.cce_gap, "ce": last.ce_gap}[concept] == (
        last.distance
    )
    again = psro.load(run.folder)
    if concept == "nash":
        assert again.joint is None
    else:
        np.testing.assert_array_equal(again.joint, run.joint)
        assert run.joint.shape == run.payoffs.shape[1:] and run.joint.sum() == pytest.approx(1.0)


def test_one_solver_trains_and_another_is_measured(tmp_path):
    """Best responses are those to `meta_solver`; the result is that of `evaluation_solver`."""
    config = psro.RunConfig(
        oracle="best_response", meta_solver="uniform", evaluation_solver="nash", iterations=4
    )
    both = psro.run(config, tmp_path / "both")
    alone = psro.run(
        psro.RunConfig(oracle="best_response", meta_solver="uniform", iterations=4),
        tmp_path / "alone",
    )
    np.testing.assert_array_equal(both.payoffs, alone.payoffs)
    assert [r.achieved_value for r in both.records] == [r.achieved_value for r in alone.records]
    assert both.records[-1].meta_regret == alone.records[-1].meta_regret > 0.01
    assert regrets(both.payoffs, both.meta_strategy).max() < 1e-9
    stopped = psro.run(
        psro.RunConfig(
            oracle="best_response", meta_solver="uniform", evaluation_solver="nash", iterations=2
        ),
        tmp_path / "stopped",
    )
    resumed = psro.resume(stopped.folder, iterations=4)
    np.testing.assert_array_equal(resumed.payoffs, both.payoffs)
    for one, other in zip(resumed.meta_strategy, both.meta_strategy, strict=True):
        np.testing.assert_array_equal(one, other)


def test_by_default_the_least_exploitable_mixture_is_measured(tmp_path):
    """Best responses are those to the Nash equilibrium of the meta-game all the same, and what is
    measured never rises."""
    settings = {"game": "leduc_poker", "oracle": "best_response", "iterations": 6}
    plain = psro.run(psro.RunConfig(**settings, evaluation_solver="same"), tmp_path / "plain")
    run = psro.run(psro.RunConfig(**settings), tmp_path / "default")
    np.testing.assert_array_equal(run.payoffs, plain.payoffs)
    measured = [record.exploitability for record in run.records]
    assert all(late <= early + 1e-9 for early, late in itertools.pairwise(measured))
    assert measured[-1] < plain.exploitability()
    assert run.exploitability() == measured[-1]
    assert psro.load(run.folder).config.evaluation_solver == "least_exploitable"


@pytest.mark.parametrize(
    "settings, evaluation_solver, init",
    [
        ({"oracle": "ppo"}, "least_exploitable", "perturbed"),
        ({"oracle": "distill"}, "least_exploitable", "scratch"),
        ({"oracle": "ppo", "init": "scratch"}, "least_exploitable", "scratch"),
        ({"oracle": "best_response", "meta_solver": "qre"}, "same", "scratch"),
        ({"oracle": "best_response", "expansion": "extensive"}, "same", "scratch"),
        ({"game": "matrix_bos", "oracle": "best_response"}, "same", "scratch"),
        (
            {"game": "kuhn_poker(players=3)", "meta_solver": "mgcce", "oracle": "best_response"},
            "same",
            "scratch",
        ),
    ],
)
def test_what_is_left_open_is_decided_once_and_saved(settings, evaluation_solver, init, tmp_path):
    made = create(psro.RunConfig(**settings), tmp_path / "run").config
    assert (made.evaluation_solver, made.init) == (evaluation_solver, init)
    saved = json.loads((tmp_path / "run" / "config.json").read_text())["run"]
    assert (saved["evaluation_solver"], saved["init"]) == (evaluation_solver, init)


@pytest.mark.parametrize(
    "game, given, meta_solver, tolerance",
    [
        ("kuhn_poker", {}, "nash", 1e-6),
        ("kuhn_poker(players=3)", {}, "mgcce", 1e-6),
        ("kuhn_poker(players=3)", {"meta_solver": "uniform"}, "uniform", 1e-6),
        ("small_units.csv", {}, "nash", 2e-15),
        ("small_units.csv", {"tolerance": 1e-6}, "nash", 1e-6),
        ("nothing.csv", {}, "nash", 1e-6),
    ],
)
def test_the_game_decides_the_meta_solver_and_the_tolerance(game, given, meta_solver, tolerance):
    tree = games.load(str(CASES / game) if game.endswith(".csv") else game)
    decided = with_defaults(psro.RunConfig(game=game, **given), tree, exact=True)
    assert decided.meta_solver == meta_solver
    assert decided.tolerance == pytest.approx(tolerance)
    assert with_defaults(decided, games.load("kuhn_poker"), exact=True) == decided  # once


def test_a_folder_from_before_there_was_a_default_measures_what_it_measured(tmp_path):
    run = psro.run(
        psro.RunConfig(oracle="best_response", evaluation_solver="same", iterations=2),
        tmp_path / "run",
    )
    path = run.folder / "config.json"
    fields = json.loads(path.read_text())
    fields["run"]["evaluation_solver"] = None
    path.write_text(json.dumps(fields))
    assert psro.load(run.folder).config.measuring_solver is None
    resumed = psro.resume(run.folder, iterations=4)
    straight = psro.run(
        psro.RunConfig(oracle="best_response", evaluation_solver="same", iterations=4),
        tmp_path / "straight",
    )
    assert resumed.exploitability() == straight.exploitability()
