"""A few random command lines and settings files, in this process; `experiments/trust/` tries ten
thousand, with limits on time and memory."""

import dataclasses
import importlib.util
import sys
from pathlib import Path

import pytest

FILE = Path(__file__).resolve().parent.parent / "experiments" / "trust" / "fuzz_commands.py"


@pytest.fixture(scope="module")
def fuzz():
    spec = importlib.util.spec_from_file_location("fuzz_commands", FILE)
    module = sys.modules["fuzz_commands"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["fuzz_commands"]


@pytest.fixture(scope="module")
def good_world(fuzz, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz") / "world"
    fuzz.make_world(folder)
    return folder


@pytest.fixture
def world(fuzz, good_world, tmp_path):
    fuzz.copy_world(good_world, tmp_path / "world")
    return tmp_path / "world"


def test_random_inputs_end_well(fuzz, world):
    ends = set()
    for number, given in enumerate(fuzz.inputs(25, seed=3)):
        outcome = fuzz.attempt(dataclasses.replace(given, train=False), world)
        assert not outcome.wrong, f"{number}: {given}: {outcome}"
        ends.add(outcome.word)
    assert {"refused", "done", "began training"} <= ends


def test_every_command_and_option_is_drawn(fuzz):
    """As `--help` shows them; the names here are the oldest ones."""
    assert {"run", "resume", "eval", "plot", "games", "play"} <= set(fuzz.COMMANDS)
    run = fuzz.COMMANDS["run"].options
    assert (run["--iterations"], run["--ppo.clip"], run["--game"]) == ("INT", "FLOAT", "STR")
    assert run["--symmetric"] == ""
    assert [fuzz.COMMANDS[name].positional for name in ("run", "resume", "eval")] == [0, 1, 2]


def test_what_goes_wrong_is_noticed(fuzz, world, monkeypatch):
    def end(how):
        monkeypatch.setattr(fuzz.cli, "main", how)
        return fuzz.attempt(fuzz.Input(("run",)), world).word

    def refused(said):
        print(said, file=sys.stderr)
        raise SystemExit(2)

    def damages(arguments):
        Path("run/config.json").write_text("{}")
        refused("psro: no such setting is known here")

    assert end(lambda arguments: 1 / 0) == "traceback"
    assert end(lambda arguments: sys.exit(3)) == "exit code"
    assert end(lambda arguments: refused("psro: no such setting is known here")) == "refused"
    assert end(lambda arguments: refused("psro: one sentence here\npsro: and two")) == "unclear"
    assert end(lambda arguments: refused("psro: a sentence that rings \a here")) == "unclear"
    assert end(damages) == "changed files"


@pytest.mark.parametrize("given", [("eval", "pipe"), ("games", "efg_game(filename=pipe)")], ids=str)
def test_a_pipe_that_nobody_writes_to_is_not_waited_for(fuzz, world, given):
    assert fuzz.attempt(fuzz.Input(given), world).word == "refused"
