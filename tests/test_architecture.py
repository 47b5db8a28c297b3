"""Who may import whom (DESIGN, "The house"), read from the source."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

RANKS = [
    {"games"},
    {"psro.errors"},
    {"psro.exact"},
    {"psro.metagame"},
    {"psro.policies"},
    {"psro.oracles", "psro.variants"},
    {"psro.training"},
    {"psro.runs"},
    {"psro.measure"},
    {"psro.views"},
    {"psro.play"},
    {"psro.cli"},
]
"""The house: rooms of one rank import only those before them, and not each other."""

RANK = {room: rank for rank, rooms in enumerate(RANKS) for room in rooms}
ENTRANCES = {"psro", "psro.__main__"}
"""What users type: these may import every room, and no room imports them."""
MOST_ROOMS = 14
LONGEST_FILE, LONGEST_FUNCTION = 400, 60
"""Lines, with docstrings and comments."""


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {
    module_name(path): path
    for package in ("games", "psro")
    for path in sorted((ROOT / package).rglob("*.py"))
}


def imported_names(tree: ast.Module, package: str) -> set[str]:
    """Every imported module or name, dotted, wherever in the source it is imported."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")
            base = parents[: len(parents) - node.level + 1] if node.level else []
            base = [*base, node.module] if node.module else base
            found |= {".".join([*base, alias.name]) for alias in node.names}
    return found


@functools.cache
def parsed(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text())


@functools.cache
def imports(module: str) -> frozenset[str]:
    package = module
    if MODULES[module].name != "__init__.py":
        package = module.rpartition(".")[0]
    return frozenset(imported_names(parsed(module), package))


def room(name: str) -> str:
    """The room, one of `RANK` or `ENTRANCES`, of a module or of a name in one."""
    parts = name.split(".")
    if parts[0] != "psro":
        return parts[0]
    if len(parts) == 1 or ".".join(parts[:2]) not in RANK:
        return ".".join(parts[:2]) if parts[1:] == ["__main__"] else "psro"
    return ".".join(parts[:2])


def inside(names: set[str], *packages: str) -> set[str]:
    return {name for name in names if name.split(".")[0] in packages}


def imports_upwards(module: str) -> list[str]:
    """What a module imports that does not stand before its own room."""
    own = room(module)
    imported = {name for name in inside(imports(module), "games", "psro") if room(name) != own}
    return sorted(
        name for name in imported if room(name) in ENTRANCES or RANK[room(name)] >= RANK[own]
    )


def offenders(rule, modules=MODULES) -> dict[str, list[str]]:
    """The modules that break a rule, each with what breaks it."""
    broken = {module: sorted(rule(module)) for module in modules}
    return {module: found for module, found in broken.items() if found}


def test_each_room_imports_only_rooms_before_it():
    """The number of imports that run back up is 0."""
    assert not offenders(imports_upwards, set(MODULES) - ENTRANCES)


def test_every_module_is_in_a_room():
    assert {room(module) for module in MODULES} <= set(RANK) | ENTRANCES
    top = {module.split(".")[1] for module in MODULES if module.startswith("psro.")}
    assert len(top - {"__main__"}) <= MOST_ROOMS


def test_games_know_nothing_of_learning():
    games = [m for m in MODULES if m.split(".")[0] == "games"]
    assert not offenders(lambda m: inside(imports(m), "psro", "flax", "optax"), games)


NUMPY_ONLY = ("psro.exact", "psro.metagame", "psro.variants", "psro.measure")
ON_DEVICES = {
    "psro.exact.on_devices", "psro.exact.passes", "psro.exact.public_on_device",
    "psro.exact.walked_on_device",
}  # fmt: skip
"""Exact numbers by JAX in float64."""
BY_EPISODES = {f"psro.measure.{name}" for name in ("cross_play", "exploiter", "mixtures")}
"""They play networks, so that their numbers are means and not exact."""


def test_matrix_games_are_told_from_trees_in_one_place():
    """`GameTree` has one interface; what is special to a `NormalForm` is behind it."""
    outside = {module for module in MODULES if room(module) != "games"}
    assert not offenders(
        lambda module: {name for name in imports(module) if "NormalForm" in name}, outside
    )


