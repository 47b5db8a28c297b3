"""Gambit's files: what contradicts itself is refused by its place, and labels are kept."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pyspiel
import pytest
from open_spiel.python import policy as openspiel_policy
from open_spiel.python.algorithms import exploitability as openspiel_exploitability
from test_exact import to_plans

import games
from games import GameError
from games.readers import files, gambit
from psro import exact

DATA = Path(__file__).parent / "data"
BEGIN = 'EFG 2 R "" { "A" "B" }\n'


def refusal(text: str) -> str:
    read = gambit.read_nfg if text.startswith("NFG") else gambit.read_efg
    with pytest.raises(GameError) as error:
        read(text)
    sentence = str(error.value)
    assert sentence.isprintable() and len(sentence) < 300
    return sentence


@pytest.mark.parametrize(
    "name, complaint",
    [
        ("null_outcome_with_payoffs.efg", "line 3: outcome 0 means none, and has neither"),
        ("outcome_defined_twice.efg", "line 4: outcome 1 was defined before, with other payoffs"),
        (
            "negative_chance.efg",
            "line 2: information set 1 of chance plays 'a' with probability -0.5, which is",
        ),
        ("one_player.nfg", "it has 1 player; a population needs opponents"),
    ],
)
def test_a_contradiction_is_named_by_its_line(name, complaint):
    with pytest.raises(GameError, match=re.escape(complaint)) as error:
        games.load(str(DATA / name))
    assert name in str(error.value)


@pytest.mark.parametrize(
    "text, complaint",
    [
        # Outcomes
        ('p "" 1 1 "" { "l" "r" } 0 "none"\nt "" 0\nt "" 0', "line 2: outcome 0 means none"),
        ('p "" 1 1 "" { "l" "r" } 0 { 0 0 }\nt "" 0\nt "" 0', "line 2: outcome 0 means none"),
        (
            'p "" 1 1 "" { "l" "r" } 1 "x" { 1 2 }\nt "" 1 "y" { 1 2 }\nt "" 0',
            "line 3: outcome 1 was defined before, with another name, 'x'",
        ),
        ('p "" 1 1 "" { "l" "r" } 1 "x"\nt "" 0\nt "" 0', "line 2: outcome 1 has no payoffs"),
        # Information sets
        (
            'p "" 1 1 "K" { "l" "r" } 0\nt "" 0\np "" 1 1 "Q" { "l" "r" } 0\nt "" 0\nt "" 0',
            "line 4: information set 1 'K' of player 1 (line 2) has another label here, 'Q'",
        ),
        (
            'p "" 1 1 "K" { "l" "r" } 0\nt "" 0\np "" 1 1 "K" { "r" "l" } 0\nt "" 0\nt "" 0',
            "line 4: information set 1 'K' of player 1 had other actions before, on line 2",
        ),
        (
            'c "" 7 "" { "l" 1/2 "r" 1/2 } 0\nt "" 0\nc "" 7 "" { "l" 1/3 "r" 2/3 } 0\nt "" 0',
            "line 4: information set 7 of chance had other probabilities before, on line 2",
        ),
        (
            'c "" 1 "coin" { "l" 1/2 "r" 1/3 } 0\nt "" 0\nt "" 0',
            "line 2: the probabilities of information set 1 'coin' of chance sum to 0.833333333",
        ),
        ('c "" 1 "" { "l" -0 "r" 2 "x" -1 } 0', "plays 'x' with probability -1, which is"),
        ('c "" 1 "" { } 0', "information set 1 of chance has no actions"),
        # Numbers
        ('t "" 1 "" { 1_000 1 }', "line 2: '1_000' is not a number up to 1e+300"),
        ('t "" 1 "" { \u0661 1 }', "line 2: '\u0661' is not a number"),
        ('t "" 1 "" { \uff11/2 1 }', "line 2: '\uff11/2' is not a number"),
        ('t "" 1 "" { 1/2/3 1 }', "'1/2/3' is not a number"),
        ('t "" 1 "" { nan 1 }', "'nan' is not a number"),
        ('t "" 1 "" { 1/0 1 }', "'1/0' is not a number"),
        ('t "" 1 "" { 1e301 1 }', "'1e301' is not a number"),
        ('t "" 1 "" { \x1b[2J 1 }', r"'\x1b[2J' is not a number"),
        ('t "" \u0661 "" { 1 1 }', "'\u0661' where a whole number should be"),
        ('p "" 1 1_0 "" { "l" } 0\nt "" 0', "'1_0' where a whole number should be"),
        ('t "" -1 "" { 1 1 }', "'-1' where a whole number should be"),
        ('c "" 1 "" { "l" 1_0/1_0 } 0\nt "" 0', "'1_0/1_0' is not a number"),
    ],
)
def test_an_extensive_form_that_contradicts_itself_is_refused(text, complaint):
    assert complaint in refusal(BEGIN + text)


@pytest.mark.parametrize(
    "text, complaint",
    [
        ('NFG 1 R "" { } { } ', "it has 0 players; a population needs opponents"),
        ('NFG 1 R "" { "A" "B" } { 1 1 } 1_0 1', "line 1: '1_0' is not a number"),
        ('NFG 1 R "" { "A" "B" } { 1 1 } \u0661 1', "line 1: '\u0661' is not a number"),
        ('NFG 1 R "" { "A" "B" } { 1_0 1 } 1 1', "'1_0' where a whole number should be"),
        ('NFG 1 R "" { "A" "B" } { 1 1 }\n{ { "x" 1 1 } }\n1.0', "line 3: '1.0' where a whole"),
        ('NFG 1 R "" { "A" "B" } { 1 1 }\n{ { "x" 1 1 } }\n-1', "line 3: '-1' where a whole"),
        ('NFG 1 R "" { "A" "B" } { 1 1 } { { "x" 1 1 } } 2', "outcome 2 is not one of the 1"),
        ('NFG 1 R "" { "A" "B" } { 1 1 } { { "x" 1 } } 1', "1 payoffs for 2 players"),
        (
            f'NFG 1 R "" {{ {" ".join(["x"] * 32).replace("x", chr(34) * 2)} }} '
            f"{{ {'1 ' * 32} }} {'0 ' * 32}",
            "it has 32 players; payoffs can be of up to 31",
        ),
    ],
)  # fmt: skip
def test_a_strategic_form_that_means_nothing_is_refused(text, complaint):
    assert complaint in refusal(text)


def test_what_is_said_again_or_left_out_is_no_contradiction():
    """Gambit itself writes an outcome's payoffs wherever it occurs."""
    form = gambit.read_efg(
        BEGIN + 'p "" 1 1 { "l" "r" } 2 "won" { 1 -1 }\nt "" 2 "won" { 1, -1 }\n'
        'p "" 1 2 "" { "l" "r" } 0\nt "" 2\np "" 1 2 "late" 0\nt "" 2 "" { 1.0 -2/2 }\nt "" 2 "won"'
    )
    assert list(form.payoffs) == [2, -2] * 4
    assert [own.label for own in form.sets] == ["", "late"]


