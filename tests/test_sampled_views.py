"""Plots, pages, tables and summaries of sampled runs: bounds and errors, never an exact gap."""

import dataclasses
import json
import math

import matplotlib.container
import numpy as np
import pandas as pd
import plotly.graph_objects
import pytest

import psro
from psro.cli import display, progress
from psro.metagame.meta_game import MetaGame
from psro.metagame.strategy import MetaStrategy
from psro.metagame.target import sampled_target
from psro.oracles import PPOConfig
from psro.runs import archive, experiment, loggers
from psro.runs import folder as run_folder
from psro.runs.export import export
from psro.runs.intervals import half_interval
from psro.training import trainer
from psro.training.sampled import SampledEvaluator
from psro.views import bounds, curves, page, payoffs, plots, watch
from psro.views.numbers import three_digits
from psro.views.page import document

CONFIG = psro.RunConfig(
    evaluation="sampled",
    iterations=3,
    hidden_size=8,
    tolerance=0.0,
    payoff_error=0.05,
    ppo=PPOConfig(decisions=2048, num_envs=32, num_strata=4, evaluations=2, sequence_length=4),
)


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    return psro.run_many(CONFIG, 2, tmp_path_factory.mktemp("sampled") / "runs")


@pytest.fixture(scope="module")
def folders(seeds):
    return [run.folder for run in seeds.experiments]


@pytest.fixture(scope="module")
def run(seeds):
    return seeds.experiments[0]


@pytest.fixture(scope="module")
def exact(tmp_path_factory):
    config = psro.RunConfig(oracle="best_response", iterations=8, tolerance=0.0)
    return psro.run(config, tmp_path_factory.mktemp("exact") / "run").folder


def points(figure):
    """The markers with bars: (x, y, ends of the bars `[N, 2]`, label)."""
    result = []
    for container in figure.axes[0].containers:
        assert isinstance(container, matplotlib.container.ErrorbarContainer)
        marker, _, (bars,) = container.lines
        assert marker.get_linestyle() == "None" and marker.get_markerfacecolor() == "white"
        ends = np.array([segment[:, 1] for segment in bars.get_segments()])
        result.append((*marker.get_data(), ends, container.get_label()))
    return result


def test_a_bound_is_drawn_where_the_meta_strategy_is_that_it_bounds(run):
    figure = plots.exploitability_figure([run.folder])
    ((x, y, ends, _),) = points(figure)
    np.testing.assert_array_equal(x, [0, 1, 2])  # records 1 to 3
    value = np.array([record.nash_conv_bound for record in run.records[1:]]) / 2
    half = 1.96 * np.array([record.nash_conv_bound_error for record in run.records[1:]]) / 2
    np.testing.assert_allclose(y, value)
    np.testing.assert_allclose(ends, np.stack([value - half, value + half], axis=1))
    (axes,) = figure.axes
    assert axes.get_yscale() == "linear" and "lower bound of exploitability" in axes.get_ylabel()
    low, high = axes.get_ylim()
    assert low < min(0, ends.min()) and high > ends.max()


def test_seeds_are_means_with_student_s_intervals(seeds, folders):
    ((x, y, ends, label),) = points(plots.exploitability_figure(folders, x="decisions"))
    decisions = [[sum(record.decisions) for record in run.records] for run in seeds.experiments]
    np.testing.assert_allclose(x, np.cumsum(decisions, axis=1).mean(axis=0)[:-1])
    values = np.array([[r.bound[0] for r in run.records[1:]] for run in seeds.experiments])
    np.testing.assert_allclose(y, values.mean(axis=0))
    half = [half_interval(at) for at in values.T]
    np.testing.assert_allclose(ends[:, 1] - y, half)
    assert "mean of 2 seeds" in label


