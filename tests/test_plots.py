"""Figures from experiment folders. The folders are synthetic: plots reads files and no more."""

import json
import math
from pathlib import Path

import matplotlib.collections
import numpy as np
import pytest
import scipy.stats

from psro.runs.config import RunConfig
from psro.runs.folder import Snapshot
from psro.views.plots import (
    AXES,
    FLOOR,
    PlotError,
    exploitability_figure,
    payoffs_figure,
    save_figure,
)

CONFIG = {"game": "kuhn_poker", "seed": 0, "cell": "lstm", "ppo": {"learning_rate": 0.01}}


@pytest.fixture
def make(tmp_path):
    """Makes a folder of a run with these exploitabilities; keyword arguments change its config."""

    def make(name, exploitability, *, decisions=10, ppo=None, **changes):
        folder = tmp_path / name
        folder.mkdir()
        config = {**CONFIG, **changes, "ppo": {**CONFIG["ppo"], **(ppo or {})}}
        (folder / "config.json").write_text(json.dumps({"format_version": 1, "run": config}))
        rows = ["iteration,exploitability,decisions_0,decisions_1,seconds_oracle,seconds_exact"]
        for number, value in enumerate(exploitability):
            own = decisions if number else 0  # iteration 0 trains nothing
            rows.append(f"{number},{value!r},{own},{2 * own},0.5,0.25")
        (folder / "metrics.csv").write_text("\n".join(rows) + "\n")
        return folder

    return make


def lines(figure):
    """The curves as (x, y, label)."""
    return [(*line.get_data(), line.get_label()) for line in figure.axes[0].lines]


def bands(figure):
    """The bands as (x, lower end, upper end)."""
    result = []
    for band in figure.axes[0].collections:
        assert isinstance(band, matplotlib.collections.PolyCollection)
        x, y = band.get_paths()[0].vertices.T
        grid = np.unique(x)
        result.append((grid, [y[x == at].min() for at in grid], [y[x == at].max() for at in grid]))
    return result


def labels(figure):
    legend = figure.axes[0].get_legend()
    return None if legend is None else [text.get_text() for text in legend.get_texts()]


def test_one_run_is_drawn_as_it_is(make):
    figure = exploitability_figure([make("run", [0.5, 0.25, 0.125])])
    ((x, y, _),) = lines(figure)
    np.testing.assert_allclose(x, [0, 1, 2])
    np.testing.assert_allclose(y, [0.5, 0.25, 0.125])
    (axes,) = figure.axes
    assert axes.get_yscale() == "log"
    assert axes.get_title(loc="left") == "kuhn_poker"
    assert "NashConv / players" in axes.get_ylabel()
    assert labels(figure) is None and not bands(figure)


@pytest.mark.parametrize(
    ("axis", "expected"),
    [
        ("iterations", [0, 1, 2, 3]),
        ("decisions", [0, 30, 60, 90]),  # both learners' added up, from the start
        ("seconds", [0.75, 1.5, 2.25, 3.0]),  # all parts added up
    ],
)
def test_horizontal_axes(make, axis, expected):
    figure = exploitability_figure([make("run", [0.4, 0.3, 0.2, 0.1])], x=axis)
    ((x, _, _),) = lines(figure)
    np.testing.assert_allclose(x, expected)
    assert figure.axes[0].get_xlabel() == AXES[axis]


def test_seeds_become_one_curve_with_a_band(make):
    curves = np.array([[0.5, 0.1], [0.4, 0.2], [0.3, 0.4]])
    figure = exploitability_figure(
        [make(f"seed{seed}", curve, seed=seed) for seed, curve in enumerate(curves.tolist())]
    )
    ((x, y, _),) = lines(figure)
    np.testing.assert_allclose(y, curves.mean(axis=0))
    ((grid, lower, upper),) = bands(figure)
    np.testing.assert_allclose(grid, x)
    by_scipy = scipy.stats.t.interval(0.95, 2, y, scipy.stats.sem(curves, axis=0))
    np.testing.assert_allclose(lower, np.maximum(by_scipy[0], FLOOR))
    np.testing.assert_allclose(upper, by_scipy[1])
    assert lower[1] == FLOOR < lower[0]  # an end below zero, which the axis does not reach down to
    assert figure.axes[0].get_ylim()[0] == pytest.approx(0.05)
    assert labels(figure) == ["kuhn_poker (3 seeds: mean, 95 % interval)"]


def test_seeds_of_different_length_end_with_the_shortest(make):
    short, long = make("a", [0.4, 0.2], seed=1), make("b", [0.4, 0.2, 0.1], seed=2)
    ((x, y, _),) = lines(exploitability_figure([long, short]))
    np.testing.assert_allclose(x, [0, 1])
    np.testing.assert_allclose(y, [0.4, 0.2])


def test_seeds_that_were_measured_elsewhere_are_interpolated_on_the_logarithmic_axis(make):
    # Both lie on exp(-x / 60), a straight line on the axis of the figure: so must their mean.
    folders = [
        make(
            f"every{own}", [math.exp(-3 * own * k / 60) for k in range(5)], decisions=own, seed=own
        )
        for own in (10, 15)
    ]
    ((x, y, _),) = lines(exploitability_figure(folders, x="decisions"))
    np.testing.assert_allclose(x, sorted({*range(0, 121, 30), *range(0, 121, 45)}))
    np.testing.assert_allclose(y, np.exp(-x / 60))


