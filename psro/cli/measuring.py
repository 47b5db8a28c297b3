"""`psro eval`, `psro games` and `psro variants`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tyro

import games as games_package
from games import GameTree
from psro.cli.options import typed
from psro.cli.process import UsageError
from psro.variants.published import PUBLISHED, VARIANTS

_MOST_CFR = 1_000_000
"""Iterations of CFR+: some minutes in Kuhn poker, and no error of it is left to measure."""


def evaluate(
    folders: tyro.conf.Positional[tuple[str, ...]],
    json: bool = False,
    csv: str | None = None,
    equilibrium: bool = False,
    cfr_iterations: int = 200,
    device: str | None = None,
) -> None:
    """Measure a saved population, exactly; or play several against each other and against uniform
    random play, CFR+ and the game's equilibrium.

    Args:
        folders: Experiment folders, or files that `psro export` wrote.
        json: Print one JSON object instead of tables.
        csv: Write a table to this file as well: of the policies, or of who plays whom.
        equilibrium: Solve the whole game and the population's least exploitable mixture by linear
            programs, however large they are; small games are solved unasked.
        cfr_iterations: Of CFR+, where several play each other; 0 leaves it out.
        device: Exploitability by JAX on a cpu, gpu or tpu, in float64, instead of by numpy.
    """
    if not folders:
        raise UsageError("name at least one experiment folder")
    if not 0 <= cfr_iterations <= _MOST_CFR:
        raise UsageError(
            f"--cfr-iterations {cfr_iterations} must be at least 0 and at most {_MOST_CFR:,}"
        )
    measure = _compare if len(folders) > 1 else _measure
    measure(folders, json, csv, equilibrium, cfr_iterations, device)


def _compare(
    folders: Sequence[str],
    json: bool,
    csv: str | None,
    equilibrium: bool,
    cfr_iterations: int,
    device: str | None,
) -> None:
    """Several populations against each other and against the usual opponents."""
    from psro.measure import comparison
    from psro.runs import experiment
    from psro.views import tables

    runs = [(folder, experiment.load(folder)) for folder in folders]
    mixtures = comparison.mixtures(runs)
    tree, game = runs[0][1].tree, runs[0][1].config.game
    others, omitted = comparison.baselines(
        tree, cfr_iterations=cfr_iterations, programs=equilibrium
    )
    omitted += [
        f"{folder} draws its players' policies together; here each draws by itself"
        for folder, run in runs
        if run.joint is not None
    ]
    exploitability = _on_device(tree, device)
    compared = comparison.compare(tree, mixtures | others, omitted, exploitability=exploitability)
    if csv is not None:
        tables.write_comparison_csv(compared, csv)
    if json:
        tables.print_comparison_json(compared, game)
    else:
        tables.print_comparison(compared, tables.console(), game)


def _measure(
    folders: Sequence[str],
    json: bool,
    csv: str | None,
    equilibrium: bool,
    cfr_iterations: int,
    device: str | None,
) -> None:
    """One population."""
    from psro.measure import evaluation
    from psro.runs import experiment
    from psro.views import tables

    opened = experiment.load(folders[0])
    measured = evaluation.evaluate(
        opened.meta_game,
        opened.measured_strategy,
        programs=equilibrium,
        exploitability=_on_device(opened.tree, device),
    )
    if csv is not None:
        tables.write_csv(opened, measured, csv)
    if json:
        tables.print_json(opened, measured)
    else:
        tables.print_tables(opened, measured, tables.console())


def _on_device(tree: GameTree, device: str | None) -> Callable[..., Any] | None:
    """What computes exploitability on a device; None for numpy."""
    if device is None:
        return None
    from psro.exact.on_devices import DeviceTree

    return DeviceTree(tree, device).exploitability


def games(
    names: tyro.conf.Positional[tuple[str, ...]] = (),
    observation: str | None = None,
    max_histories: int = games_package.MAX_HISTORIES,
) -> None:
    """List games with their sizes: those named, or some to start with.

    Args:
        names: OpenSpiel game strings, any that can be enumerated, or game files.
        observation: information_state or observation, as in `psro run`.
        max_histories: Refuse to enumerate a game with more histories.
    """
    from psro.views import tables

    table = tables.table(
        "game", "players", "histories", "terminals", "info states", "actions", "inputs"
    )
    notes = []
    for name in names or games_package.GAMES:
        tree = games_package.load(name, observation=observation, max_histories=max_histories)
        label = f"{name}\n[dim]{games_package.GAMES[name]}[/dim]" if not names else name
        table.add_row(
            label,
            str(tree.num_players),
            f"{tree.num_histories:,}",
            f"{tree.num_terminals:,}",
            " + ".join(f"{player.num_info_states:,}" for player in tree.players),
            str(tree.num_actions),
            str(tree.observation_size),
        )
        notes += tree.notes()
    console = tables.console()
    console.print(table)
    for note in notes:
        console.print(f"note: {note}", highlight=False, markup=False)
    if not names:
        console.print("Any OpenSpiel game string works: psro games 'leduc_poker(players=3)',")
        console.print("and files of games: .efg and .nfg of Gambit, payoffs in .csv, .npy or .npz")


def variants() -> None:
    """List the variants of PSRO that `psro run --variant` knows, with what they set."""
    from psro.views import tables

    table = tables.table("variant", "settings", "source")
    for column in table.columns:
        column.justify = "left"
    for name, variant in VARIANTS.items():
        own = {n: v for n, v in variant.settings.items() if PUBLISHED.get(n) != v}
        table.add_row(name, typed(own), variant.source)
    console = tables.console()
    console.print(table)
    console.print(
        f"Where a variant does not say otherwise: {typed(PUBLISHED).replace(chr(10), ' ')}"
    )
    console.print("Each setting can be set alone: psro run --variant apsro --rounds 20")
