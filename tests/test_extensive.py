"""Trees of `.efg` files: OpenSpiel's, to the last number, where OpenSpiel can read the file."""

import dataclasses
import json
import pickle
import random
import shutil

import numpy as np
import pytest
from test_cli import assert_refused, psro_main

import games
import psro
from games.marks import Marks
from games.readers import openspiel
from games.readers.assemble import assemble
from games.readers.identity import identities
from games.readers.walk import Limit, walk
from psro.play.match import Match
from psro.runs.config import RunConfig
from psro.runs.export import export


def random_efg(seed: int) -> str:
    """A game of two or three players with perfect recall, chance nodes and labels."""
    rng = random.Random(seed)
    num_players = 2 + seed % 2
    players = " ".join(f'"{name}"' for name in ("Ann", "Bob", "Cas")[:num_players])
    lines, sets, outcomes = [f'EFG 2 R "" {{ {players} }}'], {}, []

    def node(depth: int, history: list) -> None:
        if depth == 0 or (depth < 3 and rng.random() < 0.2):
            payoffs = " ".join(str(rng.randint(-9, 9) / 4) for _ in range(num_players))
            outcomes.append(payoffs)
            lines.append(f't "" {len(outcomes)} "" {{ {payoffs} }}')
        elif rng.random() < 0.4:
            number = sets.setdefault(("chance", len(sets)), len(sets) + 1)
            shares = rng.choice([["1/2", "1/2"], ["1/4", "0", "3/4"]])
            names = rng.sample("xyzw", len(shares))
            actions = " ".join(f'"{x}" {share}' for x, share in zip(names, shares, strict=True))
            lines.append(f'c "" {number} "" {{ {actions} }} 0')
            for _ in shares:
                node(depth - 1, history)
        else:
            player = rng.randint(1, num_players)
            own = tuple(move for move in history if move[0] == player)
            number = sets.setdefault((player, own), len(sets) + 1)
            label, actions = ("", "K-1 x", "two words")[number % 3], "ab" if len(own) % 2 else "abc"
            named = " ".join(f'"{action}"' for action in actions)
            lines.append(f'p "" {player} {number} "{label}" {{ {named} }} 0')
            for action in actions:
                node(depth - 1, [*history, (player, number, action)])

    node(5, [])
    return "\n".join([*lines, ""])


def assert_same_arrays(ours, theirs):
    for field in dataclasses.fields(theirs):
        array = getattr(theirs, field.name)
        if isinstance(array, np.ndarray):
            found = np.asarray(getattr(ours, field.name))
            assert found.dtype == array.dtype, field.name
            np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("seed", range(8))
def test_it_is_the_tree_of_openspiel_s_game(tmp_path, seed):
    path = tmp_path / "game.efg"
    path.write_text(random_efg(seed))
    tree = games.load(str(path))
    game = tree.openspiel()
    rules = openspiel._rules("", game, "information_state", identities(game)["string"])
    theirs = assemble(rules, walk(rules, Limit(rules, 10_000)), None)
    assert (tree.num_histories, tree.max_length) == (theirs.num_histories, theirs.max_length)
    assert tree.num_actions == theirs.num_actions
    assert_same_arrays(tree, theirs)
    for player, other in zip(tree.players, theirs.players, strict=True):
        assert_same_arrays(player, other)
        assert list(player.keys) == list(other.keys)


def deep(depth: int) -> str:
    """Two players take or pass in turn, so often; all pay nothing."""
    lines = ['EFG 2 R "" { "A" "B" }']
    for i in range(depth):
        lines.append(f'p "" {i % 2 + 1} {i // 2 + 1} "" {{ "take" "pass" }} 0\nt "" 0')
    return "\n".join([*lines, 't "" 0', ""])


def wide(offers: int) -> str:
    """Many offers, to each of which the other says yes or no."""
    named = " ".join(f'"{i}"' for i in range(offers))
    lines = ['EFG 2 R "" { "A" "B" }', f'p "" 1 1 "" {{ {named} }} 0']
    for i in range(offers):
        lines.append(f'p "" 2 {i + 1} "" {{ "yes" "no" }} 0')
        lines.append(f't "" {i + 1} "" {{ {i}, {offers - i} }}\nt "" 0')
    return "\n".join([*lines, ""])


def test_a_deep_game_loads_and_what_cannot_go_so_deep_says_so(tmp_path, capsys):
    """OpenSpiel's reader, which is recursive, would end the process."""
    path = tmp_path / "deep.efg"
    path.write_text(deep(20_000))
    tree = games.load(str(path))
    assert (tree.num_histories, tree.max_length) == (40_001, 20_000)
    assert [player.num_levels for player in tree.players] == [10_000, 10_000]
    assert not any("cannot tell" in note for note in tree.notes())
    with pytest.raises(games.GameError, match="at most 500 moves .* has 20,000"):
        tree.openspiel()
    out = tmp_path / "run"
    message = assert_refused(
        psro_main(capsys, "run", "--game", path, "--oracle", "best_response", "--out", out)
    )
    assert "decides up to 10,000 times in one episode" in message and not out.exists()


