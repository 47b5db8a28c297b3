"""One learner alone, in its folder (`psro.runs.learner_folder`): `psro train`, and resuming."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from psro.errors import PsroError, SettingsError
from psro.runs import archive, disk, storage
from psro.runs.commit import METRICS
from psro.runs.folder import CONFIG, new_folder, versions
from psro.runs.learner_config import LearnerConfig
from psro.runs.learner_folder import (
    KEY,
    STATE,
    metrics_table,
    read_config,
    records_of,
    why_ended,
)
from psro.runs.storage import FORMAT_VERSION, Damaged, ExperimentError

if TYPE_CHECKING:
    from psro.training.alone import Alone, Evaluation, Stretch

_FRESH_EPISODES = 0xE7A1
"""What the key of `psro eval` is folded with: its episodes are no evaluation's."""


class LearnerSetup:
    """Everything about `psro train` except its seed, its folder and its progress."""

    def __init__(self, config: LearnerConfig):
        self.config = config

    @functools.cached_property
    def alone(self) -> Alone:
        """The learner, ready to train. Raises an error if it cannot play the game."""
        from games.readers.opening import open_game
        from psro import oracles
        from psro.runs.setup import check_layers, network_of
        from psro.training.alone import Alone

        config = self.config
        game = open_game(config.game, evaluation="sampled").game
        if game.num_players != 1:
            raise SettingsError(
                f"psro train is for one player, and {config.game} is for {game.num_players}; "
                f"use psro run --game {config.game}"
            )
        check_layers(config.learner, config)
        if config.network.critic != "own":
            raise SettingsError(
                f"network.critic {config.network.critic} needs other players, and here is one"
            )
        policy = network_of(config.learner, config, game)
        oracle = oracles.ORACLES[config.learner](game, policy, config.settings)
        return Alone(game, policy, oracle, episodes=config.evaluation_episodes)


class LearnerRun:
    """A learner and its folder.

    Attributes:
        folder: where it is saved.
        config: its `LearnerConfig`.
        setup: the game and the learner of the config.
        records: one `Evaluation` per finished stretch, the first before training.
    """

    def __init__(self, folder: Path, config: LearnerConfig, setup: LearnerSetup | None = None):
        self.folder, self.config = folder, config
        self.setup = setup or LearnerSetup(config)
        self.records: list[Evaluation] = []
        self._last: Stretch | None = None
        self._digest: str | None = None

    @property
    def ended(self) -> str | None:
        """`budget` if it has trained to its end; None if not."""
        return why_ended(self.records, self.config)

    def train(self) -> Iterator[Evaluation]:
        """Trains to the end. Yields each evaluation when it is on disk.

        Raises:
            ExperimentError: another process trains in the folder, or has trained in it meanwhile.
        """
        if self.ended:
            return
        with disk.lock(self.folder) as held:
            if _digest(self.folder) != self._digest:
                raise ExperimentError(
                    f"{self.folder} has changed since it was read: another psro has trained in it"
                )
            stretches = self.setup.alone.train(
                self.config.seed, self.config.evaluations, self._last
            )
            for stretch in stretches:
                self._commit(stretch, held)
                yield stretch.record

    def evaluate(self, episodes: int) -> tuple[float, float]:
        """The mean return of fresh episodes of the best policy, and its standard error."""
        import jax

        if self._last is None:
            raise ExperimentError(f"{self.folder} has no finished evaluation yet")
        key = jax.random.fold_in(jax.random.key(self.config.seed), _FRESH_EPISODES)
        return self.setup.alone.evaluate(self._last.best, key, episodes)

    def _commit(self, stretch: Stretch, held: disk.Held) -> None:
        import jax

        best = storage.flatten(stretch.best).items()
        tensors = {f"best/{name}": leaf[None] for name, leaf in best}  # a number keeps its shape
        for number, leaf in enumerate(jax.tree.leaves(stretch.learner)):
            leaf = np.ascontiguousarray(leaf)
            tensors[f"state/{number:04d}"] = np.frombuffer(leaf.tobytes(), np.uint8)
        records = [*self.records, stretch.record]
        info = {
            "records": [dataclasses.asdict(record) for record in records],
            "best_return": stretch.best_return,
        }
        with disk.writing(self.folder):
            self._digest = storage.write_tensors(self.folder / STATE, tensors, info, held)
            self.records, self._last = records, stretch
            disk.write(self.folder / METRICS, metrics_table(records).to_csv(index=False), held)

    def restore(self) -> None:
        """Reads the folder's state."""
        import jax

        from psro.training.alone import Stretch

        path = self.folder / STATE
        if not path.exists():
            return
        learner, params = self.setup.alone.shapes()
        leaves, structure = jax.tree.flatten(learner)
        sizes = [math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in leaves]
        room = sum(sizes) + 4 * sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))
        tensors, info = storage.read_tensors(path, lambda _: room, types=("F32", "U8"))
        try:
            records = records_of(info)
            state = [tensors.get(f"state/{number:04d}") for number in range(len(leaves))]
            if any(
                raw is None or raw.dtype != np.uint8 or raw.size != size
                for raw, size in zip(state, sizes, strict=True)
            ):
                raise Damaged("it is not the state of the learner that config.json describes")
            best = storage.unflatten(
                {
                    name.removeprefix("best/"): value[0]
                    for name, value in tensors.items()
                    if name.startswith("best/") and len(value.shape) and len(value) == 1
                }
            )
            shape = functools.partial(jax.tree.map, lambda leaf: leaf.shape)
            if shape(best) != shape(params):
                raise Damaged("it does not hold the network that config.json describes")
        except Damaged as error:
            raise ExperimentError(f"{path} is damaged: {error}") from None
        arrays = [
            np.frombuffer(raw.tobytes(), leaf.dtype).reshape(leaf.shape)
            for raw, leaf in zip(state, leaves, strict=True)
        ]
        self.records, self._digest = records, info["sha256"]
        self._last = Stretch(
            record=records[-1],
            learner=jax.tree.unflatten(structure, arrays),
            best=best,
            best_return=records[records[-1].best].mean_return,
        )