def test_the_legend_says_only_what_differs(make):
    runs = [
        make("slow", [0.5, 0.4], ppo={"learning_rate": 0.001}),
        make("fast", [0.5, 0.3], ppo={"learning_rate": 0.1}),
        make("fast1", [0.5, 0.3], ppo={"learning_rate": 0.1}, seed=1),
    ]
    figure = exploitability_figure(runs)
    assert labels(figure) == [
        "ppo.learning-rate 0.001",
        "ppo.learning-rate 0.1 (2 seeds: mean, 95 % interval)",
    ]
    assert len(lines(figure)) == 2 and len(bands(figure)) == 1
    assert len({line.get_color() for line in figure.axes[0].lines}) == 2


def test_games_are_told_apart_by_their_names(make):
    folders = [make("a", [0.5]), make("b", [0.4], game="leduc_poker", cell="gru")]
    figure = exploitability_figure(folders)
    assert labels(figure) == ["kuhn_poker, cell lstm", "leduc_poker, cell gru"]
    assert figure.axes[0].get_title(loc="left") == "Gap to the equilibrium"


def test_a_setting_that_only_one_config_names_differs(make):
    # As between a folder of today and one of a later version, which has more settings.
    figure = exploitability_figure([make("old", [0.5]), make("new", [0.4], layers=2)])
    first, second = labels(figure)
    assert first != second and "layers 2" in second


@pytest.mark.parametrize("nothing", [0.0, -1e-17])  # a difference of two sums may round below zero
def test_no_exploitability_is_drawn_at_the_floor(make, tmp_path, nothing):
    figure = exploitability_figure([make("run", [0.5, nothing])])
    ((_, y, _),) = lines(figure)
    np.testing.assert_allclose(y, [0.5, FLOOR])
    save_figure(figure, tmp_path / "figure.png")


@pytest.mark.parametrize(
    ("name", "start"), [("a.png", b"\x89PNG\r\n"), ("a.PNG", b"\x89PNG\r\n"), ("a.svg", b"<?xml")]
)
def test_the_ending_decides_the_format(make, tmp_path, name, start):
    figure = exploitability_figure([make("run", [0.5, 0.25])])
    path = save_figure(figure, tmp_path / name)
    content = path.read_bytes()
    assert path == tmp_path / name
    assert content.startswith(start) and len(content) > 5000


@pytest.mark.parametrize("name", ["a.gif", "a", "png", "a.png.txt", "nowhere/a.png", "taken.png"])
def test_a_picture_that_cannot_be_written(make, tmp_path, name):
    (tmp_path / "taken.png").mkdir()
    figure = exploitability_figure([make("run", [0.5])])
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(PlotError) as error:
        save_figure(figure, tmp_path / name)
    assert str(tmp_path / name) in str(error.value) and "\n" not in str(error.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_an_unknown_axis(make):
    with pytest.raises(PlotError, match=r"'hours'.*iterations, decisions, seconds"):
        exploitability_figure([make("run", [0.5])], x="hours")


def test_no_folder():
    with pytest.raises(PlotError, match="no folder"):
        exploitability_figure([])


@pytest.mark.parametrize("missing", ["config.json", "metrics.csv", "both", "folder", "a file"])
def test_a_folder_that_is_no_experiment(make, missing):
    folder = make("run", [0.5])
    for name in ("config.json", "metrics.csv"):
        if missing not in ("config.json", "metrics.csv") or missing == name:
            (folder / name).unlink()
    if missing in ("folder", "a file"):
        folder.rmdir()
    if missing == "a file":
        folder.write_text("no folder")
    assert_refused(folder)


HEADER = "iteration,exploitability,decisions_0,seconds_oracle\n"


@pytest.mark.parametrize(
    "content",
    [
        "",
        "\n\n",
        HEADER,  # no rows
        "iteration,value\n0,0.5\n",
        "exploitability\n0.5\n",
        HEADER + "0,half,0,1\n",
        HEADER + "0,nan,0,1\n",
        HEADER + "0,inf,0,1\n",
        HEADER + "0,,0,1\n",
        HEADER + "zero,0.5,0,1\n",
        HEADER + ",0.5,0,1\n",  # no iteration
        HEADER + "0,0.5,0,1\n1,0.5,0,1,2,3,4\n",
        b"\x89PNG\r\n\x1a\n\xff\xfe",
    ],
    ids=repr,
)
def test_damaged_metrics(make, content):
    folder = make("run", [0.5])
    content = content if isinstance(content, bytes) else content.encode()
    (folder / "metrics.csv").write_bytes(content)
    assert_refused(folder)


@pytest.mark.parametrize("axis", ["decisions", "seconds"])
@pytest.mark.parametrize("content", ["0,0.5,many,long\n", "0,0.5\n"])
def test_metrics_that_are_damaged_only_on_another_axis(make, axis, content):
    folder = make("run", [0.5])
    (folder / "metrics.csv").write_text(HEADER + content)
    assert_refused(folder, x=axis)


@pytest.mark.parametrize("axis", ["decisions", "seconds"])
def test_metrics_without_the_axis(make, axis):
    folder = make("run", [0.5])
    (folder / "metrics.csv").write_text("iteration,exploitability\n0,0.5\n1,0.4\n")
    assert_refused(folder, x=axis)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "7",
        "null",
        "{}",
        '{"run": null}',
        '{"run": 7}',
        '{"run": [1]}',
        '{"run": {}}',
        '{"run": {"seed": 0}}',
        b"\xff\xfe\x00",
    ],
    ids=repr,
)
def test_a_damaged_config(make, content):
    folder = make("run", [0.5])
    content = content if isinstance(content, bytes) else content.encode()
    (folder / "config.json").write_bytes(content)
    assert_refused(folder)


