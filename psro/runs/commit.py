"""The commit of a run: payoffs, meta-strategies and records as of its last finished iteration.

A folder may come from a stranger. So everything that is read is checked: types, shapes, sums, and
sizes before an array of that size is made. Contents that no run writes raise `Damaged`. Only
`Damaged` becomes the sentence `... is damaged`; an error in this program is not hidden.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from games.tree import MAX_RETURN
from psro.metagame.gaps import MEANINGS
from psro.metagame.meta_game import MetaGame
from psro.metagame.strategy import MetaStrategy
from psro.runs import disk, storage
from psro.runs.config import RunConfig
from psro.runs.storage import Damaged, ExperimentError
from psro.training.record import Iteration, Record
from psro.variants.expansions import EXPANSIONS

if TYPE_CHECKING:
    import pandas as pd

COMMIT, METRICS = "payoffs.safetensors", "metrics.csv"
_MOST_PAYOFF = MAX_RETURN * (1 + 1e-6)
"""Largest payoff. A mean of returns may be slightly above all of them, through rounding."""
_MOST_NUMBER = MAX_RETURN * 1e4
"""Largest number in a record. A gap adds up the gains of all players."""
_MOST_SECONDS = 1e12
_MOST_COUNT = 1 << 53
_MOST_PLAYERS = 100
_PART = re.compile(r"[a-z_]{1,40}")
"""Names that a timed part of an iteration may have. The name becomes a column of metrics.csv."""
_ROUNDING = 1e-6
"""Weights may be this far below zero, and their sum this far from one: linear programs round."""
_EXACT = 1e-9
"""If the sum of weights differs from one by at most this, they are not changed, bit for bit."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Commit:
    """The contents of `payoffs.safetensors`."""

    records: list[Record]
    digests: list[str]
    table: MetaGame
    meta_strategy: MetaStrategy
    evaluation: MetaStrategy

    @property
    def payoffs(self) -> np.ndarray:
        return self.table.payoffs


def read_commit(folder: Path, config: RunConfig) -> Commit | None:
    """Reads a folder's commit; None if no iteration is finished.

    Raises:
        ExperimentError: the commit is damaged.
    """
    path = folder / COMMIT
    if not path.exists():
        return None
    tensors, info = storage.read_tensors(path, lambda info: _room(_records(info, config)))
    try:
        records = _records(info, config)
        num_players, size = len(records[0].value), records[-1].size
        table = _read_table(tensors, records[-1].kind, num_players, size)
        meta_strategy = evaluation = _read_strategy(tensors, "meta_strategy", num_players, size)
        if config.measuring_solver:
            evaluation = _read_strategy(tensors, "evaluation", num_players, size)
    except Damaged as error:
        raise ExperimentError(f"{path} is damaged: {error}") from None
    return Commit(
        records=records,
        digests=info["policies"],
        table=table,
        meta_strategy=meta_strategy,
        evaluation=evaluation,
    )


def _read_table(
    tensors: Mapping[str, np.ndarray], kind: str, num_players: int, size: int
) -> MetaGame:
    """The payoffs and, where they are sampled, how well they are known. Raises Damaged."""
    profiles = (size,) * num_players
    payoffs = tensors.get("payoffs")
    if payoffs is None or payoffs.shape != (num_players, *profiles):
        raise Damaged(f"it has no payoffs of {size} policies for each of {num_players} players")
    if payoffs.dtype != np.float64 or not (np.abs(payoffs) <= _MOST_PAYOFF).all():
        raise Damaged("payoffs are missing or wrong")
    if kind == "exact":
        return MetaGame(payoffs=payoffs)
    error, episodes = tensors.get("payoff_error"), tensors.get("payoff_episodes")
    if error is None or error.shape != payoffs.shape or error.dtype != np.float64:
        raise Damaged("payoff_error is missing or wrong")
    if episodes is None or episodes.shape != profiles or (episodes != np.rint(episodes)).any():
        raise Damaged("payoff_episodes is missing or wrong")
    if not ((error >= 0) & (error <= 2 * _MOST_PAYOFF)).all():
        raise Damaged("payoff_error is missing or wrong")
    if not ((episodes >= 1) & (episodes <= _MOST_COUNT)).all():
        raise Damaged("payoff_episodes is missing or wrong")
    return MetaGame(payoffs=payoffs, standard_error=error, episodes=episodes.astype(np.int64))


