"""The executor whose work is done by workers."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from psro.oracles import ExactView, Jobs, Results
from psro.policies.policy import Params
from psro.runs.setup import Setup
from psro.runs.tasks import Context
from psro.training.executors import Ask, Local
from psro.training.matches import Call
from psro.training.pool import Pool, Task

_TASKS = "psro.runs.tasks"
_PARTS = 4
"""Tasks for each worker, of the calls of matches: more would only be sent, fewer leave workers
idle."""


def spread(
    pool: Pool, function: str, common: dict[str, Any], requests: Sequence[Jobs]
) -> list[Results]:
    """The results of requests, whose jobs are tasks.

    Args:
        pool: the workers.
        function: of the tasks: it takes `common`, and the fields of `Jobs` as `tasks.jobs_of`.
        common: the same for all tasks.
        requests: the jobs, which do not depend on each other.
    """
    with contextlib.ExitStack() as stack:
        tasks, ends = [], [0]
        for jobs in requests:
            params = pool.put(jobs.populations.params)
            stack.callback(pool.drop, params)
            # On accelerators jobs are computed side by side, and their rounding may depend on that.
            whole = pool.whole_requests or jobs.progress is not None
            size = len(jobs) if whole else 1
            for first in range(0, len(jobs), size):
                part = _fields(jobs, slice(first, first + size))
                arguments = {**common, **part, "populations": params}
                tasks.append(Task(function=function, arguments=arguments))
            ends.append(len(tasks))
        results = pool.run(tasks)
    return [
        jax.tree.map(lambda *leaves: np.concatenate(leaves), *results[first:last])
        for first, last in itertools.pairwise(ends)
    ]


def _fields(jobs: Jobs, part: slice) -> dict[str, Any]:
    """A part of a request, but for the populations."""
    exact = jobs.exact and {
        field.name: getattr(jobs.exact, field.name) for field in dataclasses.fields(ExactView)
    }
    return {
        "player": jobs.player[part],
        "key": jax.device_get(jax.random.key_data(jobs.key[part])),
        "initial": jax.tree.map(lambda leaf: np.asarray(leaf)[part], jobs.initial),
        "group": jobs.populations.group[part],
        "opponents": jobs.opponents[part],
        "progress": None if jobs.progress is None else jobs.progress[part],
        "exact": exact and ExactView(**{name: view and view[part] for name, view in exact.items()}),
    }


class Spread:
    """The executor whose work is done by the workers of a pool. Tasks are jobs of requests; calls
    of matches; and of games whose histories are not stored, the plans of new policies, and what is
    gained against them.

    Args:
        pool: the workers.
        setup: the runs'.
    """

    def __init__(self, pool: Pool, setup: Setup):
        self._pool, self._context, self._setup = pool, Context.of(setup), setup
        self._whole = setup.oracle.conditional or setup.oracle.tabular
        enumerated = setup.tree is not None  # nothing of it takes time
        self.elsewhere = None if enumerated or (setup.form is not None and self._whole) else self

    def respond(self, asks: Sequence[Ask]) -> list[Results]:
        if self._whole:  # their jobs depend on each other, and cost little
            return Local(self._setup, len(asks)).respond(asks)
        requests = [ask.jobs for ask in asks]
        return spread(self._pool, f"{_TASKS}:respond", {"context": self._context}, requests)

    def play(self, params: Params, calls: Sequence[Call]) -> list[tuple[np.ndarray, np.ndarray]]:
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
                duty="measuring",
            )
            for first in range(0, len(calls), size)
        ]
        try:
            return [result for results in self._pool.run(tasks) for result in results]
        finally:
            self._pool.drop(reference)

    def on_form(self, step: str, calls: Sequence[Mapping[str, Any]]) -> Iterable[Any]:
        if step == "gains" and len(calls) == 1:  # a walk has threads, and its vectors are long
            return self._setup.evaluator.steps.here(step, calls)
        return self._pool.run(
            [
                Task(
                    function=f"{_TASKS}:on_form",
                    arguments={"context": self._context, "step": step, "call": call},
                    duty="measuring",
                )
                for call in calls
            ]
        )
