"""What `psro report` writes: the folder's numbers, in one file that loads nothing."""

import base64
import dataclasses
import hashlib
import html.parser
import json
import re
import shutil
from pathlib import Path

import numpy as np
import plotly.graph_objects
import pytest

import games
import psro
from psro import cli, exact
from psro.runs import experiment, storage
from psro.runs import folder as run_folder
from psro.runs.storage import ExperimentError
from psro.training.record import DISTANCES
from psro.views import page, plots
from psro.views.numbers import decimals, three_digits
from psro.views.page import behaviour, document
from psro.views.page.known import EQUILIBRIA


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Folders of several kinds of run, all with exact best responses."""
    root = tmp_path_factory.mktemp("runs")
    settings = {
        "kuhn": {"game": "kuhn_poker", "iterations": 6},
        "several": {"game": "kuhn_poker", "iterations": 3, "expansion": "pipeline"},
        "three": {"game": "kuhn_poker(players=3)", "iterations": 3, "meta_solver": "mgce"},
        "symmetric": {
            "game": "goofspiel(imp_info=True,num_cards=3,points_order=descending)",
            "iterations": 3,
            "symmetric": True,
            "tolerance": 0,
        },
        "uniform": {"game": "kuhn_poker", "iterations": 4, "meta_solver": "uniform",
                    "evaluation_solver": "nash"},
    }  # fmt: skip
    for name, fields in settings.items():
        psro.run(psro.RunConfig(oracle="best_response", **fields), out=root / name)
    return {name: root / name for name in settings}


class Page(html.parser.HTMLParser):
    """Tags with their attributes, and the texts of scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.scripts, self.title = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data):
        if self.tags and self.tags[-1][0] == "script" and self.cdata_elem == "script":
            self.scripts[-1] += data
        if self.tags and self.tags[-1][0] == "title":
            self.title += data


def content_of(text):
    """The document in a page."""
    return json.loads(Page(text).scripts[0])


def section(content, name):
    return next(each for each in content["sections"] if each["id"] == name)


def view(content, name, figure=0, which=""):
    return section(content, name)["figures"][figure]["views"][which]


@pytest.mark.parametrize("name", ["kuhn", "several", "three", "symmetric", "uniform"])
def test_numbers_are_the_folder_s(runs, name):
    opened = psro.load(runs[name])
    content = content_of(page.report([runs[name]]))
    records = opened.records
    curves = view(content, "gap", which="iterations")["data"]
    gaps = {"nash": ["exploitability"], "cce": ["cce_gap"], "ce": ["cce_gap", "ce_gap"]}
    for curve, gap in zip(curves, gaps[opened.concept], strict=True):
        assert curve["x"] == [record.iteration for record in records]
        assert curve["y"] == [max(getattr(record, gap), 1e-9) for record in records]
    assert view(content, "gap", which="iterations")["layout"]["yaxis"]["type"] == "log"

    learners = 1 if opened.config.symmetric else len(opened.payoffs)
    figures = section(content, "meta-strategy")["figures"]
    assert len(figures) == learners
    for p in range(learners):
        weights = np.array(view(content, "meta-strategy", p)["data"][0]["z"], float)
        np.testing.assert_array_equal(weights[:, -1], opened.meta_strategy[p])
        np.testing.assert_allclose(np.nansum(weights, axis=0), 1, atol=1e-9)
        later = np.arange(len(weights))[:, None] >= [record.size for record in records]
        np.testing.assert_array_equal(np.isnan(weights), later)  # not trained yet

    responses = {curve["name"]: curve for curve in view(content, "best-responses")["data"]}
    for p in range(learners):
        who = "" if learners == 1 else f", player {p}"
        trained, best = responses[f"trained{who}"], responses[f"exact{who}"]
        assert trained["customdata"] == [record.gap[p] for record in records[1:]]
        assert trained["y"] == [record.improvement[p] for record in records[1:]]
        np.testing.assert_allclose(
            np.subtract(best["y"], trained["y"]), trained["customdata"], atol=1e-12
        )

    spent = sum(part["y"][-1] for part in view(content, "time")["data"])
    assert spent == pytest.approx(sum(sum(record.seconds.values()) for record in records))

    facts = {fact["label"]: fact for fact in content["facts"]}
    label = DISTANCES[opened.concept]
    assert facts[label]["value"] == three_digits(records[-1].distance)
    assert facts["iteration"]["note"] == f"ended: {opened.ended}"


