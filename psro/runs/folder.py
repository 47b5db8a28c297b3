"""The folder of a run: what stands in it, and how that is written, read and checked.

A folder holds

    config.json               the `RunConfig`, the format version, the versions of the packages
    policies/0000.safetensors the policies that iteration 0 made, and so on (`psro.runs.policies`)
    payoffs.safetensors       payoffs, meta-strategy and records: the commit
    metrics.csv               the records again, for people; written from the commit
    exploitability.png        the curve, written when a run ends
    game.csv                  a copy of the game, where it came from a file, with that one's ending;
                              its SHA-256 is in config.json
    .lock                     empty; held by the process that trains (`psro.runs.storage.lock`)
    tensorboard/, wandb/      what `--log` writes (`psro.runs.loggers`); nothing here reads them

`payoffs.safetensors` is replaced in one rename after the iteration's policies are on disk, so the
folder is always that of a finished iteration, whenever the process or the machine stops. A policy
file that it does not name is left over from an iteration that was not finished, and is replaced.
"""

from __future__ import annotations

import dataclasses
import datetime
import importlib.metadata
import json
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from games.printing import player_name
from games.readers import files
from games.tree import MAX_RETURN
from psro.metagame.gaps import MEANINGS
from psro.metagame.strategy import MetaStrategy
from psro.runs import policies, storage
from psro.runs.config import SAME, RunConfig, check_shareable, check_sizes
from psro.runs.storage import FORMAT_VERSION, ExperimentError
from psro.training.record import Iteration, Record, why_ended

if TYPE_CHECKING:
    import pandas as pd

CONFIG, COMMIT, METRICS = "config.json", "payoffs.safetensors", "metrics.csv"
_MOST_PAYOFF = MAX_RETURN * (1 + 1e-6)
"""A rounded mean of returns may be above all of them."""
_PACKAGES = (
    "psro", "jax", "jaxlib", "flax", "optax", "flashbax", "open_spiel", "nashpy", "numpy", "scipy",
)  # fmt: skip


def default_folder(game: str) -> Path:
    if files.is_file(game):
        game = Path(game).name
    name = re.sub(r"[^A-Za-z0-9_.=]+", "-", game).strip("-")[:80]
    stamp = datetime.datetime.now().strftime("%Y%m%dT%H%M%S")
    folder = Path("experiments") / f"{name}-{stamp}"
    number = 2
    while folder.exists():
        folder = folder.with_name(f"{name}-{stamp}-{number}")
        number += 1
    return folder


def begin(folder: Path, config: RunConfig) -> None:
    """What stands in a new run's folder, which is there and empty."""
    policies.make_folder(folder)
    storage.write(folder / storage.LOCK, "")
    if copy := game_file(folder, config):
        with storage.replacing(copy) as target:
            files.copy(config.game, target)
    write_config(folder, config)


_BEFORE = {"meta_solver": "nash", "evaluation_solver": SAME, "tolerance": 1e-6}
"""The defaults of versions that did not decide these settings by the game."""


def write_config(folder: Path, config: RunConfig) -> None:
    fields = {
        "format_version": FORMAT_VERSION,
        "run": dataclasses.asdict(config),
        "versions": {name: importlib.metadata.version(name) for name in _PACKAGES},
    }
    if copy := game_file(folder, config):
        fields["game_sha256"] = files.digest(copy)
    storage.write(folder / CONFIG, json.dumps(fields, indent=2) + "\n")


def raise_version(folder: Path, config: RunConfig) -> None:
    """Before a run goes on that an older version began: what is added has the present format, which
    that version is to refuse."""
    if storage.read_json(folder / CONFIG)["format_version"] < FORMAT_VERSION:
        with storage.writing(folder):
            write_config(folder, config)


