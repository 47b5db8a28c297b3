"""Folders on the command line: runs, and folders of runs that differ in their seed."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence

from psro.cli.process import UsageError


def runs_in(folders: Sequence[str]) -> list[str]:
    """The folders of runs among those named; a folder of several seeds stands for all of them."""
    from psro.runs.seed_folders import is_many, seed_folders

    if not folders:
        raise UsageError("name at least one experiment folder")
    runs: list[str] = []
    for folder in folders:
        runs += map(str, seed_folders(folder)) if is_many(folder) else [folder]
    return runs


def one_run(folder: str, what: str) -> str:
    """The folder of a run; refuses one of several seeds, as `what` is for one run."""
    runs = runs_in([folder])
    if runs == [folder]:
        return folder
    raise UsageError(
        f"{folder} holds runs of {len(runs)} seeds, and {what} one of them; name it, such as "
        f"{runs[0]}"
    )


def shell(words: Iterable[str]) -> str:
    """Words as they are typed in a shell."""
    return " ".join(shlex.quote(str(word)) for word in words)