def test_payoffs_of_two_players(runs):
    opened = psro.load(runs["kuhn"])
    content = content_of(page.report([runs["kuhn"]]))
    (figure,) = section(content, "payoffs")["figures"]
    (trace,), layout = figure["views"][""]["data"], figure["views"][""]["layout"]
    assert trace["z"] == opened.payoffs[0].tolist()
    assert layout["coloraxis"]["cmin"] == -layout["coloraxis"]["cmax"]  # zero is in the middle
    assert layout["coloraxis"]["cmax"] == np.abs(opened.payoffs).max()


def test_payoffs_of_three_players_are_expected_over_the_third_s_draws(runs):
    opened = psro.load(runs["three"])
    content = content_of(page.report([runs["three"]]))
    figures = section(content, "payoffs")["figures"]
    assert len(figures) == 6
    shown = next(each for each in figures if each["title"] == "Player 2 against player 0")
    expected = np.einsum("abc,b->ca", opened.payoffs[2], opened.meta_strategy[1])
    np.testing.assert_allclose(shown["views"][""]["data"][0]["z"], expected, atol=1e-12)


@pytest.mark.parametrize("name", ["kuhn", "three", "symmetric", "uniform"])
def test_past_meta_strategies_are_those_that_were_measured(runs, name, tmp_path):
    """A run that was stopped at iteration k has, as its last one, what the longer run kept of k."""
    long, config = run_folder.snapshot(runs[name]), psro.load(runs[name]).config
    short = psro.run(dataclasses.replace(config, iterations=2), out=tmp_path / "short")
    for mine, kept in zip(short.meta_strategy, long.meta_strategies[2], strict=True):
        np.testing.assert_array_equal(mine, kept)


def test_a_folder_of_an_older_version_tells_the_last_meta_strategy(runs, tmp_path):
    """Its policy files have none in their metadata; the page says so."""
    folder = shutil.copytree(runs["kuhn"], tmp_path / "old")
    opened = psro.load(folder)
    digests = []
    for number in range(len(opened.records)):
        path = folder / "policies" / f"{number:04d}.safetensors"
        tensors, info = storage.read_tensors(path)
        digests.append(storage.write_tensors(path, tensors, {"slots": info["slots"]}))
    tensors, info = storage.read_tensors(folder / run_folder.COMMIT)
    info = {"records": info["records"], "policies": digests}
    storage.write_tensors(folder / run_folder.COMMIT, tensors, info)

    content = content_of(page.report([folder]))
    weights = np.array(view(content, "meta-strategy")["data"][0]["z"], float)
    assert np.isnan(weights[:, :-1]).all()
    np.testing.assert_array_equal(weights[:, -1], opened.meta_strategy[0])
    assert "older version" in section(content, "meta-strategy")["text"]


@pytest.mark.parametrize("alpha", [0, 0.1, 1 / 3])
@pytest.mark.parametrize("game", EQUILIBRIA)
def test_known_equilibria_are_equilibria(game, alpha):
    family, tree = EQUILIBRIA[game], games.load(game)
    assert 0 <= alpha <= family.most
    plans = []
    for player, choices in zip(tree.players, family.choices, strict=True):
        assert set(choices) == set(player.names)
        probabilities = exact.uniform_behaviour(player)
        for i, name in enumerate(player.names):
            often = choices[name].frequency(alpha)
            first, end = player.first_sequence[i : i + 2]
            probabilities[first:end] = 1 - often, often
        plans.append(exact.realization_plan(player, probabilities))
        frequencies = {name: each.frequency(alpha) for name, each in choices.items()}
        if any(each.slope for each in choices.values()):
            assert family.nearest(frequencies, len(plans) - 1) == pytest.approx(alpha)
    assert exact.exploitability(tree, plans).nash_conv < 1e-12


