"""`psro solve`: certificates, textbook games and closed forms."""

from __future__ import annotations

import csv
import json
from fractions import Fraction

import numpy as np
import pytest
from test_cli import psro_main

import games
import psro
from games.fractional import fraction
from games.matrix import NormalForm
from psro import exact
from psro.exact import logit
from psro.exact.rational import certificate, enumeration, matrix_game, numbers, strategic
from psro.metagame.solve import CONCEPTS, Solved, SolveError
from psro.views import solution_page, tree_drawing
from psro.views.logit_plot import free_height

SIGNALS = """EFG 2 R "beer or quiche" { "Sender" "Receiver" }
c "" 1 "" { "strong" 9/10 "weak" 1/10 } 0
p "" 1 1 "strong" { "beer" "quiche" } 0
p "" 2 1 "saw beer" { "duel" "walk" } 0
t "" 1 "" { 1 0 }
t "" 2 "" { 3 1 }
p "" 2 2 "saw quiche" { "duel" "walk" } 0
t "" 3 "" { 0 0 }
t "" 4 "" { 2 1 }
p "" 1 2 "weak" { "beer" "quiche" } 0
p "" 2 1 0
t "" 5 "" { 0 1 }
t "" 6 "" { 2 0 }
p "" 2 2 0
t "" 7 "" { 1 1 }
t "" 8 "" { 3 0 }
"""


def table(*matrices, name="table") -> NormalForm:
    return NormalForm(np.array(matrices, float), name=name)


def strategies(solved: Solved) -> set:
    """All equilibria as tuples of fractions."""
    return {
        tuple(tuple(share for share in own[1:]) for own in one.exact_behaviours)
        for one in solved.equilibria
    }


F = Fraction
BATTLE = table([[3, 0], [0, 2]], [[2, 0], [0, 3]])
STAG = table([[4, 0], [3, 3]], [[4, 3], [0, 3]])
COORDINATION = table([[2, 0], [0, 1]], [[2, 0], [0, 1]])
DILEMMA = table([[2, 0], [3, 1]], [[2, 3], [0, 1]])
# Avis, Rosenberg, Savani and von Stengel 2010, example (1): a degenerate game.
DEGENERATE = table([[3, 3], [2, 5], [0, 6]], [[3, 3], [2, 6], [3, 1]])


@pytest.mark.parametrize(
    "game, known",
    [
        (
            BATTLE,
            {((1, 0), (1, 0)), ((0, 1), (0, 1)), ((F(3, 5), F(2, 5)), (F(2, 5), F(3, 5)))},
        ),
        (DILEMMA, {((0, 1), (0, 1))}),
        (
            COORDINATION,
            {((1, 0), (1, 0)), ((0, 1), (0, 1)), ((F(1, 3), F(2, 3)), (F(1, 3), F(2, 3)))},
        ),
        (
            DEGENERATE,
            {
                ((1, 0, 0), (1, 0)),
                ((1, 0, 0), (F(2, 3), F(1, 3))),
                ((0, F(1, 3), F(2, 3)), (F(1, 3), F(2, 3))),
            },
        ),
        (table([[0, -1], [1, 0]], [[0, 1], [-1, 0]]), {((0, 1), (0, 1))}),
    ],
)
def test_textbook_games_have_the_equilibria_of_the_textbook(game, known):
    solved = psro.solve(game, all_equilibria=True)
    assert solved.complete and strategies(solved) == known


def test_equilibria_with_a_strategy_in_common_are_one_component():
    components = [one.component for one in psro.solve(DEGENERATE, all_equilibria=True).equilibria]
    assert len(components) == 3 and len(set(components)) == 2


