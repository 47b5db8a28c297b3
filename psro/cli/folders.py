"""Folders on the command line: runs, and folders of runs that differ in their seed."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence

from psro.cli import plugins
from psro.cli.process import UsageError


def runs_in(folders: Sequence[str]) -> list[str]:
    """The folders of the named runs. A folder of several seeds is replaced by the folders of all
    its runs."""
    from psro.runs.seed_folders import is_many, seed_folders

    if not folders:
        raise UsageError("name at least one experiment folder")
    runs: list[str] = []
    for folder in folders:
        runs += map(str, seed_folders(folder)) if is_many(folder) else [folder]
    return runs


def one_run(folder: str, command: str) -> str:
    """The folder of one run. Refuses a folder of several seeds, because `command` takes one run."""
    runs = runs_in([folder])
    if runs == [folder]:
        return folder
    raise UsageError(
        f"{folder} holds runs of {len(runs)} seeds, but {command} takes only one run; name one of "
        f"them, such as {runs[0]}"
    )


def proposed(*words: str) -> str:
    """A command of psro that is proposed to the user, with the modules that this one imports."""
    return shell(["psro", *words, *plugins.imported()])


def shell(words: Iterable[str]) -> str:
    """Words with the quotes that a shell needs."""
    return " ".join(shlex.quote(str(word)) for word in words)
