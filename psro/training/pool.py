"""Tasks, and the workers that do them.

A task is a pure function of its arguments. So it may be done by any worker, and done again after
its worker has died: the result is the same. Only the process that has the pool, the *driver*,
writes folders. Workers write nothing but their caches of compiled code and of enumerated games.

A `Crew` says where workers are: in processes of this machine (`psro.training.processes`), or on a
cluster (`psro.training.ray_crew`). The `Pool` is the same for all of them: it hands out tasks,
gives up workers that hang, and replaces those that died.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
import time
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Literal, Protocol

from psro.errors import PsroError

SILENCE = 120.0
"""Seconds without a sign of life after which a worker is given up. Workers say that they are alive
every few seconds, also while they compute."""
START = 300.0
"""Seconds in which a worker must be ready."""
ON_PROCESSORS = {"JAX_PLATFORMS": "cpu"}
"""Environment variables of a worker that uses no GPU."""
_MOST_TRIES = 8
"""Workers that may die on one task, and workers in a row that may die before they are ready."""
_TICK = 1.0
"""Seconds between two looks at the clock."""


class PoolError(PsroError):
    """The workers cannot do the tasks. One sentence says why."""


class TaskFailed(RuntimeError):
    """A fault in a task's own code; the text has the worker's traceback."""


@dataclasses.dataclass(frozen=True)
class Reference:
    """Stands in a task's arguments for a value that travels to each worker once (`Pool.put`)."""

    number: int


