"""A whole run as one task, such as an entry of a leaderboard.

Nothing is written: whoever hands out the tasks writes what comes back. Runs that have folders, with
a commit for each iteration, are spread by `psro.runs.tasks.advancing`.
"""

from __future__ import annotations

import dataclasses
import time

from games import GameError
from psro.errors import PsroError
from psro.exact import sequence_form
from psro.oracles.checks import check_positive
from psro.policies.jax_settings import own_settings
from psro.runs.config import RunConfig
from psro.runs.folder import ended
from psro.runs.setup import Setup
from psro.runs.tasks import Context, workplace
from psro.training.executors import Local, answered
from psro.training.pool import Task
from psro.training.record import Iteration, Record


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """What a run may use beside its iterations. It ends after the iteration that goes beyond."""

    cpu_seconds: float = float("inf")
    """Processor seconds of its process while it trains."""
    decisions: float = float("inf")
    """Own decisions of all learners together."""
    uncounted: int = 0
    """Iterations, from 0 on, whose processor seconds do not count: code is compiled in them."""

    def __post_init__(self):
        check_positive("limits", self, "cpu_seconds", "decisions")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """What became of a run of T iterations.

    Attributes:
        records: of its iterations, `[T]`.
        cpu_seconds: that count, from the first iteration to the end of each, `[T]`.
        all_cpu_seconds: the same with everything, loading the game included, `[T]`.
        population_exploitability: the least exploitability of any mixture of its populations.
        error: the sentence that ended it too early; None if none did.
    """

    records: list[Record]
    cpu_seconds: list[float]
    all_cpu_seconds: list[float]
    population_exploitability: float | None = None
    error: str | None = None


def entry_task(
    config: RunConfig, limits: Limits = Limits(), file: tuple[str, bytes] | None = None
) -> Task:
    """The task of a run in a game that is enumerated; its result is an `Entry`. `file` has the
    ending and the content of the game's file, if the game is one."""
    context = Context(config=dataclasses.replace(config, seed=0), file=file)
    arguments = {"context": context, "seed": config.seed, "limits": limits}
    return Task(function=f"{__name__}:train_entry", arguments=arguments)


def train_entry(context: Context, seed: int, limits: Limits) -> Entry:
    """The task of a worker. A run that is refused or cannot go on has an `error`."""
    entry, begun = Entry(records=[], cpu_seconds=[], all_cpu_seconds=[]), time.process_time()
    try:
        setup = workplace(context).setup
        last = _trained(setup, seed, limits, entry, begun)
        least = sequence_form.population_exploitability(setup.tree, last.meta_game.plans)
    except (PsroError, GameError) as error:
        return dataclasses.replace(entry, error=str(error))
    return dataclasses.replace(
        entry, population_exploitability=max(least.measured.exploitability, 0.0)
    )


@own_settings()
def _trained(setup: Setup, seed: int, limits: Limits, entry: Entry, begun: float) -> Iteration:
    """The last iteration. Writes down each of them in `entry`."""
    decisions, start = 0, time.process_time()
    loop = setup.loop(seed, setup.config.iterations, None)
    for iteration in answered(loop, Local(setup)):
        now = time.process_time()
        entry.records.append(iteration.record)
        if len(entry.records) <= limits.uncounted:
            start = now
        entry.cpu_seconds.append(now - start)
        entry.all_cpu_seconds.append(now - begun)
        decisions += sum(iteration.record.decisions)
        if (
            now - start > limits.cpu_seconds
            or decisions > limits.decisions
            or ended(entry.records, setup.config)
        ):
            break
    return iteration
