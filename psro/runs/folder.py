"""The folder of a run: its contents, and how they are written, read and checked.

A folder holds

    config.json               the `RunConfig`, the variant's name, the format version, the versions
                              of the packages
    policies/0000.safetensors the policies that iteration 0 made, and so on (`psro.runs.policies`)
    payoffs.safetensors       payoffs, meta-strategy and records: the commit
    metrics.csv               the records again, for people; written from the commit
    exploitability.png        the curve, written when a run ends
    game.csv                  a copy of the game if it came from a file, with the file's ending;
                              its SHA-256 is in config.json
    exact/0-<digest>.plan.npy, .gains.npy
                              vectors of policies where the game is too large to enumerate
                              (`psro.runs.vectors`)
    .lock                     empty; held by the process that trains (`psro.runs.disk.lock`)
    tensorboard/, wandb/, mlflow/, log.jsonl
                              what `--log` writes (`psro.runs.loggers`); nothing here reads them

`payoffs.safetensors` is replaced in one rename after the iteration's policies are on disk. So the
folder always holds a finished iteration, whenever the process or the machine stops. A policy file
that it does not name is left from an unfinished iteration, and is replaced.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from games import plugins
from games.printing import player_name
from games.readers import files
from psro.errors import SettingsError
from psro.runs import commit, disk, policies, storage
from psro.runs.commit import COMMIT, METRICS
from psro.runs.config import SAME, RunConfig, check_module
from psro.runs.limits import check_shareable, check_sizes
from psro.runs.naming import game_of, variant_of
from psro.runs.policies import POLICIES
from psro.runs.storage import FORMAT_VERSION, Damaged, ExperimentError
from psro.runs.vectors import VECTORS
from psro.training import worker
from psro.training.record import Record, why_ended

CONFIG, PICTURE, SUMMARY = "config.json", "exploitability.png", "summary.csv"
_MEMBERS = (
    CONFIG, COMMIT, METRICS, POLICIES, VECTORS, PICTURE, SUMMARY, disk.LOCK, "state.safetensors",
    "return.png", "tensorboard", "wandb", "mlflow", "log.jsonl",
    *(f"game{ending}" for ending in files.ENDINGS),
)  # fmt: skip
_PACKAGES = (
    "psro", "jax", "jaxlib", "flax", "optax", "flashbax", "open_spiel", "nashpy", "numpy", "scipy",
)  # fmt: skip


def default_folder(config: RunConfig) -> Path:
    """A folder in `experiments/` that does not exist, named after the game, the variant and now."""
    return new_folder([game_of(config), variant_of(config)])


def new_folder(parts: Sequence[str | None]) -> Path:
    """A folder in `experiments/` that does not exist, named after these words and now."""
    name = "-".join(
        re.sub(r"[^A-Za-z0-9_.=]+", "-", part).strip("-")[:80]
        for part in (*parts, f"{datetime.datetime.now():%Y%m%dT%H%M%S}")
        if part
    )
    folder, number = Path("experiments") / name, 2
    while os.path.lexists(folder):
        folder = folder.with_name(f"{name}-{number}")
        number += 1
    return folder


def versions() -> dict[str, str]:
    """The versions of the packages that a result depends on."""
    return worker.installed(_PACKAGES)


def begin(folder: Path, config: RunConfig) -> None:
    """Writes the first files of a new run to its empty folder."""
    policies.make_folder(folder)
    disk.write(folder / disk.LOCK, "")
    if copy := game_file(folder, config):
        with disk.replacing(copy) as target:
            files.copy(config.game, target)
    write_config(folder, config)


_BEFORE = {
    "meta_solver": "nash", "evaluation_solver": SAME, "tolerance": 1e-6, "evaluation": "exact",
}  # fmt: skip
"""The defaults of versions that did not decide these settings by the game."""


def write_config(folder: Path, config: RunConfig, held: disk.Held | None = None) -> None:
    fields = {
        "format_version": FORMAT_VERSION,
        "variant": variant_of(config),
        "run": dataclasses.asdict(config),
        "versions": versions(),
    }
    if packages := _packages(config):
        fields["packages"] = packages
    if copy := game_file(folder, config):
        fields["game_sha256"] = files.digest(copy)
    disk.write(folder / CONFIG, json.dumps(fields, indent=2) + "\n", held)


def check_members(folder: Path) -> None:
    """Raises ExperimentError if a file of a run, or a run in a folder of several, is a link, a
    pipe, a socket or a device. A link may lead to other people's files, and reading a pipe may wait
    for ever."""
    for member in _members(folder):
        if kind := disk.kind_of(member):
            raise ExperimentError(f"{member} is {kind}: a run's own files and folders are plain")


def _members(folder: Path) -> Iterator[Path]:
    """Policies and vectors come last: by then it is checked that their folder is not a link."""
    yield from (folder / name for name in _MEMBERS)
    yield from folder.glob("seed-*")
    yield from (folder / POLICIES).glob("*")
    yield from (folder / VECTORS).glob("*")


def raise_version(folder: Path, config: RunConfig, held: disk.Held) -> None:
    """Raises the format version of a run that an older version began, before the run continues. New
    files have the present format, and the older version must refuse them."""
    if storage.read_json(folder / CONFIG)["format_version"] < FORMAT_VERSION:
        with disk.writing(folder):
            write_config(folder, config, held)


def read_run(folder: Path, *, foreign: bool = False) -> RunConfig:
    """The config of the run in a folder. Its copy of the game is checked. `foreign` if the folder
    was unpacked from an exported file."""
    path = folder / CONFIG
    with storage.reading(path):
        if not folder.is_dir():
            raise ExperimentError(f"{folder} is no experiment: it does not exist")
        check_members(folder)
        if not path.is_file():
            raise ExperimentError(f"{folder} is no experiment: it has no {CONFIG}")
        fields = storage.read_json(path)
        if not isinstance(fields, dict) or not isinstance(fields.get("run"), dict):
            if isinstance(fields, dict) and "train" in fields:
                raise ExperimentError(
                    f"{folder} holds one learner, by psro train; this is for runs of psro run"
                )
            raise Damaged("it must be an object with the settings as its run")
        storage.check_version(folder, fields.get("format_version"))
        run_config = _config_of(folder, fields)
        missing = {
            name: value
            for name, value in _BEFORE.items()
            if getattr(run_config, name) in (None, "auto")
        }
        run_config = dataclasses.replace(run_config, **missing)
        check_sizes(run_config)
    if foreign:
        check_shareable(run_config)
    _check_game_file(folder, run_config, fields.get("game_sha256"))
    return run_config


def _config_of(folder: Path, fields: Mapping[str, Any]) -> RunConfig:
    """The config in the fields of config.json. If it names a plug-in that is not known, a sentence
    says where the plug-in comes from."""
    try:
        return RunConfig.from_json(_with_old_magnet(fields["run"]))
    except SettingsError as error:
        saved = fields["run"].get("imports"), fields.get("packages")
        modules, packages = (
            [name for name in names if isinstance(name, str) and name.isprintable()]
            if isinstance(names, list)
            else []
            for names in saved
        )
        missing = [name for name in modules if name not in sys.modules]
        if missing and "unknown" in str(error):
            check_module(missing[0])
            raise ExperimentError(
                f"the run in {folder} needs the module {missing[0]}, which is not imported; add "
                f"--import {missing[0]}"
            ) from None
        if packages and "unknown" in str(error):
            raise ExperimentError(
                f"the run in {folder} needs plug-ins of {', '.join(packages)[:200]}, and {error}"
            ) from None
        raise


def _with_old_magnet(run: Mapping[str, Any]) -> Mapping[str, Any]:
    """Settings of a run from the time when mirror's magnet was always uniform."""
    mirror = run.get("mirror")
    if isinstance(mirror, Mapping) and "average_rate" in mirror and "magnet" not in mirror:
        return {**run, "mirror": {**mirror, "magnet": "uniform"}}
    return run


