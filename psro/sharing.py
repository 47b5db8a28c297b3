"""`psro export`: an experiment as one file, to give away."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

from games import files
from psro import archive, experiment, run_folder, storage
from psro.run_config import check_shareable
from psro.storage import ExperimentError


def export(folder: str | os.PathLike, file: str | os.PathLike) -> Path:
    """Writes an experiment, as of its last finished iteration, to a new file, which `psro.load`
    accepts like a folder; the same experiment gives the same bytes. It may be training meanwhile.

    Of a game that came from a file the copy goes along, and of that file's path only the name.

    Raises:
        ExperimentError: the folder cannot be loaded, or the file cannot be written.
    """
    file = Path(file)
    with storage.writing(file):
        if file.exists() or file.is_symlink():
            raise ExperimentError(f"{file} exists already; choose another name")
    with archive.as_folder(folder) as source, tempfile.TemporaryDirectory(prefix="psro-") as made:
        copy = Path(made) / "run"
        check_shareable(experiment.load(source).config)
        with storage.writing(copy):
            _snapshot(source, copy)
        try:
            experiment.reopen(copy)  # the copy is whole; and its metrics are written
        except ExperimentError as error:
            raise ExperimentError(str(error).replace(str(copy), str(source))) from None
        with storage.writing(file):
            archive.pack(copy, file)
    return file


def _snapshot(source: Path, copy: Path) -> None:
    """One iteration's files: the commit first, whose policies never change afterwards."""
    (copy / "policies").mkdir(parents=True)
    names = [run_folder.COMMIT]
    shutil.copyfile(source / names[0], copy / names[0])
    commit = storage.read_tensors(copy / names[0])[1]
    names = [run_folder.policy_file(Path(), k) for k in range(len(commit["policies"]))]
    fields = storage.read_json(source / run_folder.CONFIG)
    run = fields["run"]
    if files.is_file(run["game"]):
        run["game"] = Path(run["game"]).name
        names.append(f"game{Path(run['game']).suffix.lower()}")
    for name in names:
        shutil.copyfile(source / name, copy / name)
    storage.write(copy / run_folder.CONFIG, json.dumps(fields, indent=2) + "\n")
