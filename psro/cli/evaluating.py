"""`psro eval`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from psro.cli.arguments import Flag, Folders, MaybeFile, MaybeName, Number, explained
from psro.cli.folders import runs_in, shell
from psro.cli.process import UsageError, note_disagreement, say

if TYPE_CHECKING:
    from games import GameTree

_MOST_CFR = 1_000_000
"""Most iterations of CFR+. They take some minutes in Kuhn poker, where no error remains."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Wanted:
    """The options of `psro eval`."""

    json: bool
    csv: str | None
    equilibrium: bool
    cfr_iterations: int
    device: str | None


@explained
def evaluate(
    folders: Folders,
    json: Flag = False,
    csv: MaybeFile = None,
    equilibrium: Flag = False,
    cfr_iterations: Number = 200,
    device: MaybeName = None,
) -> None:
    """Measure a saved population exactly, or play several populations against each other.

    Several populations also play against uniform random play, CFR+ and the game's equilibrium. A
    folder of several seeds gives each seed's numbers and their mean with a 95 % interval.

    Args:
        folders: Experiment folders, folders of several seeds, or files that `psro export` wrote.
        json: Print one JSON object instead of tables.
        csv: Also write a table to this file: the policies of one run, the results of several
            populations against each other, or the seeds.
        equilibrium: Find the game's equilibrium and the population's least exploitable mixture by
            linear programs, also in a large game. By default only small games are solved.
        cfr_iterations: Iterations of CFR+ if several populations play each other. 0 = without CFR+.
        device: Compute exploitability with JAX in float64 on this device: cpu, gpu or tpu. By
            default numpy computes it.
    """
    runs = runs_in(folders)
    if not 0 <= cfr_iterations <= _MOST_CFR:
        raise UsageError(
            f"--cfr-iterations {cfr_iterations} must be at least 0 and at most {_MOST_CFR:,}"
        )
    wanted = _Wanted(
        json=json, csv=csv, equilibrium=equilibrium, cfr_iterations=cfr_iterations, device=device
    )
    if len(folders) == 1 and runs != list(folders):
        _measure_seeds(runs, wanted)
    elif len(runs) == 1:
        _measure(runs[0], wanted)
    else:
        _compare(runs, wanted)
    if not json:
        more = "plot" if len(runs) > 1 else "report"
        say(f"next: psro {more} {shell(folders)}")


def _measure(folder: str, wanted: _Wanted) -> None:
    """One population."""
    from psro.measure import evaluation
    from psro.runs import experiment
    from psro.views import tables

    opened = experiment.load(folder)
    note_disagreement(opened)
    measured = evaluation.evaluate(
        opened.meta_game,
        opened.measured_strategy,
        programs=wanted.equilibrium,
        exploitability=_on_device(opened.tree, wanted.device),
    )
    if wanted.csv is not None:
        tables.write_csv(opened, measured, wanted.csv)
    if wanted.json:
        tables.print_json(opened, measured)
    else:
        tables.print_tables(opened, measured, tables.console())


def _measure_seeds(folders: Sequence[str], wanted: _Wanted) -> None:
    """The population of each seed alone, and the means over seeds."""
    from psro.measure import across_seeds
    from psro.runs import experiment
    from psro.views import seed_tables, tables

    runs = [experiment.load(folder) for folder in folders]
    for run in runs:
        note_disagreement(run)
    measured = across_seeds.measure(runs)
    if wanted.csv is not None:
        seed_tables.write_csv(measured, wanted.csv)
    if wanted.json:
        seed_tables.print_json(measured)
    else:
        seed_tables.print_table(measured, tables.console())


def _compare(folders: Sequence[str], wanted: _Wanted) -> None:
    """Several populations against each other and against the standard opponents."""
    from psro.measure import comparison
    from psro.runs import experiment
    from psro.views import tables

    runs = [(folder, experiment.load(folder)) for folder in folders]
    for _, run in runs:
        note_disagreement(run)
    mixtures = comparison.mixtures(runs)
    tree, game = runs[0][1].tree, runs[0][1].config.game
    others, omitted = comparison.baselines(
        tree, cfr_iterations=wanted.cfr_iterations, programs=wanted.equilibrium
    )
    omitted += [
        f"in {folder}, players draw their policies together; here each player draws independently"
        for folder, run in runs
        if run.joint is not None
    ]
    exploitability = _on_device(tree, wanted.device)
    compared = comparison.compare(tree, mixtures | others, omitted, exploitability=exploitability)
    if wanted.csv is not None:
        tables.write_comparison_csv(compared, wanted.csv)
    if wanted.json:
        tables.print_comparison_json(compared, game)
    else:
        tables.print_comparison(compared, tables.console(), game)


def _on_device(tree: GameTree, device: str | None) -> Callable[..., Any] | None:
    """The function that computes exploitability on a device; None for numpy."""
    if device is None:
        return None
    from psro.exact.on_devices import DeviceTree

    return DeviceTree(tree, device).exploitability
