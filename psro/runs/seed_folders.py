"""The folder of runs that differ in their seed. It holds one folder `seed-N` for each run."""

from __future__ import annotations

import os
from pathlib import Path

from psro.runs import disk
from psro.runs.disk import ExperimentError
from psro.runs.folder import CONFIG


def seed_folder(seed: int) -> str:
    """The name of a run's folder within the common folder."""
    return f"seed-{seed}"


def is_many(folder: str | os.PathLike) -> bool:
    """Whether a folder holds folders `seed-N` and is not a run itself."""
    folder = Path(folder)
    return bool(seed_folders(folder)) and not (folder / CONFIG).exists()


def seed_folders(folder: str | os.PathLike) -> list[Path]:
    """The folders of the runs, ordered by seed.

    Raises:
        ExperimentError: one of them is a link, which may lead anywhere, or a pipe or the like.
    """
    folders = [path for path in Path(folder).glob("seed-*") if path.name[5:].isdecimal()]
    for path in folders:
        if kind := disk.kind_of(path):
            raise ExperimentError(f"{path} is {kind}: a run's own files and folders are plain")
    return sorted(folders, key=lambda path: int(path.name[5:]))
