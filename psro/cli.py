"""`psro run | resume | eval | plot | report | watch | play | export | games | variants`. Bad input
ends with one sentence and exit code 2."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import io
import os
import signal
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import jax
import rich.console
import rich.live
import rich.progress
import tyro

import games as games_package
from games.printing import printable
from games.readers import cache
from psro.errors import PsroError
from psro.exact import on_devices as exact_jax
from psro.measure import comparison, evaluation
from psro.oracles import CONFIGS
from psro.oracles.devices import CPU_DEVICES
from psro.play import terminal as play
from psro.runs import archive, experiment, loggers
from psro.runs import export as sharing
from psro.runs import folder as run_folder
from psro.runs import seeds as many
from psro.runs.config import RunConfig, read_config, solver_of
from psro.runs.experiment import Experiment
from psro.runs.storage import ExperimentError
from psro.training.loop import Record
from psro.training.trainer import TrainingDiverged
from psro.variants.expansions import EXPANSIONS
from psro.variants.published import PUBLISHED, VARIANTS
from psro.views import page, plots, watch
from psro.views import tables as report

_NAMES = {"nash": "exploitability", "cce": "CCE gap", "ce": "CE gap"}
"""What the distance of a record is called, by its concept."""
_REGRET = 1e-5
"""A meta-strategy's regret that is worth a word, as a share of the game's largest return."""

_INTERRUPTED = {each: 128 + each for each in (signal.SIGINT, signal.SIGTERM)}
"""Exit codes, as shells have them."""
_MOST_CFR = 1_000_000
"""Iterations of CFR+: some minutes in Kuhn poker, and no error of it is left to measure."""
_MOST_SAID = 1_000
"""Characters of an error's sentence."""


class _Terminated(KeyboardInterrupt):
    """SIGTERM, which a scheduler sends before it kills: stops a run as Ctrl-C does."""


class UsageError(PsroError):
    """Arguments that do not go together; one sentence says why."""


def _unchecked(config: type) -> type:
    """A config as typed: tyro would wrap the sentence of a failed check in internal names."""
    return type(
        f"_{config.__name__}",
        (config,),
        {"__post_init__": lambda self: None, "__doc__": config.__doc__},
    )


_SETTINGS = {name: _unchecked(config) for name, config in CONFIGS.items()}
_RunOptions = dataclasses.make_dataclass(
    "_RunOptions",
    [(name, kind, dataclasses.field(default_factory=kind)) for name, kind in _SETTINGS.items()],
    bases=(_unchecked(RunConfig),),
    frozen=True,
    kw_only=True,
)


def run(
    options: Annotated[_RunOptions, tyro.conf.arg(name="")],
    variant: str | None = None,
    config: str | None = None,
    out: str | None = None,
    log: tuple[str, ...] = (),
    seeds: int | None = None,
) -> None:
    """Train a population and save it as an experiment folder.

    Args:
        options: the run.
        variant: A published member of the PSRO family, a name for settings; psro variants lists
            them. Those of --config and of the command line win.
        config: TOML or JSON file with settings, such as a run's config.json; those on the command
            line win.
        out: Folder to make, which must not exist; experiments/<game>-<timestamp> by default.
        log: Where records go besides metrics.csv: tensorboard, wandb, or both.
        seeds: Train so many runs side by side, with --seed and the seeds after it, in folders
            seed-N of that folder, beside a summary of their means with 95 % intervals.
    """
    loggers.check(log)
    settings = RunConfig.from_json(dataclasses.asdict(options))
    if seeds is None:
        _train(experiment.create(settings, out), log)
    else:
        _train_many(many.create_many(settings, seeds, out), log)


