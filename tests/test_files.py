"""Games from files: what each kind of file means, and a sentence for each that means nothing."""

from __future__ import annotations

import hashlib
import io
import itertools
import os
import re
import zipfile
from pathlib import Path

import numpy as np
import pyspiel
import pytest
from open_spiel.python.algorithms import expected_game_score
from test_exact import random_profile, to_plans

import games
from games import GameError, NormalForm, TreePolicy
from games.printing import printable
from games.readers import files, gambit, openspiel
from psro import exact

HERE = Path(__file__).parent
RPS = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]], float)


def refusal(path: Path) -> str:
    """The sentence that the file is refused with; it names the file and is on one line."""
    with pytest.raises(GameError) as error:
        games.load(str(path))
    message = str(error.value)
    assert path.name in message and "\n" not in message and len(message) < 400
    return message


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_a_csv_file_holds_the_row_player_s_payoffs(tmp_path):
    text = "\ufeff0, -1, 1\n1,0,-1\r\n\n-1.0,1e0,0\n"  # as a spreadsheet writes it
    game = games.load(str(write(tmp_path / "rps.CSV", text)))
    np.testing.assert_array_equal(game.payoffs_of(0), RPS)
    np.testing.assert_array_equal(game.payoffs_of(1), -RPS)
    assert game.num_players == 2 and game.is_constant_sum


@pytest.mark.parametrize("kind", ["float32", "int8", "bool", ">f8"])
def test_numpy_files_hold_one_player_s_payoffs_or_everybody_s(tmp_path, kind):
    generator = np.random.default_rng(0)
    row, column = generator.integers(0, 2, (2, 3, 4)).astype(kind)
    three = generator.integers(0, 2, (3, 2, 3, 4)).astype(kind)
    np.save(tmp_path / "row.npy", np.asfortranarray(row))
    np.save(tmp_path / "both.npy", np.stack([row, column]))
    np.savez(tmp_path / "row.npz", row=row)
    np.savez_compressed(tmp_path / "both.npz", column=column, row=row)
    np.savez(tmp_path / "three.npz", payoffs=three)
    for name, payoffs in (
        ("row.npy", row[None]),
        ("row.npz", row[None]),
        ("both.npy", np.stack([row, column])),
        ("both.npz", np.stack([row, column])),
        ("three.npz", three),
    ):
        game = games.load(str(tmp_path / name))
        assert isinstance(game, NormalForm) and game.table.dtype == np.float64
        np.testing.assert_array_equal(game.table, payoffs.astype(float))