def test_actions_of_known_equilibria_are_those_of_the_game():
    """`Choice.does` is of the second action: what OpenSpiel calls Bet, in Kuhn poker a call too."""
    tree = games.load("kuhn_poker")
    for player, names in zip(tree.players, games.action_names(tree), strict=True):
        for i in range(player.num_info_states):
            first, end = player.first_sequence[i : i + 2]
            assert names[first:end] == ["Pass", "Bet"]


def test_behaviour_is_the_exported_policy_s(runs):
    """At every state of the game, by OpenSpiel's own walk over it."""
    opened, policy = psro.load(runs["three"]), psro.load(runs["three"]).policy()
    players = behaviour.behaviour(run_folder.snapshot(runs["three"]))
    said = [{each.name: each for each in own} for own in players]
    reached = [dict.fromkeys(own, 0.0) for own in said]

    def walk(state, reach):
        if state.is_terminal():
            return
        if state.is_chance_node():
            for action, probability in state.chance_outcomes():
                walk(state.child(action), reach * probability)
            return
        player = state.current_player()
        info_state = said[player][state.information_state_string()]
        reached[player][info_state.name] += reach
        for (action, probability), name, own in zip(
            policy.action_probabilities(state).items(),
            info_state.actions,
            info_state.probabilities,
            strict=True,
        ):
            assert state.action_to_string(action) == name
            assert probability == pytest.approx(own)
            walk(state.child(action), reach * probability)

    walk(policy.game.new_initial_state(), 1.0)
    for own, expected in zip(said, reached, strict=True):
        assert len(own) == len(expected)
        for name, each in own.items():
            assert each.reached == pytest.approx(expected[name])
    assert sum(map(len, said)) == opened.tree.num_info_states


def test_kuhn_beside_its_equilibria(runs):
    tables = section(content_of(page.report([runs["kuhn"]])), "behaviour")["tables"]
    players = behaviour.behaviour(run_folder.snapshot(runs["kuhn"]))
    for table, own, choices in zip(tables, players, EQUILIBRIA["kuhn_poker"].choices, strict=True):
        bets = {each.name: each.probabilities[1] * (each.allowed > 1e-9) for each in own}
        assert len(table["rows"]) == 6
        for (name, choice), (situation, _, bar, equilibrium) in zip(
            choices.items(), table["rows"], strict=True
        ):
            assert situation == choice.situation
            assert bar["share"] == bets[name]
            assert bar["range"] == [choice.constant, choice.constant + choice.slope / 3]
            assert equilibrium.startswith(choice.formula if choice.slope else "")
    assert "α from 0 to 0.3333" in tables[0]["note"]


def test_words():
    told = behaviour.InfoState(
        name="",
        reached=0.5,
        allowed=1.0,
        actions=["Fold", "Call"],
        probabilities=np.array([0.25, 0.75]),
        values=np.array([-1.0, 0.5]),
        regret=0.375,
    )
    assert behaviour.values_in_words(told) == "Fold -1.00, Call +0.500"
    unknown = dataclasses.replace(told, values=np.full(2, np.nan))
    assert behaviour.values_in_words(unknown) == "–"
    assert behaviour.in_words(told) == "Call 75.0\xa0%, Fold 25.0\xa0%"
    assert behaviour.in_words(dataclasses.replace(told, allowed=0.0)) == "never comes here"


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """A run of a file with labels, one of them in the markup of rich, HTML and mathematics."""
    root = tmp_path_factory.mktemp("labelled")
    text = (Path(__file__).parent / "data" / "labels.efg").read_text()
    (root / "game.efg").write_text(text.replace('"Bob"', '"[red]<b>B$o$b[/]"'))
    config = psro.RunConfig(game=str(root / "game.efg"), oracle="best_response", iterations=2)
    return psro.run(config, root / "run").folder


