"""The two-stage protocol of `experiments/iig/`: frozen settings, shards, corrected tests."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "experiments" / "iig"

PROTOCOL = """
reference = "mmd"
seeds = [0, 1]
exploiter_decisions = 2048
[common]
hidden_size = 8
[games.kuhn]
name = "kuhn_poker"
budget = 3000
points = 2
[tuning]
seeds = [100]
budget = 2000
[tuning.games.goofspiel_3]
name = "goofspiel(imp_info=True,num_cards=3,points_order=descending)"
"""
METHODS = """
[mmd]
variant = "mmd"
candidates = [{}, { mmd = { learning_rate = 0.001 } }]
[mmd.settings]
payoff_episodes = 128
mmd = { decisions = 512, num_envs = 32 }
[psro]
variant = "default"
candidates = [{}]
[psro.settings]
payoff_episodes = 128
payoff_error = 1.0
ppo = { decisions = 512, num_envs = 32, num_strata = 4, evaluations = 2 }
[unheard_of]
variant = "unheard_of"
settings = {}
candidates = [{}]
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    (tmp_path / "protocol.toml").write_text(PROTOCOL)
    (tmp_path / "methods.toml").write_text(METHODS)
    return tmp_path


def freeze(home):
    import frozen
    from plan import read_toml

    protocol, methods = (read_toml(home / f"{name}.toml") for name in ("protocol", "methods"))
    for name in ("mmd", "psro"):
        choice = frozen.choose(name, methods[name], protocol["tuning"], [], untuned=True)
        frozen.freeze(home / "frozen.json", protocol, methods, {name: choice})
    return frozen.load(home / "frozen.json")


def test_frozen_settings_cannot_change(home):
    import frozen
    from plan import ProtocolError

    content = freeze(home)
    assert content["methods"]["mmd"]["settings"]["evaluation"] == "sampled"
    assert freeze(home) == content  # freezing again changes nothing
    path = home / "frozen.json"
    before = path.read_text()
    path.write_text(before.replace('"hidden_size": 8', '"hidden_size": 16', 1))
    with pytest.raises(ProtocolError, match="was changed after it was frozen"):
        frozen.load(path)
    path.write_text(before)
    for name, old, new in (
        ("methods", "decisions = 512, num_envs = 32 }", "decisions = 1024, num_envs = 32 }"),
        ("protocol", "budget = 3000", "budget = 6000"),
    ):
        file = home / f"{name}.toml"
        kept = file.read_text()
        file.write_text(kept.replace(old, new))
        with pytest.raises(ProtocolError, match="has changed"):
            freeze(home)
        file.write_text(kept)
    assert path.read_text() == before


def test_shards_are_all_of_the_work_once(home):
    from plan import ProtocolError, reported_units, shard

    units = reported_units(freeze(home))
    keys = [unit.key for part in range(3) for unit in shard(units, f"{part}/3")]
    assert len(units) == 4 and sorted(keys) == sorted(unit.key for unit in units)
    for wrong in ("3/3", "-1/3", "1", "a/b"):
        with pytest.raises(ProtocolError, match="must be i/n"):
            shard(units, wrong)


def test_budgets_are_whole_iterations_of_both_players(home):
    from plan import ProtocolError, decisions_per_iteration, reported_units

    from psro.runs.config import RunConfig

    iterations = {unit.method: unit.config().iterations for unit in reported_units(freeze(home))}
    assert iterations == {"mmd": 3000 // (2 * 512), "psro": 3000 // (2 * 512)}
    with pytest.raises(ProtocolError, match="give decisions_per_iteration"):
        decisions_per_iteration(RunConfig(expansion="pipeline"))


def test_settings_are_chosen_elsewhere_and_by_the_mean_of_logarithms(home):
    import frozen
    from plan import ProtocolError, check_apart, read_toml

    protocol, methods = (read_toml(home / f"{name}.toml") for name in ("protocol", "methods"))
    rows = [
        {"game": "goofspiel_3", "method": f"mmd.{n}", "seed": 100, "exploitability": value}
        for n, value in enumerate((0.2, 0.1))
    ]
    choice = frozen.choose("mmd", methods["mmd"], protocol["tuning"], rows)
    assert choice == {"candidate": 1, "tuned": True, "scores": [0.2, 0.1]}
    with pytest.raises(ProtocolError, match="1 of 2 runs are missing"):
        frozen.choose("mmd", methods["mmd"], protocol["tuning"], rows[:1])
    protocol["tuning"]["games"]["kuhn"] = protocol["games"]["kuhn"]
    with pytest.raises(ProtocolError, match="is reported"):
        check_apart(protocol)


def test_holm_by_hand(home):
    """Of 0.01, 0.04, 0.03, 0.005: 4 x 0.005, 3 x 0.01, 2 x 0.03, and 1 x 0.04 is not below the
    one before it."""
    from results import holm

    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.6]) == [1.0, 1.0] and holm([]) == []


def test_pairs_are_of_the_same_seed(home):
    from results import comparisons, paired_p

    def row(method, seed, value):
        return {"game": "kuhn", "method": method, "seed": seed, "exploitability": value}

    rows = [row("mmd", seed, 0.1) for seed in range(7)]
    rows += [row("psro", seed, 0.2 + 0.01 * seed) for seed in range(1, 9)] + [row("nfsp", 0, 0.3)]
    compared = comparisons(rows, "kuhn", "mmd")
    assert compared["psro"][0] == pytest.approx(0.135) and compared["psro"][2] == 6
    assert compared["psro"][1] == pytest.approx(2 / 2**6)  # all signs agree: the least p of 6 pairs
    assert compared["nfsp"] == (pytest.approx(0.2), None, 1)
    assert paired_p([1, 1], [1, 1]) == 1.0


