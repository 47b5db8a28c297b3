"""Empirical game theory: from logged matches to equilibria with intervals."""

import itertools
import json

import numpy as np
import pandas as pd
import pytest

import psro
from psro.cli import main
from psro.errors import PsroError
from psro.metagame.egta import egta
from psro.metagame.egta.empirical import RoleGame, SymmetricGame, regret
from psro.metagame.egta.supports import symmetric_equilibria

ROCK_PAPER_SCISSORS = np.array([[0, -1, 2], [1, 0, -1], [-2, 1, 0.0]])
"""The row player's payoffs. The equilibrium is (1/4, 1/2, 1/4)."""
SOLUTION = np.array([1, 2, 1]) / 4


def matches(table, count, rng, noise=1.0):
    """A log of a symmetric zero-sum game: `count` matches of each pair, with normal noise."""
    rows = []
    for row, column in itertools.product(range(len(table)), repeat=2):
        for payoff in table[row, column] + noise * rng.normal(size=count):
            rows.append((f"s{row}", f"s{column}", payoff, -payoff))
    return pd.DataFrame(rows, columns=["strategy_1", "strategy_2", "payoff_1", "payoff_2"])


@pytest.mark.parametrize("seats", ["roles", "symmetric", "auto"])
def test_matches_become_a_table_its_equilibrium_and_intervals(seats):
    game = egta(matches(ROCK_PAPER_SCISSORS, 2, np.random.default_rng(0), 0.0), seats=seats)
    (equilibrium,) = game.equilibria
    for mixed, interval in zip(equilibrium.mixed, equilibrium.interval, strict=True):
        np.testing.assert_allclose(mixed, SOLUTION, atol=1e-9)
        np.testing.assert_allclose(interval, [SOLUTION, SOLUTION], atol=1e-9)
    assert equilibrium.found == equilibrium.kept == 1
    assert game.log.symmetric == (seats != "roles")
    assert set(game.table().matches) == ({2} if seats == "roles" else {2, 4})
    np.testing.assert_allclose(game.alpha_rank[0].sum(), 1)


def test_rows_are_the_same_from_a_file_with_other_columns(tmp_path, capsys):
    log = matches(ROCK_PAPER_SCISSORS, 3, np.random.default_rng(1))
    log.to_csv(tmp_path / "log.csv", index=False)
    renamed = log.rename(columns={"strategy_1": "a", "strategy_2": "b", "payoff_1": "x",
                                  "payoff_2": "y"})  # fmt: skip
    renamed.to_csv(tmp_path / "renamed.csv", index=False, sep=";")
    main(f"egta {tmp_path}/log.csv --json --bootstrap 20".split())
    first = json.loads(capsys.readouterr().out)
    main(
        f"egta {tmp_path}/renamed.csv --strategies a b --payoffs x y --json --bootstrap 20".split()
    )
    second = json.loads(capsys.readouterr().out)
    assert first.pop("source") != second.pop("source")
    assert first == second


@pytest.mark.slow
def test_results_are_written_as_a_page_a_table_and_json(tmp_path, capsys):
    log = matches(ROCK_PAPER_SCISSORS, 3, np.random.default_rng(1))
    log.to_csv(tmp_path / "log.csv", index=False)
    files = [tmp_path / f"game.{ending}" for ending in ("html", "csv", "json")]
    main(["egta", f"{tmp_path}/log.csv", "--out", *map(str, files)])
    told = capsys.readouterr().out
    assert "Equilibrium 1 of" in told and "Sample next" in told
    told = json.loads(files[2].read_text())
    assert pd.read_csv(files[1]).shape == (len(told["payoffs"]), len(told["payoffs"][0]))
    assert "<script" in files[0].read_text()


def test_missing_cells_are_named_and_sampled_first():
    log = matches(ROCK_PAPER_SCISSORS, 4, np.random.default_rng(0))
    pair = (log.strategy_1 == "s1") & (log.strategy_2 == "s2")
    game = egta(log[~pair & ~((log.strategy_1 == "s2") & (log.strategy_2 == "s1"))])
    assert "without s" in game.notes[0]
    assert all(one.mixed[0].sum() == pytest.approx(1) for one in game.equilibria)
    first = game.suggestions[0]
    assert game.cells.count[first.cell] == 0 and np.isinf(first.reduction)
    assert game.cell_name(first.cell) == "s1, s2"


def test_ten_players_of_a_symmetric_game():
    """Everyone chooses one of two roads; a road costs what share of the players takes it, and the
    second one a quarter more. In the symmetric equilibrium both cost the same for one player."""
    rows = []
    for first in range(11):
        chosen = ["road a"] * first + ["road b"] * (10 - first)
        costs = [-first / 10] * first + [-(10 - first) / 10 - 0.25] * (10 - first)
        rows.append([*chosen, *costs])
    columns = [f"strategy_{p}" for p in range(1, 11)] + [f"payoff_{p}" for p in range(1, 11)]
    log = pd.DataFrame(rows, columns=columns)
    game = egta(log, seats="symmetric", bootstrap=0)
    mixed = [one for one in game.equilibria if 0.01 < one.mixed[0][0] < 0.99]
    # 1 + 9 s = 1 + 9 (1 - s) + 2.5
    assert mixed[0].mixed[0][0] == pytest.approx(11.5 / 18, abs=1e-8)
    assert game.log.num_players == 10 and len(game.cells.key) == 11