def create(
    config: LearnerConfig, out: str | os.PathLike | None = None, like: LearnerRun | None = None
) -> LearnerRun:
    """A new learner and its folder, by default `experiments/<game>-<learner>-<time>`. If the game
    cannot be opened, no folder is left behind. `like` differs only in its seed."""
    folder = Path(out) if out is not None else default_folder(config)
    disk.check_free(folder, f"choose another --out, or `psro resume {folder}`")
    made = LearnerRun(folder, config, like and like.setup)
    _ = made.setup.alone  # which may refuse the game
    with disk.making(folder) as aside:
        disk.write(aside / disk.LOCK, "")
        _write_config(aside, config)
    return made


def create_many(config: LearnerConfig, seeds: int, out: str | None = None) -> list[LearnerRun]:
    """Learners that differ in their seed, in folders `seed-N` of one folder."""
    from psro.runs.seed_folders import seed_folder

    if not 1 <= seeds <= 1_000:
        raise SettingsError(f"seeds = {seeds} must be between 1 and 1,000")
    configs = [dataclasses.replace(config, seed=config.seed + n) for n in range(seeds)]
    folder = Path(out) if out is not None else default_folder(config)
    disk.check_free(folder, "choose another --out")
    setup = LearnerSetup(config)
    _ = setup.alone
    runs = [LearnerRun(folder / seed_folder(own.seed), own, setup) for own in configs]
    with disk.making(folder) as aside:
        for run in runs:
            part = aside / run.folder.name
            part.mkdir()
            disk.write(part / disk.LOCK, "")
            _write_config(part, run.config)
    return runs


def load(path: str | os.PathLike, like: LearnerRun | None = None) -> LearnerRun:
    """The learner in a folder, or in an exported file, as of its last evaluation. One in a folder
    can be trained on. `like` may differ only in its seed; otherwise it is not used."""
    with archive.as_folder(path) as folder:
        run = _open_folder(folder, like, foreign=archive.is_file(path))
    run.folder = Path(path)
    return run


def reopen(
    path: str | os.PathLike, out: str | os.PathLike | None = None, like: LearnerRun | None = None
) -> LearnerRun:
    """The learner in a folder, to train it on. An exported file is first unpacked to a new folder
    `out`. By default, it is next to the file and has its name without the ending."""
    if not archive.is_file(path):
        if out is not None:
            raise ExperimentError(f"{path} is not an exported file; leave out --out")
        return load(path, like)
    folder = archive.unpack_beside(Path(path), out)
    try:
        return _open_folder(folder, like, foreign=True)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _open_folder(folder: Path, like: LearnerRun | None, *, foreign: bool) -> LearnerRun:
    config = read_config(folder, foreign=foreign)
    same = like and dataclasses.replace(like.config, seed=config.seed) == config
    run = LearnerRun(folder, config, like.setup if same else None)
    try:
        _ = run.setup.alone
    except ExperimentError:
        raise
    except PsroError as error:
        raise ExperimentError(
            f"the learner in {folder} cannot be loaded: {storage.sentence(error)}"
        ) from None
    run.restore()
    return run


def copy(source: Path, folder: Path) -> None:
    """Makes `folder` from a learner's folder, as of its last evaluation, and checks that it is
    whole. Raises ExperimentError if it cannot be loaded, or names files."""
    if not (source / STATE).exists():
        raise ExperimentError(f"{source} has no finished evaluation yet")
    with disk.writing(folder):
        folder.mkdir()
        for name in (STATE, CONFIG):
            shutil.copyfile(source / name, folder / name)
    run = _open_folder(folder, None, foreign=True)
    disk.write(folder / METRICS, metrics_table(run.records).to_csv(index=False))


def default_folder(config: LearnerConfig) -> Path:
    """A folder in `experiments/` that does not exist."""
    return new_folder([config.game, config.learner, config.cell])


def _write_config(folder: Path, config: LearnerConfig) -> None:
    fields = {
        "format_version": FORMAT_VERSION,
        KEY: dataclasses.asdict(config),
        "versions": versions(),
    }
    disk.write(folder / CONFIG, json.dumps(fields, indent=2) + "\n")


def _digest(folder: Path) -> str | None:
    path = folder / STATE
    return storage.read_info(path)["sha256"] if path.exists() else None