def assert_refused(folder, **options):
    with pytest.raises(PlotError) as error:
        exploitability_figure([folder], **options)
    assert str(folder) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("concept", "gaps"), [("nash", ["exploitability"]), ("cce", ["cce_gap"]), ("ce", None)]
)
def test_a_curve_for_each_gap_of_the_concept(make, concept, gaps):
    folder = make("run", [0.5, 0.25])
    columns = {"exploitability": [0.5, 0.25], "cce_gap": [0.4, 0.2], "ce_gap": [0.8, 0.1]}
    rows = ["iteration,concept," + ",".join(columns)]
    rows += [
        f"{k},{concept}," + ",".join(str(each[k]) for each in columns.values()) for k in range(2)
    ]
    (folder / "metrics.csv").write_text("\n".join(rows) + "\n")
    figure = exploitability_figure([folder])
    drawn = gaps or ["cce_gap", "ce_gap"]
    values = [y for _, y, _ in lines(figure)]
    np.testing.assert_allclose(values, [columns[name] for name in drawn])
    if concept == "ce":
        assert labels(figure) == ["kuhn_poker, CCE gap", "kuhn_poker, CE gap"]


def run_of(payoffs, *strategies):
    """A run that has ended in these payoffs and this meta-strategy."""
    return Snapshot(
        folder=Path("run"),
        config=RunConfig(),
        game="kuhn_poker",
        records=[],
        payoffs=payoffs,
        meta_strategies=[list(strategies)],
    )


def images(figure):
    return [
        (axes.get_title(loc="left"), np.asarray(axes.images[0].get_array()))
        for axes in figure.axes
        if axes.images
    ]


def test_payoffs_of_two_players():
    """One table where it says it all, two where it does not."""
    table = np.random.default_rng(0).normal(size=(3, 4))
    uniform = np.full(3, 1 / 3), np.full(4, 1 / 4)
    ((title, image),) = images(payoffs_figure(run_of(np.stack([table, -table]), *uniform)))
    assert title == "payoff of player 0"
    np.testing.assert_array_equal(image, table)
    twice = run_of(np.stack([table, 2 * table]), *uniform)
    (_, first), (title, second) = images(payoffs_figure(twice))
    assert title == "payoff of player 1"
    np.testing.assert_array_equal(first, table)
    np.testing.assert_array_equal(second, 2 * table.T)


def test_payoffs_of_three_players_are_small_multiples():
    """Who is not in a panel draws from its own marginal."""
    rng = np.random.default_rng(1)
    payoffs, weights = rng.normal(size=(3, 2, 3, 4)), [rng.dirichlet(np.ones(n)) for n in (2, 3, 4)]
    panels = images(payoffs_figure(run_of(payoffs, *weights)))
    assert len(panels) == 6
    expected = np.einsum("abc,b->ac", payoffs[2], weights[1]).T  # 2 against 0
    np.testing.assert_allclose(panels[4][1], expected)


def test_payoffs_that_are_not_there_yet():
    with pytest.raises(PlotError, match="run has no finished iteration yet"):
        payoffs_figure(run_of(None))


def test_a_seed_that_has_converged_counts_on_with_what_it_came_to(make):
    """As in `summary.csv`."""
    runs = [
        make("converged", [0.4, 0.02], seed=1, tolerance=0.05),
        make("long", [0.4, 0.2, 0.1], seed=2, tolerance=0.05),
    ]
    for axis in AXES:
        ((_, y, _),) = lines(exploitability_figure(runs, x=axis))
        np.testing.assert_allclose(y, [0.4, 0.11, 0.06])
    runs = [
        make("a", [0.4, 0.02], seed=3, tolerance=0.05),
        make("b", [0.04], seed=4, tolerance=0.05),
    ]
    ((x, y, _),) = lines(exploitability_figure(runs))  # nothing goes on
    np.testing.assert_allclose(x, [0, 1])
    np.testing.assert_allclose(y, [0.22, 0.03])


def test_a_tolerance_that_is_no_number_is_refused(make):
    with pytest.raises(PlotError, match="tolerance = 'none' must be a number"):
        exploitability_figure([make("run", [0.4], tolerance="none")])