@pytest.mark.parametrize("seed", range(12))
def test_every_equilibrium_is_certified_and_their_number_is_odd(seed):
    """Nondegenerate games have an odd number (Lemke and Howson 1964); pure ones are among them, and
    nashpy's, as far as it finds them."""
    rng = np.random.default_rng(seed)
    payoffs = rng.integers(-1000, 1000, (2, *rng.integers(2, 6, 2))).astype(float)
    solved = psro.solve(NormalForm(payoffs), all_equilibria=True)
    exact_payoffs = numbers.fractions(payoffs)
    found = strategies(solved)
    assert len(found) % 2 == 1 and all(one.is_exact for one in solved.equilibria)
    assert all(enumeration.regret(exact_payoffs, [np.array(x) for x in s]) == 0 for s in found)
    for profile in enumeration.pure_equilibria(payoffs):
        pure = enumeration.pure_profile(profile, payoffs.shape[1:]).strategies
        assert tuple(map(tuple, pure)) in found
    lemke = psro.solve(NormalForm(payoffs), method="lemke")
    assert strategies(lemke) <= found


def test_the_best_is_chosen_by_what_was_asked():
    assert psro.solve(COORDINATION).equilibria[0].payoffs.tolist() == [2, 2]  # not (1, 1)
    assert psro.solve(STAG, best_by="total").equilibria[0].payoffs.tolist() == [4, 4]
    risk = psro.solve(STAG, best_by="risk").equilibria[0]
    assert risk.payoffs.tolist() == [3, 3]  # the hare is safe: 3 * 3 > 1 * 1
    units = table([[100, 0], [0, 99]], [[1, 0], [0, 3]])  # player 0 counts in cents
    assert psro.solve(units, best_by="total").equilibria[0].payoffs.tolist() == [99, 3]
    assert psro.solve(units, best_by="welfare").equilibria[0].payoffs.tolist() == [99, 3]


def test_numbers_are_what_the_file_says():
    said = [0.1, 1 / 3, -2 / 7, 0.1 + 0.2, 1e-9, 123456.789, 1e300, 0.0]
    known = [F(1, 10), F(1, 3), F(-2, 7), F(3, 10), F(1, 10**9), F(123456789, 1000)]
    assert numbers.fractions(np.array(said)).tolist()[:6] == known
    assert [float(fraction(value)) for value in said[6:]] == said[6:]


@pytest.mark.parametrize("seed", range(4))
def test_matrix_games_have_a_value(seed):
    payoffs = numbers.fractions(np.random.default_rng(seed).integers(-9, 9, (4, 6)))
    solved = matrix_game.minimax(payoffs)
    assert min((solved.row @ payoffs).tolist()) == solved.value
    assert max((payoffs @ solved.column).tolist()) == solved.value


def test_kuhn_poker_in_fractions():
    """Kuhn 1950: the value is -1/18."""
    tree = games.load("kuhn_poker")
    assert [strategic.num_strategies(player) for player in tree.players] == [27, 64]
    for method in ("lemke", "lp", "logit"):
        one = psro.solve(tree, method=method).equilibria[0]
        assert one.payoffs == pytest.approx([-1 / 18, 1 / 18], abs=1e-9)
    exactly = psro.solve(tree).equilibria[0]
    assert exactly.exact_payoffs == (F(-1, 18), F(1, 18)) and exactly.regret == 0
    assert psro.solve(tree, "minimax").equilibria[0].exact_payoffs == (F(-1, 18), F(1, 18))


def test_strategic_payoffs_are_those_of_the_tree():
    tree = games.load("tests/entry.efg")
    plans = tuple(strategic.reduced_strategies(player) for player in tree.players)
    assert [len(own) for own in plans] == [4, 3, 2]
    payoffs = strategic.strategic_payoffs(tree, plans)
    assert numbers.floats(payoffs) == pytest.approx(tree.payoffs(plans))
    assert sum(strategic.chances(tree)[:1]) in {F(2, 3), F(1, 3)}


@pytest.fixture
def signals(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "signals.efg").write_text(SIGNALS)
    return games.load("signals.efg")