def _packages(config: RunConfig) -> list[str]:
    """The installed packages, with their versions, that plug-ins of a run come from."""
    named = [
        ("psro.games", re.split(r"[(\s]", config.game, maxsplit=1)[0]),
        ("psro.oracles", config.oracle),
        ("psro.cells", config.cell),
        ("psro.expansions", config.expansion),
        *(
            ("psro.meta_solvers", solver.partition("(")[0].strip())
            for solver in (config.meta_solver, config.measuring_solver)
            if solver
        ),
    ]
    found = (plugins.package_of(group, name) for group, name in named)
    return sorted({package for package in found if package})


def game_file(folder: Path, config: RunConfig) -> Path | None:
    """The path of a folder's copy of the game; None if the game did not come from a file."""
    if not files.is_file(config.game):
        return None
    return folder / f"game{Path(config.game).suffix.lower()}"


def source_of(folder: Path, config: RunConfig) -> str:
    """The string that `games.load` loads a run's game from: the folder's copy if there is one."""
    copy = game_file(folder, config)
    return str(copy) if copy and copy.exists() else config.game


def _check_game_file(folder: Path, config: RunConfig, digest: str | None) -> None:
    copy = game_file(folder, config)
    if copy is None:
        return
    if not copy.is_file():
        raise ExperimentError(f"{copy} is missing: it is the game of this run, {config.game}")
    if files.digest(copy) != digest:
        raise ExperimentError(f"{copy} is damaged: it is not the game that this run began with")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The contents of a run's files, read without loading its game or its networks.

    Attributes:
        folder: where it is saved.
        config: its `RunConfig`.
        game: the string that `games.load` loads its game from: the folder's copy if there is one.
        records: one `Record` per finished iteration; empty in a run that has just begun.
        payoffs: of K policies per player, float64 `[P, K, ..., K]`; None without records.
        payoff_error: their standard errors, of the same shape; None where they are exact.
        meta_strategies: for each iteration, the marginals of the measured meta-strategy, one
            `[K_p]` per player. Older versions kept only the last one; there, earlier ones are None.
        player_names: the players' names in the game's file; None if it names none.
    """

    folder: Path
    config: RunConfig
    game: str
    records: list[Record]
    payoffs: np.ndarray | None
    meta_strategies: list[list[np.ndarray] | None]
    player_names: tuple[str, ...] | None = None
    payoff_error: np.ndarray | None = None

    @property
    def is_sampled(self) -> bool:
        """Whether its figures are measured by episodes."""
        return self.payoff_error is not None

    @property
    def has_vectors(self) -> bool:
        """Whether its game is too large to enumerate, and is measured exactly all the same."""
        return (self.folder / VECTORS).is_dir()

    @property
    def ended(self) -> str | None:
        """As `Experiment.ended`."""
        return ended(self.records, self.config)

    def player_name(self, seat: int, *, begins: bool = False) -> str:
        """A player's name for readers, as `GameTree.player_name`."""
        return player_name(self.player_names, seat, begins=begins)


