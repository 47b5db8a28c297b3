"""Who may import whom (DESIGN, "The house"), read from the source."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

ORDER = [
    ["games.tree", "psro.loopback"],
    ["games.cache", "games.game", "games.gambit", "games.normal_form", "games.probes"],
    ["games.files", "games.trial"],
    ["games.openspiel", "games.symmetry", "games.tree_game"],
    ["games", "psro.cards"],
    ["psro.exact", "psro.levels", "psro.networks"],
    [
        "psro.cfr",
        "psro.diversity",
        "psro.mmd",
        "psro.exact_jax",
        "psro.joint_gaps",
        "psro.sequence_form",
    ],
    ["psro.diversity_terms"],
    ["psro.restricted_game"],
    ["psro.policy"],
    ["psro.rollout", "psro.bot"],
    ["psro.oracles"],
    ["psro.population"],
    ["psro.meta_game"],
    ["psro.meta_strategy"],
    ["psro.tree_solvers"],
    ["psro.expansions", "psro.imitation", "psro.initial", "psro.objective"],
    ["psro.trainer"],
    ["psro.loop"],
    ["psro.ratings"],
    ["psro.evaluation"],
    ["psro.storage"],
    ["psro.archive"],
    ["psro.run_config"],
    ["psro.run_folder"],
    ["psro.experiment"],
    [
        "psro.comparison",
        "psro.match",
        "psro.seeds",
        "psro.sharing",
        "psro.variants",
    ],
    ["psro.loggers", "psro.plots"],
    ["psro.page"],
    ["psro.match_page", "psro.report", "psro.watch"],
    ["psro.play"],
    ["psro.cli"],
]
"""Each may import only what stands before it."""

RANK = {unit: rank for rank, units in enumerate(ORDER) for unit in units}
ASIDE = {"psro.meta_solvers": "psro.tree_solvers"}
"""Modules that import nothing of ours, and the first that may import them."""

CERTIFICATE = "psro.meta_solvers.regret."
"""What checks a meta-strategy, and solves nothing: for all to use."""

FREE = {"psro", "psro.__main__", "psro.cli"}
"""What puts everything together may import anything, and nothing else may import it."""

NATIVE_GAME_RANK = RANK["games.tree_game"]
"""A game written in JAX stands where `tree_game` does."""


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {
    module_name(path): path
    for package in ("games", "psro")
    for path in sorted((ROOT / package).rglob("*.py"))
}


def imported_names(source: str, package: str) -> set[str]:
    """Every imported module or name, dotted, wherever in the source it is imported."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")
            base = parents[: len(parents) - node.level + 1] if node.level else []
            base = [*base, node.module] if node.module else base
            found |= {".".join([*base, alias.name]) for alias in node.names}
    return found


def imports(module: str) -> set[str]:
    path = MODULES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    return imported_names(path.read_text(), package)


def unit(name: str) -> str:
    """The entry of `ORDER`, `ASIDE` or `FREE` that a module, or a name in one, belongs to."""
    parts = name.split(".")
    if parts[0] not in ("games", "psro"):
        return parts[0]
    for length in range(len(parts), 0, -1):
        module = ".".join(parts[:length])
        if module in MODULES:
            return ".".join(module.split(".")[:2])
    return parts[0]


def rank(name: str) -> int:
    """Place in `ORDER`; what is free stands after everything."""
    if name in RANK or name in FREE:
        return RANK.get(name, len(ORDER))
    return NATIVE_GAME_RANK


def inside(names: set[str], *packages: str) -> set[str]:
    return {name for name in names if name.split(".")[0] in packages}


@pytest.mark.parametrize("module", MODULES)
def test_each_imports_only_what_stands_before_it(module):
    mine = unit(module)
    for name in inside(imports(module), "games", "psro"):
        imported = unit(name)
        if imported == mine or mine in FREE or name.startswith(CERTIFICATE):
            continue
        assert mine not in ASIDE, f"{module} imports {name}, and should import nothing of ours"
        if imported in ASIDE:
            assert rank(mine) >= rank(ASIDE[imported]), f"{module} imports {name}"
        else:
            assert rank(imported) < rank(mine), f"{module} imports {name}"


