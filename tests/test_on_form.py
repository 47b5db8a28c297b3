"""Runs that are exact in games that are not enumerated: the meta-game of vectors, their files, and
the run as a whole."""

import dataclasses
import json
import shutil

import jax
import numpy as np
import pytest

import games
import psro
from psro import cli, exact
from psro.errors import SettingsError
from psro.exact import restricted_game
from psro.exact.sequence_form import population_exploitability
from psro.metagame.exact_meta_game import ExactMetaGame
from psro.metagame.form_meta_game import FormMetaGame
from psro.metagame.gaps import gaps_of
from psro.metagame.least_exploitable import TOLERANCE, MixtureError, least_exploitable
from psro.metagame.solving import solver_of
from psro.metagame.strategy import MetaStrategy
from psro.metagame.target import target_of, target_on_form
from psro.oracles import A2CConfig, DistillConfig
from psro.policies.policy import Tabulator
from psro.runs import disk
from psro.runs.spreading import Spread
from psro.runs.tasks import on_form
from psro.runs.vectors import VECTORS, VectorFiles

CONFIG = psro.RunConfig(
    game="kuhn_poker",
    max_histories=10,  # so it is not enumerated: it is played by its native rules
    oracle="a2c",
    hidden_size=4,
    iterations=2,
    a2c=A2CConfig(decisions=256, num_envs=16, num_strata=4, evaluations=1),
)


@dataclasses.dataclass(frozen=True)
class Plain:
    """Vectors in memory."""

    plan: np.ndarray
    gains: np.ndarray


def meta_games(name="leduc_poker", size=4, seed=0):
    """The same random policies as an `ExactMetaGame` and as a `FormMetaGame`."""
    tree, rng = games.load(name), np.random.default_rng(seed)
    behaviours = []
    for _ in range(size):
        pair = []
        for player in tree.players:
            counts = np.diff(player.first_sequence)
            pair.append(np.concatenate([[1.0], *(rng.dirichlet(np.ones(n)) for n in counts)]))
        behaviours.append(pair)
    table = ExactMetaGame.empty(tree).put(range(size), behaviours)
    vectors = []
    for k in range(size):
        pair = [plans[k].astype(np.float32) for plans in table.plans]
        _, gains = tree.returns_and_gains([plan.astype(float) for plan in pair])
        vectors.append([Plain(pair[p], gains[1 - p].astype(np.float32)) for p in range(2)])
    return table, vectors


def test_vectors_give_what_the_tree_gives():
    table, vectors = meta_games()
    form = FormMetaGame.empty(table.tree).put(range(4), vectors)
    unit = table.tree.max_return
    np.testing.assert_allclose(form.payoffs, table.payoffs, atol=1e-6 * unit)
    assert (form.payoffs.sum(axis=0) == 0).all()
    rng = np.random.default_rng(1)
    independent = MetaStrategy.of([rng.dirichlet(np.ones(4)) for _ in range(2)])
    joint = MetaStrategy.of(rng.dirichlet(np.ones(16)).reshape(4, 4))
    for strategy, concept in ((independent, "nash"), (joint, "cce"), (joint, "ce")):
        by_tree, by_vectors = (gaps_of(game, strategy, concept) for game in (table, form))
        for figure in ("value", "best_response_value", "nash_conv", "cce_gap", "ce_gap"):
            expected, computed = getattr(by_tree, figure), getattr(by_vectors, figure)
            if expected is None:
                assert computed is None
            else:
                np.testing.assert_allclose(computed, expected, atol=4e-6 * unit)
        expected = target_of(table, strategy, concept, 4)
        computed = target_on_form(form, strategy, concept, 4)
        np.testing.assert_array_equal(computed.opponents, expected.opponents)
        np.testing.assert_allclose(computed.value, expected.value, atol=1e-6 * unit)
        for p in range(2):
            np.testing.assert_allclose(
                computed.exact.gains[p], expected.exact.gains[p], atol=1e-6 * unit
            )


@pytest.mark.parametrize(("name", "size"), [("leduc_poker", 12), ("kuhn_poker", 1)])
def test_cuts_find_what_the_linear_program_finds(name, size):
    table, vectors = meta_games(name, size)
    form = FormMetaGame.empty(table.tree).put(range(size), vectors)
    expected = population_exploitability(table.tree, table.plans).measured.nash_conv
    found = least_exploitable(form)
    unit = table.tree.max_return
    assert expected - 1e-5 <= found.measured.nash_conv <= expected + 2 * TOLERANCE * unit
    assert found.least_nash_conv <= expected + 1e-5 * unit
    strategy = solver_of("least_exploitable")(form)
    np.testing.assert_array_equal(strategy.marginals[1], found.mixtures[1])
    if size > 1:
        with pytest.raises(MixtureError, match="more than 2 best responses"):
            least_exploitable(form, most_cuts=2)


