"""Walked forms are the same games as enumerated trees, as OpenSpiel's, and as a plain recursion."""

from __future__ import annotations

import dataclasses
import itertools
import json

import jax
import numpy as np
import pytest

import games
from games import forms
from games.readers import cache as tree_cache
from games.walked import WALKED, kernels, own_trees, walked_rules, walked_tree
from games.walked import cache as walked_cache
from games.walked.cache import cached_tree
from games.walked.tree import WalkedTree
from psro import cli, exact
from psro.exact.passes import passes_of
from psro.measure import simple_play
from psro.policies.policy import Policy, Tabulator
from psro.policies.tabulation import ChunkedTabulator

BLOCKED = 0o740
"""Phantom tic-tac-toe without its last four cells: one line is left."""


@pytest.fixture(scope="module", params=["classical", "abrupt"])
def phantom(request):
    rules = walked_rules(f"phantom_ttt(gameversion={request.param})")
    return WalkedTree.of(dataclasses.replace(rules, blocked=BLOCKED))


def random_plans(form, seed: int) -> list[np.ndarray]:
    """Plans that leave out some actions and mix the others."""
    generator = np.random.default_rng(seed)
    plans = []
    for player in form.players:
        weight = generator.gamma(0.5, size=player.num_sequences)
        weight *= generator.random(len(weight)) < 0.8
        first = player.first_sequence[:-1]
        weight[first] += 1e-3
        total = np.add.reduceat(weight[1:], first - 1)
        weight[1:] /= total[player.info_state[1:]]
        plans.append(exact.realization_plan(player, weight))
    return plans


def same_sequences(walked: WalkedTree, enumerated: games.GameTree) -> list[np.ndarray]:
    """For each player, the number in the enumerated tree of each sequence. Tensors tell all info
    states apart."""
    result = []
    for player, other in zip(walked.players, enumerated.players, strict=True):
        assert player.num_info_states == other.num_info_states
        assert player.num_sequences == other.num_sequences
        tensors = player.observe(slice(None))
        rows = {row.tobytes(): k for k, row in enumerate(other.observe(slice(None)).astype("f4"))}
        state = np.array([rows[row.tobytes()] for row in tensors])
        assert len(set(state)) == len(state)
        numbers = np.zeros(player.num_sequences, int)
        owner = player.info_state[1:]
        numbers[1:] = np.arange(1, len(numbers)) - player.first_sequence[owner]
        numbers[1:] += other.first_sequence[state[owner]]
        np.testing.assert_array_equal(other.action[numbers], player.action)
        np.testing.assert_array_equal(other.parent[state], numbers[player.parent])
        result.append(numbers)
    return result


@pytest.mark.parametrize("size, version", [
    ("2,num_cols=2", "adh"),  # in cdh, OpenSpiel's strings give away the other's bumps: no tree
    ("2,num_cols=3", "cdh"),
    ("2,num_cols=3", "adh"),
    pytest.param("3,num_cols=2", "cdh", marks=pytest.mark.slow),
    pytest.param("3,num_cols=2", "adh", marks=pytest.mark.slow),
])  # fmt: skip
def test_a_walk_equals_the_enumerated_tree(size, version):
    name = f"dark_hex(num_rows={size},gameversion={version})"
    walked, enumerated = walked_tree(name), games.load(name)
    assert walked.num_histories == enumerated.num_histories
    numbers = same_sequences(walked, enumerated)
    for seed in range(3):
        theirs = random_plans(enumerated, seed)
        plans = [plan[of] for plan, of in zip(theirs, numbers, strict=True)]
        value, gains = walked.returns_and_gains(plans)
        np.testing.assert_allclose(value, enumerated.returns(theirs), atol=1e-12)
        for p in range(2):
            np.testing.assert_allclose(
                gains[p], enumerated.gains(p, theirs)[numbers[p]], atol=1e-12
            )
            assert exact.best_response(walked, p, plans).value == pytest.approx(
                exact.best_response(enumerated, p, theirs).value, abs=1e-12
            )
        ours, other = exact.exploitability(walked, plans), exact.exploitability(enumerated, theirs)
        assert ours.nash_conv == pytest.approx(other.nash_conv, abs=1e-12)
    populations = [np.stack(pair) for pair in zip(random_plans(enumerated, 5), theirs, strict=True)]
    table = walked.payoffs([plan[:, of] for plan, of in zip(populations, numbers, strict=True)])
    np.testing.assert_allclose(table, enumerated.payoffs(populations), atol=1e-12)