def test_a_signalling_game(signals):
    """Cho and Kreps 1987: two kinds of pooling equilibria."""
    solved = psro.solve(signals, all_equilibria=True)
    paid = {tuple(one.exact_payoffs) for one in solved.equilibria}
    assert paid == {(F(29, 10), F(9, 10)), (F(21, 10), F(9, 10))}
    certifier = certificate.Certifier(signals)
    for one in solved.equilibria:
        plans = [
            exact.realization_plan(own, behaviour)
            for own, behaviour in zip(signals.players, one.behaviours, strict=True)
        ]
        assert exact.exploitability(signals, plans).nash_conv == pytest.approx(0, abs=1e-12)
        assert certifier.regret([numbers.fractions(plan) for plan in plans]) == 0


def test_the_logit_response_of_a_two_by_two_game():
    """On the symmetric branch p = 1 / (1 + exp(-lambda (3 p - 1)))."""
    for precision in (0.5, 1.0, 3.0):
        one = psro.solve(COORDINATION, "qre", precision=precision).equilibria[0]
        p = one.behaviours[0][1]
        assert p == pytest.approx(1 / (1 + np.exp(-precision * (3 * p - 1))), abs=1e-10)
        assert one.precision == precision


def test_the_path_of_the_logit_response_begins_at_uniform_play(signals):
    solved = psro.solve(signals, "qre", path=True, precision=5.0)
    precisions = [precision for precision, _ in solved.path]
    assert precisions[0] == 0 and precisions[-1] == 5 and len(precisions) > 10
    assert solved.path[0][1][0][1:] == pytest.approx(0.5)
    agents = logit.Agents(signals)
    for precision, behaviours in solved.path[:: len(precisions) // 5]:
        logs = np.log(np.concatenate([own[1:] for own in behaviours]))
        values, _ = agents.values(logs)
        assert logs == pytest.approx(agents.softmax(precision * values)[0], abs=1e-9)


def test_three_players_have_certified_equilibria():
    tree = games.load("tests/three.nfg")
    solved = psro.solve(tree, all_equilibria=True)
    assert not solved.complete
    for one in solved.equilibria:
        plans = [
            exact.realization_plan(own, b)
            for own, b in zip(tree.players, one.behaviours, strict=True)
        ]
        assert exact.exploitability(tree, plans).nash_conv <= 1e-9


def test_only_what_is_dominated_is_eliminated():
    """The middle row is dominated by a mixture of the others, by no single one."""
    game = table([[3, 0], [1, 1], [0, 3]], [[1, 0], [0, 1], [0, 1]])
    solved = psro.solve(game, "rationalizable")
    assert solved.elimination.left == [[0, 2], [0, 1]]
    assert solved.elimination.rounds[0][0].strategy == 1
    assert psro.solve(DILEMMA, "rationalizable").elimination.left == [[1], [1]]


@pytest.mark.parametrize("concept", CONCEPTS)
def test_the_command_gives_every_concept_by_name(concept, signals, capsys):
    code, out, err = psro_main(capsys, "solve", "signals.efg", "--concept", concept, "--json")
    assert code == 0 and not err
    solved = json.loads(out)
    assert solved["players"] == ["Sender", "Receiver"] and solved["concept"] == concept
    if concept == "rationalizable":
        assert set(solved["left"]) == {"Sender", "Receiver"}
        return
    (one,) = solved["equilibria"]
    assert len(one["payoffs"]) == 2
    if "strategies" in one:
        assert set(one["strategies"]["Sender"]["strong"]) == {"beer", "quiche"}
        assert set(one["strategies"]["Receiver"]) == {"saw beer", "saw quiche"}
    else:
        assert sum(drawn["probability"] for drawn in one["profiles"]) == pytest.approx(1)
    assert psro_main(capsys, "solve", "signals.efg", "--concept", concept)[0] == 0


def test_files_are_by_name(signals, capsys):
    code, out, _ = psro_main(
        capsys, "solve", "signals.efg", "--all", "--out", "a.csv", "a.tex", "a.json"
    )
    assert code == 0 and "saw quiche" in out and "29/10" in out
    with open("a.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["info set"] for row in rows} == {"strong", "weak", "saw beer", "saw quiche"}
    with open("a.json") as file:
        assert json.load(file)["complete"]
    with open("a.tex") as file:
        assert file.read().count("Receiver") >= 4


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--concept", "core"], "unknown concept 'core'; known: nash, qre"),
        (["--concept", "ce", "--all"], "--all is for the concept nash, not for ce"),
        (["--best", "mine"], "unknown criterion 'mine'; known: total"),
        (["--lambda", "2"], "--lambda and --path are for the concept qre"),
        (["--concept", "qre", "--lambda", "nan"], "lambda = nan must be at least 0"),
        (["--out", "x.doc"], "--out x.doc must end in .json"),
        (["--method", "lp", "--all"], "--method lp finds one"),
    ],
)
def test_what_cannot_be_solved_is_refused_in_a_sentence(arguments, said, signals, capsys):
    code, out, err = psro_main(capsys, "solve", "signals.efg", *arguments)
    assert code == 2 and not out and said in err and err.count("\n") == 1


