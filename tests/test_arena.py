"""The arena: payoffs equal the tree's, agents cannot stop each other, and every way in works."""

from __future__ import annotations

import json
import re
import runpy
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from browser import chromium, console_errors, requested, wait_for
from open_spiel.python import policy as openspiel_policy
from open_spiel.python.bots import uniform_random

import games
import psro
from games.errors import GameError
from psro import cli, exact
from psro.cli.arena import named_entrants
from psro.errors import SettingsError
from psro.exact.openspiel_plans import plans_of, policy_of
from psro.measure.arena import Limits, Options
from psro.measure.arena.forfeits import RULE, returns_of_forfeit
from psro.measure.arena.together import waves
from psro.views import arena_page, page

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "how_to" / "arena.md").read_text("utf-8")
AGENTS = """
import os, sys
print("what an agent prints is dropped")
print('{"action": 0}', file=sys.stderr)

def good(observation, legal_actions, player, rng):
    print("noise", flush=True)
    os.write(1, b"noise")
    return legal_actions[0]

def crashes(observation, legal_actions, player, rng):
    raise ValueError("no \\x1b[31m idea")

def dies(observation, legal_actions, player, rng):
    os._exit(3)

def hangs(observation, legal_actions, player, rng):
    while True:
        pass

def cheats(observation, legal_actions, player, rng):
    return 7

def eats(observation, legal_actions, player, rng):
    eaten = []
    while True:
        eaten.append(bytearray(1 << 24))

class Remembers:
    def __init__(self):
        self.began = self.decisions = 0
    def restart(self):
        self.began, self.decisions = self.began + 1, 0
    def act(self, observation, legal_actions, player, rng):
        self.decisions += 1
        assert self.began and self.decisions <= 2, (self.began, self.decisions)
        assert len(observation.names) == len(legal_actions) and observation.text
        return rng.choice(legal_actions)

number = 3
"""


