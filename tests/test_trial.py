"""Game strings that OpenSpiel does not survive."""

import os

import pytest

import games
from games import GameError
from games.readers import trial


@pytest.mark.parametrize(
    "name",
    [
        "goofspiel(num_cards=1000000000)",  # memory
        "hex(board_size=100000)",
        "go_fish(players=0)",  # a segmentation fault
        "hanabi(colors=7)",  # an abort
    ],
)
def test_what_openspiel_does_not_survive_is_refused(name):
    with pytest.raises(GameError, match="cannot be enumerated"):
        games.load(name)


def test_what_takes_too_long_is_refused(monkeypatch):
    monkeypatch.setattr(trial, "SECONDS", 1)
    with pytest.raises(GameError, match="cannot be enumerated"):
        games.load("blotto(coins=20,fields=20)")


def test_a_file_without_an_end_is_refused(tmp_path):
    with pytest.raises(GameError):
        games.load("efg_game(filename=/dev/zero)")
    with pytest.raises(GameError):
        games.load(f"efg_game(filename={tmp_path})")
    with pytest.raises(GameError):
        games.load(f"efg_game(filename={tmp_path}/none.efg)")


def test_a_pipe_is_refused_and_not_opened(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.delattr(trial.subprocess, "Popen")
    for name in (f"efg_game(filename={tmp_path}/pipe)", "colored_trails(boards_file=/dev/zero)"):
        with pytest.raises(GameError, match="names a pipe or a device"):
            games.load(name)


def test_what_openspiel_refuses_is_said_in_its_words():
    with pytest.raises(GameError, match="Unknown parameter 'cards'"):
        games.load("kuhn_poker(cards=7)")


def test_a_game_is_tried_out_once(monkeypatch):
    def check_all():
        trial.check("kuhn_poker(players=3)")
        with pytest.raises(GameError, match="cannot be enumerated"):
            trial.check("hanabi(colors=7)")

    check_all()
    monkeypatch.delattr(trial.subprocess, "Popen")  # no second process can be started
    check_all()


def test_a_limit_beyond_all_memory_is_none():
    with pytest.raises(GameError, match="too large"):
        games.load("leduc_poker(players=5)", max_histories=10**300)