def test_values_of_both_kinds_of_games_agree():
    rng, size, players = np.random.default_rng(5), 3, 4
    keys = np.array(
        [k for k in np.ndindex(*(players + 1,) * size) if sum(k) == players]
    )  # fmt: skip
    table = rng.normal(size=keys.shape)
    place = {tuple(key): n for n, key in enumerate(keys.tolist())}
    payoffs = np.zeros((players, *(size,) * players))
    for profile in np.ndindex(*payoffs.shape[1:]):
        cell = place[tuple(np.bincount(profile, minlength=size))]
        payoffs[(slice(None), *profile)] = table[cell, list(profile)]
    symmetric = SymmetricGame(keys=keys, table=table, num_players=players)
    roles = RoleGame(payoffs=payoffs)
    mixed = rng.dirichlet(np.ones(size))
    np.testing.assert_allclose(
        symmetric.values((mixed,))[0], roles.values((mixed,) * players)[2], atol=1e-12
    )
    found, complete = symmetric_equilibria(symmetric, 1.0)
    assert complete and found
    for (one,) in found:
        assert regret(roles, (one,) * players) < 1e-8


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is empty"),
        ("strategy_1,strategy_2,payoff_1,payoff_2\n", "holds no match"),
        ("strategy_1,payoff_1\na,1\n", "2 to 10"),
        ("strategy_1,strategy_2,payoff_1\na,b,1\n", "only one of them"),
        ("a,b\n1,2\n", "needs a column of strategies"),
        ("strategy_1,strategy_2,payoff_1,payoff_2\na,b,1\n", "has 3 cells"),
        ("strategy_1,strategy_2,payoff_1,payoff_2\na,b,1,x\n", "is 'x'"),
        ("strategy_1,strategy_2,payoff_1,payoff_2\na,b,1,nan\n", "is 'nan'"),
        ("strategy_1,strategy_2,payoff_1,payoff_2\na,,1,2\n", "names no strategy"),
    ],
)
def test_what_is_no_log_is_refused(text, sentence, tmp_path):
    (tmp_path / "log.csv").write_text(text)
    with pytest.raises(PsroError, match=sentence):
        egta(tmp_path / "log.csv")


def test_frames_and_arrays_are_games(tmp_path):
    labels = ["rock", "paper", "scissors"]
    frame = pd.DataFrame(ROCK_PAPER_SCISSORS, index=labels, columns=labels)
    solved = psro.solve(frame)
    assert solved.tree.players[0].action_names[1:] == tuple(labels)
    np.testing.assert_allclose(solved.equilibria[0].behaviours[0][1:], SOLUTION)
    array = psro.solve(np.stack([ROCK_PAPER_SCISSORS, -ROCK_PAPER_SCISSORS]))
    np.testing.assert_allclose(array.equilibria[0].behaviours[0][1:], SOLUTION)
    both = psro.solve((frame, frame))
    assert both.tree.num_players == 2 and not both.tree.is_constant_sum
    config = psro.RunConfig(oracle="best_response", iterations=5)
    run = psro.run(config, tmp_path / "run", game=frame)
    assert run.exploitability() < 1e-6
    loaded = psro.load(tmp_path / "run")
    assert loaded.tree.players[1].action_names[1:] == tuple(labels)
    with pytest.raises((PsroError, ValueError), match="numbers"):
        psro.solve([["a", "b"], ["c", "d"]])


@pytest.mark.slow
def test_equilibria_are_those_of_pygambit():
    """The equilibria of the means are those that Gambit's exact enumeration lists, as sets, in
    twenty random symmetric and twenty random games with roles."""
    gambit = pytest.importorskip("pygambit")
    rng = np.random.default_rng(7)
    for number in range(40):
        table = rng.integers(-9, 10, size=(3, 3)).astype(float)
        other = table.T if number % 2 else rng.integers(-9, 10, size=(3, 3)).astype(float)
        rows = [
            (f"s{r}", f"s{c}", table[r, c], other[r, c]) for r, c in np.ndindex(3, 3)
        ]  # fmt: skip
        log = pd.DataFrame(rows, columns=["strategy_1", "strategy_2", "payoff_1", "payoff_2"])
        game = egta(log, seats="symmetric" if number % 2 else "roles", bootstrap=0)
        known = gambit.nash.enummixed_solve(
            gambit.Game.from_arrays(table.astype(int), other.astype(int)), rational=True
        ).equilibria
        theirs = {
            tuple(round(float(profile[s]), 7) for player in profile.game.players
                  for s in player.strategies) for profile in known
        }  # fmt: skip
        own = {
            tuple(np.round(np.concatenate(one.mixed * (2 if number % 2 else 1)), 7) + 0.0)
            for one in game.equilibria
        }
        if number % 2:
            theirs = {one for one in theirs if np.allclose(one[:3], one[3:], atol=1e-6)}
        assert own == theirs, number


@pytest.mark.slow
def test_intervals_cover_the_equilibrium_of_the_game():
    """Of 200 logs of 30 matches a cell, the 95 % intervals of the three weights cover the known
    equilibrium in about 95 %: within three standard errors of a share of 600 dependent draws."""
    rng, covered = np.random.default_rng(11), []
    for _ in range(200):
        game = egta(matches(ROCK_PAPER_SCISSORS, 30, rng), seats="symmetric", bootstrap=200)
        (equilibrium,) = game.equilibria
        low, high = equilibrium.interval[0]
        covered.append((low <= SOLUTION) & (high >= SOLUTION))
    share = np.mean(covered)
    assert abs(share - 0.95) < 3 * np.sqrt(0.95 * 0.05 / 200), share