def read_run(folder: Path, *, foreign: bool = False) -> RunConfig:
    """The run of a folder, its copy of the game checked."""
    config = folder / CONFIG
    try:
        if not config.is_file():
            what = f"has no {CONFIG}" if folder.is_dir() else "does not exist"
            raise ExperimentError(f"{folder} is no experiment: it {what}")
        fields = storage.read_json(config)
        storage.check_version(folder, fields["format_version"])
    except ExperimentError:
        raise
    except OSError as error:
        raise ExperimentError(f"cannot read {config}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ExperimentError(f"{config} is damaged: {storage.sentence(error)}") from None
    try:
        run_config = RunConfig.from_json(fields["run"])
        missing = {
            name: value for name, value in _BEFORE.items() if getattr(run_config, name) is None
        }
        run_config = dataclasses.replace(run_config, **missing)
        check_sizes(run_config)
        if foreign:
            check_shareable(run_config)
    except ExperimentError:
        raise
    except (ValueError, KeyError, TypeError) as error:
        raise ExperimentError(f"{config} is damaged: {storage.sentence(error)}") from None
    _check_game_file(folder, run_config, fields.get("game_sha256"))
    return run_config


def game_file(folder: Path, config: RunConfig) -> Path | None:
    """Where a folder keeps its copy of a game that came from a file."""
    if not files.is_file(config.game):
        return None
    return folder / f"game{Path(config.game).suffix.lower()}"


def game_of(folder: Path, config: RunConfig) -> str:
    """What `games.load` loads a run's game from: the folder's copy, where it came from a file."""
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
class Commit:
    """What `payoffs.safetensors` holds."""

    records: list[Record]
    digests: list[str]
    payoffs: np.ndarray
    meta_strategy: MetaStrategy
    evaluation: MetaStrategy


def read_commit(folder: Path, config: RunConfig) -> Commit | None:
    """None where no iteration is finished."""
    path = folder / COMMIT
    if not path.exists():
        return None
    tensors, info = storage.read_tensors(path)
    try:
        payoffs = tensors["payoffs"]
        num_players = len(payoffs)
        records = [
            _record(fields, number, num_players) for number, fields in enumerate(info["records"])
        ]
        digests = list(info["policies"])
        meta_strategy = _read_strategy(tensors, "meta_strategy", num_players)
        evaluation = meta_strategy
        if config.evaluation:
            evaluation = _read_strategy(tensors, "evaluation", num_players)
        _check_commit(records, digests, payoffs, meta_strategy, evaluation)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        sentence = storage.sentence(error)
        raise ExperimentError(f"{path} is damaged: {sentence} is missing or wrong") from None
    return Commit(
        records=records,
        digests=digests,
        payoffs=payoffs,
        meta_strategy=meta_strategy,
        evaluation=evaluation,
    )


def _strategy_tensors(name: str, strategy: MetaStrategy) -> dict[str, np.ndarray]:
    if strategy.joint is not None:
        return {f"{name}/joint": strategy.joint}
    return {f"{name}/{p}": weights for p, weights in enumerate(strategy.marginals)}


def _read_strategy(tensors: Mapping[str, np.ndarray], name: str, num_players: int) -> MetaStrategy:
    if f"{name}/joint" in tensors:
        return MetaStrategy.of(tensors[f"{name}/joint"])
    return MetaStrategy.of([tensors[f"{name}/{p}"] for p in range(num_players)])


def _record(fields: Mapping[str, Any], number: int, num_players: int) -> Record:
    """Record `number` from what was saved of it; raises ValueError where that is no such record."""
    if "concept" not in fields:  # format 1
        nash = {"concept": "nash", "meaning": MEANINGS["nash"], "cce_gap": None, "ce_gap": None}
        fields = {**nash, **fields}
    fields = {"size": number + 1, **fields}  # before format 3
    record = Record(
        **{
            name: tuple(value) if isinstance(value, list) else value
            for name, value in fields.items()
        }
    )
    for field in dataclasses.fields(record):
        value, kind = getattr(record, field.name), field.type.removesuffix(" | None")
        sound = {
            "int": lambda value: type(value) is int,
            "float": _is_number,
            "str": lambda value: isinstance(value, str),
            "tuple[float, ...]": lambda value: len(value) == num_players and _are_numbers(value),
            "tuple[int, ...]": lambda value: len(value) == num_players and _are_numbers(value),
            "dict[str, float]": lambda value: _are_numbers(value.values()),
        }[kind]
        if not (value is None and kind != field.type) and not sound(value):
            raise ValueError(f"{field.name} of record {number}")
    if record.iteration != number or record.concept not in MEANINGS or record.distance is None:
        raise ValueError(f"iteration or concept of record {number}")
    return record


def _is_number(value: Any) -> bool:
    """Finite, and no bool."""
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def _are_numbers(values: Iterable[Any]) -> bool:
    return all(map(_is_number, values))


def _check_commit(
    records: Sequence[Record],
    digests: Sequence[str],
    payoffs: np.ndarray,
    *strategies: MetaStrategy,
) -> None:
    """Raises ValueError where the parts of a commit do not fit together."""
    if not records or len(records) != len(digests):
        raise ValueError(f"{len(records)} records for {len(digests)} policies: one number")
    sizes = [0, *(record.size for record in records)]
    if sizes != sorted(sizes) or sizes[1] < 1:
        raise ValueError("size of a record")
    size, num_players = sizes[-1], len(payoffs)
    if payoffs.ndim != num_players + 1 or set(payoffs.shape[1:]) != {size}:
        raise ValueError(f"payoffs {payoffs.shape} for {size} policies: one number")
    if payoffs.dtype != np.float64 or not (np.abs(payoffs) <= _MOST_PAYOFF).all():
        raise ValueError("payoffs")
    for strategy in strategies:
        for weights in (*strategy.marginals, strategy.joint):
            if weights is not None and not _are_weights(weights, size):
                raise ValueError("a meta-strategy")
        if strategy.joint is not None and strategy.joint.shape != payoffs.shape[1:]:
            raise ValueError("a joint meta-strategy")


def _are_weights(weights: np.ndarray, size: int) -> bool:
    """Whether this is a distribution, every axis of which is over so many policies."""
    return (
        set(weights.shape) == {size}
        and weights.dtype == np.float64
        and bool(weights.min() > -1e-6)  # what a linear program leaves
        and abs(weights.sum() - 1) < 1e-6
    )


def committed_digests(folder: Path) -> list[str]:
    """The digests of the policies that the commit names."""
    commit = folder / COMMIT
    return storage.read_tensors(commit)[1].get("policies") if commit.exists() else []


def write_commit(
    folder: Path,
    config: RunConfig,
    iteration: Iteration,
    records: Sequence[Record],
    digests: Sequence[str],
) -> None:
    """The state of a run after its last iteration, in one rename.

    Args:
        folder: of the run.
        config: of the run.
        iteration: the last.
        records: of every iteration.
        digests: of every iteration's policies, which are on disk.
    """
    tensors = {"payoffs": iteration.meta_game.payoffs}
    tensors |= _strategy_tensors("meta_strategy", iteration.meta_strategy)
    if config.evaluation:
        tensors |= _strategy_tensors("evaluation", iteration.evaluation)
    info = {
        "records": [dataclasses.asdict(record) for record in records],
        "policies": list(digests),
    }
    storage.write_tensors(folder / COMMIT, tensors, info)


def write_metrics(folder: Path, records: Sequence[Record]) -> None:
    storage.write(folder / METRICS, metrics_table(records).to_csv(index=False))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Snapshot:
    """What the files of a run say, read without loading its game or its networks.

    Attributes:
        folder: where it is saved.
        config: its `RunConfig`.
        game: what `games.load` loads its game from: the folder's copy, where it came from a file.
        records: one `Record` per finished iteration; none yet in a run that has just begun.
        payoffs: of the K policies a player, float64 `[P, K, ..., K]`; None without records.
        meta_strategies: after each iteration the measured meta-strategy's marginals, one `[K_p]` a
            player; None for an iteration of a folder that an older version wrote, which kept the
            last one only.
        player_names: what the game's file calls the players; None where it names none.
    """

    folder: Path
    config: RunConfig
    game: str
    records: list[Record]
    payoffs: np.ndarray | None
    meta_strategies: list[list[np.ndarray] | None]
    player_names: tuple[str, ...] | None = None

    @property
    def ended(self) -> str | None:
        """As `Experiment.ended`."""
        return ended(self.records, self.config)

    def player_name(self, seat: int, *, begins: bool = False) -> str:
        """What a player is called where somebody reads, as `GameTree.player_name`."""
        return player_name(self.player_names, seat, begins=begins)


def snapshot(folder: str | os.PathLike, *, foreign: bool = False) -> Snapshot:
    """The run in a folder as of its last finished iteration, also while another process goes on
    with it; cheap, whatever its game.

    Args:
        folder: of the run.
        foreign: it was unpacked from an exported file.

    Raises:
        ExperimentError: it is no experiment, is damaged, or was written by a newer version.
    """
    folder = Path(folder)
    config = read_run(folder, foreign=foreign)
    commit = read_commit(folder, config)
    strategies: list[list[np.ndarray] | None] = []
    if commit is not None:
        for record, digest in zip(commit.records, commit.digests, strict=True):
            path = policies.policy_file(folder, record.iteration)
            info = storage.read_info(path)
            policies.check_named(path, info, digest)
            strategies.append(_kept_strategy(path, info, len(commit.payoffs), record.size))
        strategies[-1] = list(commit.evaluation.marginals)
    game = game_of(folder, config)
    return Snapshot(
        folder=folder,
        config=config,
        game=game,
        player_names=files.player_names(game),
        records=commit.records if commit else [],
        payoffs=commit.payoffs if commit else None,
        meta_strategies=strategies,
    )


def _kept_strategy(
    path: Path, info: Mapping[str, Any], num_players: int, size: int
) -> list[np.ndarray] | None:
    """The meta-strategy's marginals that stand beside an iteration's policies, where any do."""
    if "meta_strategy" not in info:
        return None
    try:
        marginals = [np.array(weights) for weights in info["meta_strategy"]]
        if len(marginals) != num_players or not all(
            weights.ndim == 1 and _are_weights(weights, size) for weights in marginals
        ):
            raise ValueError("no distributions over its policies")
    except (TypeError, ValueError) as error:
        raise ExperimentError(
            f"{path} is damaged: meta_strategy: {storage.sentence(error)}"
        ) from None
    return marginals


def ended(records: Sequence[Record], config: RunConfig) -> str | None:
    return why_ended(
        records,
        iterations=config.iterations,
        tolerance=config.tolerance,
        patience=config.patience,
    )


def metrics_table(records: Sequence[Record]) -> pd.DataFrame:
    """Records as a table: a column for each number, `value_0`, `value_1`, ... for each player's.
    `distance` is the gap of the `concept`, exploitability for nash."""
    import pandas as pd  # here, not above: it takes a third of a second

    rows = []
    for record in records:
        row: dict[str, Any] = {}
        for field in dataclasses.fields(record):
            name, value = field.name, getattr(record, field.name)
            if name == "seconds":
                row |= {f"seconds_{part}": seconds for part, seconds in value.items()}
            elif field.type.startswith("tuple"):
                row |= {
                    f"{name}_{p}": number
                    for p, number in enumerate(value or (None,) * len(record.value))
                }
            elif name == "meaning":
                row["distance"] = record.distance
            else:
                row[name] = value
        rows.append(row)
    return pd.DataFrame(rows)
