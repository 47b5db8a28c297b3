"""Figures from experiment folders. The folders are synthetic: nothing is trained for them."""

import dataclasses
import math
from pathlib import Path

import matplotlib.collections
import numpy as np
import pytest
import scipy.stats

from psro.oracles import PPOConfig
from psro.runs import folder as run_folder
from psro.runs import naming, storage
from psro.runs.config import RunConfig
from psro.runs.folder import Snapshot
from psro.runs.storage import ExperimentError
from psro.training.record import Record
from psro.variants.published import VARIANTS
from psro.views import curves, settings
from psro.views.curves import AXES, FLOOR
from psro.views.plots import PlotError, exploitability_figure, payoffs_figure, save_figure

CONFIG = RunConfig(evaluation_solver="same", init="scratch")


def record(iteration, exploitability, decisions, gaps):
    """Of a run whose players have one policy each, with this exploitability."""
    trained = iteration > 0
    return Record(
        iteration=iteration,
        exploitability=exploitability,
        nash_conv=2 * exploitability,
        cce_gap=gaps.get("cce_gap"),
        ce_gap=gaps.get("ce_gap"),
        concept=gaps.get("concept", "nash"),
        meaning="",
        value=(0.0, 0.0),
        best_response_value=(0.0, 0.0),
        achieved_value=(0.0, 0.0) if trained else None,
        improvement=(1.0, 1.0) if trained else None,
        gap=(0.0, 0.0) if trained else None,
        meta_regret=0.0,
        size=1,
        support_size=(1, 1),
        decisions=(decisions, 2 * decisions) if trained else (0, 0),
        episodes=(0, 0),
        seconds={"oracle": 0.5, "exact": 0.25},
    )


@pytest.fixture
def make(tmp_path):
    """Makes a folder of a run with these exploitabilities; keyword arguments change its config."""

    def make(name, exploitability, *, decisions=10, gaps=(), **changes):
        folder = tmp_path / name
        folder.mkdir()
        run_folder.begin(folder, dataclasses.replace(CONFIG, **changes))
        records = [
            record(k, float(value), decisions, gaps[k] if gaps else {})
            for k, value in enumerate(exploitability)
        ]
        info = {"records": [dataclasses.asdict(each) for each in records]}
        info["policies"] = ["digest"] * len(records)
        tensors = {"payoffs": np.zeros((2, 1, 1))}
        for strategy in ("meta_strategy", "evaluation"):
            tensors |= {f"{strategy}/{p}": np.ones(1) for p in range(2)}
        if records:
            storage.write_tensors(folder / run_folder.COMMIT, tensors, info)
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
    values = np.array([[0.5, 0.1], [0.4, 0.2], [0.3, 0.4]])
    figure = exploitability_figure(
        [make(f"seed{seed}", curve, seed=seed) for seed, curve in enumerate(values.tolist())]
    )
    ((x, y, _),) = lines(figure)
    np.testing.assert_allclose(y, values.mean(axis=0))
    ((grid, lower, upper),) = bands(figure)
    np.testing.assert_allclose(grid, x)
    half = scipy.stats.t.ppf(0.975, 2) * scipy.stats.sem(values, axis=0)
    np.testing.assert_allclose(np.log(upper / y), half / y)
    np.testing.assert_allclose(np.log(y / lower), half / y)
    assert half[1] > y[1] and lower[1] > FLOOR  # on a plain scale it would go below zero
    low, high = figure.axes[0].get_ylim()
    assert 0.05 < low < 0.1 and 0.5 < high < 1  # the seeds, whatever the band
    assert labels(figure) == ["psro (3 seeds: mean, 95 % interval)"]


@pytest.mark.parametrize("seeds", [2, 3, 5, 20])
def test_an_interval_never_falls_to_the_floor(seeds):
    """Not even where all seeds but one have come to zero: `h / mean` is then the t quantile."""
    values = np.full((seeds, 1), FLOOR)
    values[0] = 1.0
    mean, lower, upper = curves.interval(values)
    quantile = scipy.stats.t.ppf(0.975, seeds - 1)
    np.testing.assert_allclose(np.log(mean / lower), quantile, rtol=1e-6)
    assert 0 < lower[0] < mean[0] < upper[0] and lower[0] > 1e-6 / seeds


def test_the_interval_is_student_s_where_the_seeds_are_close():
    values = 0.3 + 1e-4 * np.random.default_rng(0).normal(size=(6, 4))
    mean, lower, upper = curves.interval(values)
    for ends, expected in zip(
        (lower, upper),
        scipy.stats.t.interval(0.95, 5, mean, scipy.stats.sem(values, axis=0)),
        strict=True,
    ):
        np.testing.assert_allclose(ends, expected, atol=1e-7)


