"""`psro export`: an experiment as one file, to give away."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

from psro.runs import archive, disk, experiment, learner, policies, storage
from psro.runs import folder as run_folder
from psro.runs.config import RunConfig
from psro.runs.learner_folder import is_learner
from psro.runs.limits import check_shareable
from psro.runs.storage import ExperimentError


def export(folder: str | os.PathLike, file: str | os.PathLike) -> Path:
    """Writes an experiment, as of its last finished iteration, to a new file. `psro.load` accepts
    the file like a folder. The same experiment gives the same bytes. The run may still be training.
    A learner of `psro train` is written as of its last evaluation.

    If the game came from a file, the export contains the run's copy of it. Of the original path,
    and of what the run started from, it contains only the file's name.

    Raises:
        ExperimentError: the folder cannot be loaded, or the file cannot be written.
    """
    file = Path(file)
    with disk.writing(file):
        if os.path.lexists(file):
            raise _taken(file)
    with archive.as_folder(folder) as source, tempfile.TemporaryDirectory(prefix="psro-") as made:
        copy = Path(made) / "run"
        try:
            (learner.copy if is_learner(source) else _copy_run)(source, copy)
        except ExperimentError as error:
            raise ExperimentError(str(error).replace(str(copy), str(source))) from None
        with disk.writing(file):
            try:
                archive.pack(copy, file)
            except FileExistsError:  # by another process, since this one began
                raise _taken(file) from None
    return file


def _taken(file: Path) -> ExperimentError:
    return ExperimentError(f"{file} exists already; choose another name")


def _copy_run(source: Path, copy: Path) -> None:
    """Makes the folder `copy` from a run, and checks that it is whole."""
    config = experiment.load(source).config
    check_shareable(config)
    with disk.writing(copy):
        _snapshot(source, copy, config)
    experiment.reopen(copy)  # which also writes its metrics


def _snapshot(source: Path, copy: Path, config: RunConfig) -> None:
    """Copies the files of one commit. The commit is copied first; its policies never change."""
    policies.policy_file(copy, 0).parent.mkdir(parents=True)
    names = [run_folder.COMMIT]
    shutil.copyfile(source / names[0], copy / names[0])
    commit = storage.read_tensors(copy / names[0])[1]
    names = [policies.policy_file(Path(), k) for k in range(len(commit["policies"]))]
    fields = storage.read_json(source / run_folder.CONFIG)
    if config.start_from is not None:
        fields["run"]["start_from"] = Path(config.start_from).name
    if game := run_folder.game_file(Path(), config):
        fields["run"]["game"] = Path(config.game).name
        names.append(game)
    for name in names:
        shutil.copyfile(source / name, copy / name)
    disk.write(copy / run_folder.CONFIG, json.dumps(fields, indent=2) + "\n")