def test_exact_curves_and_bounds_share_a_picture(folders, exact, tmp_path):
    figure = plots.exploitability_figure([folders[0], exact])
    (axes,) = figure.axes
    curve = [line for line in axes.lines if line.get_linestyle() == "-" and len(line.get_xdata())]
    assert len(curve) == 1 and len(curve[0].get_xdata()) == 9  # the exact run's alone
    labels = [text.get_text().replace("\n", " ") for text in axes.get_legend().get_texts()]
    assert ["lower bound" in label for label in labels] == [
        "exact" not in label for label in labels
    ]
    assert axes.get_yscale() == "log" and axes.get_ylabel() == curves.GAPS["exploitability"]
    plots.save_figure(figure, tmp_path / "mixed.png")


def test_a_bound_below_a_logarithmic_axis_stands_at_its_end(run, exact):
    last = dataclasses.replace(run.records[-1], nash_conv_bound=-0.02, nash_conv_bound_error=0.1)
    negative = curves.Saved(config=run.config, records=[*run.records[:-1], last])
    chart = curves.chart([negative, curves.read(exact)], "iterations")
    height, below, above, is_below = chart.bounds[0].on_axis(chart.lowest)
    assert is_below.tolist() == [False, False, True]
    assert height[-1] == chart.limits[0] and below[-1] == 0
    assert height[-1] + above[-1] == pytest.approx(-0.01 + 1.96 * 0.05)
    alone = curves.chart([negative], "iterations")
    assert not alone.bounds[0].on_axis(alone.lowest)[-1].any() and alone.limits[0] < -0.1


def test_a_bound_of_players_who_draw_together_is_of_the_cce_gap(run):
    record = dataclasses.replace(run.records[1], concept="cce")
    assert record.bound == (record.nash_conv_bound, record.nash_conv_bound_error)
    together = curves.Saved(config=run.config, records=[run.records[0], record])
    assert "CCE gap" in curves.chart([together], "iterations").y_label


def test_an_ended_seed_counts_on_with_its_last_bound(run):
    def records(*values):
        first, second = run.records[:2]
        given = [
            dataclasses.replace(second, iteration=k, nash_conv_bound=2 * value)
            for k, value in enumerate(values, 1)
        ]
        return [first, *given]

    runs = [records(0.4, 0.2), records(0.4, 0.4, 0.4)]
    places = [np.arange(3.0), np.arange(4.0)]
    x, value, _ = bounds.bounds_at(runs, places, [True, False])
    np.testing.assert_allclose(x, [0, 1, 2])
    np.testing.assert_allclose(value, [0.4, 0.3, 0.3])
    x, value, _ = bounds.bounds_at(runs, places, [False, False])
    np.testing.assert_allclose(value, [0.4, 0.3])


def test_a_run_without_best_responses_has_no_picture(run, tmp_path):
    begun = experiment.create(run.config, tmp_path / "begun", like=run)
    training = begun.train()
    next(training)
    training.close()
    with pytest.raises(plots.PlotError, match="begun has no lower bound"):
        plots.exploitability_figure([begun.folder])
    progress.draw(begun)
    assert not (begun.folder / "exploitability.png").exists()
    content = content_of(begun.folder)
    assert content["facts"][0]["value"] == "–"
    assert not next(s for s in content["sections"] if s["id"] == "gap")["figures"]
    assert "value" in begun.facts() and not any("bound" in name for name in begun.facts())


def content_of(folder):
    return document.of_run(run_folder.snapshot(folder))


