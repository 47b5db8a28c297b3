"""Runs: training, saving, loading. For settings see `psro.runs.config`, for files `runs.folder`."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import shutil
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

import games
from games import GameTree
from games.readers import frames
from psro.errors import PsroError, SettingsError
from psro.metagame.gaps import Gaps
from psro.metagame.meta_game import MetaGame
from psro.metagame.solving import solver_of
from psro.metagame.strategy import MetaStrategy
from psro.policies.jax_settings import own_settings
from psro.policies.policy import Params, Policy, TablePolicy
from psro.runs import archive, disk, storage
from psro.runs import commit as commits
from psro.runs import folder as run_folder
from psro.runs import policies as policy_files
from psro.runs.acting import ActingRun
from psro.runs.config import RunConfig
from psro.runs.description import finished
from psro.runs.fitting import Rules
from psro.runs.limits import check_sizes
from psro.runs.modules import import_all
from psro.runs.restoring import complete, restore, restored_start
from psro.runs.setup import Setup
from psro.runs.spreading import Spread
from psro.runs.storage import ExperimentError
from psro.runs.vectors import VectorFiles
from psro.training.executors import Local, answered
from psro.training.on_form import Shelf
from psro.training.pool import Pool
from psro.training.record import Iteration, Record

Loop = Callable[
    [int, int, Iteration | None, Shelf, Sequence[Params] | None], Generator[Any, Any, None]
]
"""Yields the iterations of a run, and requests, whose results it is sent. It takes the seed, the
number of the last iteration, the iteration to continue from, what keeps vectors of policies, and
the policies of iteration 0 if they are not untrained ones."""


class Experiment(ActingRun):
    """A run and its folder. `psro.run`, `psro.resume` and `psro.load` make one.

    Attributes:
        folder: where it is saved.
        config: its `RunConfig`.
        setup: the game, the policies' network and the oracle of the config.
        tree: all of the game; None where it is not enumerated.
        policy_network: the `Policy` whose parameters the populations are.
        records: one `Record` per finished iteration.
    """

    def __init__(self, folder: Path, config: RunConfig, setup: Setup | None = None):
        """
        Args:
            folder: where the run is saved, or will be.
            config: the run's config.
            setup: the setup of a run that differs only in its seed; both runs share it.
        """
        self.folder, source = folder, run_folder.source_of(folder, config)
        self.setup = setup or Setup(config, source)
        self.config = dataclasses.replace(self.setup.config, seed=config.seed)
        self.records: list[Record] = []
        self._last: Iteration | None = None
        self._digests: list[str] = []
        self._start: list[Params] | None = None  # the policies of iteration 0, before it is done

    @property
    def tree(self) -> GameTree | None:
        return self.setup.tree

    @property
    def rules(self) -> Rules:
        """The game's players, returns and sizes, enumerated or not."""
        return self.setup.rules

    @property
    def policy_network(self) -> Policy | TablePolicy:
        return self.setup.policy

    @property
    def ended(self) -> str | None:
        """Why the run has nothing left to do: `converged` (exploitability within the tolerance),
        `no oracle improves` (for `patience` iterations) or `budget` (all iterations are done)."""
        return run_folder.ended(self.records, self.config)

    @property
    def concept(self) -> str:
        """The equilibrium that the meta-strategy is measured as: nash, cce or ce."""
        return solver_of(self.config.measuring_solver or self.config.meta_solver).concept

    @property
    def populations(self) -> list[Params]:
        """Each player's policies, leaves `[K, ...]`, in the order in which they were trained."""
        population = self._finished().population
        return [
            jax.tree.map(lambda leaf, p=p: leaf[p, : population.size], population.params)
            for p in range(self.rules.num_players)
        ]

    @property
    def meta_game(self) -> MetaGame:
        """The policies of all players as realization plans, and their payoffs."""
        return self._finished().meta_game

    @property
    def measured_strategy(self) -> MetaStrategy:
        """The mixture that policies are drawn from and that is measured: `meta_strategy` and
        `joint`."""
        return self._finished().evaluation

    @property
    def payoffs(self) -> np.ndarray:
        """Expected returns of every profile of policies, float64 `[P, K_0, ..., K_{P-1}]`; averaged
        over seatings in a symmetric run."""
        return self._finished().meta_game.payoffs

    @property
    def meta_strategy(self) -> list[np.ndarray]:
        """Each player's distribution over its policies, float64 `[K_p]`. An evaluation solver
        decides it if there is one. If players draw together, it is a marginal of `joint`."""
        return list(self._finished().evaluation.marginals)

    @property
    def joint(self) -> np.ndarray | None:
        """The distribution over profiles of policies, float64 `[K_0, ..., K_{P-1}]`, if the
        meta-strategy is correlated; None if players draw independently."""
        return self._finished().evaluation.joint

    @property
    def plans(self) -> tuple[np.ndarray, ...]:
        """Each player's realization plans, float64 `[K_p, S_p]`."""
        self.needs_tree("a realization plan")
        return self._finished().meta_game.plans

    def measure(self) -> Gaps:
        """Value, best-response values, NashConv and other gaps of the meta-strategy, computed
        now; only the value, with its standard error, where games are sampled."""
        last = self._finished()
        return self.setup.evaluator.gaps(last.meta_game, last.evaluation, last.record.concept)

    def exploitability(self) -> float:
        """Exact NashConv / P of the meta-strategy, computed now."""
        if not self.is_exact:
            self.needs_tree("exact exploitability")
        return self.measure().exploitability

    def needs_tree(self, what: str) -> GameTree:
        """The run's tree; raises SettingsError with `what` where it has none."""
        if self.tree is None:
            why = "too large for that" if self.is_exact else "measured by episodes"
            raise SettingsError(
                f"{what} needs a game that is enumerated, and {self.config.game} is {why}"
            )
        return self.tree

    def train(self, pool: Pool | None = None) -> Iterator[Record]:
        """Trains until the run has `ended`. Yields each record when its iteration is on disk.

        Args:
            pool: workers that train best responses and play matches; by default this process does.

        Raises:
            ExperimentError: another process trains in the folder, or has trained in it meanwhile.
        """
        executor = Local(self.setup) if pool is None else Spread(pool, self.setup)
        loop = functools.partial(self.setup.loop, workers=executor.elsewhere)
        yield from answered(self.training(loop), executor)

    def training(self, loop: Loop | None = None) -> Generator[Any, Any, None]:
        """As `train`, but also yields the requests of `loop`. The caller sends back their results.
        By default it is the setup's, whose requests are for best responses (`Ask`)."""
        if self.ended:
            return
        with self._locked() as held:
            run_folder.raise_version(self.folder, self.config, held)
            steps = (loop or self.setup.loop)(
                self.config.seed,
                self.config.iterations,
                self._last,
                VectorFiles(self.folder, held),
                self._start,
            )
            answer = None
            while not self.ended:
                with own_settings():
                    said = steps.send(answer)
                if isinstance(said, Iteration):
                    self._commit(said, held)
                    said = said.record
                answer = yield said

    @contextlib.contextmanager
    def _locked(self) -> Iterator[disk.Held]:
        """Holds the folder. Raises ExperimentError if another process has changed it."""
        with disk.lock(self.folder) as held:
            if commits.committed_digests(self.folder) != self._digests:
                raise ExperimentError(
                    f"{self.folder} has changed since it was read: another psro has trained in it"
                )
            yield held

    def _finished(self) -> Iteration:
        if self._last is None:
            raise ExperimentError(f"{self.folder} has no finished iteration yet")
        if self.is_exact and type(self._last.meta_game) is MetaGame:  # it was computed elsewhere
            self._last = complete(self._last, self.setup, VectorFiles(self.folder))
        return self._last

    def _commit(self, iteration: Iteration, held: disk.Held) -> None:
        """Writes an iteration to disk; `psro.runs.folder` explains the order."""
        with disk.writing(self.folder):
            digest = policy_files.write_policies(held, iteration, self.setup.num_populations)
            records, digests = [*self.records, iteration.record], [*self._digests, digest]
            try:
                commits.write_commit(held, self.config, iteration, records, digests)
            except BaseException:  # an interrupt may come after the commit
                if commits.committed_digests(self.folder) == digests:
                    self.records, self._last, self._digests = records, iteration, digests
                raise
            self.records, self._last, self._digests = records, iteration, digests
            commits.write_metrics(held, records)
            VectorFiles(self.folder, held).keep_only(iteration.meta_game)

    def _restore(self) -> None:
        """Reads the folder's commit and the policies that it names."""
        if restored := restore(self.folder, self.config, self.setup):
            self.records, self._digests, self._last = restored
        elif self.config.origin is not None:
            self._start = restored_start(self.folder, self.config, self.setup)