def resume(
    folder: tyro.conf.Positional[str],
    iterations: int | None = None,
    out: str | None = None,
    log: tuple[str, ...] = (),
) -> None:
    """Go on with a run that was stopped; the result is that of a run that never stopped.

    Args:
        folder: An experiment folder, the folder of several that differ in their seed, or a file
            that `psro export` wrote.
        iterations: Train to this iteration, instead of the one that the folder's config names.
        out: Folder to unpack a file to, which must not exist; by default beside it, with its name
            less the ending.
        log: Where records go besides metrics.csv: tensorboard, wandb, or both.
    """
    loggers.check(log)
    if many.is_many(folder):
        if out is not None:
            raise UsageError("--out is for an exported file; leave it out")
        _train_many(many.reopen_many(folder, iterations), log)
        return
    opened = experiment.reopen(folder, iterations, out)
    if opened.ended:
        _draw(opened)
        print(f"{opened.folder} has ended: {_why(opened)}")
        if opened.ended == "budget":
            print(f"--iterations {2 * opened.config.iterations} would go on")
        return
    _train(opened, log)


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
    if len(folders) > 1:
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
        on_device = device and exact_jax.DeviceTree(tree, device).exploitability
        compared = comparison.compare(tree, mixtures | others, omitted, exploitability=on_device)
        if csv is not None:
            report.write_comparison_csv(compared, csv)
        if json:
            report.print_comparison_json(compared, game)
        else:
            report.print_comparison(compared, report.console(), game)
        return
    opened = experiment.load(folders[0])
    measured = evaluation.evaluate(
        opened.tree,
        opened.plans,
        opened.payoffs,
        opened.meta_strategy,
        joint=opened.joint,
        programs=equilibrium,
        exploitability=device and exact_jax.DeviceTree(opened.tree, device).exploitability,
    )
    if csv is not None:
        report.write_csv(opened, measured, csv)
    if json:
        report.print_json(opened, measured)
    else:
        report.print_tables(opened, measured, report.console())


def plot(
    folders: tyro.conf.Positional[tuple[str, ...]],
    out: str | None = None,
    x: str = "iterations",
    payoffs: bool = False,
) -> None:
    """Draw one or many experiment folders.

    Draws how the exploitability falls (or the gap to a correlated equilibrium, where the
    meta-strategy is one). Folders that differ only in their seed become one curve with a band.

    Args:
        folders: Experiment folders, or files that `psro export` wrote.
        out: The picture to write, PNG or SVG by its ending; exploitability.png by default.
        x: Horizontal axis: iterations, decisions or seconds.
        payoffs: Draw the payoff table between the populations of one folder instead, as heat maps,
            by default to payoffs.png.
    """
    if not folders:
        raise UsageError("name at least one experiment folder")
    if payoffs and len(folders) > 1:
        raise UsageError(f"--payoffs draws one folder, not {len(folders)}")
    with contextlib.ExitStack() as stack:
        errors = (ExperimentError, plots.PlotError)
        read = [stack.enter_context(archive.as_folder(each, errors)) for each in folders]
        if payoffs:
            run = run_folder.snapshot(read[0], foreign=archive.is_file(folders[0]))
            print(plots.save_figure(plots.payoffs_figure(run), out or "payoffs.png"))
        else:
            figure = plots.exploitability_figure(read, x=x)
            print(plots.save_figure(figure, out or "exploitability.png"))


def export(folder: tyro.conf.Positional[str], file: tyro.conf.Positional[str]) -> None:
    """Write an experiment to one file, which eval, plot, report and resume accept like a folder.

    Args:
        folder: An experiment folder, also of a run that is still training.
        file: The file to make, which must not exist: run.psro.
    """
    print(sharing.export(folder, file))


def write_page(folders: tyro.conf.Positional[tuple[str, ...]], out: str = "report.html") -> None:
    """Write a run, or several beside each other, as one web page that needs no other file.

    Args:
        folders: Experiment folders, or files that `psro export` wrote.
        out: The page to write.
    """
    print(page.write(page.report(folders), out))