def test_a_page_says_which_figures_are_sampled(run):
    content = content_of(run.folder)
    tiles = {tile["label"]: tile for tile in content["facts"]}
    last = run.records[-1]
    tile = tiles["exploitability, lower bound"]
    assert tile["value"] == f"≥ {three_digits(last.bound[0])}"
    assert tile["error"] == three_digits(last.bound[1]) and "iteration 2" in tile["note"]
    assert tiles["value"]["error"] == three_digits(last.value_error[0])
    assert "sampled" in tiles["value"]["note"] and tiles["episodes"]["value"]
    sections = {section["id"]: section for section in content["sections"]}
    assert "behaviour" not in sections
    for table in sections["episodes"]["tables"]:
        assert [row[0] for row in table["rows"]][:3] == ["chance", "chance", "player 0"]
        assert table["rows"][0][2].startswith("Deal") and table["rows"][2][2] in ("Pass", "Bet")
    (trace,) = sections["gap"]["figures"][0]["views"]["iterations"]["data"]
    assert trace["mode"] == "markers" and trace["x"] == [0, 1, 2]
    assert set(trace["marker"]["symbol"]) == {"circle-open"}
    np.testing.assert_allclose(
        trace["error_y"]["array"], [1.96 * r.bound[1] for r in run.records[1:]]
    )
    assert three_digits(run.meta_game.standard_error.max()) in sections["payoffs"]["text"]
    (heat,) = sections["payoffs"]["figures"][0]["views"][""]["data"]
    np.testing.assert_array_equal(heat["customdata"], run.meta_game.standard_error[0])
    gains = sections["best-responses"]["figures"][0]["views"][""]["data"]
    assert [trace["y"] for trace in gains] == [
        [record.improvement[p] for record in run.records[1:]] for p in range(2)
    ]


def test_a_page_of_exact_and_sampled_runs(folders, exact):
    snapshots = [run_folder.snapshot(folder) for folder in (*folders, exact)]
    content = document.of_runs(snapshots)
    assert content["facts"][0]["value"].startswith("≥ ")
    sections = {section["id"]: section for section in content["sections"]}
    gaps = [row[1] for row in sections["runs"]["tables"][0]["rows"]]
    assert [gap.startswith("≥ ") for gap in gaps] == [True, True, False]
    assert (
        len(sections["best-responses"]["figures"][0]["views"][""]["data"]) == 1
    )  # the exact run's
    assert "best-responses" not in [s["id"] for s in document.of_runs(snapshots[:2])["sections"]]
    for view in sections["gap"]["figures"][0]["views"].values():
        plotly.graph_objects.Figure(view)  # checks every name and value


def test_defaults_of_sampled_runs_are_not_shown_as_changed(run, tmp_path):
    config = dataclasses.replace(run.config, payoff_error=0.02, tolerance=0.02)
    plain = dataclasses.replace(
        run_folder.snapshot(run.folder),
        config=dataclasses.replace(config, ppo=PPOConfig().for_sampled_game(), hidden_size=32),
    )
    changed = document.of_run(plain)["sections"][-1]["tables"][0]["rows"]
    assert [name for name, *_ in changed] == ["iterations"]
    own = content_of(run.folder)["sections"][-1]["tables"][0]["rows"]
    assert ["tolerance", "0.0", "1% of the largest return"] in own


def test_payoffs_are_drawn_with_their_largest_error(run):
    figure = plots.payoffs_figure(run_folder.snapshot(run.folder))
    table, bar = figure.axes
    assert table.get_title(loc="left") == "sampled payoff of player 0"
    assert three_digits(run.meta_game.standard_error.max()) in bar.get_ylabel()


def test_errors_of_three_players_payoffs_add_up_in_squares():
    rng = np.random.default_rng(0)
    errors = rng.uniform(size=(3, 2, 2, 2))
    weights = [rng.dirichlet(np.ones(2)) for _ in range(3)]
    tables = payoffs.error_tables(errors, weights, [(2, 0)])
    expected = np.sqrt(np.einsum("abc,b->ca", errors[2] ** 2, weights[1] ** 2))
    np.testing.assert_allclose(tables[2, 0], expected)


def test_an_exported_run_has_the_same_page(run, tmp_path):
    file = export(run.folder, tmp_path / "run.psro")
    with archive.as_folder(file) as unpacked:
        again = run_folder.snapshot(unpacked, foreign=True)
    alike = dataclasses.replace(again, folder=run.folder)
    assert page.as_json(document.of_run(alike)) == page.as_json(content_of(run.folder))


def test_the_live_page(run):
    live = json.loads(watch.Watched(run.folder).document())
    assert live["ended"] and live["facts"] == content_of(run.folder)["facts"]


