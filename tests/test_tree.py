"""Every OpenSpiel game as a `GameTree`, against a plain recursion over pyspiel's own states."""

from __future__ import annotations

import dataclasses
import pickle
import re
import types
from collections import defaultdict
from functools import cache
from pathlib import Path

import numpy as np
import pyspiel
import pytest
from open_spiel.python.algorithms import expected_game_score

import games
from games.readers import openspiel, probes, walk
from games.readers.identity import Identity
from games.tree import GameTree, PlayerTree
from psro import exact

NAMES = [
    "kuhn_poker",
    "kuhn_poker(players=3)",
    "leduc_poker",
    "goofspiel(imp_info=True,num_cards=3,points_order=descending)",
    "matrix_rps",
    "tiny_hanabi",
    f"efg_game(filename={Path(__file__).parent / 'lopsided.efg'})",
]
UNEQUAL = "pig(horizon=3)"  # no information state at all; the second player moves less often
DARK_HEX = "dark_hex(gameversion=cdh,board_size=2)"
DARK_HEX_IR = "dark_hex_ir(board_size=2)"
DARK_HEX_3X2 = "dark_hex(gameversion=cdh,num_cols=3,num_rows=2)"

load = cache(games.load)

Sequence = tuple[str, int] | None  # (info state string, action), None the empty one


@dataclasses.dataclass
class InfoState:
    """What the recursion collects of one info state; one entry in each set means perfect recall."""

    legal: set = dataclasses.field(default_factory=set)
    parent: set = dataclasses.field(default_factory=set)
    level: set = dataclasses.field(default_factory=set)
    tensors: dict = dataclasses.field(default_factory=lambda: defaultdict(set))
    trails: dict = dataclasses.field(default_factory=lambda: defaultdict(set))
    """Of each kind of tensor: everything that a policy was shown on the way here."""


class Enumeration:
    """The textbook recursion: no slots, no folding, no identities."""

    def __init__(self, name: str):
        game = pyspiel.load_game_as_turn_based(name)
        kind = game.get_type()
        self.has_observation = kind.provides_observation_tensor
        self.num_histories = self.num_terminals = self.num_decisions = self.max_length = 0
        self.info_states = [defaultdict(InfoState) for _ in range(game.num_players())]
        # chance's reach of each profile of last sequences, and its reach times returns
        self.reach: dict[tuple[Sequence, ...], float] = defaultdict(float)
        self.returns: dict[tuple[Sequence, ...], np.ndarray] = defaultdict(lambda: np.zeros(1))
        start = ((None,) * game.num_players(), ((),) * game.num_players())
        self._visit(game.new_initial_state(), 1.0, 0, *start)

    def _visit(self, state, reach, length, sequences, trails):
        self.num_histories += 1
        if state.is_terminal():
            self.num_terminals += 1
            self.max_length = max(self.max_length, length)
            self.reach[sequences] += reach
            self.returns[sequences] = self.returns[sequences] + reach * np.array(state.returns())
        elif state.is_chance_node():
            for action, probability in state.chance_outcomes():
                self._visit(state.child(action), reach * probability, length, sequences, trails)
        else:
            self.num_decisions += 1
            player = state.current_player()
            name = state.information_state_string(player)
            parent, tensor = sequences[player], tuple(state.information_state_tensor(player))
            shown = {"information_state": tensor}
            if self.has_observation:
                shown["observation"] = tuple(state.observation_tensor(player))
            trail = (*trails[player], (shown, parent and parent[1]))
            seen = self.info_states[player][name]
            seen.legal.add(tuple(state.legal_actions()))
            seen.parent.add(parent)
            seen.level.add(len(trails[player]))
            for kind, each in shown.items():
                seen.tensors[kind].add(each)
                seen.trails[kind].add(tuple((then[kind], action) for then, action in trail))
            for action in state.legal_actions():
                after = [list(sequences), list(trails)]
                after[0][player], after[1][player] = (name, action), trail
                self._visit(state.child(action), reach, length + 1, *map(tuple, after))


enumerate_plainly = cache(Enumeration)


def float32(tensors: set) -> set:
    return {tuple(np.float32(tensor)) for tensor in tensors}


def named(player: PlayerTree, sequence: int) -> Sequence:
    if sequence == 0:
        return None
    return player.names[player.info_state[sequence]], int(player.action[sequence])


