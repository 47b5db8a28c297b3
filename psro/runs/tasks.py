"""The tasks of runs: what workers compute (`psro.training.pool`).

A worker builds a run's `Setup` from its settings once, and keeps it for later tasks. So it compiles
once, or reads the code from the common cache. Every task is a pure function of its arguments.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import hashlib
import importlib
import tempfile
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from games.readers import files
from psro.metagame.meta_game import MetaGame
from psro.oracles import ExactView, Jobs, Populations, Results
from psro.policies.jax_settings import own_settings
from psro.policies.policy import Params
from psro.policies.population import Population
from psro.runs.config import RunConfig
from psro.runs.restoring import complete
from psro.runs.setup import Setup
from psro.training.executors import Local, answered, oracle_for
from psro.training.matches import Call
from psro.training.on_form import Shelf
from psro.training.pool import Task
from psro.training.record import Iteration

_SETUPS = 4
"""Setups that a worker keeps."""
_KEPT = 256
"""Runs of which a worker keeps the last iteration."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Context:
    """What a worker builds a run's `Setup` from.

    Attributes:
        config: the run's, with every default decided. Its seed does not count.
        file: the suffix and the content of the game's file, if the game is one.
    """

    config: RunConfig
    file: tuple[str, bytes] | None = None

    @classmethod
    def of(cls, setup: Setup) -> Context:
        file = None
        if files.is_file(setup.source):
            path = Path(setup.source)
            file = (path.suffix, path.read_bytes())
        return cls(config=dataclasses.replace(setup.config, seed=0), file=file)


class Workplace:
    """What a worker keeps for the tasks of a context.

    Attributes:
        setup: of the context's runs.
        last: the last iterations of runs, by their seeds, the latest last.
    """

    def __init__(self, context: Context):
        for name in context.config.imports:
            importlib.import_module(name)
        self.setup = _setup_of(context)
        self.last: collections.OrderedDict[int, Iteration] = collections.OrderedDict()

    def keep(self, seed: int, iteration: Iteration) -> None:
        self.last[seed] = iteration
        self.last.move_to_end(seed)
        if len(self.last) > _KEPT:
            self.last.popitem(last=False)


workplace = functools.lru_cache(maxsize=_SETUPS)(Workplace)


def _setup_of(context: Context) -> Setup:
    if context.file is None:
        return Setup(context.config, context.config.game)
    suffix, content = context.file
    with tempfile.TemporaryDirectory(prefix="psro-") as folder:  # it is read while Setup is made
        path = Path(folder) / f"{hashlib.sha256(content).hexdigest()[:16]}{suffix}"
        path.write_bytes(content)
        return Setup(context.config, str(path))


@own_settings()
def respond(context: Context, **fields: Any) -> Results:
    """What the oracles of a context's runs train; see `jobs_of` for the fields."""
    jobs = jobs_of(**fields)
    return oracle_for(workplace(context).setup, jobs)(jobs)


def jobs_of(
    player: np.ndarray,
    key: np.ndarray,
    initial: Params,
    group: np.ndarray,
    opponents: np.ndarray,
    exact: ExactView | None,
    populations: Params,
    progress: np.ndarray | None,
) -> Jobs:
    """`Jobs` from their fields. `key` is the keys' data, `populations` their parameters."""
    return Jobs(
        player=player,
        key=jax.random.wrap_key_data(key),
        initial=initial,
        populations=Populations(params=populations, group=group),
        opponents=opponents,
        exact=exact,
        progress=progress,
    )


def play(
    context: Context, params: Params, calls: Sequence[Call]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Plays matches; see `Matches.play`."""
    return workplace(context).setup.evaluator.matches.play(params, calls)


def on_form(context: Context, step: str, call: Mapping[str, Any]) -> Any:
    """The result of a method of `psro.training.on_form.FormSteps`."""
    (result,) = workplace(context).setup.evaluator.steps.here(step, [call])
    return result


@dataclasses.dataclass(frozen=True, kw_only=True)
class Advanced:
    """What a run's folder needs of an iteration: as `Iteration`, without the populations, and with
    the table alone of its meta-game."""

    fields: dict[str, Any]

    @classmethod
    def of(cls, iteration: Iteration) -> Advanced:
        fields = {
            field.name: getattr(iteration, field.name)
            for field in dataclasses.fields(iteration)
            if field.name not in ("population", "correlated")
        }
        return cls(fields=fields | {"meta_game": _table_of(iteration.meta_game)})

    def after(self, last: Iteration | None, setup: Setup) -> Iteration:
        """The iteration, as far as a folder needs it, with its populations."""
        population = Population.empty(setup.capacity) if last is None else last.population
        for slot in sorted(self.fields["policies"]):
            population = population.put(slot, self.fields["policies"][slot])
        return Iteration(**self.fields, population=population)


def _table_of(meta_game: MetaGame) -> MetaGame:
    """A meta-game's payoffs alone."""
    return MetaGame(
        payoffs=meta_game.payoffs,
        standard_error=meta_game.standard_error,
        episodes=meta_game.episodes,
    )


def advancing(
    setup: Setup,
    seed: int,
    iterations: int,
    last: Iteration | None,
    shelf: Shelf,
    start: Sequence[Params] | None = None,
) -> Generator[Task | Iteration, Advanced | None, None]:
    """A run's loop (`Setup.loop`) whose iterations are tasks: it yields each task, is sent its
    result, and then yields the iteration, with the table alone of its meta-game. The workers keep
    vectors in memory, and nothing is put on the shelf."""
    context = Context.of(setup)
    for number in range(0 if last is None else last.record.iteration + 1, iterations + 1):
        known = {"context": context, "seed": seed, "number": number}
        if not number and start is not None:
            known["start"] = start
        task = Task(function=f"{__name__}:advance", arguments=known, owner=(context, seed))
        advanced = yield task
        if advanced is None:  # from a worker that does not know the run
            before = dataclasses.replace(last, meta_game=_table_of(last.meta_game), correlated=None)
            advanced = yield dataclasses.replace(task, arguments=known | {"last": before})
        last = advanced.after(last, setup)
        yield last


def advance(
    context: Context,
    seed: int,
    number: int,
    last: Iteration | None = None,
    start: Sequence[Params] | None = None,
) -> Advanced | None:
    """Iteration `number` of the run with this seed. `last` is the iteration before, whose
    meta-game may be the table alone. Without it, the worker uses what it has kept; None if it has
    kept nothing. `start` are the policies of iteration 0, if they are not untrained ones."""
    place = workplace(context)
    if last is not None:
        last = complete(last, place.setup)
    elif number:
        last = place.last.get(seed)
        if last is None or last.record.iteration != number - 1:
            return None
    loop = place.setup.loop(seed, number, last, start=start)
    (iteration,) = answered(loop, Local(place.setup))
    place.keep(seed, iteration)
    return Advanced.of(iteration)