def create(
    config: RunConfig,
    out: str | os.PathLike | None = None,
    like: Experiment | None = None,
    start: Any = None,
) -> Experiment:
    """A new experiment and its folder. If the game cannot be loaded, no folder is left behind.

    Args:
        config: the run's settings.
        out: the folder. It must not exist. By default `experiments/<game>-<variant>-<time>`.
        like: an experiment that differs only in its seed; both share one `setup`, and their start.
        start: what to start from in the place of `config.start_from`: a run, or OpenSpiel policies.
    """
    if not isinstance(config, RunConfig):
        raise SettingsError(f"{config!r} is not a RunConfig, such as RunConfig(game='kuhn_poker')")
    folder = Path(out) if out is not None else run_folder.default_folder(config)
    disk.check_free(folder, f"choose another --out, or `psro resume {folder}`")
    try:
        check_sizes(config)  # what is saved must be accepted when it is read
    except SettingsError as error:
        raise ExperimentError(f"cannot run {config.game[:80]!r}: {error}") from None
    experiment = _begun(folder, config, like, start)
    experiment.setup.check_oracles()
    with disk.making(folder) as aside:
        run_folder.begin(aside, experiment.config)
        if experiment._start is not None:
            policy_files.write_start(aside, experiment._start, experiment.setup.num_populations)
    return experiment


