"""The documentation is true: its files run, its numbers are those of the engine and of OpenSpiel,
its commands exist, and every page and module has its place."""

from __future__ import annotations

import fractions
import itertools
import pkgutil
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyspiel
import pytest
from browser import chromium, console_errors, requested, wait_for
from open_spiel.python import policy as openspiel_policy
from open_spiel.python.algorithms import expected_game_score, exploitability

import games
import psro
from psro import cli, exact
from psro.metagame.solvers import META_SOLVERS, meta_solver
from psro.oracles import ORACLES
from psro.policies.networks import CELLS
from psro.views.server import LoopbackServer

ROOT = Path(__file__).resolve().parent.parent
DOCS, EXAMPLES = ROOT / "docs", ROOT / "examples"
PAGES = {str(path.relative_to(DOCS)): path.read_text("utf-8") for path in DOCS.rglob("*.md")}


@pytest.fixture(autouse=True)
def plugins_as_before(monkeypatch, tmp_path):
    """Examples register plug-ins: other tests, which go through the dicts, must not meet them."""
    monkeypatch.chdir(tmp_path)
    before = [(each, dict(each)) for each in (CELLS, META_SOLVERS, ORACLES)]
    yield
    for plugins, content in before:
        plugins.clear()
        plugins.update(content)


def example(name: str, run: bool = False) -> dict[str, object]:
    return runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__" if run else name)


def commands(page: str) -> list[str]:
    """Lines of its blocks of bash."""
    blocks = re.findall(r"^```bash\n(.*?)^```", PAGES[page], re.M | re.S)
    return [line.partition("#")[0].split() for block in blocks for line in block.splitlines()]


# What the pages include.


def test_every_example_is_on_a_page():
    included = set(re.findall(r'--8<-- "examples/(\w+)\.py"', "".join(PAGES.values())))
    assert included == {path.stem for path in EXAMPLES.glob("*.py")}


@pytest.mark.parametrize(
    "name", ["own_meta_solver", "own_oracle", "own_cell", "own_game", "own_matrix"]
)
def test_an_example_finds_the_equilibrium(name, capsys):
    example(name, run=True)
    printed = dict(line.split(" ", 1) for line in capsys.readouterr().out.splitlines())
    assert float(printed["exploitability"]) <= (1e-2 if name == "own_cell" else 1e-5)
    again = psro.load(Path("experiments", name.replace("_", "-")))  # what it registered is known
    assert again.exploitability() == pytest.approx(float(printed["exploitability"]), abs=1e-6)
    if "worth" in printed:
        assert printed["worth"] == "0.333333 to player 0"  # by hand, in the example's docstring


@pytest.mark.parametrize(
    "game", ["kuhn_poker", "leduc_poker", "liars_dice(numdice=1,dice_sides=2)"]
)
def test_the_softmax_response_loses_at_most_its_entropy(game):
    """Its return is at least the best one less TEMPERATURE times the most entropy on the way."""
    names, rng = example("own_oracle"), np.random.default_rng(0)
    tree = games.load(game)
    for p, mine in enumerate(tree.players):
        against = []
        for player in tree.players:
            weights = rng.exponential(size=player.num_sequences)
            sums = np.bincount(player.info_state[1:], weights=weights[1:])
            weights[1:] /= sums[player.info_state[1:]]
            against.append(exact.realization_plan(player, weights))
        gains, reach = exact.gains_and_reach(tree, p, against)
        plan = exact.realization_plan(mine, names["softmax_response"](mine, gains, reach))
        lost = exact.best_response_to(mine, gains).value - gains @ plan
        most = names["TEMPERATURE"] * mine.num_levels * np.log(tree.num_actions)
        assert -1e-12 <= lost <= most


def test_the_game_s_equilibrium_is_the_one_by_hand():
    """OpenSpiel takes the NashConv of what the docstring says."""
    example("own_game")
    game = pyspiel.load_game("one_card_bluff")
    pyspiel.random_sim_test(game, 20, False, False)
    mixed = openspiel_policy.TabularPolicy(game)
    for info_state, bets in (
        ("player 0 has 0", 1 / 3),
        ("player 0 has 1", 1),
        ("player 1 sees a bet", 2 / 3),
    ):
        mixed.action_probability_array[mixed.state_lookup[info_state]] = [1 - bets, bets]
    assert exploitability.nash_conv(game, mixed) == pytest.approx(0, abs=1e-12)
    value = expected_game_score.policy_value(game.new_initial_state(), [mixed] * 2)
    assert value == pytest.approx([1 / 3, -1 / 3])