def watch_run(folder: tyro.conf.Positional[str], port: int = 0) -> None:
    """Show a run's page while it goes on, to a browser on this machine.

    Args:
        folder: An experiment folder.
        port: Of 127.0.0.1; 0 takes a free one.
    """
    watch.watch(folder, port=port)


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
    table = report.table(
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
    console = report.console()
    console.print(table)
    for note in notes:
        console.print(f"note: {note}", highlight=False, markup=False)
    if not names:
        console.print("Any OpenSpiel game string works: psro games 'leduc_poker(players=3)',")
        console.print("and files of games: .efg and .nfg of Gambit, payoffs in .csv, .npy or .npz")


def variants() -> None:
    """List the variants of PSRO that `psro run --variant` knows, with what they set."""
    table = report.table("variant", "settings", "source")
    for column in table.columns:
        column.justify = "left"
    for name, variant in VARIANTS.items():
        own = {n: v for n, v in variant.settings.items() if PUBLISHED.get(n) != v}
        table.add_row(name, _options(own), variant.source)
    console = report.console()
    console.print(table)
    console.print(
        f"Where a variant does not say otherwise: {_options(PUBLISHED).replace(chr(10), ' ')}"
    )
    console.print("Each setting can be set alone: psro run --variant apsro --rounds 20")


def _options(settings: Mapping[str, Any], prefix: str = "--") -> str:
    """Settings as they are typed."""
    return "\n".join(
        _options(value, f"{prefix}{name}.")
        if isinstance(value, Mapping)
        else f"{prefix}{name.replace('_', '-')}{'' if value is True else f' {value}'}"
        for name, value in settings.items()
    )


def command() -> None:
    """The process `psro`. After an interrupt it ends at once, as all is written by then: jaxlib
    goes on to compile what was interrupted, and would meet a Python that has taken its client away
    (a segmentation fault)."""
    try:
        main()
    except SystemExit as leaving:
        if leaving.code in _INTERRUPTED.values():
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(OSError, ValueError, AttributeError):  # closed
                    stream.flush()
            os._exit(leaving.code)
        raise


def main(arguments: list[str] | None = None) -> None:
    """The command `psro`; ends in SystemExit where it is refused or interrupted."""
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    _use_caches()
    _use_all_cores()
    _print_any_name()
    arguments = sys.argv[1:] if arguments is None else arguments
    terminated = signal.signal(signal.SIGTERM, _terminate)
    try:
        tyro.extras.subcommand_cli_from_dict(
            {
                "run": _run_with(arguments),
                "resume": resume,
                "eval": evaluate,
                "plot": plot,
                "report": write_page,
                "watch": watch_run,
                "export": export,
                "games": games,
                "play": play.play,
                "variants": variants,
            },
            prog="psro",
            description="Train and measure game-theoretic populations of recurrent policies.",
            args=arguments,
            config=(tyro.conf.FlagCreatePairsOff,),
        )
    except (PsroError, games_package.GameError) as error:
        _fail(str(error))
    except MemoryError:
        _fail("this needs more memory than there is")
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        _fail(f"this needs more memory than there is: {error}")
    except KeyboardInterrupt as error:  # before or after training, which says how to go on
        print("\nstopped", file=sys.stderr)
        raise SystemExit(_exit_code(error)) from None
    except BrokenPipeError:  # whoever read our output has seen enough
        _close_stdout()
    except OSError as error:  # of standard output, or of a path that nobody below has put in words
        try:
            sys.stdout.flush()
        except OSError:
            _close_stdout()  # or Python would complain once more
        where = "" if error.filename is None else f"cannot use {os.fsdecode(error.filename)!r}: "
        _fail(f"{where}{error.strerror or error}")
    finally:
        signal.signal(signal.SIGTERM, terminated)


def _terminate(number, frame) -> None:
    raise _Terminated


def _exit_code(interrupt: KeyboardInterrupt) -> int:
    return _INTERRUPTED[signal.SIGTERM if isinstance(interrupt, _Terminated) else signal.SIGINT]


def _named(arguments: list[str], option: str) -> str | None:
    """What follows an option of `run` that must be known before the rest is parsed."""
    if arguments[:1] != ["run"]:
        return None
    for number, argument in enumerate(arguments):
        if argument.startswith(f"{option}="):
            return argument.removeprefix(f"{option}=")
        if argument == option and number + 1 < len(arguments):
            return arguments[number + 1]
    return None


def _run_with(arguments: list[str]):
    """`run`, with the defaults that a variant and a file name."""
    name, file = _named(arguments, "--variant"), _named(arguments, "--config")
    if name is not None and name not in VARIANTS:
        near = difflib.get_close_matches(name, VARIANTS, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UsageError(f"unknown variant {name!r}; {hint}known: {', '.join(VARIANTS)}")
    if name is None and file is None:
        return run
    fields = dict(VARIANTS[name].settings) if name else {}
    fields |= read_config(file) if file else {}
    defaults = _RunOptions(
        **{
            name: _SETTINGS[name](**value) if name in _SETTINGS else value
            for name, value in fields.items()
        }
    )

    def with_defaults(
        options: Annotated[_RunOptions, tyro.conf.arg(name="")] = defaults,
        variant: str | None = None,
        config: str | None = None,
        out: str | None = None,
        log: tuple[str, ...] = (),
        seeds: int | None = None,
    ) -> None:
        run(options, variant, config, out, log, seeds)

    with_defaults.__doc__ = run.__doc__
    return with_defaults


def _train(opened: Experiment, log: Sequence[str] = ()) -> None:
    """Trains to the end, showing every record, then draws the curve."""
    for note in opened.tree.notes():
        print(f"note: {note}", file=sys.stderr)
    interrupted = None
    try:
        with (
            loggers.logging(log, opened, complain=_complain) as tell,
            _display(opened) as show,
            _noting_interrupts() as interrupts,
        ):
            for record in opened.train():
                show(record)
                tell(record)
                if interrupts:
                    raise interrupts[0]
    except KeyboardInterrupt as error:
        interrupted = error
    except TrainingDiverged as error:
        raise TrainingDiverged(
            f"{error}; {opened.folder} keeps the {len(opened.records)} iterations before; "
            "a smaller learning rate may help"
        ) from None
    if opened.records:
        _draw(opened)
    if interrupted:
        saved = f"saved up to iteration {len(opened.records) - 1}" if opened.records else "stopped"
        print(f"\n{saved}; go on with: psro resume {opened.folder}", file=sys.stderr)
        raise SystemExit(_exit_code(interrupted))
    last = opened.records[-1]
    iterations = f"{last.iteration} iteration{'s' * (last.iteration != 1)}"
    _say(f"\n{_NAMES[opened.concept]} {last.distance:.6f} after {iterations}")
    if last.concept != "nash":
        _say(f"  ({last.meaning})")
    _say(f"ended: {_why(opened)}")
    worst = max(record.meta_regret for record in opened.records)
    aims = solver_of(opened.config.meta_solver).concept
    solved = aims and not EXPANSIONS[opened.config.expansion].meta_strategy
    if solved and worst > _REGRET * opened.tree.max_return:
        _say(f"note: the meta-solver missed its equilibrium by up to {worst:.3g} (meta_regret)")
    _say(f"saved in {opened.folder}; look at it with")
    _say(f"  psro eval {opened.folder}")
    _say(f"  psro plot {opened.folder}")


def _complain(sentence: str) -> None:
    print(f"psro: {sentence}", file=sys.stderr)


def _train_many(runs: many.Seeds, log: Sequence[str] = ()) -> None:
    """Trains all to their ends, showing the mean of every iteration, then draws the curves."""
    first, last = runs.experiments[0], runs.experiments[-1]
    distance = _NAMES[first.concept]
    for note in first.tree.notes():
        print(f"note: {note}", file=sys.stderr)
    _say(f"{_title(first)}, seeds {first.config.seed} to {last.config.seed}")
    _say(f"{runs.folder}")
    _say(f"{'iteration':>9} {distance + ', 95 %':>23} {'seeds':>5} {'seconds':>8}")
    interrupted = None
    since = time.perf_counter()
    try:
        with (
            loggers.logging_many(log, runs, complain=_complain) as tell,
            _noting_interrupts() as interrupts,
        ):
            for number in runs.train():
                tell()
                now = time.perf_counter()
                row = runs.summary().iloc[number]
                _say(f"{number:>9} {_mean(row):>23} {row.seeds:>5} {now - since:>8.2f}")
                since = now
                if interrupts:
                    raise interrupts[0]
    except KeyboardInterrupt as error:
        interrupted = error
    begun = [each for each in runs.experiments if each.records]
    for each in begun:
        _draw(each)
    if begun:
        runs.write_summary()
        figure = plots.exploitability_figure([each.folder for each in begun])
        plots.save_figure(figure, runs.folder / "exploitability.png")
    if interrupted:
        for each in runs.experiments:
            done = f"saved up to iteration {len(each.records) - 1}" if each.records else "stopped"
            print(f"{done}; go on with: psro resume {each.folder}", file=sys.stderr)
        print(f"or with all of them: psro resume {runs.folder}", file=sys.stderr)
        raise SystemExit(_exit_code(interrupted))
    for number, error in runs.failed.items():
        failed = runs.experiments[number]
        print(
            f"psro: seed {failed.config.seed}: {error}; {failed.folder} keeps the "
            f"{len(failed.records)} iterations before, and would fail again from there",
            file=sys.stderr,
        )
    if runs.failed:
        raise SystemExit(2)
    row = runs.summary().iloc[-1]
    _say(f"\n{distance} {_mean(row)} (95 %)")
    _say(f"saved in {runs.folder}, summary in {many.SUMMARY}; look at it with")
    _say(f"  psro plot {runs.folder}/seed-*")


def _mean(row: Any) -> str:
    """Of a row of the summary, with its interval where there are several seeds."""
    interval = f" ± {row.distance_ci95:.6f}" if row.seeds > 1 else ""
    return f"{row.distance_mean:.6f}{interval}"


def _why(opened: Experiment) -> str:
    """Why a run has ended, with the numbers."""
    config = opened.config
    return {
        "converged": f"converged, {_NAMES[opened.concept]} within the tolerance of "
        f"{config.tolerance:g}",
        "no oracle improves": f"no oracle improves, by more than the tolerance of "
        f"{config.tolerance:g} in {config.patience} iterations",
        "budget": f"budget, all {config.iterations} iterations are done",
    }[opened.ended]


def _draw(opened: Experiment) -> None:
    plots.save_figure(
        plots.exploitability_figure([opened.folder]), opened.folder / "exploitability.png"
    )


@contextlib.contextmanager
def _noting_interrupts() -> Iterator[list[KeyboardInterrupt]]:
    """The interrupts so far, SIGINT and SIGTERM: Python drops a KeyboardInterrupt that is raised in
    a callback of its garbage collector, and JAX has one."""
    interrupts: list[KeyboardInterrupt] = []

    def interrupted(number, frame):
        interrupts.append(_Terminated() if number == signal.SIGTERM else KeyboardInterrupt())
        raise interrupts[-1]

    before = {each: signal.signal(each, interrupted) for each in _INTERRUPTED}
    try:
        yield interrupts
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _display(opened: Experiment) -> Iterator[Any]:
    """A live table with a progress bar on a terminal, plain lines elsewhere."""
    console = report.console()
    config, folder, distance = opened.config, opened.folder, _NAMES[opened.concept]
    _say(f"{_title(opened)}, seed {config.seed}")
    _say(f"{folder}")
    if not console.is_terminal:
        wide = 5 * opened.tree.num_players - 1  # of the supports: up to two digits each
        _say(f"{'iteration':>9} {distance:>14} {'gap':>10} {'support':>{wide}} {'seconds':>8}")

        def line(record: Record) -> None:
            number, value, gap, support, seconds = _cells(record)
            _say(f"{number:>9} {value:>14} {gap:>10} {support:>{wide}} {seconds:>8}")

        for record in opened.records:
            line(record)
        yield line
        return
    progress = rich.progress.Progress(
        rich.progress.TextColumn("iteration {task.completed:.0f} of {task.total:.0f}"),
        rich.progress.BarColumn(),
        rich.progress.TimeElapsedColumn(),
        rich.progress.TextColumn("[dim]{task.fields[doing]}"),
        console=console,
    )
    task = progress.add_task("", total=config.iterations, doing="compiling, then training")
    records = list(opened.records)

    def view() -> rich.console.Group:
        table = report.table("iteration", distance, "gap", "support", "seconds")
        for record in records[-max(4, console.height - 10) :]:
            table.add_row(*_cells(record))
        return rich.console.Group(table, progress)

    with rich.live.Live(view(), console=console, refresh_per_second=4) as live:

        def update(record: Record) -> None:
            records.append(record)
            progress.update(
                task,
                completed=record.iteration,
                doing="" if record.iteration else "compiling, then training",
            )
            live.update(view())

        if records:
            progress.update(task, completed=records[-1].iteration)
        yield update


def _title(opened: Experiment) -> str:
    """The game and what is trained for it."""
    config = opened.config
    return (
        f"{config.game}: {opened.tree.num_histories:,} histories, "
        f"{opened.tree.num_info_states:,} info states\n"
        f"{config.cell} of {config.hidden_size}, oracle {config.oracle}, {config.solvers}"
    )


def _cells(record: Record) -> tuple[str, str, str, str, str]:
    """Iteration, distance, largest gap of a best response, supports, seconds."""
    return (
        str(record.iteration),
        f"{record.distance:.6f}",
        "" if record.gap is None else f"{max(record.gap):.5f}",
        " / ".join(map(str, record.support_size)),
        f"{sum(record.seconds.values()):.2f}",
    )


def _say(text: str) -> None:
    """Prints a line; when nobody reads any more, or there is no room for what they would read, the
    rest goes nowhere and training goes on."""
    try:
        print(text, flush=True)
    except OSError as error:
        _close_stdout()
        if not isinstance(error, BrokenPipeError):
            _complain(f"the output goes nowhere from here on: {error.strerror or error}")


def _print_any_name() -> None:
    """What the terminal's encoding lacks, in the name of a folder for instance, becomes escapes."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _close_stdout() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _use_caches() -> None:
    """Compiled code and compiled trees are kept between runs, in the user's cache folder. (As a
    library nothing is kept, unless `PSRO_TREE_CACHE` or an argument says where.)"""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    os.environ.setdefault(cache.FOLDER_VARIABLE, str(Path(base) / "psro" / "trees"))
    if jax.config.jax_compilation_cache_dir is None:
        jax.config.update("jax_compilation_cache_dir", str(Path(base) / "psro" / "jax"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


def _use_all_cores() -> None:
    """Jobs train side by side (`psro.oracles.devices`), unless somebody has chosen already."""
    forced = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if not forced and jax.config.jax_num_cpu_devices < 0:
        with contextlib.suppress(RuntimeError):  # JAX has started: this is not a fresh process
            jax.config.update("jax_num_cpu_devices", CPU_DEVICES)


def _fail(sentence: str) -> None:
    print(f"psro: {_one_line(sentence)}", file=sys.stderr)
    raise SystemExit(2)


def _one_line(text: str) -> str:
    """What somebody can read of a sentence that quotes what was typed: names with line breaks or
    control characters in them, or that are longer than a screen."""
    if len(text) > _MOST_SAID:
        text = f"{text[: _MOST_SAID // 2]} ... {text[-_MOST_SAID // 2 :]}"
    return printable(text)


if __name__ == "__main__":
    command()