def test_a_bound_is_of_the_measured_meta_strategy():
    """Not of the one that best responses train against; and of none whose policies have changed."""
    rng = np.random.default_rng(0)
    payoffs = rng.normal(size=(3, 3))
    table = MetaGame(
        payoffs=np.stack([payoffs, -payoffs]),
        standard_error=rng.uniform(size=(2, 3, 3)),
        episodes=np.full((3, 3), 9),
    )
    evaluator = SampledEvaluator(matches=None, first_matches=1, error=0.1, total=0.0, softmax=True)
    first, second = np.array([1.0, 0.0]), np.array([0.25, 0.75])
    trained = MetaStrategy.of([first, first]).padded(3)
    target = sampled_target(table, trained, capacity=3)
    measured = MetaStrategy.of([second, second])
    outcome = evaluator.outcome(table, trained, target, 2, measured)
    assert outcome.nash_conv_bound == pytest.approx(
        payoffs[2, :2] @ second - payoffs[:2, 2] @ second
    )
    squares = np.square(table.standard_error)
    variance = squares[0, 2, :2] @ second**2 + squares[1, :2, 2] @ second**2
    assert outcome.nash_conv_bound_error == pytest.approx(np.sqrt(variance))
    np.testing.assert_allclose(outcome.achieved_value, [payoffs[2, 0], -payoffs[0, 2]])
    assert trainer._unchanged(measured, [2, 3]) is measured
    assert trainer._unchanged(measured, [1, 2]) is None
    assert evaluator.outcome(table, trained, target, 2, None).nash_conv_bound is None


def test_a_summary_has_values_and_bounds_instead_of_distances(seeds, folders):
    summary = pd.read_csv(seeds.folder / "summary.csv")
    assert not any(name.startswith(("distance", "exploitability")) for name in summary)
    metrics = [pd.read_csv(folder / "metrics.csv") for folder in folders]
    for name in ("value_0", "value_1", "nash_conv_bound"):
        values = np.array([table[name] for table in metrics])
        np.testing.assert_allclose(summary[f"{name}_mean"], values.mean(axis=0))
        half = [half_interval(at) for at in values.T]
        np.testing.assert_allclose(summary[f"{name}_ci95"], half)
    assert math.isnan(summary.nash_conv_bound_mean[0])


def test_descriptions_say_bounds_and_errors(seeds, run, capsys):
    facts = run.facts()
    value, error = run.records[-1].bound
    assert facts["lower bound of the exploitability of iteration 2"] == f"{value:.6g} ± {error:.2g}"
    assert "±" in facts["value"] and "exploitability" not in facts
    said = seeds.facts()
    assert "±" in said["mean value 0"] and "mean lower bound of the NashConv before" in said
    assert "mean exploitability" not in said and run.folder.name in repr(run)


def test_the_terminal_shows_values_and_bounds_with_their_errors(seeds, run, capsys):
    with display.display(run):
        out = capsys.readouterr().out
    record, unit = run.records[-1], run.rules.span
    assert "measured by episodes" in out and "improvement" in out
    assert f"{record.value[0]:.4f} ± {record.value_error[0]:.4f}" in out
    assert f"{record.nash_conv_bound:.4f} ± {record.nash_conv_bound_error:.4f}" in out
    value, error = record.bound
    assert display.bound(record, unit) == f"{value:.4f} ± {error:.4f}"
    table, last = display.MeansTable(run), seeds.summary().iloc[-1]
    mean = f"{last.value_0_mean:.4f} ± {last.value_0_ci95:.4f}"
    assert "value, 95 %" in table.head() and mean in table.line(last, 1.0)
    assert f"value {mean} (95 %), measured by episodes" in table.result(last)
    bounded = f"≥ {last.nash_conv_bound_mean:.4f} ± {last.nash_conv_bound_ci95:.4f} (95 %)"
    assert bounded in table.result(last)


def test_loggers_get_the_errors_beside_the_figures(run):
    scalars = loggers.scalars(run.records[-1])
    for name in ("value_0", "value_error_0", "improvement_error_1", "nash_conv_bound_error"):
        assert isinstance(scalars[name], float)
    assert "exploitability" not in scalars and "nash_conv" not in scalars