@pytest.fixture
def agents(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("agents.py").write_text(AGENTS)
    return "agents.py"


def evaluate(game, entrants, episodes=200, **more):
    return psro.evaluate(game, entrants, episodes=episodes, **more)


def uniformly(observation, legal_actions, player, rng):
    return rng.choice(legal_actions)


def firstly(observation, legal_actions, player, rng):
    return legal_actions[0]


def test_tables_meet_exactly():
    """As OpenSpiel's values and the tree's payoffs say."""
    arena = evaluate("kuhn_poker", {"uniform": "uniform", "nash": "equilibrium", "cfr": "cfr+"})
    tree = games.load("kuhn_poker")
    assert arena.kind == "exact" and arena.returns.played == 0
    assert arena.table.loc["uniform", "nash_conv"] == pytest.approx(11 / 12)
    assert arena.table.loc["uniform", "exploitability"] == pytest.approx(11 / 24)
    assert arena.table.loc["nash", "nash_conv"] == pytest.approx(0, abs=1e-9)
    uniform = [exact.uniform_behaviour(player) for player in tree.players]
    plans = [exact.realization_plan(*both) for both in zip(tree.players, uniform, strict=True)]
    assert arena.returns.mean[:, 0, 0] == pytest.approx(exact.returns(tree, plans))
    assert np.abs(arena.matrix + arena.matrix.T).to_numpy().max() < 1e-12
    assert arena.scores.rating.sum() == pytest.approx(0, abs=1e-12)
    assert arena.scores.nash_skill.max() < 1e-3  # nobody gains on the mixture of the arena
    assert arena.scores.alpha_rank.sum() == pytest.approx(1)


def test_episodes_agree_with_the_tree():
    """Means within four standard errors, in every seat; the mean of the seats has less error than
    seats that share no luck would give it."""
    tables = {"first": openspiel_policy.FirstActionPolicy(games.load("kuhn_poker").openspiel())}
    tables["uniform"] = "uniform"
    known = evaluate("kuhn_poker", tables).returns
    functions = {"first": firstly, "uniform": uniformly}
    arena = evaluate("kuhn_poker", functions, episodes=400)
    played = arena.returns
    assert arena.kind == "sampled" and played.measured == (None, None)
    away = np.abs(played.mean - known.mean)
    assert (away <= 4 * played.error + 1e-12).all()
    assert (np.abs(played.average - known.average) <= 4 * played.average_error + 1e-12).all()
    apart = np.sqrt(np.square(played.error[:, 0, 1]).sum()) / 2
    assert played.average_error[0, 1] < apart
    assert played.average[0, 1] == -played.average[1, 0]  # the same episodes


def test_a_pair_of_tables_is_exact_beside_functions():
    entrants = {"uniform": "uniform", "nash": "equilibrium", "first": firstly}
    arena = evaluate("kuhn_poker", entrants, episodes=5)
    assert arena.kind == "exact and sampled"
    assert arena.returns.exact.tolist() == [[True, True, False]] * 2 + [[False] * 3]
    assert arena.half_width.loc["uniform", "nash"] == 0
    again = evaluate("kuhn_poker", entrants, episodes=5)
    assert again.matrix.equals(arena.matrix)  # by the seed
    for text in (repr(arena), arena._repr_html_()):
        assert "kuhn_poker" in text and "nash_conv" in text and "forfeits" not in text


def test_agents_in_processes_cannot_stop_the_others(agents, capfd):
    """Each fault is a forfeit by the rule, and what the others earn is what it is without them."""
    names = ("good", "crashes", "dies", "hangs", "cheats", "Remembers")
    entrants = {name: f"{agents}:{name}" for name in names} | {"nash": "equilibrium"}
    options = Options(limits=Limits(action_seconds=0.5, mebibytes=256))
    arena = evaluate("kuhn_poker", entrants, episodes=4, options=options)
    forfeits = arena.forfeits.set_index("entrant")
    assert forfeits["reason"].to_dict() == {
        "crashes": "crash",
        "dies": "crash",
        "hangs": "out of time",
        "cheats": "illegal action",
    }
    assert forfeits.loc["crashes", "first"] == r"ValueError: no \x1b[31m idea"
    assert forfeits.loc["dies", "first"] == "its process ended with code 3"
    assert forfeits.loc["cheats", "first"] == "played 7; legal were 0, 1"
    for name in forfeits.index:
        assert arena.matrix.loc[name, "nash"] == -2  # Kuhn poker's lowest payoff
        assert arena.matrix.loc["good", name] == 2
    tables = {"first": openspiel_policy.FirstActionPolicy(games.load("kuhn_poker").openspiel())}
    known = evaluate("kuhn_poker", tables | {"nash": "equilibrium"})
    away = abs(arena.matrix.loc["good", "nash"] - known.matrix.loc["first", "nash"])
    assert away <= 4 * max(arena.half_width.loc["good", "nash"], 0.2)
    printed = capfd.readouterr()
    assert printed.out == printed.err == ""


@pytest.mark.slow
def test_an_agent_that_eats_memory_forfeits(agents):
    options = Options(limits=Limits(mebibytes=256))
    arena = evaluate("kuhn_poker", {"eats": "agents.py:eats", "u": "uniform"}, 3, options=options)
    assert arena.forfeits["reason"].tolist() == ["out of memory"]
    assert arena.matrix.loc["eats", "u"] == -2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("raise RuntimeError('at import')", "crash"),
        ("import sys; sys.exit(0)", "crash"),
        ("import os; os._exit(0)", "crash"),
        ("import time; time.sleep(1e6)", "out of time"),
        ("held = bytearray(1 << 40)", "out of memory"),
    ],
)
def test_a_file_that_fails_when_it_is_imported_forfeits(content, reason, tmp_path):
    file = tmp_path / "bad.py"
    file.write_text(content + "\ndef act(o, l, p, r): return l[0]\n")
    options = Options(limits=Limits(start_seconds=2, mebibytes=512))
    arena = evaluate("kuhn_poker", {"bad": str(file), "u": "uniform"}, 3, options=options)
    assert arena.forfeits["reason"].tolist() == [reason]
    assert arena.forfeits["first"][0].startswith("while it was started")
    assert arena.matrix.loc["bad", "u"] < -0.5


