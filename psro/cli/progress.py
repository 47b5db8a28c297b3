"""Trains one run, or several runs that differ in their seed, and shows the progress."""

from __future__ import annotations

import contextlib
import dataclasses
import signal
import time
from collections.abc import Callable, Iterator, Sequence

from games.forms import cost
from psro.cli.display import MeansTable, bound, display, title, values, why
from psro.cli.folders import proposed
from psro.cli.process import (
    OutOfTime,
    UsageError,
    complain,
    exit_code,
    note,
    noting_interrupts,
    say,
)
from psro.metagame.solving import solver_of
from psro.runs import loggers
from psro.runs import seeds as seed_runs
from psro.runs.commit import COMMIT
from psro.runs.experiment import Experiment
from psro.training.executor_settings import ExecutorConfig
from psro.training.growth import TrainingDiverged
from psro.training.pool import Pool
from psro.training.record import DISTANCES
from psro.variants.expansions import EXPANSIONS
from psro.views import dashboard
from psro.views.numbers import decimals, three_digits

_REGRET = 1e-5
"""A meta-strategy's regret above this is reported, as a share of the game's largest return."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class How:
    """What the progress of training depends on, and its results do not.

    Attributes:
        log: the loggers.
        executing: where work is done.
        wall_limit: seconds after which training stops; None for no limit.
    """

    log: Sequence[str] = ()
    executing: ExecutorConfig = ExecutorConfig()
    wall_limit: float | None = None

    def __post_init__(self):
        if self.wall_limit is not None and not self.wall_limit > 0:
            raise UsageError(f"--wall-limit {self.wall_limit} must be above 0")

    @contextlib.contextmanager
    def pool(self) -> Iterator[Pool | None]:
        """The workers; None for this process."""
        with self.executing.open() or contextlib.nullcontext() as pool:
            yield pool

    @contextlib.contextmanager
    def limited(self) -> Iterator[Callable[[], None]]:
        """Interrupts what is inside when the time is over. It calls the function after every
        iteration, which raises OutOfTime if another one would not fit."""
        if self.wall_limit is None:
            yield lambda: None
            return
        end = last = time.monotonic()
        end, longest = end + self.wall_limit, 0.0

        def lap() -> None:
            nonlocal last, longest
            now = time.monotonic()
            last, longest = now, max(longest, now - last)
            if now + longest > end:
                raise OutOfTime

        signal.setitimer(signal.ITIMER_REAL, self.wall_limit)
        try:
            yield lap
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)


def train(opened: Experiment, how: How) -> None:
    """Trains to the end, shows every record, then draws the curve."""
    _say_notes(opened)
    interrupted = None
    try:
        with (
            how.pool() as pool,
            loggers.logging(how.log, opened, complain=complain) as tell,
            display(opened) as show,
            noting_interrupts() as interrupts,
            how.limited() as lap,
        ):
            for record in opened.train(pool):
                show(record)
                tell(record)
                if interrupts:
                    raise interrupts[0]
                if not opened.ended:
                    lap()
    except KeyboardInterrupt as error:
        interrupted = error
    except TrainingDiverged as error:
        raise TrainingDiverged(
            f"{error}; {opened.folder} keeps the {len(opened.records)} iterations before it; "
            "a smaller learning rate may help"
        ) from None
    if opened.records:
        draw(opened)
    if interrupted:
        note(f"\n{_saved(opened)}; continue with: {proposed('resume', opened.folder)}")
        raise SystemExit(exit_code(interrupted))
    _say_result(opened)


def _say_notes(opened: Experiment) -> None:
    """What a user should know about the game and how it is measured."""
    setup = opened.setup
    notes = setup.tree.notes() if setup.tree is not None else []
    if setup.tree is None and setup.form is not None:
        size, seconds = cost(setup.form)
        kept = 8 * sum(player.num_sequences for player in setup.form.players)  # two float32 vectors
        notes.append(
            f"{setup.config.game} is too large to enumerate, and is measured exactly all the same: "
            f"the players' own info states take {three_digits(size / 1e6)} MB of memory, and every "
            f"iteration about {three_digits(seconds)} CPU seconds for a pass over the game and "
            f"{three_digits(kept / 1e6)} MB of disk; --evaluation sampled measures by episodes"
        )
    if setup.why_sampled:
        notes.append(f"{setup.why_sampled}: policies are measured by episodes")
    for sentence in notes:
        note(f"note: {sentence}")


def _saved(opened: Experiment) -> str:
    """Up to which iteration a stopped run is saved."""
    return f"saved up to iteration {len(opened.records) - 1}" if opened.records else "stopped"


def _say_result(opened: Experiment) -> None:
    last = opened.records[-1]
    iterations = f"{last.iteration} iteration{'s' * (last.iteration != 1)}"
    unit = opened.rules.span
    if last.distance is None:
        say(f"\nvalue {values(last, unit)} after {iterations}, measured by episodes")
        if last.bound is not None:
            gap = DISTANCES[opened.concept]
            say(f"{gap} of iteration {last.iteration - 1} ≥ {bound(last, unit)}")
    else:
        distance = decimals(last.distance, unit=unit)
        say(f"\n{DISTANCES[opened.concept]} {distance} after {iterations}")
    if last.distance is not None and last.concept != "nash":
        say(f"  ({last.meaning})")
    say(f"ended: {why(opened)}")
    worst = max(record.meta_regret for record in opened.records)
    aims = solver_of(opened.config.meta_solver).aim
    solved = aims and not EXPANSIONS[opened.config.expansion].meta_strategy
    if solved and worst > _REGRET * opened.rules.max_return:
        say(f"note: the meta-solver missed its equilibrium by up to {worst:.3g} (meta_regret)")
    say(f"saved in {opened.folder}; look at it with")
    say(f"  {proposed('eval', opened.folder)}")
    say(f"  {proposed('plot', opened.folder)}")


def train_many(runs: seed_runs.Seeds, how: How) -> None:
    """Trains all runs to their ends, shows the mean of every iteration, then draws the curves."""
    first, last = runs.experiments[0], runs.experiments[-1]
    means = MeansTable(first)
    _say_notes(first)
    say(f"{title(first)}, seeds {first.config.seed} to {last.config.seed}")
    say(f"{runs.folder}")
    say(means.head())
    interrupted = None
    begun = min((len(o.records) for o in runs.experiments if not o.ended), default=0)
    since = time.perf_counter()
    try:
        with (
            how.pool() as pool,
            loggers.logging_many(how.log, runs.experiments, complain=complain) as tell,
            dashboard.live(runs.experiments) as refresh,
            noting_interrupts() as interrupts,
            how.limited() as lap,
        ):
            for number in runs.train(pool):
                tell()
                refresh()
                now = time.perf_counter()
                say(means.line(runs.summary().iloc[number], now - since))
                since = now
                if interrupts:
                    raise interrupts[0]
                if number >= begun and not all(opened.ended for opened in runs.experiments):
                    lap()
    except KeyboardInterrupt as error:
        interrupted = error
    _draw_many(runs)
    if interrupted:
        for opened in runs.experiments:
            note(f"{_saved(opened)}; continue with: {proposed('resume', opened.folder)}")
        note(f"or continue all seeds with: {proposed('resume', runs.folder)}")
        raise SystemExit(exit_code(interrupted))
    _refuse_failed(runs)
    say(f"\n{means.result(runs.summary().iloc[-1])}")
    say(f"saved in {runs.folder}, summary in {seed_runs.SUMMARY}; look at it with")
    say(f"  {proposed('eval', runs.folder)}")
    say(f"  {proposed('plot', runs.folder)}")


def _draw_many(runs: seed_runs.Seeds) -> None:
    """Draws the curve of each run that has begun, and the curve of all runs."""
    from psro.views import curves, plots  # here, not above: they load Matplotlib

    begun = [opened for opened in runs.experiments if opened.records]
    for opened in begun:
        draw_missing(opened)
    if begun:
        runs.write_summary()
    drawn = [opened.folder for opened in begun if curves.has_figure(opened)]
    if drawn:
        figure = plots.exploitability_figure(drawn)
        plots.save_figure(figure, runs.folder / "exploitability.png")


def _refuse_failed(runs: seed_runs.Seeds) -> None:
    """If runs have failed, says which ones and ends the process."""
    for number, error in runs.failed.items():
        failed = runs.experiments[number]
        complain(
            f"seed {failed.config.seed}: {error}; {failed.folder} keeps the "
            f"{len(failed.records)} iterations before it; if resumed, it would fail again"
        )
    if runs.failed:
        raise SystemExit(2)


def draw_missing(opened: Experiment) -> None:
    """As `draw`, but only if the picture is missing or older than the run's last iteration."""
    picture, commit = opened.folder / "exploitability.png", opened.folder / COMMIT
    if not picture.exists() or picture.stat().st_mtime < commit.stat().st_mtime:
        draw(opened)


def draw(opened: Experiment) -> None:
    """Draws the run's curve, or its lower bounds, in its folder. A sampled run has no bound before
    its first best responses."""
    from psro.views import curves, plots  # here, not above: they load Matplotlib

    if not curves.has_figure(opened):
        return
    plots.save_figure(
        plots.exploitability_figure([opened.folder]), opened.folder / "exploitability.png"
    )