def actions_by_info_state(player: games.PlayerTree) -> dict[str, list[str]]:
    names, first = list(player.action_names), player.first_sequence
    return {name: names[first[i] : first[i + 1]] for i, name in enumerate(player.names)}


def test_an_extensive_form_keeps_its_labels():
    tree = games.load(str(DATA / "labels.efg"))
    assert tree.player_names == ("Alice", "Bob")
    assert [actions_by_info_state(player) for player in tree.players] == [
        {"Alice with King": ["Bet", "Fold"], "Alice with Jack": ["Bet", "Fold"]},
        {"Bob faces a bet": ["Call", "Pass"]},
    ]
    assert games.action_names(tree)[1] == ["", "Call", "Pass"]


@pytest.mark.parametrize(
    "name, players",
    [
        ("labels.efg", ("Alice", "Bob")),
        ("labels.nfg", ("Row", "Column")),
        ("labelled.csv", None),
        ("one_player.nfg", None),
        ("missing.efg", None),
    ],
)
def test_players_are_named_without_reading_the_game(name, players):
    assert files.player_names(str(DATA / name)) == players


def test_a_player_without_a_name_is_called_by_its_seat():
    game = games.load(str(DATA / "labels.nfg"))
    assert game.player_name(1) == game.player_name(1, begins=True) == "Column"
    game = games.load(str(DATA / "labelled.csv"))
    assert game.player_name(1) == "player 1"
    assert game.player_name(1, begins=True) == "Player 1"


def test_a_strategic_form_keeps_its_labels():
    game = games.load(str(DATA / "labels.nfg"))
    assert game.player_names == ("Row", "Column")
    assert games.action_names(game) == [["", "Cooperate", "Defect"]] * 2
    np.testing.assert_array_equal(game.payoffs_of(0), [[3, 0], [5, 1]])


