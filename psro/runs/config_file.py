"""Settings of a run from a file: `psro run --config`."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

from psro.errors import PsroError
from psro.runs import disk, storage
from psro.runs.config import RunConfig
from psro.runs.storage import ExperimentError


def read_config(path: str | os.PathLike) -> dict[str, Any]:
    """Settings of a run from a TOML or JSON file, by the names of `RunConfig`. The file may be the
    config.json of a saved run.

    Raises:
        ExperimentError: the file cannot be read, or has a name that is not a setting.
    """
    path = Path(path)
    try:
        target = Path(os.path.realpath(path))  # a link to a settings file is the user's own
        if kind := disk.kind_of(target):
            raise storage.Damaged(f"it is {kind}")
        content = storage.read_bytes(target, storage.MAX_JSON)
        fields = storage.parse_json(content) if path.suffix == ".json" else _parse_toml(content)
        fields = fields.get("run", fields) if isinstance(fields, dict) else None
        if not isinstance(fields, dict):
            raise storage.Damaged("it must be a table of settings")
        RunConfig.from_json(fields)
    except OSError as error:
        raise ExperimentError(f"cannot read {path}: {error.strerror}") from None
    except (storage.Damaged, PsroError) as error:
        raise ExperimentError(f"{path}: {storage.sentence(error)}") from None
    return fields


def _parse_toml(content: bytes) -> dict[str, Any]:
    try:
        return tomllib.loads(content.decode())
    except RecursionError:
        raise storage.Damaged("its brackets nest too deep") from None
    except ValueError as error:  # no UTF-8, or no TOML
        raise storage.Damaged(storage.sentence(error)) from None