Duty = Literal["training", "measuring"]
"""Best responses, or matches and walks. Where there are GPUs, some workers may have none, and only
measure."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """A call of a function.

    Attributes:
        function: its module and its name, `psro.runs.tasks:respond`.
        arguments: its keyword arguments, arrays and plain data. A `Reference` among the values
            stands for what was `put`.
        owner: tasks of one owner prefer one worker, which may keep what the next of them needs.
        duty: what kind of work it is, for workers that do only one kind.
    """

    function: str
    arguments: Mapping[str, Any]
    owner: Hashable = None
    duty: Duty = "training"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Event:
    """What a worker has said, or what became of it.

    Attributes:
        worker: the worker's name.
        kind: `ready` to begin, `alive`, `done`, `raised` an error, or `dead`.
        content: the worker's `worker.Versions`; the result; the exception; or why it died.
    """

    worker: Hashable
    kind: Literal["ready", "alive", "done", "raised", "dead"]
    content: Any = None


class Crew(Protocol):
    """Where workers are, and how they are reached. Workers have names."""

    def wanted(self) -> int:
        """The number of workers that there should be now."""
        ...

    def hire(self) -> Hashable:
        """Starts a worker. It says `ready` later."""
        ...

    def duty(self, worker: Hashable) -> Duty | None:
        """The only kind of work that a worker does; None if it does every kind."""
        ...

    def send(self, worker: Hashable, task: Task, values: Mapping[int, Any]) -> None:
        """Gives a worker a task, and `values` of references that it has not got yet. A worker that
        cannot be reached says so by an event."""
        ...

    def keep(self, value: Any) -> Any:
        """The form in which a value of `put` is sent."""
        ...

    def forget(self, numbers: Sequence[int]) -> None:
        """References that no later task names."""
        ...

    def wait(self, seconds: float) -> list[Event]:
        """What workers have said, at the latest after so many seconds."""
        ...

    def dismiss(self, worker: Hashable) -> None:
        """Ends a worker, whatever it does."""
        ...

    def close(self) -> None:
        """Ends all workers."""
        ...


@dataclasses.dataclass(kw_only=True)
class _Place:
    """A worker as the pool sees it.

    Attributes:
        heard: when it last said anything, by the monotonic clock.
        since: when it got its task, or was hired.
        ready: it has said so.
        task: the number of the task that it does; None if it is free.
        done: the number of tasks that it has done.
        has: the references whose values it has.
    """

    heard: float
    since: float
    ready: bool = False
    task: int | None = None
    done: int = 0
    has: set[int] = dataclasses.field(default_factory=set)


class Pool:
    """Workers, and the tasks that they do. Use it in a `with` statement, or `close` it.

    Args:
        crew: where the workers are.
        versions: of this process. Workers with others are refused.
        task_limit: seconds that a task may take before its worker is given up; None for no limit.
        silence: as `SILENCE`.
        whole_requests: the jobs of a request for best responses stay together, because workers
            compute them side by side.
        renew: tasks after which a worker ends and another takes its place, for tasks that have
            nothing in common: JAX never gives compiled code back. None for never.

    Attributes:
        whole_requests: as the argument.
        lost: the number of workers that died or were given up.
    """

    def __init__(
        self,
        crew: Crew,
        versions: Any,
        *,
        task_limit: float | None = None,
        silence: float = SILENCE,
        whole_requests: bool = False,
        renew: int | None = None,
    ):
        self._crew, self._versions, self._renew = crew, versions, renew
        self._task_limit, self._silence = task_limit, silence
        self._places: dict[Hashable, _Place] = {}
        self._numbers = itertools.count()
        self._tasks: dict[int, Task] = {}
        self._waiting: collections.deque[int] = collections.deque()
        self._deaths: collections.Counter[int] = collections.Counter()
        self._early_deaths = 0
        self._events: collections.deque[Event] = collections.deque()
        self._values: dict[int, Any] = {}
        self._owners: dict[Hashable, Hashable] = {}
        self.whole_requests, self.lost = whole_requests, 0

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()

    def close(self) -> None:
        self._crew.close()
        self._places.clear()

    @property
    def size(self) -> int:
        """The number of workers that there should be."""
        return self._crew.wanted()

    def put(self, value: Any) -> Reference:
        """Keeps a value, which travels to each worker that needs it, once."""
        reference = Reference(next(self._numbers))
        self._values[reference.number] = self._crew.keep(value)
        return reference

    def drop(self, reference: Reference) -> None:
        """Forgets a value of `put` that no later task names."""
        if self._values.pop(reference.number, None) is not None:
            for place in self._places.values():
                place.has.discard(reference.number)
            self._crew.forget([reference.number])

    def submit(self, task: Task) -> int:
        """Takes a task. `finished` returns its result, with this number."""
        number = next(self._numbers)
        self._tasks[number] = task
        self._waiting.append(number)
        return number

    def run(self, tasks: Sequence[Task]) -> list[Any]:
        """The results of tasks, in their order, where no other tasks are under way. Raises what a
        task raised; see `finished` for the other errors."""
        numbers = [self.submit(task) for task in tasks]
        results = dict(self.finished() for _ in numbers)
        for result in results.values():
            if isinstance(result, Exception):
                raise result
        return [results[number] for number in numbers]

    def finished(self) -> tuple[int, Any]:
        """The number and the result of the next task that is finished. The result is an exception
        if the task raised one, as it would with any other worker: an error that a user can mend, or
        `TaskFailed`.

        Raises:
            PoolError: workers have other versions, do not start, or die on the task again and
                again.
        """
        while True:
            self._hire()
            self._hand_out()
            if not self._events:
                self._events.extend(self._crew.wait(_TICK))
                self._give_up()
            while self._events:
                result = self._heard(self._events.popleft())
                if result is not None:
                    self._hand_out()  # the worker goes on while the caller deals with the result
                    return result

    def _hire(self) -> None:
        while len(self._places) < self._crew.wanted():
            now = time.monotonic()
            self._places[self._crew.hire()] = _Place(heard=now, since=now)

    def _hand_out(self) -> None:
        for name, place in self._places.items():
            if not self._waiting:
                return
            if place.ready and place.task is None:
                number = self._next_for(name)
                if number is None:
                    continue
                task = self._tasks[number]
                self._waiting.remove(number)
                if task.owner is not None:
                    self._owners[task.owner] = name
                self._send(name, number, task)

    def _next_for(self, worker: Hashable) -> int | None:
        """The first waiting task of the worker's duty that no other worker is better for. If there
        is none, the first of its duty: the other one has more to do."""
        duty = self._crew.duty(worker)
        numbers = [n for n in self._waiting if duty in (None, self._tasks[n].duty)]
        for number in numbers:
            if self._owners.get(self._tasks[number].owner, worker) == worker:
                return number
        return numbers[0] if numbers else None

    def _send(self, name: Hashable, number: int, task: Task) -> None:
        place = self._places[name]
        named = {v.number for v in task.arguments.values() if isinstance(v, Reference)}
        values = {reference: self._values[reference] for reference in named - place.has}
        place.task, place.since, place.has = number, time.monotonic(), place.has | named
        place.heard = place.since
        self._crew.send(name, task, values)

    def _heard(self, event: Event) -> tuple[int, Any] | None:
        """The result that an event brings, if any."""
        place = self._places.get(event.worker)
        if place is None:  # of a worker that was given up
            return None
        place.heard = time.monotonic()
        match event.kind:
            case "ready":
                self._check(event.content)
                place.ready, self._early_deaths = True, 0
            case "dead":
                self._lose(event.worker, event.content)
            case "done" | "raised":
                number, place.task = place.task, None
                place.done += 1
                if place.done == self._renew:
                    self._crew.dismiss(event.worker)
                    self._forget(event.worker)
                del self._tasks[number]
                self._deaths.pop(number, None)
                return number, event.content
        return None

    def _check(self, versions: Any) -> None:
        sentence = self._versions.differ(versions)
        if sentence is not None:
            raise PoolError(sentence)

    def _give_up(self) -> None:
        """Ends the workers that hang: those that are silent, or take too long."""
        now = time.monotonic()
        for name, place in list(self._places.items()):
            if not place.ready:
                late = now - place.since > START
                why = f"it was not ready after {START:g} seconds"
            else:
                limit = self._task_limit
                too_long = (
                    limit is not None and place.task is not None and now - place.since > limit
                )
                late = too_long or now - place.heard > self._silence
                why = (
                    f"its task took longer than {limit:g} seconds"
                    if too_long
                    else f"it was silent for {self._silence:g} seconds"
                )
            if late:
                self._crew.dismiss(name)
                self._lose(name, why)

    def _forget(self, name: Hashable) -> _Place:
        self._owners = {owner: other for owner, other in self._owners.items() if other != name}
        return self._places.pop(name)

    def _lose(self, name: Hashable, why: str) -> None:
        """A worker is gone: another one does its task, before all others."""
        place = self._forget(name)
        self.lost += 1
        if not place.ready:
            self._early_deaths += 1
            if self._early_deaths >= _MOST_TRIES:
                raise PoolError(f"workers do not start: {why}")
        if place.task is None:
            return
        self._deaths[place.task] += 1
        if self._deaths[place.task] >= _MOST_TRIES:
            raise PoolError(f"{_MOST_TRIES} workers in a row died on the same task: {why}")
        self._waiting.appendleft(place.task)