def test_policies_are_replaced_taken_and_added_as_in_the_tree():
    table, vectors = meta_games(size=4)
    form = FormMetaGame.empty(table.tree).put([0, 1], vectors[:2]).put([1, 2], vectors[2:])
    expected = table.payoffs[np.ix_([0, 1], [0, 2, 3], [0, 2, 3])]
    np.testing.assert_allclose(form.payoffs, expected, atol=1e-5)
    np.testing.assert_array_equal(
        form.take([2, 0]).payoffs, form.payoffs[np.ix_([0, 1], [2, 0], [2, 0])]
    )
    assert form.take([2]).vectors[1] == (vectors[3][1],)
    with pytest.raises(IndexError, match="gap"):
        form.put([5], vectors[:1])


def test_three_players_have_no_meta_game_of_vectors():
    with pytest.raises(ValueError, match="for 3 players"):
        FormMetaGame.empty(games.load("kuhn_poker(players=3)"))


def test_a_vector_is_found_only_if_it_is_whole(tmp_path):
    name, vector = "0-" + "a" * 32 + ".plan", np.arange(5, dtype=np.float32)
    assert VectorFiles(tmp_path).keep(name, vector) is vector  # nothing is written
    with disk.lock(tmp_path) as held:
        files = VectorFiles(tmp_path, held)
        kept = files.keep(name, vector)
        assert isinstance(kept, np.memmap) and (kept == vector).all()
    path = tmp_path / VECTORS / f"{name}.npy"
    whole = path.read_bytes()
    find = VectorFiles(tmp_path).find
    assert (find(name, 5) == vector).all() and find(name, 4) is None
    assert find("0-" + "b" * 32 + ".plan", 5) is None
    nothing = np.full(5, np.nan, np.float32).tobytes()
    for content in (whole[:-1], whole + b"0", b"", b"\x93NUMPY\x03\x00", whole[:-20] + nothing):
        path.write_bytes(content)
        assert find(name, 5) is None
    path.unlink()
    (tmp_path / "elsewhere").write_bytes(whole)
    path.symlink_to(tmp_path / "elsewhere")
    assert find(name, 5) is None


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return psro.run(CONFIG, tmp_path_factory.mktemp("on_form") / "run")


def test_a_run_is_measured_exactly_without_a_tree(finished):
    tree = games.load("kuhn_poker")
    assert finished.tree is None and finished.is_exact
    assert [record.kind for record in finished.records] == ["exact"] * 3
    tabulate = Tabulator(finished.policy_network, tree)
    plans = [
        np.stack(plans)
        for plans in zip(
            *(
                [
                    exact.realization_plan(player, behaviour)
                    for player, behaviour in zip(tree.players, tabulate(params), strict=True)
                ]
                for params in finished._last.population.members
            ),
            strict=True,
        )
    ]
    np.testing.assert_allclose(finished.payoffs, exact.payoffs(tree, plans), atol=1e-6)
    mixture = [exact.mix(of, w) for of, w in zip(plans, finished.meta_strategy, strict=True)]
    expected = exact.exploitability(tree, mixture).exploitability
    assert finished.exploitability() == pytest.approx(expected, abs=1e-6)
    last = finished.records[-1]
    assert last.exploitability == pytest.approx(expected, abs=1e-6)
    assert min(last.gap) >= -1e-6 and {"tabulate", "walk", "payoffs"} <= last.seconds.keys()


def test_workers_do_what_takes_time_of_new_policies(finished):
    population, asked = finished._last.population, []
    evaluator = dataclasses.replace(finished.setup.evaluator, softmax=True)
    expected = evaluator.meta_game(population, finished.payoffs)
    target = evaluator.target(expected, finished.measured_strategy, "nash", 4, None)

    class Pool:
        size = 2

        def run(self, tasks):
            asked.append([(task.arguments["step"], task.duty) for task in tasks])
            return [on_form(**task.arguments) for task in tasks]

    spread = evaluator.elsewhere(Spread(Pool(), finished.setup))
    grown, alone = (
        by.put(by.empty(), population, range(population.size), None, lambda part: None)
        for by in (spread, evaluator)
    )
    assert asked == [[("plan", "measuring")] * 6, [("gains", "measuring")] * 3]
    np.testing.assert_array_equal(grown.payoffs, alone.payoffs)
    spread.put(spread.empty(), population, [0], None, lambda part: None)
    assert len(asked[2]) == 2 and len(asked) == 3  # one walk alone is no task
    policies = {1: population.policies(1)}
    one, other = (
        by.finished(population, policies, {1: target}, None) for by in (evaluator, spread)
    )
    assert asked[3] == [("sharper", "measuring")] * 2
    np.testing.assert_array_equal(one[1]["temperature"], other[1]["temperature"])