@pytest.mark.slow
def test_openspiel_s_policies_and_bots_of_files(tmp_path):
    """A policy becomes a table; a bot plays; both from factories of every signature."""
    file = tmp_path / "theirs.py"
    file.write_text(
        "from open_spiel.python import policy\n"
        "from open_spiel.python.bots import uniform_random\n"
        "def of_game(game): return policy.UniformRandomPolicy(game)\n"
        "def of_seat(game, player): return policy.UniformRandomPolicy(game)\n"
        "def bot(game, player, rng): return uniform_random.UniformRandomBot(player, rng)\n"
        "Bot = uniform_random.UniformRandomBot\n"
    )
    names = ("of_game", "of_seat", "bot", "Bot")
    entrants = {name: f"{file}:{name}" for name in names} | {"u": "uniform"}
    arena = evaluate("leduc_poker", entrants, 20)
    for name in ("of_game", "of_seat"):
        assert arena.table.loc[name, "nash_conv"] == arena.table.loc["u", "nash_conv"]
    for name in ("bot", "Bot"):
        assert np.isnan(arena.table.loc[name, "nash_conv"])
        assert abs(arena.matrix.loc[name, "u"]) < 2 * arena.half_width.loc[name, "u"]
    assert arena.table["forfeits"].sum() == 0


@pytest.mark.slow
def test_a_game_of_one_s_own_and_a_policy_for_it(tmp_path, monkeypatch, capsys):
    """The process of an agent imports the game's module only for OpenSpiel's policies and bots, and
    not if the agent is in the same file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "games_of_mine").mkdir()
    (tmp_path / "games_of_mine/__init__.py").write_text("")
    rules = (ROOT / "examples/own_game.py").read_text().replace("one_card_bluff", "bluff_of_mine")
    policy = (
        "\nfrom open_spiel.python import policy\n"
        "def uniform(game): return policy.UniformRandomPolicy(game)\n"
    )
    (tmp_path / "games_of_mine/bluff.py").write_text(rules + policy)
    (tmp_path / "policies.py").write_text(policy)
    entrants = ["policies.py:uniform", "games_of_mine/bluff.py:uniform", "uniform"]
    cli.main(
        ["arena", *entrants, "--game", "bluff_of_mine", "--json", "--import", "games_of_mine.bluff"]
    )
    told = json.loads(capsys.readouterr().out)
    assert told["names"] == ["policies:uniform", "bluff:uniform", "uniform"]
    assert told["forfeits"] == [{}, {}, {}]
    assert told["nash_conv"][0] == told["nash_conv"][1] == told["nash_conv"][2]


def test_names_tell_entrants_apart():
    named = named_entrants(["s/0000/seed-0", "s/0001/seed-0", "t/0001/seed-0", "cfr+", "x.py:A"])
    assert list(named) == ["0000/seed-0", "s/0001/seed-0", "t/0001/seed-0", "cfr+", "A"]
    named = named_entrants(["a/x.py:A", "y.py:A", "u=uniform", "uniform", "uniform", "/a/u.psro"])
    assert list(named) == ["x:A", "y:A", "u", "uniform", "uniform (2)", "a/u"]


@pytest.mark.slow
def test_a_run_an_export_and_its_symmetric_sibling(tmp_path):
    """All are one strategy, in its own numbering of info states or in the game's."""
    config = {"game": "kuhn_poker", "oracle": "best_response", "iterations": 3}
    run = psro.run(psro.RunConfig(**config), tmp_path / "run")
    psro.export(tmp_path / "run", tmp_path / "run.psro")
    entrants = {"run": run, "folder": tmp_path / "run", "file": str(tmp_path / "run.psro")}
    entrants["policy"] = run.policy()
    arena = evaluate(None, entrants)
    assert arena.kind == "exact" and arena.game == "kuhn_poker"
    assert arena.table["nash_conv"].to_numpy() == pytest.approx(2 * run.exploitability())
    assert np.ptp(arena.returns.mean, axis=(1, 2)).max() < 1e-12
    assert evaluate(None, {"zoo": "zoo:kuhn"}).table.loc["zoo", "nash_conv"] < 1e-4
    with pytest.raises(SettingsError, match="is a run of kuhn_poker, and the arena plays"):
        evaluate("leduc_poker", entrants)


@pytest.mark.slow
def test_bots_and_search_and_three_players():
    bots = [uniform_random.UniformRandomBot(p, np.random.default_rng(p)) for p in range(2)]
    arena = evaluate("leduc_poker", {"bots": bots, "mcts": "mcts", "u": "uniform"}, 30)
    assert arena.table["forfeits"].sum() == 0
    arena = evaluate("tic_tac_toe", {"mcts": "mcts", "u": "uniform"}, 10)
    assert arena.matrix.loc["mcts", "u"] > 0.5
    arena = evaluate("kuhn_poker(players=3)", {"u": "uniform", "f": uniformly}, 200)
    assert arena.scores.beats is None and "for two players" in arena.scores.omitted[0]
    returns = arena.returns
    assert (np.abs(returns.mean - returns.mean[:, :1, :1]) <= 4 * returns.error + 1e-12).all()
    with pytest.raises(GameError, match="OpenSpiel's search cannot play liars_dice"):
        evaluate("liars_dice(numdice=1,dice_sides=2)", {"mcts": "mcts"})