def test_a_wide_game_takes_memory_for_the_actions_that_there_are(tmp_path, capsys, monkeypatch):
    path = tmp_path / "wide.efg"
    path.write_text(wide(3_000))
    tree = games.load(str(path))
    player = tree.players[1]
    assert (tree.num_histories, tree.num_actions) == (9_001, 3_000)
    arrays = [array for array in vars(player).values() if isinstance(array, np.ndarray)]
    assert sum(array.nbytes for array in arrays) + player.observation.places.nbytes < 200_000
    assert player.indistinct() == 0
    monkeypatch.setattr("games.player_tree.memory", lambda: 1 << 28)
    out = tmp_path / "run"
    message = assert_refused(
        psro_main(capsys, "run", "--game", path, "--oracle", "best_response", "--out", out)
    )
    assert "nothing can be learned for B" in message and "up to 3,000 actions" in message
    assert not out.exists()


def test_marks_are_an_array_of_zeros_and_ones():
    marks = Marks(np.array([[0, 2], [1, 3], [0, 3]], np.int32), 4)
    dense = np.array([[1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 0, 1]], np.int8)
    assert marks.shape == dense.shape and marks.dtype == dense.dtype and len(marks) == 3
    for index in (1, slice(1, 3), slice(0, 0), np.array([2, 0])):
        np.testing.assert_array_equal(marks[index], dense[index])
    np.testing.assert_array_equal(np.concatenate([marks, dense]), np.concatenate([dense, dense]))


def test_nobody_decides(tmp_path, capsys):
    path = tmp_path / "coin.efg"
    path.write_text(
        'EFG 2 R "" { "A" "B" }\nc "" 1 "" { "heads" 1/2 "tails" 1/2 } 0\n'
        't "" 1 "" { 3, -3 }\nt "" 2 "" { -3, 3 }\n'
    )
    assert "nobody decides anything in" in assert_refused(psro_main(capsys, "games", path))


FORGETFUL = """EFG 2 R "Ann forgets what she did" { "Ann" "Bob" }
p "" 1 4 "first" { "l" "r" } 0
p "" 1 7 "second" { "L" "R" } 0
t "" 1 "" { 1 -1 }
t "" 2 "" { -1 1 }
p "" 1 7 "second" { "L" "R" } 0
t "" 3 "" { -1 1 }
t "" 4 "" { 1 -1 }
"""


def test_imperfect_recall_is_named_as_in_the_file(tmp_path, capsys):
    path = tmp_path / "forgetful.efg"
    path.write_text(FORGETFUL)
    message = assert_refused(psro_main(capsys, "games", path))
    assert "information set 7 'second' of player 1 has more than one parent sequence" in message


ONE_MOVER = """EFG 2 R "only player 1 decides" { "A" "B" }
p "" 1 1 "" { "a" "b" } 0
t "" 1 "" { 1, -1 }
t "" 2 "" { 0, 0 }
"""


@pytest.fixture(scope="module", params=["one mover", "matrix"])
def exported(request, tmp_path_factory):
    """A run of a game's file, of which only its exported file is left."""
    folder = tmp_path_factory.mktemp("exported")
    if request.param == "matrix":
        path = folder / "game.csv"
        path.write_text("0,3\n2,-1\n")
    else:  # player 1 never decides
        path = folder / "game.efg"
        path.write_text(ONE_MOVER)
    config = RunConfig(game=str(path), oracle="best_response", iterations=2)
    psro.run(config, folder / "run")
    export(folder / "run", folder / "a.psro")
    path.unlink()
    shutil.rmtree(folder / "run")
    return folder / "a.psro"


def test_an_exported_run_keeps_its_game(exported, capsys, monkeypatch, tmp_path):
    """Whatever becomes of its folder, of the game's file, and of the working directory."""
    monkeypatch.chdir(exported.parent)
    opened = psro.load("a.psro")
    monkeypatch.chdir(tmp_path)
    root = opened.tree.openspiel().new_initial_state()
    chances = opened.policy(0).action_probabilities(root)
    assert sum(chances.values()) == pytest.approx(1)
    assert dict(opened.bot(0, 0).get_policy(root)).keys() == chances.keys()
    again = pickle.loads(pickle.dumps(opened.policy(0)))
    assert again.action_probabilities(root) == chances
    assert Match(opened, seat=0, seed=0).view.actions
    code, _, err = psro_main(capsys, "report", exported, "--out", "run.html")
    assert (code, err) == (0, "")
    assert "What the mixture does" in (tmp_path / "run.html").read_text()


def test_a_player_without_decisions_is_measured_on_a_device(exported, capsys):
    printed = [
        json.loads(psro_main(capsys, "eval", exported, "--json", *on)[1])
        for on in ((), ("--device", "cpu"))
    ]
    assert printed[0]["nash_conv"] == pytest.approx(printed[1]["nash_conv"], abs=1e-9)