def test_exact_numbers_are_numpy_s():
    numeric = {m for m in MODULES if m.startswith(NUMPY_ONLY)} - BY_EPISODES - ON_DEVICES
    assert not offenders(lambda m: inside(imports(m), "jax", "jaxlib", "flax", "optax"), numeric)


def test_meta_solvers_import_only_numerics_and_themselves():
    allowed = {"numpy", "scipy", "nashpy", "clarabel", *sys.stdlib_module_names}
    ours = ("psro.metagame.solvers", "psro.exact.rational", "psro.errors", "games.units")

    def others(module):
        names = {name for name in imports(module) if not name.startswith(ours)}
        return names - inside(names, *allowed)

    solvers = [m for m in MODULES if m.startswith("psro.metagame.solvers")]
    assert not offenders(others, solvers)


def test_the_loop_is_generic():
    """It gets the oracle, the solver and the tree from its caller: no concrete one is named."""
    found = imports("psro.training.loop")
    assert {n for n in found if n.startswith("psro.oracles")} <= {
        "psro.oracles.Results",
        "psro.oracles.Oracle",
    }
    assert not inside(found, "psro.metagame.solvers")
    assert inside(found, "games") <= {"games.tree.GameTree", "games.GameTree", "games.game.Game"}
    assert not inside(found, "pyspiel", "open_spiel", "nashpy")


def test_openspiel_is_read_in_one_place():
    users = {m for m in MODULES if inside(imports(m), "pyspiel", "open_spiel")}
    outside = {m for m in users if not m.startswith(("games.readers.", "games.hosted.openspiel"))}
    assert outside == {"psro.policies.bot"}  # a subclass of OpenSpiel's


def test_plots_read_files_only():
    """By `psro.runs`; of games they know nothing."""
    found = inside(imports("psro.views.plots"), "psro", "games", "jax", "flax")
    assert {room(name) for name in found} == {"psro.errors", "psro.runs", "psro.views"}


def test_nothing_imports_recipes_or_tests():
    assert not offenders(lambda m: inside(imports(m), "experiments", "tests", "conftest"))


def pickled(module: str) -> set[str]:
    unsafe = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "_pickle"}
    found = inside(imports(module), *unsafe)
    for node in ast.walk(parsed(module)):
        if isinstance(node, ast.Attribute) and "pickle" in node.attr:
            found.add(node.attr)
        if isinstance(node, ast.keyword) and "pickle" in (node.arg or ""):
            value = getattr(node.value, "value", None)
            if node.arg != "allow_pickle" or value is not False:
                found.add(node.arg)
    return found


def test_nothing_is_pickled():
    """An experiment folder may come from a stranger; loading it must not run code."""
    assert not offenders(pickled)


def test_importing_starts_no_backend():
    """Arrays made at import would pick a device before the user can, and slow every start."""
    names = sorted(set(MODULES) - {"psro.__main__"})
    program = (
        "import importlib\n"
        f"for name in {names}: importlib.import_module(name)\n"
        "import jax._src.xla_bridge as bridge\n"
        "assert not bridge._backends, bridge._backends\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def too_long(module: str) -> set[str]:
    lines = MODULES[module].read_text().count("\n")
    long = {f"{lines} lines"} if lines > LONGEST_FILE else set()
    for node in ast.walk(parsed(module)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = node.end_lineno - node.lineno + 1
            if length > LONGEST_FUNCTION:
                long.add(f"{node.name}: {length} lines")
    return long


def test_files_and_functions_are_read_at_one_sitting():
    assert not offenders(too_long)


def test_imports_of_every_form_are_read():
    """Also those inside functions and relative ones; otherwise everything above passes idly."""
    source = """
import jax.numpy as jnp
from psro import exact, run
from . import policies
from .oracles.ppo import PPO
def f():
    import experiments.kuhn
"""
    found = imported_names(ast.parse(source), "psro")
    assert found == {
        "jax.numpy",
        "psro.exact",
        "psro.run",
        "psro.policies",
        "psro.oracles.ppo.PPO",
        "experiments.kuhn",
    }
    assert {room(name) for name in found} == {
        "jax",
        "psro",
        "psro.exact",
        "psro.policies",
        "psro.oracles",
        "experiments",
    }