def test_the_rule_of_forfeits():
    assert returns_of_forfeit(1, 3, -2, 4, 0.0).tolist() == [1, -2, 1]
    assert returns_of_forfeit(0, 2, 0, 3, None).tolist() == [0, 1.5]
    assert " ".join(RULE.split()) in " ".join(PAGE.replace("\n> ", " ").split())


def test_from_openspiel_s_policy_to_plans_and_back():
    tree = games.load("kuhn_poker")
    rng = np.random.default_rng(0)
    first = openspiel_policy.TabularPolicy(tree.openspiel())
    first.action_probability_array[:] = rng.dirichlet(np.ones(2), len(first.states))
    plans = plans_of(tree, first)
    for own, again in zip(plans, plans_of(tree, policy_of(tree, plans)), strict=True):
        assert again == pytest.approx(own, abs=1e-12)
    for state in first.states:
        told = policy_of(tree, plans).action_probabilities(state)
        assert told == pytest.approx(first.action_probabilities(state), abs=1e-12)


class Cheating(openspiel_policy.Policy):
    """Sees the other's card, plays illegal actions, or has probabilities that do not add up."""

    def __init__(self, game, how):
        super().__init__(game, [0, 1])
        self.how = how

    def action_probabilities(self, state, player_id=None):
        if self.how == "sees":
            higher = state.history()[0] > state.history()[1]
            return {0: float(higher), 1: float(not higher)}
        return {0: 0.5, 1: 0.2} if self.how == "sums" else {0: 0.5, 5: 0.5}


@pytest.mark.parametrize(
    ("how", "sentence"),
    [("sees", "sees more than its player"), ("plays", "not legal"), ("sums", "add up to 1")],
)
def test_a_policy_that_is_none_is_refused(how, sentence):
    tree = games.load("kuhn_poker")
    with pytest.raises(GameError, match=sentence):
        plans_of(tree, Cheating(tree.openspiel(), how))


def test_the_page_s_agents_and_commands(tmp_path, monkeypatch, capsys):
    """They stand in the documentation as they are run here."""
    monkeypatch.chdir(tmp_path)
    agent, patient, in_python, plans = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)
    assert agent.count("\n") <= 10
    Path("my_agent.py").write_text(agent + "\n\n" + patient)
    [command] = re.findall(r"^```bash\npsro (.*?)\n```", PAGE, re.M)
    _, *words = command.split()
    cli.main(["arena", "my_agent.py:Patient", *words, "--episodes", "10"])
    printed = capsys.readouterr().out
    assert "my_agent" in printed and "Patient" in printed and "Forfeits" not in printed
    assert Path("arena.html").stat().st_size > 1_000_000
    assert "my_agent" in Path("arena.csv").read_text()
    in_python = in_python.replace('"my_agent.py"})', '"my_agent.py"}, episodes=3)')
    for code in (in_python, plans):
        exec(compile(code, "arena.md", "exec"), {})
    assert "bold" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "name at least one entrant"),
        (["uniform"], "no entrant is a run, so the game must be named"),
        (["uniform", "--game", "no_such_game"], "no game is called 'no_such_game'"),
        (["nowhere", "--game", "kuhn_poker"], "there is no 'nowhere'"),
        (["nowhere.py", "--game", "kuhn_poker"], "there is no file 'nowhere.py'"),
        (["agents.py:a b", "--game", "kuhn_poker"], "'a b' is no name of an agent"),
        (["agents.py:good", "--game", "kuhn_poker", "--episodes", "1"], "episodes = 1 must be"),
        (["uniform", "--game", "kuhn_poker", "--memory", "1"], "mebibytes = 1 must be"),
        (["uniform", "--game", "kuhn_poker", "--out", "a.txt"], "--out a.txt must end in"),
        (["a=uniform", "a=cfr+", "--game", "kuhn_poker"], "two entrants are called 'a'"),
        (["=uniform", "--game", "kuhn_poker"], "'=uniform' must be an entrant"),
        (["a=", "--game", "kuhn_poker"], "'a=' must be an entrant"),
        (["."], "is no experiment"),
    ],
)
def test_bad_input_ends_with_one_sentence(arguments, sentence, agents, capsys):
    with pytest.raises(SystemExit) as left:
        cli.main(["arena", *arguments])
    assert left.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and sentence in said, said


