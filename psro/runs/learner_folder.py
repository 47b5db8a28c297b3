"""The folder of a learner that trains alone: its contents, and how they are read and checked.

A folder holds

    config.json         the `LearnerConfig`, the format version, the versions of the packages
    state.safetensors   the learner's whole state, the best policy and all evaluations: the commit,
                        replaced in one rename after each stretch
    metrics.csv         the evaluations again, for people
    return.png          the curve, written when training ends
    .lock               empty; held by the process that trains (`psro.runs.disk.lock`)
    tensorboard/, wandb/, mlflow/, log.jsonl    what `--log` writes; nothing here reads them

Reading needs neither JAX nor the learner's game.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psro.runs import archive, storage
from psro.runs.folder import CONFIG, check_members
from psro.runs.learner_config import LearnerConfig
from psro.runs.limits import check_own_game
from psro.runs.storage import Damaged, ExperimentError
from psro.training.evaluation_record import Evaluation

if TYPE_CHECKING:
    import pandas as pd

STATE, PICTURE, KEY = "state.safetensors", "return.png", "train"
ADDED = {"cpu_seconds": None, "losses": {}}
"""Numbers of evaluations that older folders lack."""
_MOST_NUMBER = 1e300
_MOST_NUMBERS = 32
_NAME = re.compile(r"[a-z0-9_]{1,40}")
"""The name of a part of the seconds, or of a loss. It becomes a column of metrics.csv."""


def is_learner(path: str | os.PathLike) -> bool:
    """Whether a folder, or an exported file, is one of `psro train`."""
    try:
        if archive.is_file(path):
            fields = storage.parse_json(archive.read_config(Path(path)))
        else:
            fields = storage.read_json(Path(path) / CONFIG)
    except (Damaged, OSError, ExperimentError):
        return False
    return isinstance(fields, dict) and isinstance(fields.get(KEY), dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LearnerSnapshot:
    """A learner's files, read without its game or its network.

    Attributes:
        folder: where it is saved.
        config: its `LearnerConfig`.
        records: one `Evaluation` per finished stretch; empty before the first.
    """

    folder: Path
    config: LearnerConfig
    records: Sequence[Evaluation]

    @property
    def ended(self) -> str | None:
        """As `LearnerRun.ended`."""
        return why_ended(self.records, self.config)


def why_ended(records: Sequence[Evaluation], config: LearnerConfig) -> str | None:
    """`budget` if all stretches are done; None if they are not."""
    done = bool(records) and records[-1].evaluation >= config.evaluations
    return "budget" if done else None


def snapshot(path: str | os.PathLike, *, foreign: bool = False) -> LearnerSnapshot:
    """The learner in a folder as of its last evaluation. Another process may train it meanwhile.

    Args:
        path: the folder, or a file that `psro export` wrote.
        foreign: the folder was unpacked from an exported file.

    Raises:
        ExperimentError: it is not a learner's, or is damaged, or was written by a newer version.
    """
    with archive.as_folder(path) as folder:
        config = read_config(folder, foreign=foreign or archive.is_file(path))
        state = folder / STATE
        records: Sequence[Evaluation] = []
        if state.exists():
            try:
                records = records_of(storage.read_info(state))
            except Damaged as error:
                raise ExperimentError(f"{state} is damaged: {error}") from None
    return LearnerSnapshot(folder=Path(path), config=config, records=records)


def read_config(folder: Path, *, foreign: bool = False) -> LearnerConfig:
    """The config of the learner in a folder. `foreign` if the folder was unpacked from an exported
    file. Raises ExperimentError if the folder is not one of `psro train`, or is damaged."""
    path = folder / CONFIG
    check_members(folder)
    with storage.reading(path):
        fields = storage.read_json(path)
        if not isinstance(fields, dict) or not isinstance(fields.get(KEY), dict):
            raise Damaged("it must be an object with the settings of psro train")
        storage.check_version(folder, fields.get("format_version"))
        config = LearnerConfig.from_folder(fields[KEY])
    if foreign:
        check_own_game(config.game)
    return config


def records_of(info: Mapping[str, Any]) -> list[Evaluation]:
    """The evaluations of a state file. Raises Damaged if they are not valid."""
    saved = info.get("records")
    kinds = {field.name: field.type for field in dataclasses.fields(Evaluation)}
    if not isinstance(saved, list) or not saved:
        raise Damaged("its evaluations are missing")
    records = []
    for number, fields in enumerate(saved):
        if not isinstance(fields, dict):
            raise Damaged(f"evaluation {number} is missing or wrong")
        fields = {**ADDED, **fields}
        if fields.keys() != kinds.keys():
            raise Damaged(f"evaluation {number} is missing or wrong")
        for name, kind in kinds.items():
            if not _is_sound(fields[name], kind):
                raise Damaged(f"{name} of evaluation {number} is missing or wrong")
        if fields["evaluation"] != number or not 0 <= fields["best"] <= number:
            raise Damaged(f"the number of evaluation {number} is wrong")
        records.append(Evaluation(**fields))
    return records


def _is_sound(value: Any, kind: str) -> bool:
    def number(value: Any) -> bool:
        return type(value) in (int, float) and abs(value) <= _MOST_NUMBER

    if kind == "int":
        return type(value) is int and 0 <= value < 1 << 53
    if kind == "dict[str, float]":
        return (
            isinstance(value, dict)
            and len(value) <= _MOST_NUMBERS
            and all(_NAME.fullmatch(name) and number(own) for name, own in value.items())
        )
    return number(value) or (value is None and kind.endswith("| None"))


def metrics_table(records: Sequence[Evaluation]) -> pd.DataFrame:
    """The evaluations as a table; `return` is the mean return."""
    import pandas as pd  # here, not above: it takes a third of a second

    rows = []
    for record in records:
        row: dict[str, Any] = {}
        for name, value in dataclasses.asdict(record).items():
            if name == "seconds":
                row |= {f"seconds_{part}": own for part, own in value.items()}
            elif name == "losses":
                row |= {f"loss_{part}": own for part, own in value.items()}
            else:
                row["return" if name == "mean_return" else name] = value
        rows.append(row)
    return pd.DataFrame(rows)