def test_the_interval_holds_the_mean_of_skewed_seeds_more_often_than_the_plain_one():
    """Exploitabilities of seeds are skewed: here log-normal, of mean exp(1 / 8)."""
    values = np.exp(0.5 * np.random.default_rng(0).normal(size=(5, 4000)))
    mean, lower, upper = curves.interval(values)
    plain = scipy.stats.t.ppf(0.975, 4) * scipy.stats.sem(values, axis=0)
    true = math.exp(1 / 8)
    held = np.mean((lower <= true) & (true <= upper))
    assert 0.92 < held < 0.96 and held > np.mean(abs(mean - true) <= plain)


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
    fast, slow = PPOConfig(learning_rate=0.1), PPOConfig(learning_rate=0.001)
    runs = [
        make("slow", [0.5, 0.4], ppo=slow),
        make("fast", [0.5, 0.3], ppo=fast),
        make("fast1", [0.5, 0.3], ppo=fast, seed=1),
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


def test_variants_are_called_by_their_names(make):
    plain = {"evaluation_solver": "least_exploitable", "init": "perturbed"}
    folders = [
        make("psro", [0.5]),
        make("apsro", [0.4], expansion="anytime"),
        make("more rounds", [0.4], expansion="anytime", rounds=20),
        make("plain", [0.3], **plain),
        make("gru", [0.3], cell="gru", **plain),
        make("own", [0.3], meta_solver="uniform", evaluation_solver="nash"),
    ]
    assert labels(exploitability_figure(folders)) == [
        "psro", "apsro, rounds 10", "apsro, rounds 20", "default, cell lstm", "default, cell gru",
        "meta-solver uniform, measured by nash",
    ]  # fmt: skip


def test_tables_have_no_cell_in_the_legend(make):
    """What nothing reads neither sets runs apart nor is said."""
    exact = {"oracle": "best_response"}
    folders = [make("a", [0.5], **exact), make("b", [0.5], cell="gru", seed=1, **exact)]
    assert labels(exploitability_figure(folders)) == ["psro (2 seeds: mean, 95 % interval)"]
    both = [*folders, make("c", [0.4], oracle="ppo", cell="gru")]
    assert labels(exploitability_figure(both)) == [
        "oracle best_response (2 seeds: mean, 95 % interval)",
        "oracle ppo",
    ]


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_is_recognised_by_its_settings(name):
    config = RunConfig.from_json(dict(VARIANTS[name].settings))
    assert naming.variant_of(config) == name


def test_files_of_one_name_are_told_apart_by_their_folders():
    games = [RunConfig(game=f"{folder}/game.csv") for folder in "ab"]
    assert settings.labels(games) == ["a/game.csv", "b/game.csv"]
    assert settings.labels([games[0], RunConfig()]) == ["game.csv", "kuhn_poker"]


@pytest.mark.parametrize("count", [1, 2, 4, 13])
def test_counts_have_ticks_at_whole_numbers(make, count):
    figure = exploitability_figure([make("run", np.linspace(0.5, 0.1, count))])
    ticks = figure.axes[0].get_xticks()
    np.testing.assert_array_equal(ticks, np.round(ticks))


@pytest.mark.parametrize(
    "lowest, highest",
    [(0.24, 2.4), (0.3, 0.9), (3, 250), (1e-3, 2e-3), (1e-3, 2), (1e-9, 1), (1e-7, 3e-6)],
)
def test_ticks_of_the_logarithmic_axis(lowest, highest):
    """Two at least, whose texts are the numbers."""
    ticks = curves._ticks(lowest, highest)
    raised = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
    assert 2 <= len(ticks) <= 12
    for tick, text in ticks.items():
        assert lowest <= tick <= highest
        digit, ten, power = text.removeprefix("≤ ").partition("10")
        if any(letter in text for letter in "⁰¹²³⁴⁵⁶⁷⁸⁹"):
            said = float(digit.rstrip("×") or 1) * 10 ** int(power.translate(raised))
        else:
            said = float(text)
        assert said == pytest.approx(tick)


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


@pytest.mark.parametrize("missing", ["config.json", "both", "folder", "a file"])
def test_a_folder_that_is_no_experiment(make, tmp_path, missing):
    folder = make("run", [])
    (folder / "config.json").unlink()
    if missing in ("folder", "a file"):
        folder.rename(tmp_path / "elsewhere")
    if missing == "a file":
        folder.write_text("no folder")
    assert_refused(folder, ExperimentError)


def test_a_run_without_a_finished_iteration(make):
    assert_refused(make("run", []), PlotError)


@pytest.mark.parametrize("content", ["", "[]", '{"run": {}}', b"\xff\xfe\x00"], ids=repr)
def test_a_damaged_config(make, content):
    folder = make("run", [0.5])
    content = content if isinstance(content, bytes) else content.encode()
    (folder / "config.json").write_bytes(content)
    assert_refused(folder, ExperimentError)


def assert_refused(folder, kind):
    with pytest.raises(kind) as error:
        exploitability_figure([folder])
    assert str(folder) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("concept", "gaps"), [("nash", ["exploitability"]), ("cce", ["cce_gap"]), ("ce", None)]
)
def test_a_curve_for_each_gap_of_the_concept(make, concept, gaps):
    columns = {"exploitability": [0.5, 0.25], "cce_gap": [0.4, 0.2], "ce_gap": [0.8, 0.1]}
    measured = [{name: each[k] for name, each in columns.items()} for k in range(2)]
    measured = [each | {"concept": concept} for each in measured]
    folder = make("run", columns["exploitability"], gaps=measured, meta_solver="mgcce")
    figure = exploitability_figure([folder])
    drawn = gaps or ["cce_gap", "ce_gap"]
    values = [y for _, y, _ in lines(figure)]
    np.testing.assert_allclose(values, [columns[name] for name in drawn])
    if concept == "ce":
        assert labels(figure) == ["jpsro_cce, CCE gap", "jpsro_cce, CE gap"]


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
