"""What a page shows: runs of `psro run`, or learners of `psro train`, from their folders."""

from __future__ import annotations

import os
from collections.abc import Sequence

from psro.runs import folder as run_folder
from psro.runs import learner_folder
from psro.runs.folder import Snapshot
from psro.runs.learner_folder import LearnerSnapshot
from psro.views.page import document, learners

Shown = Snapshot | LearnerSnapshot


def read(folder: str | os.PathLike, *, foreign: bool = False) -> Shown:
    """The run or the learner in a folder, as of its last commit. `foreign` if the folder was
    unpacked from an exported file. Raises ExperimentError if it holds neither, or is damaged."""
    if learner_folder.is_learner(folder):
        return learner_folder.snapshot(folder, foreign=foreign)
    return run_folder.snapshot(folder, foreign=foreign)


def commit_of(run: Shown) -> str:
    """The name of the file that is replaced by each commit."""
    return learner_folder.STATE if isinstance(run, LearnerSnapshot) else run_folder.COMMIT


def of_one(run: Shown) -> document.Document:
    """The document of one run or learner."""
    if isinstance(run, LearnerSnapshot):
        return learners.of_learner(run)
    return document.of_run(run)


def of_several(runs: Sequence[Shown]) -> document.Document:
    """The document of several runs, or of several learners. Each must have finished an iteration or
    an evaluation."""
    if isinstance(runs[0], LearnerSnapshot):
        return learners.of_learners(runs)
    return document.of_runs(runs)


def going_on(run: Shown) -> str:
    """How far a run or a learner is that has not ended."""
    if isinstance(run, LearnerSnapshot):
        one, most, done = "evaluation", run.config.evaluations, [r.evaluation for r in run.records]
    else:
        one, most, done = "iteration", run.config.iterations, [r.iteration for r in run.records]
    return f"{one} {done[-1]} of {most} is finished" if done else f"waiting for the first {one}"