def _records(info: Mapping[str, Any], config: RunConfig) -> list[Record]:
    """The records of a commit. Raises Damaged if they are not valid or do not fit together."""
    saved, digests = info.get("records"), info.get("policies")
    if not isinstance(saved, list) or not isinstance(digests, list) or not saved:
        raise Damaged("records or policies are missing or wrong")
    if len(saved) != len(digests) or not all(isinstance(digest, str) for digest in digests):
        raise Damaged(f"{len(saved)} records for {len(digests)} policies")
    records = [_record(fields, number) for number, fields in enumerate(saved)]
    if not len({(len(record.value), record.kind) for record in records}) == 1:
        raise Damaged("its records have different numbers of players or kinds")
    sizes = [record.size for record in records]
    most = EXPANSIONS[config.expansion].capacity(len(records) - 1, config.levels)
    most += config.begun - 1
    if sizes != sorted(sizes) or not 1 <= sizes[0] <= sizes[-1] <= most:
        raise Damaged(f"size of a record: {len(records)} iterations make at most {most} policies")
    return records


def _room(records: Sequence[Record]) -> int:
    """Bytes of payoffs with errors and episodes, and of two meta-strategies, of the last record's
    number of policies."""
    num_players, size = len(records[0].value), records[-1].size
    return 8 * ((2 * num_players + 3) * size**num_players + 2 * num_players * size)


def _record(fields: Any, number: int) -> Record:
    """Record `number` from its saved fields. Raises Damaged if they are not valid."""
    if not isinstance(fields, dict):
        raise Damaged(f"record {number} is missing or wrong")
    if "concept" not in fields:  # format 1
        nash = {"concept": "nash", "meaning": MEANINGS["nash"], "cce_gap": None, "ce_gap": None}
        fields = {**nash, **fields}
    fields = {"size": number + 1, **fields}  # before format 3
    kinds = {field.name: field.type for field in dataclasses.fields(Record)}
    added = {
        field.name: field.default
        for field in dataclasses.fields(Record)
        if field.default is not dataclasses.MISSING
    }
    fields = {**added, **fields}  # before format 5
    if fields.keys() != kinds.keys():
        wrong = sorted(fields.keys() ^ kinds.keys())[0]
        raise Damaged(f"{wrong[:80]!r} of record {number} is missing or wrong")
    value = fields["value"]
    num_players = len(value) if isinstance(value, list) else 0
    for name, kind in kinds.items():
        if not _is_sound(fields[name], kind, num_players):
            raise Damaged(f"{name} of record {number} is missing or wrong")
    record = Record(**{n: tuple(v) if isinstance(v, list) else v for n, v in fields.items()})
    if (
        record.iteration != number
        or not 1 <= num_players <= _MOST_PLAYERS
        or record.concept not in MEANINGS
        or record.kind not in ("exact", "sampled")
        or (record.distance is None) != (record.kind == "sampled")
    ):
        raise Damaged(
            f"iteration, players, kind or concept of record {number} are missing or wrong"
        )
    return record


def _is_sound(value: Any, kind: str, num_players: int) -> bool:
    """Whether a value from JSON is valid for a field of a `Record`."""
    if value is None:
        return kind.endswith("| None")
    match kind.removesuffix(" | None"):
        case "int":
            return _is_count(value)
        case "float":
            return _is_number(value)
        case "str":
            return isinstance(value, str) and len(value) <= 1_000 and value.isprintable()
        case "tuple[float, ...]":
            return _is_list(value, num_players) and all(map(_is_number, value))
        case "tuple[int, ...]":
            return _is_list(value, num_players) and all(map(_is_count, value))
        case "dict[str, float]":
            return isinstance(value, dict) and all(
                _PART.fullmatch(part) and _is_number(seconds) and 0 <= seconds <= _MOST_SECONDS
                for part, seconds in value.items()
            )
    raise AssertionError(f"no check for fields of type {kind} in records")


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _MOST_COUNT


def _is_number(value: Any) -> bool:
    """Whether a value is a finite number. It must not be a bool or too large for a float."""
    most = _MOST_COUNT if type(value) is int else _MOST_NUMBER
    return type(value) in (int, float) and abs(value) <= most