def test_names_of_one_info_state_or_player_differ_and_are_printable(tmp_path):
    file = tmp_path / "a.efg"
    file.write_text(
        'EFG 2 R "" { "Ann" "\x1b[2JBob" "Ann" }\n'
        'p "" 1 4 "same" { "go" "" "go" "\x9b1m \\"q\\"" } 0\nt "" 0\n'
        'p "" 1 6 "same" { "1" "" } 0\nt "" 0\np "" 1 9 { "a\nb" } 0\nt "" 0\nt "" 0\nt "" 0'
    )
    tree = games.load(str(file))
    assert tree.player_names == ("Ann (player 0)", r"\x1b[2JBob", "Ann (player 2)")
    assert actions_by_info_state(tree.players[0]) == {
        "same (information set 4)": ["go (1)", "2", "go (3)", r'\x9b1m "q"'],
        "same (information set 6)": ["1", "2"],
        "information set 9": ["a b"],
    }


def test_a_symmetric_view_and_a_smaller_game_keep_the_names_of_actions():
    game = games.load(str(DATA / "labels.nfg"))
    assert games.action_names(games.symmetric_view(game)) == games.action_names(game)
    part = game.restrict([np.array([True, False, True]), np.ones(3, bool)]).tree
    assert games.action_names(part) == [["", "Defect"], ["", "Cooperate", "Defect"]]
    tree = games.load(str(DATA / "labels.efg"))
    masks = [np.array([True, True, False, False, True]), np.ones(3, bool)]
    part = tree.restrict(masks).tree
    assert games.action_names(part) == [["", "Bet", "Fold"], ["", "Call", "Pass"]]
    assert part.player_names == ("Alice", "Bob")


def test_a_coordination_game_with_three_equilibria_loads():
    game = games.load(str(DATA / "three_equilibria.nfg"))
    np.testing.assert_array_equal(game.payoffs_of(0), [[2, 0], [0, 1]])
    np.testing.assert_array_equal(game.payoffs_of(1), [[1, 0], [0, 2]])
    assert games.action_names(game)[0][1:] != ["1", "2"]  # numbers of strategies name none


def random_efg(seed: int) -> str:
    """A game of two or three players with chance, labels, shared outcomes and perfect recall, in
    the part of the format that OpenSpiel's own reader knows too."""
    rng = np.random.default_rng(seed)
    num_players = int(rng.integers(2, 4))
    outcomes = rng.integers(-9, 10, (6, num_players)) / rng.integers(1, 5)
    sets: dict[tuple, int] = {}  # the number of (player, its own history, a signal, actions)
    chances = 0
    players = " ".join(f'"Player {p}"' for p in range(num_players))
    lines = [f'EFG 2 R "random" {{ {players} }}']

    def node(depth: int, own: tuple[tuple, ...]) -> None:
        nonlocal chances
        if depth == 4 or (depth > 1 and rng.random() < 0.3):
            k = int(rng.integers(len(outcomes)))
            payoffs = ", ".join(repr(float(each)) for each in outcomes[k])
            lines.append(f't "" {k + 1} "outcome {k}" {{ {payoffs} }}')
        elif rng.random() < 0.3:
            chances += 1
            parts = rng.integers(1, 4, int(rng.integers(2, 4)))
            listed = " ".join(f'"c{k}" {part}/{parts.sum()}' for k, part in enumerate(parts))
            lines.append(f'c "" {chances} "draw {chances}" {{ {listed} }} 0')
            for _ in parts:
                node(depth + 1, own)
        else:
            player, count = int(rng.integers(num_players)), int(rng.integers(2, 4))
            key = (player, own[player], int(rng.integers(2)), count)
            so_far = sum(other[0] == player for other in sets)
            number = sets.setdefault(key, so_far + 1)
            listed = " ".join(f'"move {k} of {count}"' for k in range(count))
            lines.append(f'p "" {player + 1} {number} "set {number}" {{ {listed} }} 0')
            for k in range(count):
                after = tuple(h + ((number, k),) if p == player else h for p, h in enumerate(own))
                node(depth + 1, after)

    node(0, ((),) * num_players)
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("first", range(0, 100, 20))
def test_openspiel_s_own_reader_agrees_on_random_games(tmp_path, first):
    """The NashConv of uniform random play."""
    decided = 0
    for seed in range(first, first + 20):
        text = random_efg(seed)
        file = tmp_path / f"{seed}.efg"
        file.write_text(text)
        theirs = pyspiel.load_efg_game(text)
        tree = games.load(str(file))
        uniform = to_plans(tree, map(exact.uniform_behaviour, tree.players))
        assert exact.exploitability(tree, uniform).nash_conv == pytest.approx(
            openspiel_exploitability.nash_conv(
                theirs, openspiel_policy.UniformRandomPolicy(theirs)
            ),
            abs=1e-9,
        )
        decided += tree.num_info_states
    assert decided > 100