def test_names_of_strangers_are_text(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = ["[red]x[/b]", "=1+1", "\\input{x}"]
    strategies = " ".join(f'"{name}"' for name in names).replace("\\", "\\\\")
    (tmp_path / "g.nfg").write_text(
        f'NFG 1 R "" {{ "[b]A" "$B_1" }} {{ {{ {strategies} }} {{ "u" "v" }} }}\n'
        + "1 2 3 1 5 9 2 6 5 3 5 8"
    )
    code, out, _ = psro_main(capsys, "solve", "g.nfg", "--all", "--out", "g.csv", "g.tex")
    assert code == 0 and "[b]A" in out
    text = (tmp_path / "g.tex").read_text()
    assert r"\input" not in text and r"\$B\_1" in text
    assert all(not line.startswith("=") for line in (tmp_path / "g.csv").read_text().split(","))


def test_a_name_of_several_words_and_numbers_is_told_from_its_probability(
    tmp_path, monkeypatch, capsys
):
    """An action may be a plan of bids, with commas and numbers."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bids.nfg").write_text(
        'NFG 1 R "" { "Ann" "Bob" } { { "low 0, high 1" "bid 2" } { "yes" "no" } }\n1 1 0 0 0 0 1 1'
    )
    out = psro_main(capsys, "solve", "bids.nfg", "--all")[1]
    assert '"low 0, high 1" 1/2, "bid 2" 1/2' in out and "yes 1/2, no 1/2" in out
    out = psro_main(capsys, "solve", "bids.nfg", "--concept", "rationalizable")[1]
    assert 'keeps 2 of 2: "low 0, high 1", "bid 2"' in out


def test_the_legend_of_the_logit_curves_is_where_none_ends():
    assert free_height([0, 1]) == 0.5
    assert free_height([0.5, 0.5]) in (0.25, 0.75)
    assert free_height([0.2, 0.3, 0.5]) == 0.75


def test_small_probabilities_are_short_in_the_drawing(signals):
    """They would run into the name of the next mover."""
    behaviours = [np.array([1, 1 - 1e-9, 1e-9, 0.5, 0.5])] * 2
    drawn = tree_drawing.svg(signals, behaviours)
    assert "&lt;\N{NO-BREAK SPACE}0.1\N{NO-BREAK SPACE}%" in drawn and "e-0" not in drawn


def test_too_large_a_game_is_refused_in_a_sentence():
    with pytest.raises(psro.errors.PsroError, match="enumerated up to 62"):
        psro.solve("kuhn_poker", all_equilibria=True)
    large = NormalForm(np.zeros((2, 100, 100)), name="large")
    with pytest.raises(SolveError, match="10,000 profiles of pure strategies"):
        psro.solve(large, "rationalizable")
    assert psro.solve(large, "minimax").equilibria[0].payoffs == pytest.approx([0, 0], abs=1e-9)
    with pytest.raises(SolveError, match="unknown method"):
        psro.solve(DILEMMA, method="magic")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    (folder / "signals.efg").write_text(SIGNALS)
    config = psro.RunConfig(
        game=str(folder / "signals.efg"), oracle="best_response", iterations=3, tolerance=0.0
    )
    return psro.run(config, folder / "run")


def test_a_run_s_strategies_are_a_table_by_name(trained):
    frame = trained.strategies()
    assert list(frame) == [
        "player", "info_set", "action", "probability", "reach", "value", "regret"
    ]  # fmt: skip
    assert set(frame.player) == {"Sender", "Receiver"} and len(frame) == 8
    assert set(frame.info_set) == {"strong", "weak", "saw beer", "saw quiche"}
    sums = frame.groupby(["player", "info_set"]).probability.sum()
    assert sums.to_numpy() == pytest.approx(1)
    for _, own in frame.groupby("player"):
        assert own.reach.is_monotonic_decreasing
    strong = frame[(frame.info_set == "strong") & (frame.action == "beer")].iloc[0]
    assert strong.reach == pytest.approx(0.9)
    value = sum(
        row.reach * row.probability * row.value
        for row in frame[frame.player == "Sender"].itertuples()
    )
    assert value == pytest.approx(trained.measure().value[0])


def test_eval_shows_strategies(trained, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code, out, err = psro_main(
        capsys, "eval", trained.folder, "--strategies", "--csv", "s.csv", "--json"
    )
    assert code == 0 and not err
    rows = json.loads(out)["strategies"]
    assert len(rows) == 8 and {row["action"] for row in rows} == {"beer", "quiche", "duel", "walk"}
    with open("s.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == 8
    code, out, _ = psro_main(capsys, "eval", trained.folder, "--strategies")
    assert code == 0 and "saw quiche" in out and "Receiver: what the mixture does" in out


def test_files_of_gambit_are_read_again_with_their_names(signals, capsys):
    arguments = ("solve", "signals.efg", "--all", "--out", "b.efg", "b.nfg", "b.profile", "b.svg")
    assert psro_main(capsys, *arguments)[0] == 0
    again, table = games.load("b.efg"), games.load("b.nfg")
    assert again.player_names == table.player_names == ("Sender", "Receiver")
    assert sorted(again.players[1].names) == ["saw beer", "saw quiche"]
    assert set(table.players[0].action_names[1:]) >= {"beer/beer", "quiche/beer"}
    uniform = [
        [exact.realization_plan(own, exact.uniform_behaviour(own)) for own in tree.players]
        for tree in (signals, again)
    ]
    assert again.returns(uniform[1]) == pytest.approx(signals.returns(uniform[0]))
    with open("b.profile") as file:
        lines = file.read().splitlines()
    assert all(line.startswith("NE,") and len(line.split(",")) == 9 for line in lines)
    with open("b.svg") as file:
        drawn = file.read()
    assert "saw quiche" in drawn and drawn.count("<circle") == 6


def test_one_of_several_equilibria_says_so():
    table = np.zeros((2, 9, 9))
    table[:, np.arange(9), np.arange(9)] = np.arange(1, 10)
    solved = psro.solve(table)
    assert len(solved.equilibria) == 1 and "--all lists" in solved.notes[0]
    table[1] = -table[0]
    assert not psro.solve(table).notes


def test_the_page_has_what_is_printed(signals, capsys):
    assert psro_main(capsys, "solve", "signals.efg", "--all", "--out", "page.html")[0] == 0
    with open("page.html") as file:
        assert "saw quiche" in file.read()
    content = solution_page.document(psro.solve(signals, all_equilibria=True))
    json.dumps(content, allow_nan=False)
    assert content["title"] == "signals.efg"
    sections = {section["id"]: section for section in content["sections"]}
    (payoffs,) = sections["payoffs"]["tables"]
    assert payoffs["columns"] == ["solution", "Sender", "Receiver", "regret"]
    assert all(row[-1] == "0, exactly" for row in payoffs["rows"])
    first = sections["strategies"]["tables"][0]
    assert {row[1] for row in first["rows"]} == {"strong", "weak", "saw beer", "saw quiche"}
    assert "beliefs at saw beer" in first["note"] and "\\x" not in first["note"]
    assert sections["tree"]["images"][0]["source"].startswith("data:image/svg+xml;base64,")
    drawn = solution_page.document(psro.solve(signals, "qre", path=True))["sections"]
    (figure,) = next(part for part in drawn if part["id"] == "path")["figures"]
    assert len(figure["views"][""]["data"]) == 8
    for concept in CONCEPTS:
        content = solution_page.document(psro.solve(signals, concept))
        json.dumps(content, allow_nan=False)
        assert content["facts"]


def test_export_writes_the_game_and_what_the_mixture_does(trained, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for kind in ("efg", "nfg", "json"):
        code, out, err = psro_main(capsys, "export", trained.folder, f"x.{kind}", f"--{kind}")
        assert code == 0 and not err and f"x.{kind}" in out
    assert games.load("x.efg").player_names == games.load("x.nfg").player_names
    written = json.loads((tmp_path / "x.json").read_text())
    assert set(written["strategies"]["Receiver"]) == {"saw beer", "saw quiche"}
    assert len(written["info_sets"]) == 8
    shares = (tmp_path / "x.profile").read_text().strip().split(",")
    assert shares[0] == "NE" and sum(map(F, shares[1:])) == pytest.approx(4)
    code, _, err = psro_main(capsys, "export", trained.folder, "x.efg", "--efg")
    assert code == 2 and "x.efg exists already" in err
    code, _, err = psro_main(capsys, "export", trained.folder, "y", "--efg", "--json")
    assert code == 2 and "give one of them" in err


def test_the_report_draws_the_tree_and_sorts_info_sets_by_reach(trained):
    from psro.runs.folder import snapshot
    from psro.views.page import document

    content = document.of_run(snapshot(trained.folder))
    section = next(part for part in content["sections"] if part["id"] == "behaviour")
    (image,) = section["images"]
    assert image["source"].startswith("data:image/svg+xml;base64,")
    sender = section["tables"][0]
    assert sender["title"] == "Sender" and sender["rows"][0][0] == "strong"
    assert sender["columns"][-2:] == ["values", "regret"]


def test_beliefs_are_by_name_and_the_logit_limit_has_them_everywhere(signals, tmp_path, capsys):
    code, out, _ = psro_main(capsys, "solve", "signals.efg", "--method", "logit", "--json")
    assert code == 0
    (one,) = json.loads(out)["equilibria"]
    sets = {row["info_set"]: row for row in one["info_sets"]}
    assert "beliefs" not in sets["strong"]
    pooled = {"strong, beer": pytest.approx(0.9), "weak, beer": pytest.approx(0.1)}
    assert sets["saw beer"]["beliefs"] == pooled  # Bayes' rule
    off = sets["saw quiche"]["beliefs"]
    assert off["weak, quiche"] > 0.5  # Cho and Kreps: the strong type loses more by quiche
    code, out, _ = psro_main(capsys, "solve", "signals.efg", "--all")
    assert "beliefs at saw quiche: not determined, nobody leads there" in out
    first = out[: out.index("Equilibrium 2")]  # the order of the tables
    assert first.index("beliefs at saw beer") < first.index("beliefs at saw quiche")


def test_outcomes_keep_their_names(capsys):
    code, out, _ = psro_main(capsys, "solve", "tests/entry.efg", "--json")
    (one,) = json.loads(out)["equilibria"]
    assert code == 0 and one["outcomes"]["peace"] == pytest.approx(2 / 3)
    assert set(one["outcomes"]) == {"war", "peace", "umbrella"}