def snapshot(folder: str | os.PathLike, *, foreign: bool = False) -> Snapshot:
    """The run in a folder as of its last finished iteration. Another process may train it
    meanwhile. This is cheap for every game.

    Args:
        folder: the run's folder.
        foreign: the folder was unpacked from an exported file.

    Raises:
        ExperimentError: it is not an experiment, is damaged, or was written by a newer version.
    """
    folder = Path(folder)
    config = read_run(folder, foreign=foreign)
    committed = commit.read_commit(folder, config)
    strategies: list[list[np.ndarray] | None] = []
    if committed is not None:
        for record, digest in zip(committed.records, committed.digests, strict=True):
            path = policies.policy_file(folder, record.iteration)
            info = storage.read_info(path)
            policies.check_named(path, info, digest)
            num_players = len(committed.payoffs)
            strategies.append(commit.kept_strategy(path, info, num_players, record.size))
        strategies[-1] = list(committed.evaluation.marginals)
    game = source_of(folder, config)
    return Snapshot(
        folder=folder,
        config=config,
        game=game,
        player_names=files.player_names(game),
        records=committed.records if committed else [],
        payoffs=committed.payoffs if committed else None,
        payoff_error=committed.table.standard_error if committed else None,
        meta_strategies=strategies,
    )


def ended(records: Sequence[Record], config: RunConfig) -> str | None:
    return why_ended(
        records,
        iterations=config.iterations,
        tolerance=config.tolerance,
        patience=config.patience,
    )


def plan(
    folder: Path,
    config: RunConfig,
    records: Sequence[Record],
    iterations: int | None,
    held: disk.Held,
) -> RunConfig:
    """The config with which a run continues, with a new number of iterations if one is given.
    Writes the config if it changes, and metrics that are missing after a stop. A run that has
    converged, or whose oracle no longer improves, keeps its config: more iterations would change
    nothing.

    Raises:
        ExperimentError: the run already has more iterations.
    """
    done = len(records) - 1
    if iterations is not None and iterations != config.iterations:
        if iterations < done:
            raise ExperimentError(f"{folder} has {done} iterations already, more than {iterations}")
        longer = dataclasses.replace(config, iterations=iterations)
        check_sizes(longer)
        if ended(records, longer) in (None, "budget"):
            config = longer
            write_config(folder, config, held)
    if records and not commit.has_metrics(held, records):
        commit.write_metrics(held, records)  # the process stopped after the commit
    return config