def test_a_run_is_measured_by_the_name_of_its_game(finished, capsys):
    cli.main(["eval", str(finished.folder), "--game", f"{finished.config.game}", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["exploitability"] == pytest.approx(finished.exploitability(), abs=1e-6)
    assert told["method"] == f"the mixture of {finished.folder}"
    with pytest.raises(SystemExit):
        cli.main(["eval", str(finished.folder), "--game", "tic_tac_toe"])
    assert "is a run of" in capsys.readouterr().err


def test_double_oracle_on_a_form_is_double_oracle(tmp_path):
    config = psro.RunConfig(oracle="best_response", iterations=6, evaluation_solver="same")
    on_tree = psro.run(config, tmp_path / "tree")
    on_form = psro.run(dataclasses.replace(config, max_histories=10), tmp_path / "form")
    assert on_form.tree is None and len(on_form.records) == len(on_tree.records)
    for ours, theirs in zip(on_form.records, on_tree.records, strict=True):
        assert ours.exploitability == pytest.approx(theirs.exploitability, abs=1e-6)
        assert ours.gap is None or max(np.abs(ours.gap)) <= 1e-6
    assert psro.load(tmp_path / "form").exploitability() == on_form.exploitability()
    with pytest.raises(SettingsError, match="tables"):
        on_form.bot(0, seed=0)


@pytest.mark.parametrize("name", ["kuhn_poker", "leduc_poker"])
def test_a_restricted_game_is_solved_on_a_form(name):
    tree = games.load(name)  # as a form
    rng = np.random.default_rng(3)
    masks = []
    for player in tree.players:
        gains = rng.normal(size=(3, player.num_sequences))
        responses = np.stack([exact.best_response_to(player, of).plan for of in gains])
        masks.append(restricted_game.allowed(player, responses))
    whole = restricted_game.solve(tree, masks)
    plans = restricted_game.solve_on_form(tree, masks, precision=1e-3)
    inside = [plan[own] for plan, own in zip(plans, whole.restricted.sequences, strict=True)]
    measured = exact.exploitability(whole.restricted.tree, inside)
    assert measured.nash_conv <= 1.001e-3 * tree.max_return
    with pytest.raises(restricted_game.RestrictedGameError, match="after 10 iterations"):
        restricted_game.solve_on_form(tree, masks, precision=1e-9, max_iterations=10)


def test_xdo_on_a_form_ends_in_an_equilibrium(tmp_path):
    config = psro.RunConfig(
        oracle="best_response", expansion="extensive", iterations=6, max_histories=10
    )
    run = psro.run(config, tmp_path / "run")
    assert run.tree is None and run.records[-1].nash_conv <= 2e-3
    with pytest.raises(SettingsError, match="extensive needs a game that is enumerated"):
        psro.run(dataclasses.replace(config, oracle="distill"), tmp_path / "networks")


@pytest.mark.slow
def test_a_best_response_is_cloned_on_a_form(tmp_path):
    distill = DistillConfig(steps=150, temperature=0.02)
    config = dataclasses.replace(CONFIG, oracle="distill", distill=distill, hidden_size=16)
    run = psro.run(dataclasses.replace(config, iterations=1), tmp_path / "run")
    gain, gap = sum(run.records[1].improvement), sum(run.records[1].gap)
    assert gain / (gain + gap) > 0.97


def test_what_needs_the_tree_says_that_the_game_is_too_large(finished):
    for what in (lambda: finished.plans, lambda: psro.run(
        dataclasses.replace(CONFIG, oracle="full_width")
    )):  # fmt: skip
        with pytest.raises(SettingsError, match="enumerated, and kuhn_poker is too large"):
            what()


def test_a_resumed_run_reads_the_vectors_and_ends_with_the_same_bits(finished, tmp_path):
    folder = tmp_path / "run"
    stopped = psro.run(dataclasses.replace(CONFIG, iterations=1), folder)
    (folder / VECTORS / f"1-{'0' * 32}.gains.npy").write_bytes(b"of an unfinished iteration")
    shutil.rmtree(tmp_path / "bare", ignore_errors=True)
    shutil.copytree(folder, tmp_path / "bare")
    shutil.rmtree(tmp_path / "bare" / VECTORS)
    walks = []
    form = type(stopped.setup.form)
    with pytest.MonkeyPatch.context() as patch:
        walk = form.returns_and_gains
        patch.setattr(form, "returns_and_gains", lambda *given: walks.append(given) or walk(*given))
        resumed = psro.resume(folder, iterations=2)
    assert len(walks) == 1  # for the new pair alone
    again = psro.resume(tmp_path / "bare", iterations=2)
    for run in (resumed, again):
        np.testing.assert_array_equal(run.payoffs, finished.payoffs)
        assert run.records[-1].exploitability == finished.records[-1].exploitability
        for ours, theirs in zip(
            jax.tree.leaves(run._last.population.members),
            jax.tree.leaves(finished._last.population.members),
            strict=True,
        ):
            np.testing.assert_array_equal(ours, theirs)
    names = sorted(path.name for path in (folder / VECTORS).iterdir())
    assert len(names) == 12 and f"1-{'0' * 32}.gains.npy" not in names
    assert psro.load(folder).exploitability() == finished.exploitability()