def _is_list(value: Any, length: int) -> bool:
    return isinstance(value, list) and len(value) == length


def _strategy_tensors(name: str, strategy: MetaStrategy) -> dict[str, np.ndarray]:
    if strategy.joint is not None:
        return {f"{name}/joint": strategy.joint}
    return {f"{name}/{p}": weights for p, weights in enumerate(strategy.marginals)}


def _read_strategy(
    tensors: Mapping[str, np.ndarray], name: str, num_players: int, size: int
) -> MetaStrategy:
    """Raises Damaged if the strategy is missing or has another number of policies per player."""
    if f"{name}/joint" in tensors:
        shape = (size,) * num_players
        return MetaStrategy.of(_distribution(tensors[f"{name}/joint"], shape, name))
    return MetaStrategy.of(
        [_distribution(tensors.get(f"{name}/{p}"), (size,), name) for p in range(num_players)]
    )


def _distribution(weights: np.ndarray | None, shape: tuple[int, ...], name: str) -> np.ndarray:
    """Weights from a file. Small rounding errors are corrected: weights below zero, and a sum that
    is not exactly one. Raises Damaged if the weights are not a distribution."""
    if (
        weights is None
        or weights.shape != shape
        or weights.dtype != np.float64
        or not weights.min() > -_ROUNDING
        or not abs(weights.sum() - 1) < _ROUNDING
    ):
        raise Damaged(f"{name} is missing or wrong")
    if weights.min() < 0 or abs(weights.sum() - 1) > _EXACT:
        weights = np.maximum(weights, 0.0)
        weights = weights / weights.sum()
    return weights


def kept_strategy(
    path: Path, info: Mapping[str, Any], num_players: int, size: int
) -> list[np.ndarray] | None:
    """The meta-strategy's marginals in the file of an iteration's policies; None if it has none.

    Args:
        path: the file of the policies, for the error.
        info: the result of `storage.read_info` for this file.
        num_players: the game's number of players.
        size: number of policies per player at that iteration.

    Raises:
        ExperimentError: the marginals are damaged.
    """
    name = "meta_strategy"
    if name not in info:
        return None
    try:
        saved = info[name]
        if not _is_list(saved, num_players) or not all(
            _is_list(weights, size) and all(map(_is_number, weights)) for weights in saved
        ):
            raise Damaged(f"{name} is missing or wrong")
        return [_distribution(np.array(weights, float), (size,), name) for weights in saved]
    except Damaged as error:
        raise ExperimentError(f"{path} is damaged: {error}") from None


def committed_digests(folder: Path) -> list[str]:
    """The digests of the policies that the commit names."""
    commit = folder / COMMIT
    return storage.read_info(commit).get("policies") if commit.exists() else []


def write_commit(
    held: disk.Held,
    config: RunConfig,
    iteration: Iteration,
    records: Sequence[Record],
    digests: Sequence[str],
) -> None:
    """Writes the state of a run after its last iteration, in one rename.

    Args:
        held: the folder of the run.
        config: the run's config.
        iteration: the last iteration.
        records: the records of all iterations.
        digests: the digests of all iterations' policy files, which are already on disk.
    """
    table = iteration.meta_game
    tensors = {"payoffs": table.payoffs}
    if table.episodes is not None:
        tensors |= {
            "payoff_error": table.standard_error,
            "payoff_episodes": table.episodes.astype(np.float64),  # files hold no whole numbers
        }
    tensors |= _strategy_tensors("meta_strategy", iteration.meta_strategy)
    if config.measuring_solver:
        tensors |= _strategy_tensors("evaluation", iteration.evaluation)
    info = {
        "records": [dataclasses.asdict(record) for record in records],
        "policies": list(digests),
    }
    storage.write_tensors(held.path / COMMIT, tensors, info, held)


def write_metrics(held: disk.Held, records: Sequence[Record]) -> None:
    disk.write(held.path / METRICS, metrics_table(records).to_csv(index=False), held)


def has_metrics(held: disk.Held, records: Sequence[Record]) -> bool:
    """Whether the metrics file has exactly the contents that `write_metrics` would write."""
    try:
        with disk.open_plain(held.path / METRICS) as file:
            return file.read() == metrics_table(records).to_csv(index=False).encode()
    except (OSError, ExperimentError):
        return False


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