def test_a_file_s_labels_are_what_the_report_says(labelled):
    content = content_of(page.report([labelled]))
    tables = section(content, "behaviour")["tables"]
    assert [table["title"] for table in tables] == ["Alice", "[red]<b>B$o$b[/]"]
    words = {row[0]: row[1] for table in tables for row in table["rows"]}
    assert set(words) == {"Alice with King", "Alice with Jack", "Bob faces a bet"}
    assert re.fullmatch(r"(Bet|Fold)( [0-9.]+\xa0%)?.*", words["Alice with King"])
    (figure,) = section(content, "payoffs")["figures"]
    assert figure["title"] == "Alice against [red]<b>B$o$b[/]"
    (view,) = figure["views"].values()
    assert view["layout"]["yaxis"]["title"]["text"] == "policy of Alice"
    assert view["layout"]["xaxis"]["title"]["text"] == "policy of [red]‹b›B$o$b[/]"
    assert not re.search(r"[Pp]layer [01]|action\d|0-0-", json.dumps(content))


def test_an_exported_run_keeps_its_labels(labelled, tmp_path):
    cli.main(["export", str(labelled), str(tmp_path / "a.psro")])
    content = content_of(page.report([tmp_path / "a.psro"]))
    (figure,) = section(content, "payoffs")["figures"]
    assert figure["title"] == "Alice against [red]<b>B$o$b[/]"


def test_a_file_s_labels_are_what_tables_and_pictures_say(labelled, capsys, tmp_path):
    cli.main(["eval", str(labelled)])
    out = " ".join(capsys.readouterr().out.split())
    for title in ("value Alice", "weight Alice", "worst case Alice", "rating Alice"):
        assert title in out and title.replace("Alice", "[red]<b>B$o$b[/]") in out
    assert "Payoffs of Alice (rows) against [red]<b>B$o$b[/] (columns)" in out
    assert not re.search("player [01]|value [01]", out)
    figure = plots.payoffs_figure(run_folder.snapshot(labelled))
    assert figure.axes[0].get_ylabel() == "policy of Alice"
    plots.save_figure(figure, tmp_path / "a.svg")


def test_a_large_game_s_behaviour_is_left_out(tmp_path, monkeypatch):
    """Leduc poker has 936 info states: they are shown, those first that are reached most."""
    psro.run(
        psro.RunConfig(game="leduc_poker", oracle="best_response", iterations=1),
        out=tmp_path / "leduc",
    )
    run = run_folder.snapshot(tmp_path / "leduc")
    players = behaviour.behaviour(run)
    assert sum(map(len, players)) == 936
    assert all(own[0].reached >= own[k].reached for own in players for k in (1, 99))
    assert behaviour.drawing(run) == []  # its tree is too large to be drawn
    monkeypatch.setattr(behaviour, "MAX_INFO_STATES", 900)
    assert behaviour.behaviour(run) is None


def test_configuration_shows_what_is_not_default_and_folds_the_rest(runs):
    changed, rest = section(content_of(page.report([runs["uniform"]])), "configuration")["tables"]
    assert {name: (value, default) for name, value, default in changed["rows"]} == {
        "iterations": ("4", "12"),
        "oracle": ("best_response", "ppo"),
        "meta_solver": ("uniform", "nash"),
        "evaluation_solver": ("nash", "same"),
    }
    others = dict(rest["rows"])
    assert others["seed"] == "0" and rest["folded"] == f"{len(others)} settings at their defaults"
    assert not any(name.startswith(("ppo", "cell", "levels")) for name in others)  # nobody's


def test_a_run_by_default_has_nothing_to_show_but_its_oracle(tmp_path):
    """What the game decides counts as the default that it is."""
    psro.run(psro.RunConfig(oracle="best_response"), out=tmp_path / "run")
    changed, _ = section(content_of(page.report([tmp_path / "run"])), "configuration")["tables"]
    assert changed["rows"] == [["oracle", "best_response", "ppo"]]