@pytest.mark.parametrize("name", NAMES)
def test_counts_are_those_of_a_plain_recursion(name):
    tree, plain = load(name), enumerate_plainly(name)
    assert tree.num_histories == plain.num_histories
    assert tree.num_terminals == plain.num_terminals
    assert tree.num_decisions == plain.num_decisions
    assert tree.max_length == plain.max_length
    assert [player.num_info_states for player in tree.players] == list(map(len, plain.info_states))
    assert tree.num_info_states == sum(map(len, plain.info_states))
    assert tree.identity == "string"


@pytest.mark.parametrize("name", NAMES)
def test_each_info_state_is_the_one_that_pyspiel_describes(name):
    tree = load(name)
    for player, plain in zip(tree.players, enumerate_plainly(name).info_states, strict=True):
        level = np.repeat(np.arange(player.num_levels), np.diff(player.level_start))
        assert sorted(player.names) == sorted(plain)
        for i, info_state in enumerate(player.names):
            seen = plain[info_state]
            assert seen.parent == {named(player, player.parent[i])}  # one, and this one
            assert seen.legal == {tuple(np.flatnonzero(player.legal[i]))}
            assert seen.level == {level[i]}
            assert tuple(player.observation[i]) in float32(seen.tensors["information_state"])


@pytest.mark.parametrize("name", NAMES)
def test_terminals_carry_chance_and_returns(name):
    """Terminals have no name, so they are compared summed over those that share their sequences."""
    tree, plain = load(name), enumerate_plainly(name)
    reach, returns = defaultdict(float), defaultdict(lambda: np.zeros(tree.num_players))
    for z in range(tree.num_terminals):
        key = tuple(
            named(player, sequence)
            for player, sequence in zip(tree.players, tree.sequence[z], strict=True)
        )
        reach[key] += tree.chance[z]
        returns[key] += tree.chance[z] * tree.terminal_returns[z]
    assert reach.keys() == plain.reach.keys()
    for key in reach:
        assert reach[key] == pytest.approx(plain.reach[key], abs=1e-12)
        np.testing.assert_allclose(returns[key], plain.returns[key], atol=1e-12)


@pytest.mark.parametrize("name", [*NAMES, UNEQUAL, DARK_HEX])
def test_levels_and_sequences_are_contiguous(name):
    for player in load(name).players:
        count = player.num_info_states
        assert player.level_start[0] == 0 and player.level_start[-1] == count
        assert (np.diff(player.level_start) > 0).all()
        level = np.repeat(np.arange(player.num_levels), np.diff(player.level_start))
        before = player.parent_info_state
        assert ((before < 0) == (level == 0)).all()
        assert (level[before[level > 0]] == level[level > 0] - 1).all()
        assert ((player.previous_action < 0) == (level == 0)).all()
        assert (player.parent[level == 0] == 0).all()

        # sequences run through the info states in order, each with its legal actions in order
        assert player.info_state[0] == player.action[0] == -1
        info_state, action = np.nonzero(player.legal)
        np.testing.assert_array_equal(player.info_state[1:], info_state)
        np.testing.assert_array_equal(player.action[1:], action)
        np.testing.assert_array_equal(np.diff(player.first_sequence), player.legal.sum(axis=1))
        assert player.first_sequence[0] == 1
        assert player.first_sequence[-1] == player.num_sequences
        assert player.legal.any(axis=1).all()


@pytest.mark.parametrize("name", [*NAMES, UNEQUAL, DARK_HEX])
def test_outcomes_of_every_slot_are_a_distribution(name):
    tree = load(name)
    num_slots = 1 + sum(
        tree.players[p].legal[i].sum()
        for p, i in zip(tree.decision_player, tree.decision_info_state, strict=True)
    )
    assert len(tree.first_outcome) == num_slots + 1
    assert tree.first_outcome[-1] == len(tree.outcome_node) == len(tree.outcome_probability)
    assert (np.diff(tree.first_outcome) > 0).all()
    assert (tree.outcome_probability > 0).all()
    total = np.add.reduceat(tree.outcome_probability, tree.first_outcome[:-1])
    np.testing.assert_allclose(total, 1, atol=1e-12)
    # every decision and every terminal comes from exactly one slot
    np.testing.assert_array_equal(
        np.sort(tree.outcome_node), np.arange(tree.num_decisions + tree.num_terminals)
    )


