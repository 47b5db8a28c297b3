"""`psro eval`."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from psro.cli.arguments import (
    Flag,
    Folders,
    MaybeDecisions,
    MaybeError,
    MaybeFile,
    MaybeName,
    MaybeNumber,
    MaybeRounds,
    Name,
    Number,
    explained,
)
from psro.cli.folders import proposed, runs_in
from psro.cli.learning import measure_learners
from psro.cli.measuring import Wanted
from psro.cli.options import LOCAL, Workers, executing_of
from psro.cli.process import UsageError, note, note_disagreement, say

if TYPE_CHECKING:
    from games import GameTree
    from psro.measure.calibration import Calibrated
    from psro.measure.exploiter import Exploitation, Exploiter
    from psro.measure.on_form import MeasuredOnForm
    from psro.runs.experiment import Experiment

    Exploited = tuple[Exploiter, Exploitation, Sequence[Calibrated]]


@explained
def evaluate(
    folders: Folders,
    json: Flag = False,
    csv: MaybeFile = None,
    equilibrium: Flag = False,
    cfr_iterations: Number = 200,
    device: MaybeName = None,
    exploiter: MaybeDecisions = None,
    exploiter_oracle: Name = "ppo",
    restarts: Number = 2,
    calibrate: Flag = False,
    episodes: MaybeNumber = None,
    exact: Flag = False,
    within: MaybeError = None,
    strategies: Flag = False,
    mix: MaybeRounds = None,
    game: MaybeName = None,
    workers: Workers = LOCAL,
) -> None:
    """Measure a saved population, or play several populations against each other.

    Everything is exact in a game that is enumerated. In other games everything is measured by
    episodes, with standard errors or 95 % intervals. Several populations also play against uniform
    random play and, if it is exact, CFR+ and the game's equilibrium. A folder of several seeds
    gives each seed's numbers and their mean with a 95 % interval.

    Args:
        folders: Experiment folders, folders of several seeds, or files that `psro export` wrote.
        json: Print one JSON object instead of tables.
        csv: Also write a table to this file: of one run's policies, several populations, or seeds.
        equilibrium: Find the equilibrium and the population's least exploitable mixture (only the
            latter if the game is not enumerated). By default only small games are solved.
        cfr_iterations: Iterations of CFR+ beside several populations, or in a game. 0 = no CFR+.
        device: Compute exploitability with JAX on this device: cpu, gpu or tpu. By default numpy.
        exploiter: Train exploiters of one run's mixture with this number of own decisions each, for
            a lower bound of its exploitability. By default none are trained.
        exploiter_oracle: What trains exploiters: ppo, a2c, reinforce, dqn, r2d2, pqn, sac, dreamer.
        restarts: Exploiters of each player; the best one is measured by episodes of its own.
        calibrate: Also print what the same exploiters find in Kuhn poker, Leduc poker and one-die
            Liar's Dice, where the exact exploitability is known.
        episodes: Episodes of each pairing of populations (by default 8,192), of each exploiter
            (32,768), and of a learner that trained alone (1,024).
        exact: Measure the mixture of a run whose game is not enumerated exactly, from its networks.
        within: With --exact, the exploitability may be wrong by this much, and surely not by more,
            which is faster in large games. By default it is exact.
        strategies: Also show what one run's mixture does at each info set; --csv writes it.
        mix: First mix one run's policies anew, in this number of steps of regret minimisation
            against exploiters that train meanwhile. The new mixture is measured; the run stays.
        game: Measure uniform, cfr+ or equilibrium (a linear program in a small game, else CFR+ to
            a NashConv of 0.001 of the largest return) in this game, exactly, without a run.
        workers: Where exploiters are trained.
    """
    wanted = Wanted(
        json=json, csv=csv, equilibrium=equilibrium, cfr_iterations=cfr_iterations, device=device,
        exploiter=exploiter, exploiter_oracle=exploiter_oracle, restarts=restarts, exact=exact,
        calibrate=calibrate, episodes=episodes, strategies=strategies, mix=mix, within=within,
        executing=executing_of(workers),
    )  # fmt: skip
    _measure_named(folders, game, wanted)


def _measure_named(named: Sequence[str], game: str | None, wanted: Wanted) -> None:
    """Runs, or a policy of a game that needs none."""
    wanted.check()
    if game is None:
        _measure_runs(named, wanted)
        return
    from psro.cli.simple_play import measure_policy

    wanted.check_policy()
    measure_policy(named, game, json=wanted.json, cfr_iterations=wanted.cfr_iterations)


def _measure_runs(folders: Sequence[str], wanted: Wanted) -> None:
    """One run, several seeds of one, or several runs."""
    runs = runs_in(folders)
    if _measured_learners(runs, wanted, folders):
        return
    if len(runs) > 1:
        wanted.check_one()
    if len(folders) == 1 and runs != list(folders):
        _measure_seeds(runs, wanted)
    elif len(runs) == 1:
        _measure(runs[0], wanted)
    else:
        _compare(runs, wanted)
    if not wanted.json:
        more = "plot" if len(runs) > 1 else "report"
        say(f"next: {proposed(more, *folders)}")


def _measured_learners(folders: Sequence[str], wanted: Wanted, named: Sequence[str]) -> bool:
    """Measures learners that trained alone; `named` are the folders as the user named them. False
    if the folders are populations."""
    from psro.runs.learner_folder import is_learner

    learners = [folder for folder in folders if is_learner(folder)]
    if not learners:
        return False
    if len(learners) < len(folders):
        raise UsageError(
            f"{learners[0]} is of psro train, and others are populations; measure them apart"
        )
    wanted.check_learners()
    measure_learners(learners, json=wanted.json, episodes=wanted.episodes)
    if not wanted.json:
        say(f"next: {proposed('report', *named)}")
    return True


def _measure(folder: str, wanted: Wanted) -> None:
    """One population."""
    from psro.runs import experiment

    opened = experiment.load(folder)
    note_disagreement(opened)
    if opened.tree is None:
        wanted.check_without_tree(opened)
    if wanted.mix is None:
        _measure_opened(opened, wanted)
        return
    from psro.measure.mixing import mixed

    with tempfile.TemporaryDirectory() as aside:
        note(f"mixes the policies of {folder} in {wanted.mix} rounds")
        _measure_opened(mixed(opened, wanted.mix, Path(aside) / Path(folder).name), wanted)


def _measure_opened(opened: Experiment, wanted: Wanted) -> None:
    exploited = None if wanted.exploiter is None else _exploited(opened, wanted)
    (_measure_exactly if opened.is_exact else _measure_by_episodes)(opened, wanted, exploited)
    if exploited and not wanted.json:
        from psro.views import sampled_tables, tables

        sampled_tables.print_exploitation(opened, *exploited, tables.console())


def _measure_exactly(opened: Experiment, wanted: Wanted, exploited: Exploited | None) -> None:
    from psro.measure import evaluation
    from psro.views import tables

    measured = evaluation.evaluate(
        opened.meta_game,
        opened.measured_strategy,
        programs=wanted.equilibrium,
        exploitability=_on_device(opened.tree, wanted.device),
    )
    again = _measured_on_form(opened, wanted) if wanted.exact and opened.tree is None else None
    _show(tables, opened, measured, wanted, exploited, again)


def _measure_by_episodes(opened: Experiment, wanted: Wanted, exploited: Exploited | None) -> None:
    from psro.measure import sampled_evaluation
    from psro.views import sampled_tables

    on_form, measured = None, sampled_evaluation.evaluate(opened)
    if wanted.exact:
        on_form, measured = _measured_on_form(opened, wanted), measured.beside_exact_figures()
    _show(sampled_tables, opened, measured, wanted, exploited, on_form)


def _measured_on_form(opened: Experiment, wanted: Wanted) -> MeasuredOnForm:
    """The exact figures of a run whose game is not enumerated, from its networks."""
    from games.forms import open_form
    from psro.cli.simple_play import walk_progress
    from psro.measure import on_form

    form = open_form(
        opened.config.game, observation=opened.config.observation, progress=walk_progress()
    )
    return on_form.evaluate(opened, form, note, within=wanted.within or 0.0)


def _show(
    views: ModuleType,
    opened: Experiment,
    measured: Any,
    wanted: Wanted,
    exploited: Exploited | None,
    on_form: MeasuredOnForm | None = None,
) -> None:
    """Writes and prints what was measured, by the functions of `tables` or `sampled_tables`."""
    from psro.views import sampled_tables, strategy_tables, tables

    strategies = opened.strategies() if wanted.strategies else None
    if wanted.csv is not None and strategies is not None:
        strategy_tables.write_csv(strategies, wanted.csv)
    elif wanted.csv is not None:
        views.write_csv(opened, measured, wanted.csv)
    if wanted.json:
        more = _as_json(exploited, on_form)
        if strategies is not None:
            more["strategies"] = strategy_tables.as_json(strategies)
        views.print_json(opened, measured, more)
    else:
        views.print_tables(opened, measured, tables.console())
        if on_form is not None:
            sampled_tables.print_on_form(opened, on_form, tables.console())
        if strategies is not None:
            strategy_tables.print_strategies(strategies, tables.console())


def _exploited(opened: Experiment, wanted: Wanted) -> Exploited:
    """Trains exploiters, and calibrates them if that is wanted."""
    from psro.measure import calibration
    from psro.measure import exploiter as exploiters

    exploiter = exploiters.exploiter_of(
        opened, wanted.exploiter, wanted.exploiter_oracle, wanted.restarts, wanted.episodes
    )
    with wanted.executing.open() or contextlib.nullcontext() as pool:
        found = exploiters.exploit_run(opened, exploiter, pool)
    calibrated = ()
    if wanted.calibrate:
        calibrated = tuple(calibration.calibrate(exploiter, opened.config))
    return exploiter, found, calibrated


def _as_json(exploited: Exploited | None, on_form: MeasuredOnForm | None) -> dict[str, Any]:
    from psro.views import sampled_tables

    result = {} if exploited is None else sampled_tables.exploitation_json(*exploited)
    return result if on_form is None else result | sampled_tables.on_form_json(on_form)


def _measure_seeds(folders: Sequence[str], wanted: Wanted) -> None:
    """The population of each seed alone, and the means over seeds."""
    from psro.measure import across_seeds
    from psro.runs import experiment
    from psro.views import seed_tables, tables

    runs = [experiment.load(folder) for folder in folders]
    for run in runs:
        note_disagreement(run)
    if runs[0].tree is None:
        wanted.check_without_tree(runs[0])
    measured = across_seeds.measure(runs)
    if wanted.csv is not None:
        seed_tables.write_csv(measured, wanted.csv)
    if wanted.json:
        seed_tables.print_json(measured)
    else:
        seed_tables.print_table(measured, tables.console())


def _compare(folders: Sequence[str], wanted: Wanted) -> None:
    """Several populations against each other and against the standard opponents."""
    from psro.measure import comparison
    from psro.runs import experiment
    from psro.views import tables

    runs = [(folder, experiment.load(folder)) for folder in folders]
    for _, run in runs:
        note_disagreement(run)
    if any(run.tree is None for _, run in runs):
        _compare_by_episodes(runs, wanted)
        return
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
        tables.write_comparison_csv(compared, tables.in_columns(runs[0][1]), wanted.csv)
    if wanted.json:
        tables.print_comparison_json(compared, game)
    else:
        tables.print_comparison(compared, tables.console(), game)


def _compare_by_episodes(runs: Sequence[tuple[str, Experiment]], wanted: Wanted) -> None:
    """Several populations against each other and against uniform play, by episodes."""
    from psro.measure import cross_play
    from psro.views import sampled_tables, tables

    reference = next(run for _, run in runs if run.tree is None)
    game = reference.config.game
    wanted.check_without_tree(reference)
    played = cross_play.cross_play(
        reference.setup.game,
        *cross_play.mixtures(runs),
        episodes=wanted.episodes or cross_play.EPISODES,
        seed=reference.config.seed,
    )
    if wanted.csv is not None:
        sampled_tables.write_cross_play_csv(played, wanted.csv)
    if wanted.json:
        sampled_tables.print_cross_play_json(played, game)
    else:
        sampled_tables.print_cross_play(played, tables.console(), game)


def _on_device(tree: GameTree, device: str | None) -> Callable[..., Any] | None:
    """The function that computes exploitability on a device; None for numpy."""
    if device is None:
        return None
    from psro.exact.on_devices import DeviceTree

    return DeviceTree(tree, device).exploitability