@pytest.mark.parametrize("observation", games.OBSERVATIONS)
def test_a_network_is_the_same_table_over_a_walk_as_over_a_tree(observation):
    name = "dark_hex(num_rows=2,num_cols=2,gameversion=adh)"
    numbers = same_sequences(walked_tree(name), games.load(name))
    walked, enumerated = (
        opens(name, observation=observation) for opens in (walked_tree, games.load)
    )
    policy = Policy(
        observation_space=enumerated.observation_space, action_space=enumerated.action_space,
        hidden_size=4, cell="lstm",
    )  # fmt: skip
    params = policy.init_many(jax.random.split(jax.random.key(0), 2))
    expected = Tabulator(policy, enumerated)(params)
    tabulate = ChunkedTabulator(policy, chunk=5)
    for p, (player, other) in enumerate(zip(walked.players, enumerated.players, strict=True)):
        assert player.observation_size == enumerated.observation_size
        state = other.info_state[numbers[p][player.first_sequence[:-1]]]
        np.testing.assert_array_equal(player.observe(slice(None)), other.observe(state))
        behaviours = tabulate(params, player)
        np.testing.assert_allclose(behaviours[p], expected[p][numbers[p]], atol=1e-6)


class Recursion:
    """Every history of a board in the dark, one by one, with sequences as tuples of tries."""

    def __init__(self, walked: WalkedTree, plans: list[np.ndarray]):
        self.rules, self.histories, self.tries = walked.rules, 0, [set(), set()]
        self.gains = [{}, {}]
        self.plans = [
            dict(zip(names_of(player), plan, strict=True))
            for player, plan in zip(walked.players, plans, strict=True)
        ]
        self.play(((), ()), (0, 0), 0)

    def play(self, tries, marks, mover):
        self.histories += 1
        self.tries[mover].add(tries[mover])
        for cell in range(self.rules.num_cells):
            bit = 1 << cell
            if self.rules.blocked & bit or cell in [tried for tried, _ in tries[mover]]:
                continue
            bumps = bool(marks[1 - mover] & bit)
            after = with_entry(tries, mover, (*tries[mover], (cell, bumps)))
            placed = marks if bumps else with_entry(marks, mover, marks[mover] | bit)
            last = with_entry(tries, mover, (*tries[mover], (cell, None)))
            full = placed[0] | placed[1] == self.rules.open_cells
            if self.rules.wins[mover, placed[mover]] or full:
                self.histories += 1
                won = self.rules.wins[mover, placed[mover]]
                self.end(tuple(map(closed, last)), won * (1 - 2 * mover))
            else:
                passes = not bumps or self.rules.passes
                self.play(after, placed, 1 - mover if passes else mover)

    def end(self, sequences, payoff):
        for p, sign in enumerate((1, -1)):
            earned = sign * payoff * self.plans[1 - p][sequences[1 - p]]
            self.gains[p][sequences[p]] = self.gains[p].get(sequences[p], 0.0) + earned


def with_entry(pair, index, entry):
    return (entry, pair[1]) if index == 0 else (pair[0], entry)


def closed(tries):
    """A sequence: how its last try ended does not belong to it."""
    return (*tries[:-1], (tries[-1][0], None)) if tries else ()


def names_of(player) -> list[tuple]:
    """Each sequence as tries."""
    before = {-1: ()}
    names = [()]
    for state in range(player.num_info_states):
        parent = names[player.parent[state]]
        if parent:
            parent = (*parent[:-1], (parent[-1][0], bool(player.bumped[state])))
        before[state] = parent
        names += [(*parent, (int(cell), None)) for cell in player.actions(state)]
    return names