def test_the_command_with_plugins(monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    example("my_psro")
    options = "--oracle best_response --iterations 2 --meta-solver recency(decay=0.8) --out mine"
    cli.main(["run", *options.split()])
    cli.main(["eval", "mine", "--json"])
    del META_SOLVERS["recency"]
    with pytest.raises(SystemExit):
        cli.main(["eval", "mine"])
    assert "unknown meta-solver 'recency'" in capsys.readouterr().err
    for name in ("own_cell", "own_game", "own_meta_solver", "own_oracle"):
        sys.modules.pop(name)


def test_a_setting_is_refused_as_the_page_says():
    example("own_meta_solver")
    with pytest.raises(ValueError) as refused:
        meta_solver("recency(decay=3)")
    assert f"psro: {refused.value}\n" in PAGES["how_to/meta_solver.md"]


# The numbers of the mathematics.


def table() -> dict[str, fractions.Fraction]:
    rows = re.findall(r"^\| ([^|`]+) \| (-?\d+(?:/\d+)?) \|$", PAGES["mathematics.md"], re.M)
    return {name: fractions.Fraction(number) for name, number in rows}


def test_the_numbers_by_hand_are_the_engine_s():
    numbers, by_hand = example("kuhn_exact")["numbers"](), table()
    assert list(numbers) == list(by_hand)
    for name, number in numbers.items():
        assert number == pytest.approx(float(by_hand[name]), abs=1e-9), name


def test_the_numbers_by_hand_are_openspiel_s():
    by_hand, game = table(), pyspiel.load_game("kuhn_poker")
    uniform = openspiel_policy.UniformRandomPolicy(game)
    assert exploitability.nash_conv(game, uniform) == pytest.approx(
        float(by_hand["uniform: NashConv"])
    )

    def always(action: int) -> openspiel_policy.Policy:
        return openspiel_policy.tabular_policy_from_callable(game, lambda state: [(action, 1.0)])

    for (mine, first), (theirs, second) in itertools.product(
        enumerate(["pass", "bet"]), enumerate(["pass", "bet"])
    ):
        value = expected_game_score.policy_value(
            game.new_initial_state(), [always(mine), always(theirs)]
        )
        assert value[0] == pytest.approx(float(by_hand[f"{first} against {second}"]))


def test_the_family_of_kuhn_s_equilibria():
    """As the page gives it for player 0: no reply of player 1 makes it get less than -1/18."""
    tree = games.load("kuhn_poker")
    me = tree.players[0]
    for alpha in (0, 1 / 6, 1 / 3):
        bets = {"0": alpha, "1": 0, "2": 3 * alpha, "0pb": 0, "1pb": alpha + 1 / 3, "2pb": 1}
        behaviour = np.ones(me.num_sequences)
        for info_state, name in enumerate(me.names):
            behaviour[me.first_sequence[info_state] :][:2] = 1 - bets[name], bets[name]
        plan = exact.realization_plan(me, behaviour)
        reply = exact.best_response(tree, 1, [plan, np.ones(tree.players[1].num_sequences)])
        assert reply.value == pytest.approx(1 / 18)


# Commands.


def test_the_tutorial_from_the_first_command_to_the_last(monkeypatch, capsys):
    """As they stand, but that best responses are tables, which takes no training."""
    typed = iter(["1", "", "2", "q", "q", "q"])
    monkeypatch.setattr("builtins.input", lambda *prompt: next(typed))
    monkeypatch.setattr(LoopbackServer, "serve_forever", interrupted)
    monkeypatch.setattr("os.nice", lambda increment: None)
    monkeypatch.setattr("webbrowser.open", lambda address: True)
    ran = []
    for program, *arguments in commands("tutorial.md"):
        assert program == "psro"
        ran.append(arguments[0])
        arguments = ["0" if before == "--port" else each for before, each in pairs(arguments)]
        cli.main(arguments + ["--oracle", "best_response"] * (arguments[0] == "run"))
    assert set(ran) >= {"run", "resume", "eval", "plot", "report", "watch", "play"}
    for made in ("kuhn.png", "payoffs.png", "kuhn.html"):
        assert Path(made).stat().st_size > 1_000
    [code] = re.findall(r"^```python\n(.*?)^```", PAGES["tutorial.md"], re.M | re.S)
    exec(compile(code, "tutorial.md", "exec"), {})
    assert "has ended: converged" in capsys.readouterr().out


def interrupted(server):
    """Whoever serves until Ctrl-C is at once."""
    raise KeyboardInterrupt


def pairs(arguments: list[str]) -> list[tuple[str | None, str]]:
    """Each argument with the one before it."""
    return list(zip([None, *arguments], arguments, strict=False))


def test_the_first_page_s_commands(capsys):
    for program, *arguments in commands("index.md"):
        assert program == "psro"
        if "--help" in arguments:
            with pytest.raises(SystemExit) as left:
                cli.main(arguments)
            assert left.value.code == 0
        else:
            cli.main(arguments)
    assert "kuhn_poker" in capsys.readouterr().out


# The site.


def test_every_page_is_in_the_navigation():
    settings = (ROOT / "mkdocs.yml").read_text("utf-8")
    navigation = settings[settings.index("\nnav:") : settings.index("\nvalidation:")]
    assert set(re.findall(r"[\w/-]+\.md", navigation)) == set(PAGES)


MACHINERY = (
    "games.lazy",
    "games.printing",
    "games.readers.",
    "psro.__main__",
    "psro.cli",
    "psro.errors",
    "psro.oracles.checks",
    "psro.oracles.devices",
    "psro.oracles.known",
    "psro.oracles.self_play.known",
    "psro.oracles.tabulated",
    "psro.oracles.training",
    "psro.policies.jax_settings",
    "psro.play.",
    "psro.runs.",
    "psro.training.",
    "psro.views.",
)
"""Beginnings of the names of modules that need no place in the reference."""
INSIDE = {
    "games.hosted",
    "games.native",
    "games.public",
    "games.tasks",
    "psro.exact",
    "psro.measure.arena",
    "psro.metagame.solvers",
    "psro.variants.diversity",
    "psro.views.page",
}
"""Packages whose page stands for their modules."""


def test_the_reference_names_what_exists_and_leaves_out_no_module():
    named = re.findall(r"^::: ([\w.]+)$", "".join(PAGES.values()), re.M)
    assert len(named) == len(set(named))
    values = [pkgutil.resolve_name(name) for name in named]
    told = {getattr(value, "__module__", name) for name, value in zip(named, values, strict=True)}
    told |= set(named)
    missing = []
    for path in itertools.chain(*((ROOT / top).rglob("*.py") for top in ("games", "psro"))):
        if path.name == "__init__.py":
            continue
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        covered = module in told or module.rpartition(".")[0] in INSIDE
        if not covered and not module.startswith(MACHINERY):
            missing.append(module)
    assert not missing, "add them to docs/reference/, or to MACHINERY"


def test_formulas_become_mathml():
    """The hook alone: what `pymdownx.arithmatex` has marked."""
    pytest.importorskip("latex2mathml")
    hook = runpy.run_path(str(DOCS / "formulas.py"))["on_page_content"]
    marked = (
        '<p>a <span class="arithmatex">\\(x &lt; 1\\)</span></p>'
        '<div class="arithmatex">\\[\n\\sum_k w_k\n\\]</div>'
    )
    made = hook(marked, None, None, None)
    assert "arithmatex" not in made and made.count("<math") == 2
    assert '<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">' in made


@pytest.mark.slow
def test_the_site_needs_no_network(tmp_path):
    """Built with warnings as errors, then read from disk in a browser: every page loads only
    files, complains of nothing, and the search finds."""
    pytest.importorskip("mkdocs")
    site = tmp_path / "site"
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", site],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    with chromium() as driver:
        for page, source in PAGES.items():
            driver.get((site / page).with_suffix(".html").as_uri())
            assert driver.find_element("tag name", "h1").text
            text = driver.find_element("tag name", "article").get_attribute("textContent")
            for name in re.findall(r'--8<-- "(.*)"', source):
                assert (ROOT / name).read_text("utf-8").strip() in text
        driver.find_element("css selector", "input.md-search__input").send_keys("realization")
        wait_for(lambda: driver.find_elements("css selector", ".md-search-result__item a"))
        assert all(address.startswith("file:") for address in requested(driver))
        assert console_errors(driver) == []