def reach_by_playing(tree: GameTree, behaviours: list[np.ndarray]) -> np.ndarray:
    """Probability of each terminal `[T]`, carried down decision by decision."""
    reach, stack = np.zeros(tree.num_terminals), [(0, 1.0)]
    while stack:
        slot, arriving = stack.pop()
        for outcome in range(tree.first_outcome[slot], tree.first_outcome[slot + 1]):
            node, here = tree.outcome_node[outcome], arriving * tree.outcome_probability[outcome]
            if node >= tree.num_decisions:
                reach[node - tree.num_decisions] += here
                continue
            player, i = tree.decision_player[node], tree.decision_info_state[node]
            first, stop = tree.players[player].first_sequence[i : i + 2]
            for k, share in enumerate(behaviours[player][first:stop]):
                stack.append((tree.first_slot[node] + k, here * share))
    return reach


@pytest.mark.parametrize("name", [*NAMES, UNEQUAL, DARK_HEX])
@pytest.mark.parametrize("policy", ["uniform", "random"])
def test_playing_the_slots_is_the_sequence_form(name, policy):
    """The two halves of a tree, outcomes for play and sequences for sums, are the same game."""
    tree, generator = load(name), np.random.default_rng(0)
    reach, behaviours = tree.chance.copy(), []
    for seat, player in enumerate(tree.players):
        weight = np.ones(player.num_sequences)
        if policy == "random":
            weight = generator.exponential(size=player.num_sequences)
        plan, behaviour = np.ones(player.num_sequences), np.ones(player.num_sequences)
        for i in range(player.num_info_states):  # in the order of levels, so parents are known
            mine = slice(*player.first_sequence[i : i + 2])
            behaviour[mine] = weight[mine] / weight[mine].sum()
            plan[mine] = plan[player.parent[i]] * behaviour[mine]
        behaviours.append(behaviour)
        reach *= plan[tree.sequence[:, seat]]
    assert reach.sum() == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(reach_by_playing(tree, behaviours), reach, atol=1e-14)


@pytest.mark.parametrize("name", ["kuhn_poker", "leduc_poker", "goofspiel(imp_info=True)"])
def test_information_state_is_the_default_tensor(name):
    name = name.replace("(imp_info=True)", "(imp_info=True,num_cards=3,points_order=descending)")
    assert load(name).observation_kind == "information_state"
    np.testing.assert_array_equal(
        load(name).players[1].observation,
        games.load(name, observation="information_state").players[1].observation,
    )


@pytest.mark.parametrize("name", ["kuhn_poker", "kuhn_poker(players=3)", "leduc_poker"])
def test_the_observation_tensor_can_be_asked_for(name):
    tree = games.load(name, observation="observation")
    game = pyspiel.load_game(name)
    assert tree.observation_kind == "observation"
    assert tree.observation_size == game.observation_tensor_size()
    assert tree.observation_size != load(name).observation_size
    for player, plain in zip(tree.players, enumerate_plainly(name).info_states, strict=True):
        for row, info_state in zip(player.observation, player.names, strict=True):
            assert {tuple(row)} == float32(plain[info_state].tensors["observation"])


@pytest.mark.parametrize("name", ["kuhn_poker", "leduc_poker", "tiny_hanabi", "matrix_rps"])
def test_a_plain_game_needs_no_notes(name):
    tree = load(name)
    assert tree.notes() == []
    assert [player.indistinct() for player in tree.players] == [0, 0]


@pytest.mark.parametrize(
    "name, observation, any_merged",
    [
        (DARK_HEX, "information_state", True),  # its strings tell the number of moves made
        (DARK_HEX, "observation", True),
        ("leduc_poker", "information_state", False),
        ("leduc_poker", "observation", False),  # by remembering: the tensor shows no past bets
        ("kuhn_poker(players=3)", "observation", None),
    ],
)
def test_info_states_that_a_policy_cannot_tell_apart_are_counted(name, observation, any_merged):
    """As many as there are info states more than different (observation, own action) trails."""
    tree = games.load(name, observation=observation)
    assert tree.identity == "string"
    for seat, plain in enumerate(enumerate_plainly(name).info_states):
        assert all(len(info_state.trails[observation]) == 1 for info_state in plain.values())
        trails = set().union(*(info_state.trails[observation] for info_state in plain.values()))
        merged = len(plain) - len(trails)
        assert any_merged is None or any_merged == (merged > 0)
        assert tree.players[seat].indistinct() == merged
        notes = [note for note in tree.notes() if f"player {seat} " in note]
        assert len(notes) == (merged > 0)
        assert all(f"{merged} of its {len(plain)}" in note for note in notes)