def test_runs_are_compared(runs, tmp_path):
    seed = psro.RunConfig(oracle="best_response", iterations=6, seed=1)
    psro.run(seed, out=tmp_path / "seed1")
    folders = [runs["kuhn"], tmp_path / "seed1", runs["uniform"]]
    content = content_of(page.report(folders))
    curves = view(content, "gap", which="seconds")["data"]
    named = [curve["name"] for curve in curves if curve.get("name")]
    assert len(named) == 2 and "(2 seeds: mean, 95 % interval)" in named[0]  # one curve, and a band
    results = section(content, "runs")["tables"][0]["rows"]
    for row, folder in zip(results, folders, strict=True):
        record = psro.load(folder).records[-1]
        assert row[1] == f"{three_digits(record.exploitability)} (exploitability)"
    differing, shared = section(content, "configuration")["tables"]
    assert [row[0] for row in differing["rows"]] == [
        "iterations", "seed", "meta_solver", "evaluation_solver",
    ]  # fmt: skip
    assert ["game", "kuhn_poker"] in shared["rows"] and shared["folded"]
    (fact,) = content["facts"]
    ends = [psro.load(folder).records[-1].exploitability for folder in folders[:2]]
    assert fact["value"] == three_digits(np.mean(ends)) and "mean of 2 seeds" in fact["note"]


def test_plotly_knows_every_figure(runs):
    """By its own checks of every name and value, but for what is ours, the kind of colour scale."""
    for folders in ([runs["kuhn"]], [runs["three"]], [runs["kuhn"], runs["uniform"]]):
        for each in content_of(page.report(folders))["sections"]:
            for figure in each["figures"]:
                for shown in figure["views"].values():
                    shown["layout"].get("coloraxis", {}).pop("kind", None)
                    plotly.graph_objects.Figure(shown)


def test_the_page_loads_nothing(runs):
    text = page.report([runs["kuhn"]])
    parsed = Page(text)
    for tag, attributes in parsed.tags:
        assert not {"src", "srcset", "action", "data", "poster"} & set(attributes), tag
        if "href" in attributes:
            assert attributes["href"] == "data:,"
    ours = text.replace(page.get_plotlyjs(), "")
    assert not re.search(r"https?://|//[a-z]+\.|@import|url\(", ours)
    policy = next(a["content"] for _, a in parsed.tags if "http-equiv" in a)
    assert policy.startswith("default-src 'none';")
    allowed = re.search("script-src ([^;]*)", policy)[1].split()
    for script in parsed.scripts[1:]:  # the first is data
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in allowed
    assert len(allowed) == len(parsed.scripts) - 1


def test_a_folder_s_words_are_no_markup(tmp_path):
    """A folder may come from a stranger, and names its game's file."""
    evil = "a</script><script>alert(1)</script><img src=x>.csv"
    file = tmp_path / evil
    file.parent.mkdir(parents=True)
    file.write_text("1,-1\n-1,1\n")
    run = psro.RunConfig(game=str(file), oracle="best_response", iterations=1)
    psro.run(run, out=tmp_path / "run")
    text = page.report([tmp_path / "run"])
    parsed = Page(text)
    assert evil in parsed.scripts[0].replace("\\u003c", "<")
    assert file.name in json.loads(parsed.scripts[0])["title"]
    assert len(parsed.scripts) == 3 and not any(tag == "img" for tag, _ in parsed.tags)


def test_refusals(runs, tmp_path):
    with pytest.raises(page.PageError, match="at least one"):
        page.report([])
    with pytest.raises(ExperimentError, match="does not exist"):
        page.report([tmp_path / "nothing"])
    fresh = experiment.create(psro.RunConfig(oracle="best_response"), out=tmp_path / "fresh")
    with pytest.raises(page.PageError, match="no finished iteration"):
        page.report([fresh.folder])
    for path in (tmp_path / "no" / "folder.html", tmp_path, Path("."), Path("/")):
        with pytest.raises(page.PageError, match="cannot write .*directory"):
            page.write("", path)