def test_a_walk_equals_a_recursion_through_all_histories(phantom):
    equals_a_recursion(phantom)


def test_dark_hex_of_four_cells_equals_a_recursion():
    equals_a_recursion(walked_tree("dark_hex(num_rows=2,num_cols=2,gameversion=cdh)"))


def equals_a_recursion(walked: WalkedTree):
    plans = random_plans(walked, 0)
    plain, (value, gains) = Recursion(walked, plans), walked.returns_and_gains(plans)
    assert walked.num_histories == plain.histories
    for p, player in enumerate(walked.players):
        assert player.num_info_states == len(plain.tries[p])
        expected = [plain.gains[p].get(name, 0.0) for name in names_of(player)]
        np.testing.assert_allclose(gains[p], expected, atol=1e-12)
        assert exact.best_response_value(player, gains[p]) >= value[p] - 1e-12


def test_threads_and_repetitions_give_the_same_bits(phantom):
    plans = random_plans(phantom, 1)
    walks = [phantom.walk(plans, threads=threads) for threads in (1, 2, 2, 5)]
    for gains, others in itertools.combinations(walks, 2):
        assert [sums.tobytes() for sums in gains] == [sums.tobytes() for sums in others]


@pytest.mark.slow
def test_a_device_gives_the_same_gains(phantom):
    plans = random_plans(phantom, 4)
    value, gains = phantom.returns_and_gains(plans)
    assert passes_of(phantom) == phantom.returns_and_gains  # without an accelerator
    device_value, device_gains = passes_of(phantom, "cpu")(plans)
    np.testing.assert_allclose(device_value, value, atol=1e-9)
    for own, expected in zip(device_gains, gains, strict=True):
        np.testing.assert_allclose(own, expected, atol=1e-9)


def test_a_best_response_earns_its_value(phantom):
    plans = random_plans(phantom, 2)
    for p in range(2):
        response = exact.best_response(phantom, p, plans)
        profile = [response.plan if q == p else plan for q, plan in enumerate(plans)]
        assert phantom.returns(profile)[p] == pytest.approx(response.value, abs=1e-12)


def test_a_walk_tells_how_far_it_is_and_can_be_stopped(phantom):
    told = []
    plans = random_plans(phantom, 3)
    dataclasses.replace(phantom, progress=lambda *parts: told.append(parts)).walk(plans, threads=1)
    assert [done for done, _ in told] == list(range(told[0][1] + 1))

    def stop(done, parts):
        told.append((done, parts))
        if done:
            raise KeyboardInterrupt

    told.clear()
    with pytest.raises(KeyboardInterrupt):
        dataclasses.replace(phantom, progress=stop).walk(plans)
    assert [done for done, _ in told] == [0, 1]


@pytest.mark.parametrize("name, sentence", [
    ("kuhn_poker", "is not walked through; games that are: dark_hex, phantom_ttt"),
    ("phantom_ttt(obstype=reveal-numturns)", "must be reveal-nothing"),
    ("dark_hex(board_size=4)", "16 cells must have at most 10"),
    ("dark_hex(num_rows=1,num_cols=3)", "must be at least 2 x 2"),
])  # fmt: skip
def test_other_games_are_refused_in_a_sentence(name, sentence):
    with pytest.raises(games.GameError, match=sentence):
        walked_rules(name)


def test_info_states_beyond_the_memory_are_refused(phantom, monkeypatch):
    monkeypatch.setattr(own_trees, "memory", lambda: 1 << 10)
    monkeypatch.setattr(own_trees, "FIRST_SIZE", 4)
    with pytest.raises(games.GameError, match="sequences .*, more than 64, do not fit"):
        WalkedTree.of(phantom.rules)


def test_large_boards_need_compiled_code(phantom, monkeypatch):
    monkeypatch.setattr(kernels, "COMPILED", False)
    with pytest.raises(games.GameError, match="takes numba: pip install numba"):
        WalkedTree.of(dataclasses.replace(phantom.rules, blocked=0))