def test_without_memory_more_info_states_would_be_merged():
    """So the count above is of trails, not of tensors."""
    player = games.load("leduc_poker", observation="observation").players[0]
    assert len(np.unique(player.observation, axis=0)) < player.num_info_states


def test_strings_that_break_perfect_recall_give_way_to_tensors():
    tree, plain = load(DARK_HEX_IR), enumerate_plainly(DARK_HEX_IR)
    assert any(len(seen.parent) > 1 for player in plain.info_states for seen in player.values())
    assert tree.identity == "tensor"
    assert any("perfect recall" in note and "tensor" in note for note in tree.notes())
    for player, seen in zip(tree.players, plain.info_states, strict=True):
        tensors = set().union(*(each.tensors["information_state"] for each in seen.values()))
        assert player.num_info_states == len(tensors)
        assert {tuple(row) for row in player.observation} == float32(tensors)


def test_dark_hex_of_3_x_2_loads_by_its_tensor():
    """Its strings break perfect recall only on a board of this size, deep in the tree."""
    tree = load(DARK_HEX_3X2)
    assert tree.identity == "tensor"
    assert any("perfect recall" in note and "tensor" in note for note in tree.notes())


def refusal(name: str, **options) -> str:
    with pytest.raises(games.GameError) as caught:
        games.load(name, **options)
    message = str(caught.value)
    assert "\n" not in message  # it is printed as it is
    assert 20 < len(message) < 300
    return message


@pytest.mark.parametrize(
    "name, words",
    [
        ("kuhn_pokr", ["'kuhn_pokr'", "did you mean kuhn_poker"]),
        ("poker", ["'poker'", "did you mean", "_poker"]),
        ("", ["no game"]),
        ("xyzzy", ["no game", "'xyzzy'"]),
        ("kuhn_poker(colour=red)", ["kuhn_poker(colour=red)", "colour", "players"]),
        ("kuhn_poker(players=two)", ["players", "two"]),
        ("leduc_poker(players=99)", ["leduc_poker(players=99)", "max_num_players"]),
        ("kuhn_poker(players=2", ["kuhn_poker(players=2", "bracket"]),
        ("mfg_crowd_modelling", ["mean-field"]),
        ("catch", ["1 player", "opponents"]),
        ("bridge_uncontested_bidding", ["chance"]),
        ("phantom_ttt_ir", ["no tensor"]),
    ],
)
def test_a_game_that_cannot_be_used_is_refused_in_a_sentence(name, words):
    message = refusal(name)
    for word in words:
        assert word in message


def test_unknown_observation_lists_the_known():
    message = refusal("kuhn_poker", observation="pixels")
    assert "pixels" in message
    assert all(each in message for each in games.OBSERVATIONS)


def test_a_tensor_that_the_game_lacks_is_refused():
    message = refusal("tic_tac_toe", observation="information_state")
    assert "no information_state tensor" in message
    assert "provides observation" in message  # what would work


def test_a_game_over_the_limit_is_refused_with_both_numbers():
    message = refusal("leduc_poker", max_histories=100)
    assert "101" in message and "100" in message
    assert load("leduc_poker").num_histories == 9457  # the limit itself is allowed
    games.load("leduc_poker", max_histories=9457)
    refusal("leduc_poker", max_histories=9456)


@pytest.mark.parametrize(
    "name, observation", [("chess", "observation"), ("liars_dice(numdice=1,dice_sides=9)", None)]
)
def test_a_hopeless_game_is_refused_by_probes(name, observation):
    """Long before the limit: twenty million histories of chess would take an hour."""
    message = refusal(name, observation=observation)
    seen = int(re.search("([0-9,]+) histories were seen", message)[1].replace(",", ""))
    assert seen <= 1_000_000
    assert f"{games.MAX_HISTORIES:,}" in message
    assert "random probes estimate" in message and "GiB" in message