@pytest.mark.parametrize("module", MODULES)
def test_every_module_has_a_place_in_the_order(module):
    mine = unit(module)
    assert mine in RANK or mine in ASIDE or mine in FREE or mine.startswith("games.")


@pytest.mark.parametrize("module", [m for m in MODULES if m.split(".")[0] == "games"])
def test_games_know_nothing_of_learning(module):
    assert not inside(imports(module), "psro", "flax", "optax")


EXACT = ["exact", "cfr", "mmd", "diversity", "joint_gaps", "sequence_form"]
EXACT += ["ratings", "restricted_game", "evaluation"]


@pytest.mark.parametrize(
    "module",
    [
        *(f"psro.{name}" for name in EXACT),
        *(m for m in MODULES if "psro.meta_solvers" in m or "psro.diversity_terms" in m),
    ],
)
def test_exact_numbers_are_numpy_s(module):
    assert not inside(imports(module), "jax", "jaxlib", "flax", "optax")


@pytest.mark.parametrize("module", [m for m in MODULES if m.startswith("psro.meta_solvers")])
def test_meta_solvers_import_only_numerics_and_themselves(module):
    allowed = {"numpy", "scipy", "nashpy", "clarabel", *sys.stdlib_module_names}
    for name in imports(module):
        assert name.split(".")[0] in allowed or unit(name) == "psro.meta_solvers", name


def test_the_loop_is_generic():
    """It gets the oracle, the solver and the tree from its caller: no concrete one is named."""
    found = imports("psro.loop")
    assert {n for n in found if n.startswith("psro.oracles")} <= {
        "psro.oracles.Jobs",
        "psro.oracles.Oracle",
    }
    assert not inside(found, "psro.meta_solvers")
    assert inside(found, "games") <= {"games.tree.GameTree", "games.GameTree", "games.game.Game"}
    assert not inside(found, "pyspiel", "open_spiel", "nashpy")


def test_openspiel_is_read_in_one_place():
    readers = {m for m in MODULES if inside(imports(m), "pyspiel", "open_spiel")}
    # A bot is a subclass of OpenSpiel's; probes try a game out in a process without the package.
    assert readers == {"games.openspiel", "psro.bot", "games.probes"}


def test_plots_read_files_only():
    """By `storage` and `run_folder`; of seeds they know the interval."""
    found = inside(imports("psro.plots"), "psro", "games", "jax", "flax")
    assert {unit(name) for name in found} <= {
        "psro",
        "psro.storage",
        "psro.seeds",
        "psro.run_folder",
    }


@pytest.mark.parametrize("module", MODULES)
def test_nothing_imports_recipes_or_tests(module):
    assert not inside(imports(module), "experiments", "tests", "conftest")


@pytest.mark.parametrize("module", MODULES)
def test_nothing_is_pickled(module):
    """An experiment folder may come from a stranger; loading it must not run code."""
    unsafe = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "_pickle"}
    assert not inside(imports(module), *unsafe)
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        assert not (isinstance(node, ast.Attribute) and node.attr in ("read_pickle", "to_pickle"))
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            assert isinstance(node.value, ast.Constant) and node.value.value is False


@pytest.mark.parametrize("package", ["games", "psro"])
def test_importing_starts_no_backend(package):
    """Arrays made at import would pick a device before the user can, and slow every start."""
    program = (
        f"import {package}\n"
        "import jax._src.xla_bridge as bridge\n"
        "assert not bridge._backends, bridge._backends\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


def test_imports_of_every_form_are_read():
    """Also those inside functions and relative ones; otherwise everything above passes idly."""
    source = """
import jax.numpy as jnp
from psro import exact, loop
from . import policy
from .oracles.ppo import PPO
def f():
    import experiments.kuhn
"""
    found = imported_names(source, "psro")
    assert found == {
        "jax.numpy",
        "psro.exact",
        "psro.loop",
        "psro.policy",
        "psro.oracles.ppo.PPO",
        "experiments.kuhn",
    }
    assert {unit(name) for name in found} == {
        "jax",
        "psro.exact",
        "psro.loop",
        "psro.policy",
        "psro.oracles",
        "experiments",
    }