def test_decisions_are_counted_where_a_learner_made_some(runs):
    run = run_folder.snapshot(runs["kuhn"])
    assert "decisions" not in [fact["label"] for fact in document.of_run(run)["facts"]]
    for number, shown in ((7, "42"), (700, "4.2 k"), (70_000_000, "420 M"), (10**10, "60 B")):
        records = [
            dataclasses.replace(record, decisions=(number, 0), episodes=(0, 2 * number))
            for record in run.records[:6]
        ]
        learned = dataclasses.replace(run, records=records, meta_strategies=run.meta_strategies[:6])
        facts = {fact["label"]: fact for fact in document.of_run(learned)["facts"]}
        assert facts["decisions"]["value"] == shown


def test_a_damaged_policy_file_is_told(runs, tmp_path):
    folder = shutil.copytree(runs["kuhn"], tmp_path / "copy")
    policies = folder / "policies"
    shutil.copyfile(policies / "0001.safetensors", policies / "0002.safetensors")
    with pytest.raises(ExperimentError, match="0002.safetensors is damaged"):
        run_folder.snapshot(folder)
    (policies / "0002.safetensors").unlink()
    with pytest.raises(ExperimentError, match="0002.safetensors is missing"):
        run_folder.snapshot(folder)


def test_the_command(runs, tmp_path, capsys):
    out = tmp_path / "kuhn.html"
    cli.main(["report", str(runs["kuhn"]), "--out", str(out)])
    assert capsys.readouterr().out.strip() == str(out)
    assert Page(out.read_text(encoding="utf-8")).title.strip() == "kuhn_poker · psro"
    with pytest.raises(SystemExit) as end:
        cli.main(["report", str(tmp_path / "nothing")])
    assert end.value.code == 2
    assert "does not exist" in capsys.readouterr().err


def test_a_player_who_decides_nothing_has_a_report(tmp_path):
    file = tmp_path / "one_mover.efg"
    file.write_text(ONE_MOVER)
    psro.run(psro.RunConfig(game=str(file), oracle="best_response"), out=tmp_path / "run")
    content = content_of(page.report([tmp_path / "run"]))
    first, second = section(content, "behaviour")["tables"]
    assert len(first["rows"]) == 1 and not second["rows"] and "decides nothing" in second["note"]
    assert content["title"] == "one_mover.efg"


ONE_MOVER = """EFG 2 R "only player 1 decides" { "A" "B" }
p "" 1 1 "" { "a" "b" } 0
t "" 1 "" { 1, -1 }
t "" 2 "" { 0, 0 }
"""


def test_numbers_have_three_digits():
    for value, text in (
        (0.0, "0"), (-0.0, "0"), (3e-17, "0"), (-3e-14, "0"), (6.667e-10, "6.67e-10"),
        (0.0123456, "0.0123"), (0.99996, "1.00"), (-1 / 18, "-0.0556"), (12.345, "12.3"),
        (999.4, "999"), (1234.5, "1,234"), (2e15 / 3, "6.67e14"), (1.0, "1.00"),
    ):  # fmt: skip
        assert three_digits(value) == text
    assert three_digits(1 / 3, sign=True) == "+0.333" and three_digits(0.0, sign=True) == "0"
    assert three_digits(1e-13, unit=1e-10) == "1.00e-13" and three_digits(1e-6, unit=1e10) == "0"


def test_a_number_that_is_not_zero_is_not_shown_as_zero():
    for value, unit, text in (
        (0.0333, 2.0, "0.033300"), (0.0, 2.0, "0.000000"), (-3e-17, 2.0, "0.000000"),
        (1.42e-8, 2.0, "1.42e-8"), (2e-10, 1e-9, "2.00e-10"), (3e14, 1e15, "3.00e14"),
    ):  # fmt: skip
        assert decimals(value, unit=unit) == text