def _begun(folder: Path, config: RunConfig, like: Experiment | None, start: Any) -> Experiment:
    """A new experiment without its folder."""
    if start is not None and config.start_from is not None:
        raise SettingsError("there are two things to start from: start_from and start; give one")
    given = config.start_from if start is None else start
    if like is not None:
        experiment = Experiment(folder, config, like.setup)
        experiment._start = like._start
        return experiment
    if given is None and config.origin is None:
        return Experiment(folder, config)
    from psro.runs import starting

    source = starting.source_of(given, load)
    experiment = Experiment(folder, starting.with_origin(config, source))
    experiment._start, origin = starting.members_of(source, experiment.setup, config.origin)
    experiment.setup.config = dataclasses.replace(experiment.setup.config, origin=origin)
    experiment.config = dataclasses.replace(experiment.config, origin=origin)
    return experiment


def load(folder: str | os.PathLike, *, imports: Sequence[str] = ()) -> Experiment:
    """The experiment in a folder, in a file that `psro export` wrote, or of the zoo (`"zoo:kuhn"`),
    as of its last finished iteration. From a file, it can only be read. `imports` come first:
    modules of one's own, or the paths of their .py files, which register what the run needs.

    Raises:
        ExperimentError: it is not an experiment, has no finished iteration, is damaged, or was
            written by a newer version.
    """
    import_all(imports)
    experiment = _open(folder)
    experiment._finished()
    return experiment


def run(
    config: RunConfig | None = None,
    out: str | os.PathLike | None = None,
    *,
    game: Any = None,
    start: Any = None,
    imports: Sequence[str] = (),
    progress: bool = False,
    pool: Pool | None = None,
) -> Experiment:
    """Trains a new experiment to its end. With `progress`, prints one line per iteration on
    standard error. `game` replaces the config's, and may be a DataFrame or an array of payoffs
    (`games.readers.frames`). See `create` for `out` and `start`, `load` for `imports`, and
    `Experiment.train` for `pool`."""
    config, names = config or RunConfig(), import_all(imports)
    with frames.as_name(game) as name:
        changes = {"game": name} if name else {}
        if changes | ({"imports": names} if names else {}):
            config = dataclasses.replace(config, **changes, imports=(*config.imports, *names))
        experiment = create(config, out, start=start)
    finished(experiment.train(pool), experiment.config, progress)
    return experiment


def resume(
    folder: str | os.PathLike,
    iterations: int | None = None,
    out: str | os.PathLike | None = None,
    *,
    imports: Sequence[str] = (),
    progress: bool = False,
    pool: Pool | None = None,
) -> Experiment:
    """Trains the experiment in a folder to its end, or to `iterations`; see `reopen` and `run`."""
    import_all(imports)
    experiment = reopen(folder, iterations, out)
    finished(experiment.train(pool), experiment.config, progress)
    return experiment


def reopen(
    folder: str | os.PathLike, iterations: int | None = None, out: str | os.PathLike | None = None
) -> Experiment:
    """Opens an experiment to continue it. `iterations` replaces the number in its config.

    The result is bit for bit that of a run that never stopped. An exported file is first unpacked
    to a new folder `out`. By default, it is next to the file and has its name without the ending.
    """
    exported = archive.is_file(folder)
    if out is not None and not exported:
        raise ExperimentError(f"{folder} is not an exported file; leave out --out")
    if exported:
        folder = archive.unpack_beside(Path(folder), out)
    try:
        experiment = _open_folder(Path(folder), foreign=exported)
        with experiment._locked() as held, disk.writing(experiment.folder):
            experiment.config = run_folder.plan(
                experiment.folder, experiment.config, experiment.records, iterations, held
            )
    except BaseException:
        if exported:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    return experiment


def _open(path: str | os.PathLike) -> Experiment:
    with archive.as_folder(path) as folder:
        experiment = _open_folder(folder, foreign=archive.is_file(path))
    experiment.folder = Path(path)
    return experiment


def _open_folder(folder: Path, *, foreign: bool = False) -> Experiment:
    """The experiment in a folder; `foreign` if that was unpacked from a file."""
    config = run_folder.read_run(folder, foreign=foreign)
    try:
        experiment = Experiment(folder, config)
    except (PsroError, games.GameError) as error:
        sentence = storage.sentence(error)
        raise ExperimentError(f"the run in {folder} cannot be loaded: {sentence}") from None
    experiment._restore()
    return experiment