BAD_TEXTS = {
    "empty.csv": ("", "empty"),
    "blank.csv": ("\n \n", "empty"),
    "binary.csv": (b"1,2\x00\xff\xfe\x01", "it is not a text: its byte 4 is 0"),
    "binary.efg": (b"\x00\xff\xfe\x01", "it is not a text: its byte 1 is 0"),
    "empty.npy": ("", "not an array"),
    "text.npy": ("1,2\n", "not an array"),
    "empty.npz": ("", "not an archive"),
    "text.npz": ("1,2\n", "not an archive"),
    "empty.nfg": ("", "NFG 1"),
    "efg.nfg": ('EFG 2 R "" { "a" "b" }', "NFG 1"),
    "short.nfg": ('NFG 1 R "" { "a" "b" } { 2 2 } 1 2 3', "3 payoffs, and there should be 8"),
    "long.nfg": ('NFG 1 R "" { "a" "b" } { 1 1 } 1 2 3', "3 payoffs, and there should be 2"),
    "huge.nfg": ('NFG 1 R "" { "a" "b" } { 99999999 99999999 } 1 2 3', "should be"),
    "players.nfg": ('NFG 1 R "" { "a" "b" } { 2 2 2 } 1 2 3', "2 players and 3"),
    "zero.nfg": ('NFG 1 R "" { "a" "b" } { 0 2 }', "0 strategies"),
    "words.nfg": ('NFG 1 R "" { "a" "b" } { 1 1 } x y', "line 1: 'x' is not a number up to 1e.300"),
    "ratio.nfg": ('NFG 1 R "" { "a" "b" } { 1 1 } 1/0 1', "'1/0' is not a number up to 1e.300"),
    "outcome.nfg": ('NFG 1 R "" { "a" "b" } { 1 1 } { { "" 1 1 } } 2', "not one of the 1"),
    "empty.efg": ("", "EFG 2"),
    "cut.efg": ('EFG 2 R "" { "a" "b" }\np "" 1 1 "" { "l" "r" } 0\n', "middle"),
    "huge.efg": (
        'EFG 2 R "" { "a" "b" }\np "" 1 1 "" { "l" } 1 "" { 9e299 0 }\nt "" 2 "" { 9e299 0 }',
        "line 3: payoffs add up to more than 1e.300",
    ),
    "one.efg": ('EFG 2 R "" { "a" }\nt "" 0', "1 player"),
    "more.efg": ('EFG 2 R "" { "a" "b" }\nt "" 0\nt "" 0', "line 3: a node after"),
    "node.efg": ('EFG 2 R "" { "a" "b" }\nq "" 0', "line 2: 'q'"),
    "seat.efg": ('EFG 2 R "" { "a" "b" }\np "" 3 1 "" { "l" } 0\nt "" 0', "player 3 of a game"),
    "set.efg": ('EFG 2 R "" { "a" "b" }\np "" 1 1 0\nt "" 0', "has no actions"),
    "paid.efg": ('EFG 2 R "" { "a" "b" }\nt "" 1 "" { 1 }', "1 payoffs for 2"),
    "unpaid.efg": ('EFG 2 R "" { "a" "b" }\nt "" 1', "outcome 1 has no payoffs"),
    "quote.efg": ('EFG 2 R "" { "a" "b }\nt "" 0', "in quotes"),
    "chance.efg": (
        'EFG 2 R "" { "a" "b" }\nc "" 1 "" { "x" 1/2 "y" 1/3 } 0\nt "" 0\nt "" 0',
        "sum to 0.83",
    ),
    "other.efg": (
        'EFG 2 R "" { "a" "b" }\np "" 1 1 "" { "l" "r" } 0\nt "" 0\np "" 1 1 "" { "l" } 0\nt "" 0',
        "line 4: information set 1 of player 1 had other actions before, on line 2",
    ),
    "nothing.efg": ('EFG 2 R "" { "a" "b" }\np "" 1 1 "" { } 0', "1 of player 1 has no actions"),
    "short.efg": ('EFG 2 R "" { "a"', "ends too early"),
    "brace.efg": ('EFG 2 R "" "a" "b"', """line 1: '"a"' where '{' should be"""),
    "kind.efg": ('EFG 2 Q "" { "a" "b" }\nt "" 0', "does not begin with EFG 2 R"),
    "whole.efg": ('EFG 2 R "" { "a" "b" }\np "" one 1', "'one' where a whole number should be"),
    "forgetful.efg": (
        'EFG 2 R "" { "a" "b" }\np "" 1 1 "" { "l" "r" } 0\n'
        'p "" 1 2 "" { "l" "r" } 0\nt "" 0\nt "" 0\np "" 1 2 "" { "l" "r" } 0\nt "" 0\nt "" 0',
        "imperfect recall",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_TEXTS)
def test_a_bad_file_is_refused_in_a_sentence(tmp_path, name):
    content, complaint = BAD_TEXTS[name]
    message = refusal(write(tmp_path / name, content))
    assert re.search(complaint, message), message


def test_what_openspiel_refuses_is_refused_in_its_words(monkeypatch, tmp_path):
    def fail(text):
        raise openspiel.pyspiel.SpielError("a node\nthat it does not know")

    monkeypatch.setattr(openspiel.pyspiel, "load_efg_game", fail)
    file = write(tmp_path / "kuhn.efg", 'EFG 2 R "" { "a" "b" }\nt "" 0')
    with pytest.raises(GameError, match="OpenSpiel cannot load .*kuhn.efg': a node") as error:
        openspiel.load_openspiel(str(file))
    assert "\n" not in str(error.value)


def test_payoffs_have_the_same_observations_as_other_games(tmp_path):
    file = write(tmp_path / "a.csv", "1,2\n3,4\n")
    with pytest.raises(GameError, match="unknown observation 'pixels'; known: information_state"):
        games.load(str(file), observation="pixels")


def test_what_is_no_file_is_refused_in_a_sentence(tmp_path):
    for ending in (".csv", ".npy", ".npz", ".nfg", ".efg"):
        assert "there is no file" in refusal(tmp_path / f"missing{ending}")
        folder = tmp_path / f"folder{ending}"
        folder.mkdir()
        assert "cannot read" in refusal(folder)


@pytest.mark.parametrize(
    "array, complaint",
    [
        (np.zeros(3), "shape"),
        (np.float64(1), "shape"),
        (np.zeros((3, 2, 2)), "shape"),
        (np.zeros((2, 0)), "empty"),
        (np.array([[1, np.nan]]), "not a number"),
        (np.array([[1, -1e301]]), "-1e+301, not a number up to 1e+300"),
        (np.array([["a", "b"]]), "not numbers"),
        (np.zeros((2, 2), complex), "not numbers"),
        (np.array([[1, None]], object), "not numbers"),
    ],
)
def test_an_array_that_is_no_game_is_refused_in_a_sentence(tmp_path, array, complaint):
    np.save(tmp_path / "a.npy", array, allow_pickle=array.dtype == object)
    assert complaint in refusal(tmp_path / "a.npy")
    content = (tmp_path / "a.npy").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("payoffs.npy", content)
    assert complaint in refusal(tmp_path / "a.npz")


def test_arrays_must_have_the_names_that_say_whose_they_are(tmp_path):
    np.savez(tmp_path / "a.npz", RPS)
    assert "'arr_0'" in refusal(tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", **{"x" * 9000: RPS})
    assert "'xxxx" in refusal(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", row=RPS, column=RPS[:2])
    assert "(3, 3) and column (2, 3)" in refusal(tmp_path / "b.npz")
    np.savez(tmp_path / "c.npz", column=RPS)
    assert "'column'" in refusal(tmp_path / "c.npz")
    np.savez(tmp_path / "d.npz", row=RPS[0])
    assert "must be [rows, columns]" in refusal(tmp_path / "d.npz")


@pytest.mark.parametrize("shape", [(10**9, 10**9), (7000, 7000), (2**62, 4)])
def test_a_header_that_promises_too_much_is_not_believed(tmp_path, shape):
    """Nothing of that size is set aside, compressed or not."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": shape}
    )
    content = header.getvalue() + bytes(1000)
    message = refusal(write(tmp_path / "a.npy", content))
    assert "cut off" in message or "more than" in message
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("row.npy", content)
    message = refusal(tmp_path / "a.npz")
    assert "cut off" in message or "more than" in message


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': " + "[" * 300 + "]" * 300 + ", 'fortran_order': False, 'shape': (1, 1), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (2, -1), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (-2, -3), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (True, 3), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (" + "1, " * 70 + "), }",
        "{'descr': ('|V0', 9), 'fortran_order': False, 'shape': (1, 1), }",
    ],
    ids=["nested", "cut", "negative", "negatives", "bool", "axes", "void"],
)
def test_headers_that_numpy_trips_over(tmp_path, header):
    content = header.encode() + b"\n"
    path = tmp_path / "game.npy"
    size = len(content).to_bytes(2, "little")
    path.write_bytes(b"\x93NUMPY\x01\x00" + size + content + bytes(800))
    refusal(path)


def test_an_archive_that_says_more_than_it_has_is_refused(tmp_path):
    """Its directory promises 1,000 bytes of an array of 16 numbers, and 3 are there."""
    array, path = io.BytesIO(), tmp_path / "a.npz"
    np.save(array, np.zeros((4, 4)))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("row.npy", array.getvalue()[: -8 * 13])
    content = bytearray(path.read_bytes())
    directory = content.index(b"PK\x01\x02")
    content[directory + 24 : directory + 28] = (1000).to_bytes(4, "little")
    assert "3 of 16 numbers are there" in refusal(write(path, bytes(content)))


def test_a_cut_off_array_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", RPS)
    content = (tmp_path / "a.npy").read_bytes()
    assert "cut off" in refusal(write(tmp_path / "a.npy", content[:-8]))
    np.savez(tmp_path / "a.npz", row=RPS)
    content = (tmp_path / "a.npz").read_bytes()
    assert "not an archive" in refusal(write(tmp_path / "a.npz", content[:-40]))
    middle = content.index(RPS.tobytes()) + 20  # a flipped bit, which the archive's CRC tells
    spoilt = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    assert "not an archive" in refusal(write(tmp_path / "a.npz", spoilt))


@pytest.mark.parametrize(
    "compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_an_archive_with_any_byte_changed_is_read_or_refused_in_a_sentence(tmp_path, compression):
    """Among them: members that say they are encrypted, compressed in ways that Python does not
    know or larger than they are, and streams that do not decompress."""
    array = io.BytesIO()
    np.save(array, RPS)
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", compression) as archive:
        archive.writestr("row.npy", array.getvalue())
    content, path = whole.getvalue(), tmp_path / "a.npz"
    refused = 0
    for place, flip in zip(range(len(content)), itertools.cycle((0x01, 0xFF)), strict=False):
        path.write_bytes(content[:place] + bytes([content[place] ^ flip]) + content[place + 1 :])
        try:
            game = games.load(str(path))
        except GameError as error:
            message = str(error)
            assert path.name in message and message.isprintable() and len(message) < 400
            refused += 1
        else:
            np.testing.assert_array_equal(game.payoffs_of(0), RPS)
    assert refused > len(content) / 2


def plainly(game: pyspiel.Game) -> tuple:
    """Every history of a game by the actions' places among the legal ones."""

    def visit(state) -> tuple:
        if state.is_terminal():
            return tuple(state.returns())
        children = tuple(visit(state.child(action)) for action in state.legal_actions())
        if state.is_chance_node():
            return tuple(p for _, p in state.chance_outcomes()), children
        return state.information_state_string(state.current_player()), children

    return visit(game.new_initial_state())


@pytest.mark.parametrize(
    "text",
    [
        pyspiel.get_kuhn_poker_efg_data(),
        pyspiel.get_sample_efg_data(),
        (HERE / "lopsided.efg").read_text(),
    ],
    ids=["kuhn", "sample", "lopsided"],
)
def test_what_openspiel_reads_itself_stays_the_same_game(text):
    written = gambit.openspiel_efg(gambit.read_efg(text))
    assert plainly(pyspiel.load_efg_game(written)) == plainly(pyspiel.load_efg_game(text))


def test_kuhn_poker_from_a_file_is_kuhn_poker(tmp_path):
    tree = games.load(str(write(tmp_path / "kuhn.efg", pyspiel.get_kuhn_poker_efg_data())))
    plain = games.load("kuhn_poker")
    assert tree.num_histories == plain.num_histories
    assert [p.num_info_states for p in tree.players] == [6, 6]
    uniform, plain_uniform = (
        exact.exploitability(
            each, to_plans(each, [exact.uniform_behaviour(player) for player in each.players])
        )
        for each in (tree, plain)
    )
    assert uniform.nash_conv == pytest.approx(plain_uniform.nash_conv, abs=1e-12)
    np.testing.assert_allclose(uniform.value, plain_uniform.value, atol=1e-12)


def test_payoffs_at_decisions_and_outcomes_used_again():
    """By hand: `entry.efg`, with everybody at its first action, then at its last one.

    Sun (2/3): Ann enters and pays the umbrella (-1, 1/2, 0), Bob fights, Cy makes war
    (-2, -2.5, 10). Rain (1/3): she stays out, 0.
    Sun: Ann stays out, the umbrella a second time at the end. Rain: she enters, which is war, and
    after Bob's last action and Cy's there is nothing more.
    """
    tree = games.load(str(HERE / "entry.efg"))
    assert tree.num_actions == 3 and tree.num_terminals == 12
    assert [p.num_info_states for p in tree.players] == [2, 1, 1]
    firsts, lasts = [], []
    for player in tree.players:
        first, last = np.zeros((2, player.num_sequences))
        first[player.first_sequence[:-1]] = last[player.first_sequence[1:] - 1] = 1
        first[0] = last[0] = 1
        firsts.append(first)
        lasts.append(last)
    np.testing.assert_allclose(
        exact.returns(tree, firsts), 2 / 3 * np.array([-3, -2, 10]), atol=1e-12
    )
    umbrella, war = np.array([-1, 0.5, 0]), np.array([-2, -2.5, 10])
    np.testing.assert_allclose(
        exact.returns(tree, lasts), 2 / 3 * 2 * umbrella + 1 / 3 * war, atol=1e-12
    )


def test_strategies_of_the_first_player_run_fastest_in_a_strategic_form():
    outcome = np.array([[0, 0, 0], [3, 2, 1], [-1, 0.5, 0.25], [-4, -4, -4]])
    game = games.load(str(HERE / "three.nfg"))
    for (a, b, c), number in {
        (0, 0, 0): 1, (1, 0, 0): 2, (0, 1, 0): 0, (1, 1, 0): 3, (0, 2, 0): 2, (1, 2, 0): 1,
        (0, 0, 1): 2, (1, 0, 1): 2, (0, 1, 1): 1, (1, 1, 1): 1, (0, 2, 1): 0, (1, 2, 1): 3,
    }.items():  # fmt: skip
        np.testing.assert_array_equal(game.table[:, a, b, c], outcome[number])


@pytest.mark.parametrize("name", ["matrix_pd", "matrix_shapleys_game", "matching_pennies_3p"])
def test_a_strategic_form_that_openspiel_wrote_is_its_game(tmp_path, name):
    path = tmp_path / "exported.nfg"
    path.write_text(pyspiel.game_to_nfg_string(pyspiel.load_game(name)))
    ours, theirs = games.load(str(path)), games.load(name)
    by_sequence = np.lexsort(theirs.sequence.T[::-1])
    np.testing.assert_allclose(
        ours.terminal_returns, theirs.terminal_returns[by_sequence], atol=1e-9
    )
    read = games.load(f"nfg_game(filename={path})")
    by_sequence = np.lexsort(read.sequence.T[::-1])
    np.testing.assert_allclose(
        ours.terminal_returns, read.terminal_returns[by_sequence], atol=1e-12
    )


@pytest.mark.parametrize("name", ["entry.efg", "three.nfg"])
def test_policies_of_file_games_speak_to_openspiel(name):
    path = str(HERE / name)
    tree = games.load(path)
    behaviours = random_profile(tree, 3)
    policy = TreePolicy(tree, dict(enumerate(behaviours)))
    values = expected_game_score.policy_value(
        openspiel.load_openspiel(path).new_initial_state(), [policy] * tree.num_players
    )
    np.testing.assert_allclose(exact.returns(tree, to_plans(tree, behaviours)), values, atol=1e-12)


def test_a_file_s_digest_and_copy_are_those_of_its_bytes(tmp_path):
    path = write(tmp_path / "a.csv", "1,2\n3,4\n")
    copy = io.BytesIO()
    files.copy(path, copy)
    assert copy.getvalue() == path.read_bytes()
    assert files.digest(path) == hashlib.sha256(path.read_bytes()).hexdigest()


READERS = [
    *((ending, lambda path: games.load(str(path))) for ending in files.ENDINGS),
    (".csv", files.digest),
    (".csv", lambda path: files.copy(path, io.BytesIO())),
]


@pytest.mark.parametrize("ending, read", READERS)
def test_a_file_is_refused_by_its_size_before_it_is_read(tmp_path, ending, read):
    """Sparse files: a TiB of zeros takes no room on disk, and would take hours to read."""
    path = tmp_path / f"holes{ending}"
    path.touch()
    for size in (1 << 30, 1 << 40):
        os.truncate(path, size)
        with pytest.raises(GameError, match=f"it has {size:,} bytes, and at most 1,000,000,000"):
            read(path)


@pytest.mark.parametrize("ending, read", READERS)
def test_what_is_no_plain_file_is_not_read(tmp_path, ending, read):
    path = tmp_path / f"pipe{ending}"
    os.mkfifo(path)
    with pytest.raises(GameError, match="it is a pipe or a device"):
        read(path)
    path = tmp_path / f"device{ending}"
    path.symlink_to("/dev/zero")
    with pytest.raises(GameError, match="it is a pipe or a device"):
        read(path)
    path = tmp_path / f"folder{ending}"
    path.mkdir()
    with pytest.raises(GameError, match="cannot read '.*folder.*': Is a directory"):
        read(path)
    with pytest.raises(GameError, match="there is no file"):
        read(tmp_path / f"missing{ending}")


@pytest.mark.parametrize("ending", files.ENDINGS)
@pytest.mark.parametrize("name", ["a\0b", "a\ud800b"])
def test_what_no_file_can_be_called_is_refused(name, ending):
    with pytest.raises(GameError, match="cannot be the name of a file") as error:
        games.load(name + ending)
    assert str(error.value).isprintable()


@pytest.mark.parametrize(
    "name", ["[red]x[blink]", "a[\\b]", "\x1b[2Jx", "a\nb", os.fsdecode(b"\xff")]
)
def test_names_of_files_are_printable_in_errors(tmp_path, name):
    for content in (None, "1,x,3\n4,5,6\n"):
        path = tmp_path / f"{name}.csv"
        if content:
            path.write_text(content)
        with pytest.raises(GameError) as error:
            games.load(str(path))
        assert str(error.value).isprintable() and printable(path.name) in str(error.value)


@pytest.mark.parametrize(
    "name, complaint",
    [
        (
            "x.agg",
            r"files that end in '\.agg' are not read as games: use \.csv, .* or \.efg; Gambit",
        ),
        ("x.bagg", r"files that end in '\.bagg' .*; Gambit can save"),
        ("x.gbt", r"files that end in '\.gbt' .*; Gambit can save"),
        ("x.txt", r"files that end in '\.txt' are not read as games: use \.csv, .* or \.efg$"),
        ("x.csv.gz", r"files that end in '\.gz'"),
        ("x.JSON", r"files that end in '\.JSON'"),
        ("a game", "files without an ending are not read"),
    ],
)
@pytest.mark.parametrize("exists", [True, False])
def test_which_endings_are_read_is_said(tmp_path, name, complaint, exists):
    if exists:
        (tmp_path / name).write_text("1,2\n3,4\n")
    with pytest.raises(GameError, match=complaint):
        games.load(str(tmp_path / name))


def test_a_folder_called_like_a_game_is_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kuhn_poker").touch()
    assert games.load("kuhn_poker").num_players == 2
    with pytest.raises(GameError, match="did you mean kuhn_poker"):
        games.load("khun_poker")