def uniform_value(rules) -> float:
    """Player 0's return in uniform play, over boards on which it is known who knows which mark: how
    many cells a player has tried is all that uniform play depends on."""
    boards = {((0, 0), (0, 0), 0): 1.0}  # marks, bumps, and who moves
    value = 0.0
    while boards:
        after = {}
        for (marks, bumps, mover), reach in boards.items():
            tried = marks[mover] | bumps[mover]
            untried = [c for c in range(rules.num_cells) if rules.open_cells & ~tried & 1 << c]
            for cell in untried:
                chance, bit = reach / len(untried), 1 << cell
                if marks[1 - mover] & bit:
                    known = with_entry(bumps, mover, bumps[mover] | bit)
                    board = (marks, known, 1 - mover if rules.passes else mover)
                else:
                    placed = with_entry(marks, mover, marks[mover] | bit)
                    if rules.wins[mover, placed[mover]]:
                        value += chance * (1 - 2 * mover)
                        continue
                    if placed[0] | placed[1] == rules.open_cells:
                        continue
                    board = (placed, bumps, 1 - mover)
                after[board] = after.get(board, 0.0) + chance
        boards = after
    return value


def test_uniform_play_is_worth_what_boards_say(phantom):
    value = phantom.returns(simple_play.uniform(phantom))[0]
    assert value == pytest.approx(uniform_value(phantom.rules), abs=1e-12)


BIG = {  # value, best responses, histories, info states; of uniform play
    "phantom_ttt": (0.296825, 0.953125, 0.624339, 19_934_533_171, 5_990_669),
    "dark_hex(board_size=3)": (0.333333, 1.0, 0.832804, 19_119_486_979, 6_072_917),
    "phantom_ttt(gameversion=abrupt)": (0.316275, 0.847140, 0.391529, 27_115_470_835, 23_310_269),
    "dark_hex(board_size=3,gameversion=adh)": (
        0.266926,
        0.908030,
        0.617179,
        29_311_526_419,
        27_325_277,
    ),
}
"""Sizes and values of the first two, and the numbers of info states, are published
(arXiv:2502.08938); histories and figures of the abrupt games are our own."""


@pytest.mark.slow
@pytest.mark.skipif(not kernels.COMPILED, reason="numba is not installed")
@pytest.mark.parametrize("name", BIG)
def test_uniform_play_of_the_large_games(name):
    walked = walked_tree(name)
    assert (walked.num_histories, walked.num_info_states) == BIG[name][3:]
    measured = exact.exploitability(walked, simple_play.uniform(walked))
    assert measured.value[0] == pytest.approx(uniform_value(walked.rules), abs=1e-9)
    figures = [measured.value[0], *measured.best_response_value]
    np.testing.assert_allclose(figures, BIG[name][:3], atol=1e-6)


def test_every_walked_game_has_rules():
    for name in WALKED:
        rules = walked_rules(name)
        assert rules.wins.shape == (2, 1 << rules.num_cells)
        assert not rules.wins[:, 0].any() and rules.wins[:, -1].all()


@pytest.fixture
def kept(phantom, tmp_path, monkeypatch):
    """A form that is kept on disk: its rules, the folder, and the file."""
    monkeypatch.setattr(tree_cache, "LEAST_SECONDS", 0.0)
    cached_tree(phantom.rules, tmp_path)
    (file,) = tmp_path.iterdir()
    return phantom.rules, tmp_path, file


def test_own_info_states_are_made_once(kept, phantom, monkeypatch):
    rules, folder, file = kept
    monkeypatch.setattr(walked_cache, "own_trees", None)
    again = cached_tree(rules, folder)
    assert again.num_histories == phantom.num_histories
    np.testing.assert_array_equal(again.layout.states, phantom.layout.states)
    for player, other in zip(again.players, phantom.players, strict=True):
        for name in ("parent", "first_sequence", "info_state", "action", "level_start", "bumped"):
            np.testing.assert_array_equal(getattr(player, name), getattr(other, name), strict=True)
    monkeypatch.undo()
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    assert cached_tree(rules, folder).num_histories == phantom.num_histories


