"""The executor whose work is done by workers."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Sequence

import jax
import numpy as np

from psro.oracles import ExactView, Jobs, Results
from psro.policies.policy import Params
from psro.runs.setup import Setup
from psro.runs.tasks import Context
from psro.training.executors import Ask, Local
from psro.training.matches import Call
from psro.training.pool import Pool, Reference, Task

_TASKS = "psro.runs.tasks"
_PARTS = 4
"""Tasks for each worker, of the calls of matches: more would only be sent, fewer leave workers
idle."""


class Spread:
    """The executor whose work is done by the workers of a pool: each job of a request is a task,
    and so are some calls of matches.

    Args:
        pool: the workers.
        setup: the runs'.
    """

    def __init__(self, pool: Pool, setup: Setup):
        self._pool, self._context, self._oracle = pool, Context.of(setup), setup.oracle
        # On a tree nothing is played. A worker of one process has no use for a table's answer.
        self.play = None if setup.tree is not None else self._play
        self._whole = setup.oracle.conditional or setup.oracle.tabular

    def respond(self, asks: Sequence[Ask]) -> list[Results]:
        if self._whole:  # their jobs depend on each other, and cost little
            return Local(self._oracle, len(asks)).respond(asks)
        with contextlib.ExitStack() as stack:
            tasks, ends = [], [0]
            for ask in asks:
                params = self._pool.put(ask.jobs.populations.params)
                stack.callback(self._pool.drop, params)
                parts = self._parts(len(ask.jobs))
                tasks += [self._task(ask.jobs, part, params) for part in parts]
                ends.append(len(tasks))
            results = self._pool.run(tasks)
        return [
            jax.tree.map(lambda *leaves: np.concatenate(leaves), *results[first:last])
            for first, last in itertools.pairwise(ends)
        ]

    def _parts(self, jobs: int) -> list[slice]:
        """How a request is divided. On accelerators its jobs are computed side by side, and their
        rounding may depend on that: there they stay together."""
        if self._pool.whole_requests:
            return [slice(0, jobs)]
        return [slice(job, job + 1) for job in range(jobs)]

    def _task(self, jobs: Jobs, part: slice, params: Reference) -> Task:
        exact = jobs.exact and ExactView(
            **{
                field.name: None if (of_jobs := getattr(jobs.exact, field.name)) is None
                else of_jobs[part]
                for field in dataclasses.fields(ExactView)
            }
        )  # fmt: skip
        return Task(
            function=f"{_TASKS}:respond",
            arguments={
                "context": self._context,
                "player": jobs.player[part],
                "key": jax.device_get(jax.random.key_data(jobs.key[part])),
                "initial": jax.tree.map(lambda leaf: np.asarray(leaf)[part], jobs.initial),
                "group": jobs.populations.group[part],
                "opponents": jobs.opponents[part],
                "exact": exact,
                "populations": params,
            },
        )

    def _play(self, params: Params, calls: Sequence[Call]) -> list[tuple[np.ndarray, np.ndarray]]:
        reference = self._pool.put(jax.device_get(params))
        size = max(1, len(calls) // (_PARTS * self._pool.size))
        tasks = [
            Task(
                function=f"{_TASKS}:play",
                arguments={
                    "context": self._context,
                    "params": reference,
                    "calls": calls[first : first + size],
                },
            )
            for first in range(0, len(calls), size)
        ]
        try:
            return [result for results in self._pool.run(tasks) for result in results]
        finally:
            self._pool.drop(reference)
