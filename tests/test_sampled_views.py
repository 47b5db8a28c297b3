"""Plots, pages, tables and summaries of sampled runs: bounds and errors, never an exact gap."""

import dataclasses
import math

import matplotlib.container
import numpy as np
import pandas as pd
import pytest

import psro
from psro.cli import progress
from psro.oracles import PPOConfig
from psro.runs import experiment, loggers
from psro.runs.intervals import half_interval
from psro.views import bounds, curves, plots

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
    assert "value" in begun.facts() and not any("bound" in name for name in begun.facts())


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


def test_loggers_get_the_errors_beside_the_figures(run):
    scalars = loggers.scalars(run.records[-1])
    for name in ("value_0", "value_error_0", "improvement_error_1", "nash_conv_bound_error"):
        assert isinstance(scalars[name], float)
    assert "exploitability" not in scalars and "nash_conv" not in scalars