def test_kept_info_states_that_are_wrong_are_refused(phantom):
    trees = own_trees.own_trees(phantom.rules)
    assert WalkedTree.of(phantom.rules, trees).num_info_states == phantom.num_info_states
    for place in (0, len(trees.follows) // 2, -1):
        for kind in range(2):
            follows = trees.follows.copy()
            follows[place, kind] ^= True
            with pytest.raises(ValueError, match="of another board"):
                WalkedTree.of(phantom.rules, dataclasses.replace(trees, follows=follows))


def figures(capsys, *arguments: str) -> dict:
    cli.main(["eval", "uniform", "--json", "--game", *arguments])
    return json.loads(capsys.readouterr().out)


def test_uniform_play_is_measured_without_a_run(capsys, monkeypatch):
    kuhn = figures(capsys, "kuhn_poker")
    assert kuhn["exploitability"] == pytest.approx(11 / 24)  # OpenSpiel's NashConv is 11/12
    assert kuhn["method"] == "equal probabilities"
    assert kuhn["value"] == pytest.approx([1 / 8, -1 / 8]) and kuhn["form"] == "GameTree"
    assert (kuhn["histories"], kuhn["info_states"]) == (58, 12)
    monkeypatch.setattr(forms, "ENUMERATED_CELLS", 0)
    name = "dark_hex(num_rows=2,num_cols=2,gameversion=adh)"
    walked = figures(capsys, name)
    monkeypatch.undo()
    enumerated = figures(capsys, name)
    assert (walked["form"], enumerated["form"]) == ("WalkedTree", "GameTree")
    for key in ("exploitability", "best_response_value", "value", "histories", "info_states"):
        assert walked[key] == pytest.approx(enumerated[key], abs=1e-12)
    cli.main(["eval", "uniform", "--game", name])
    assert "uniform play (equal probabilities): exploitability" in capsys.readouterr().out


def test_an_equilibrium_is_measured_without_a_run(capsys, monkeypatch):
    cli.main(["eval", "equilibrium", "--json", "--game", "kuhn_poker"])
    solved = json.loads(capsys.readouterr().out)
    assert solved["value"] == pytest.approx([-1 / 18, 1 / 18], abs=1e-6)
    assert solved["exploitability"] < 1e-6 and solved["method"] == "linear program"
    monkeypatch.setattr(simple_play, "MAX_SEQUENCES", 0)
    cli.main(["eval", "equilibrium", "--json", "--game", "kuhn_poker"])
    said = capsys.readouterr()
    approached = json.loads(said.out)
    assert approached["value"] == pytest.approx([-1 / 18, 1 / 18], abs=2e-3)
    assert 1e-6 < approached["nash_conv"] <= 2e-3
    assert approached["method"].startswith("CFR+ to a NashConv of at most 0.002, ")
    assert "CFR+, 1 iterations: NashConv" in said.err


@pytest.mark.parametrize("arguments, sentence", [
    (["unifrom", "--game", "kuhn_poker"], "one policy, not unifrom: uniform, cfr+"),
    (["equilibrium", "--game", "kuhn_poker(players=3)"], "in two-player zero-sum games only"),
    (["--game", "kuhn_poker"], "measures one policy: uniform, cfr+"),
    (["uniform", "--game", "kuhn_poker", "--equilibrium"], "--equilibrium is for populations"),
    (["uniform", "--game", "phantom"], "phantom"),
])  # fmt: skip
def test_what_cannot_be_measured_is_said_in_a_sentence(capsys, arguments, sentence):
    with pytest.raises(SystemExit) as refused:
        cli.main(["eval", *arguments])
    assert refused.value.code == 2
    said = capsys.readouterr().err
    assert sentence in said and said.count("\n") == 1


def test_games_beyond_trees_say_what_they_cost(capsys, monkeypatch):
    monkeypatch.setattr(forms, "ENUMERATED_CELLS", 0)
    name = "dark_hex(num_rows=2,num_cols=2)"
    cli.main(["games", name, "--max-histories", "10"])
    said = capsys.readouterr().out
    assert "exact form (WalkedTree): 441 histories, 17 + 53 info states" in said