FORGETFUL = """EFG 2 R "Ann forgets what she did" { "Ann" "Bob" }
p "" 1 1 "first" { "l" "r" } 0
p "" 2 1 "between" { "a" "b" } 0
p "" 1 2 "second" { "L" "R" } 0
t "" 1 "" { 1 -1 }
t "" 2 "" { -1 1 }
p "" 1 2 "second" { "L" "R" } 0
t "" 3 "" { -1 1 }
t "" 4 "" { 1 -1 }
p "" 2 1 "between" { "a" "b" } 0
p "" 1 2 "second" { "L" "R" } 0
t "" 5 "" { 1 -1 }
t "" 6 "" { -1 1 }
p "" 1 2 "second" { "L" "R" } 0
t "" 7 "" { 0 0 }
t "" 8 "" { 2 -2 }
"""


@pytest.fixture
def forgetful(tmp_path):
    """OpenSpiel gives Ann's second decision one info state after both of her first actions."""
    path = tmp_path / "forgetful.efg"
    path.write_text(FORGETFUL)
    return f"efg_game(filename={path})"


def test_imperfect_recall_is_refused(forgetful):
    """Neither the string nor the tensor remembers the first move. The player's own history would,
    but that is another game."""
    assert len(enumerate_plainly(forgetful).info_states[0]) == 2
    message = refusal(forgetful)
    assert "imperfect recall" in message and "more than one parent sequence" in message
    assert "second" in message  # names the info state


def test_an_info_state_with_differing_actions_is_refused(monkeypatch):
    """Leduc by what a player did itself: a raise can be folded to, a call cannot."""

    class Forgetful(Identity):
        def question(self, player):
            return lambda state: None

    by_parent = {"history": Forgetful("history", "observation_string")}
    monkeypatch.setattr(openspiel, "identities", lambda game: by_parent)
    assert "has differing legal actions" in refusal("leduc_poker")


def test_a_game_that_openspiel_fails_in_is_refused_in_a_sentence(monkeypatch):
    def fail(*arguments):
        raise openspiel.pyspiel.SpielError("no such\nstate")

    monkeypatch.setattr(openspiel, "walk", fail)
    assert "OpenSpiel failed in 'kuhn_poker': no such" in refusal("kuhn_poker")


def test_memory_that_our_arrays_lack_is_no_fault_of_openspiel(monkeypatch):
    def fail(*arguments):
        raise MemoryError("Unable to allocate 36.0 GiB for an array")

    monkeypatch.setattr(openspiel, "walk", fail)
    assert refusal("kuhn_poker") == "'kuhn_poker' needs more memory than there is"


def test_a_policy_speaks_for_its_players_only():
    tree = load("kuhn_poker")
    policy = games.TreePolicy(tree, {0: np.ones(tree.players[0].num_sequences)})
    state = openspiel.load_openspiel("kuhn_poker").new_initial_state()
    state.apply_action(0)
    state.apply_action(1)
    assert set(policy.action_probabilities(state)) == {0, 1}
    with pytest.raises(KeyError, match="not for player 1"):
        policy.action_probabilities(state, 1)


@pytest.mark.parametrize("identity", ["string", "tensor", "history"])
def test_every_identity_gives_a_game_of_perfect_recall_the_same_tree(identity, monkeypatch):
    every = openspiel.identities
    monkeypatch.setattr(openspiel, "identities", lambda game: {identity: every(game)[identity]})
    tree, reference = games.load("kuhn_poker(players=3)"), load("kuhn_poker(players=3)")
    assert (tree.identity, reference.identity) == (identity, "string")
    np.testing.assert_array_equal(tree.sequence, reference.sequence)
    for player, other in zip(tree.players, reference.players, strict=True):
        assert player.names == other.names
        np.testing.assert_array_equal(player.parent, other.parent)
        np.testing.assert_array_equal(player.observation, other.observation)
    index = games.InfoStateIndex(tree, range(3))
    state = tree.openspiel().new_initial_state()
    for action in (2, 0, 1, 1):  # cards, and the first player's bet
        state.apply_action(action)
    found = index.info_state(state, 1)
    own = tree.players[1]
    assert own.parent[found] == 0 and own.names[found] == state.information_state_string(1)


def test_a_game_that_openspiel_fails_to_make_is_refused_in_a_sentence():
    refusal("nfg_game")  # it raises an IndexError


def test_a_game_without_information_states_is_told_apart_by_histories():
    tree = games.load("pig(horizon=3)")
    assert tree.identity == "history"
    assert any("history" in note for note in tree.notes())