def test_files_that_hold_no_agent(agents, capsys):
    """The process says what is wrong with what was typed."""
    for name, sentence in (
        ("act", "has nothing that is called act; it has good, crashes"),
        ("number", "agents.py:number is of type int, and not an agent"),
    ):
        with pytest.raises(SystemExit) as left:
            cli.main(["arena", f"{agents}:{name}", "--game", "kuhn_poker"])
        assert left.value.code == 2 and sentence in capsys.readouterr().err


def test_json_and_the_graph(tmp_path, capsys):
    entrants = ["uniform", "equilibrium", "cfr+", "best <b>=cfr+"]
    graph = tmp_path / "graph.svg"
    cli.main(["arena", *entrants, "--game", "kuhn_poker", "--json", "--out", str(graph)])
    told = json.loads(capsys.readouterr().out)
    assert told["names"][3] == "best <b>" and told["kind"] == "exact"
    assert np.shape(told["returns"]) == (2, 4, 4) and told["nash_conv"][0] > 0.9
    assert "&lt;b&gt;" in graph.read_text() and "<b>" not in graph.read_text()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux only")
def test_twenty_agents_on_leduc_in_under_a_minute():
    twenty = runpy.run_path(str(ROOT / "experiments" / "arena" / "twenty.py"))
    begun = time.process_time(), time.perf_counter()
    arena = twenty["meet"](100)
    own, wall = time.process_time() - begun[0], time.perf_counter() - begun[1]
    assert len(arena.names) == 20
    guilty = arena.forfeits.groupby("entrant")["reason"].agg(list).to_dict()
    assert guilty == {
        "crashes": ["crash"],
        "hangs": ["out of time"],
        "cheats": ["illegal action"],
        "eats": ["out of memory"],
    }
    assert own < 60, (own, wall)  # wall seconds are the machine's, which may be busy


@pytest.mark.slow
def test_the_page_in_a_browser(tmp_path):
    """It is drawn from disk without a complaint, fits 390 px, and shows names as text."""
    entrants = {"<b>bold</b>": "uniform", "nash": "equilibrium", "%{x} & co": firstly}
    arena = evaluate("kuhn_poker", entrants, 5)
    file = page.write(page.offline(arena_page.document(arena)), tmp_path / "arena.html")
    with chromium() as driver:
        for width in (1280, 390):
            driver.set_window_size(width, 900)
            driver.get(file.as_uri())
            wait_for(lambda: driver.find_elements("css selector", "#plot-ratings .main-svg"))
            assert "<b>bold</b>" in driver.find_element("id", "table-ranking").text
            image = driver.find_element("css selector", "#image-graph img")
            assert driver.execute_script("return arguments[0].naturalWidth", image) > 0
            wide = "return document.documentElement.scrollWidth - innerWidth"
            assert driver.execute_script(wide) <= 0
        assert all(address.startswith(("file:", "data:")) for address in requested(driver))
        assert console_errors(driver) == []


@pytest.mark.parametrize("count", [1, 2, 5, 8])
def test_waves_of_a_tournament(count):
    """Nobody plays twice at a time, and every pair meets once."""
    met = list(waves(count))
    for wave in met[:-1]:
        assert len({number for pair in wave for number in pair}) == 2 * len(wave)
    pairs = [tuple(sorted(pair)) for wave in met for pair in wave]
    assert sorted(pairs) == [(i, j) for i in range(count) for j in range(i, count)]


@pytest.mark.slow
def test_the_seed_decides_whoever_is_faster(agents):
    """Agents in processes, those that remember too, give the same numbers again."""
    entrants = {"a": f"{agents}:Remembers", "b": f"{agents}:good", "u": "uniform", "f": uniformly}
    first, again = (evaluate("kuhn_poker", entrants, 30).returns.mean for _ in range(2))
    assert (first == again).all()