def test_results_are_put_together_from_checked_curves(home):
    """Rows and curves of runs here, then of the files alone; nothing is shown that did not run."""
    from plan import ProtocolError, reported_units
    from results import collect, table
    from unit import CURVE, curve_checksum

    content, runs = freeze(home), home / "runs"
    units = reported_units(content)
    for unit, value in zip(units[:3], (0.125, 0.25, 0.5), strict=True):
        folder = unit.folder(runs)
        folder.mkdir(parents=True)
        curve = [",".join(CURVE), f"0,0,0,9,1.5,{value},,"]
        (folder / "curve.csv").write_text("\n".join(curve) + "\n")
        row = dict(zip(("game", "method", "seed"), unit.key, strict=True))
        row |= {"exploitability": value, "decisions": 2048, "settings_sha256": unit.checksum}
        row |= {"curve_sha256": curve_checksum(curve)}
        (folder / "row.json").write_text(json.dumps(row))
    rows = collect(units, runs, home)
    assert [(row["method"], row["exploitability"]) for row in rows] == [
        ("mmd", 0.125), ("psro", 0.25), ("mmd", 0.5),
    ]  # fmt: skip
    assert collect(units, home / "nowhere", home) == rows
    shown = table(rows, content, {"values": []})
    assert "| mmd | 2 | 0.3125 ± 2.3824 |  | 2,048 |" in shown
    assert "| psro | 1 | 0.2500 |  | 2,048 |  |  |  | +0.1250 |  |  |" in shown
    assert "| psro |  |  |  |  |  |  |  |  |  |  |" in table([], content, {"values": []})
    curves = home / "curves.csv"
    curves.write_text(curves.read_text().replace("0.25", "0.24"))
    with pytest.raises(ProtocolError, match="is not what was measured"):
        collect(units, home / "nowhere", home)


def rows_of(path):
    return list(csv.DictReader(path.read_text().splitlines()))


@pytest.mark.slow
def test_from_tuning_to_the_table(home):
    """Tiny budgets on Kuhn: stopped, resumed, measured from the folder, and put together."""

    def run(*words, code=0):
        command = [sys.executable, str(FOLDER / "protocol.py"), *words, "--folder", str(home)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    assert "run the command freeze first" in run("run", code=2)
    assert "mmd.1 100: exploitability" in run("tune")
    assert "unheard_of is skipped" in run("freeze", code=3)
    assert len(rows_of(home / "tuning.csv")) == 2
    assert "goes on next time" in run("run", "--minutes", "0.01", code=75)
    run("run", "--shard", "1/2")
    run("table")
    assert len(rows_of(home / "results.csv")) == 2
    run("run")
    run("table")
    rows = rows_of(home / "results.csv")
    assert [(row["method"], row["seed"]) for row in rows] == [
        (method, seed) for seed in "01" for method in ("mmd", "psro")
    ]
    import frozen
    from plan import reported_units

    import psro
    from games.forms import open_form
    from psro.measure import on_form

    units = reported_units(frozen.load(home / "frozen.json"))
    for unit, row in zip(units, rows, strict=True):
        assert int(row["decisions"]) == 2048 and float(row["lower_bound"]) > -0.1
        experiment = psro.load(unit.folder(home / "runs") / "run")
        assert {record.kind for record in experiment.records} == {"sampled"}
        measured = on_form.evaluate(experiment, open_form("kuhn_poker"))
        assert float(row["exploitability"]) == measured.distance.exploitability
    before = (home / "results.csv").read_text()
    (home / "runs").rename(home / "elsewhere")
    run("table")  # from the files alone
    assert (home / "results.csv").read_text() == before
    assert "| mmd | 2 |" in (home / "table.md").read_text()
    curves = home / "curves.csv"
    curves.write_text(curves.read_text().replace("1024", "1023"))
    assert "is not what was measured" in run("table", code=2)
    assert json.loads((home / "frozen.json").read_text())["content"]["methods"]["mmd"]["tuned"]


def test_a_candidate_says_its_own_share_of_self_play(home):
    import frozen
    from plan import budget_of, read_toml, tuning_units

    union = {
        "variant": "union_fictitious",
        "horizon_share": 0.5,
        "settings": {"mmd": {"decisions": 131_072}, "ppo": {"decisions": 131_072}},
        "candidates": [{}, {"horizon_share": 0.75}],
    }
    protocol = read_toml(home / "protocol.toml") | {
        "tuning": read_toml(FOLDER / "protocol.toml")["tuning"]
    }
    units = list(tuning_units(protocol, {"union": union}, ["union"]))
    assert {unit.method: unit.horizon_share for unit in units} == {"union.0": 0.5, "union.1": 0.75}
    assert budget_of(union, 1) == {"decisions_per_iteration": None, "horizon_share": 0.75}
    last = units[-1].config()
    assert last.horizon == round(0.75 * last.iterations) and last.expansion == "fictitious"
    choice = {"candidate": 1, "tuned": True, "scores": [1.0, 0.5]}
    frozen.freeze(home / "frozen.json", protocol, {"union": union}, {"union": choice})
    assert frozen.load(home / "frozen.json")["methods"]["union"]["horizon_share"] == 0.75