def test_a_game_of_openspiel_s_in_which_nobody_decides_is_refused(monkeypatch):
    nothing = types.SimpleNamespace(decisions=b"")
    monkeypatch.setattr(openspiel, "walk", lambda rules, limit: nothing)
    assert refusal("kuhn_poker") == "nobody decides anything in 'kuhn_poker'"


def test_a_game_that_tells_no_info_states_apart_is_refused(monkeypatch):
    monkeypatch.setattr(openspiel, "identities", lambda game: {})
    assert "provides no information state, so its tree" in refusal("kuhn_poker")


def test_a_node_that_no_tree_can_hold_is_refused(monkeypatch):
    whole = openspiel.walk

    class Field:  # as of a mean-field game
        def current_player(self):
            return pyspiel.PlayerId.MEAN_FIELD

    def into_a_field(rules, limit):
        game = types.SimpleNamespace(num_players=lambda: 2, new_initial_state=Field)
        return whole(dataclasses.replace(rules, game=game), limit)

    monkeypatch.setattr(openspiel, "walk", into_a_field)
    assert "has a node of kind -5, which no tree can hold" in refusal("kuhn_poker")


@pytest.mark.parametrize(
    "seconds, text",
    [(299, "299 s"), (300, "5 min"), (3 * 3600, "3 h"), (42e6 * 3600, "42 million h")],
)
def test_how_long_an_enumeration_would_take_is_said_in_units_that_fit(seconds, text):
    assert probes._duration(seconds) == text


def test_a_game_for_which_memory_is_too_small_is_refused_early(monkeypatch):
    sizes = {"SC_PAGE_SIZE": 1 << 20, "SC_PHYS_PAGES": 1}
    monkeypatch.setattr(walk.os, "sysconf", sizes.__getitem__)
    message = refusal("leduc_poker")
    assert "too large for 0 GiB of memory" in message
    assert int(re.search("([0-9,]+) histories", message)[1].replace(",", "")) < 9457


def test_a_game_in_which_nobody_decides_is_refused(tmp_path):
    path = tmp_path / "coin.efg"
    path.write_text(
        'EFG 2 R "" { "A" "B" }\nc "" 1 "" { "heads" 1/2 "tails" 1/2 } 0\n'
        't "" 1 "" { 3, -3 }\nt "" 2 "" { -3, 3 }\n'
    )
    assert "nobody decides anything in" in refusal(str(path))


def roundtrip(thing):
    return pickle.loads(pickle.dumps(thing))


def test_a_tree_keeps_the_game_that_it_was_loaded_from(tmp_path, monkeypatch):
    """By name or as a file's text: the file may go, and so may the working directory."""
    monkeypatch.chdir(tmp_path)
    table = np.array([[0.0, 3.0], [2.0, -1.0]])
    np.save("matrix.npy", table)
    begin, end = FORGETFUL.rsplit('p "" 2 1', 1)
    remembers = begin + 'p "" 2 1' + end.replace('1 2 "second"', '1 3 "third"')
    (tmp_path / "game.efg").write_text(remembers)
    trees = [games.load(name) for name in ("matrix.npy", "game.efg", "kuhn_poker")]
    for file in ("matrix.npy", "game.efg"):
        (tmp_path / file).unlink()
    monkeypatch.chdir("/")
    for tree in (*trees, games.NormalForm(table[None]), *map(roundtrip, trees)):
        assert tree.openspiel() is tree.openspiel()
        names = games.action_names(tree)
        assert [len(of_player) for of_player in names] == [p.num_sequences for p in tree.players]
        plans = [exact.uniform_behaviour(player) for player in tree.players]
        policy = roundtrip(games.TreePolicy(tree, dict(enumerate(plans))))
        values = expected_game_score.policy_value(
            tree.openspiel().new_initial_state(), [policy] * tree.num_players
        )
        plans = [exact.realization_plan(*each) for each in zip(tree.players, plans, strict=True)]
        np.testing.assert_allclose(values, tree.returns(plans), atol=1e-9)


def test_a_tree_made_in_python_has_no_game_of_openspiel_s():
    tree = dataclasses.replace(load("kuhn_poker"), source=None)
    with pytest.raises(games.GameError, match="kuhn_poker was made in Python"):
        games.TreePolicy(tree, {})
