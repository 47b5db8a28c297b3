"""Workers on a cluster, as actors of Ray (the extra `psro[ray]`). Only Ray's core is used: tasks go
to actors, and values to its object store, from which each node gets them once."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from psro.training.pool import ON_PROCESSORS, Duty, Event, PoolError, Task

_LOOK = 10.0
"""Seconds between two looks at the size of the cluster."""
_PULSE = 5.0
"""Seconds between two questions whether an actor is alive."""
_HOME = "~"
"""What the environment of an actor has in the place of its own machine's home folder."""


class _Actor:
    """A worker in Ray's hands. It has two threads, so `alive` is answered while a task is done."""

    def __init__(self, environment: Mapping[str, str]):
        for name, value in environment.items():
            home = value.startswith(_HOME + "/")
            os.environ[name] = str(Path(value).expanduser()) if home else value
        from psro.training.worker import Performer

        self._performer = Performer()

    def ready(self) -> Any:
        from psro.training.worker import versions

        return versions()

    def alive(self) -> None:
        pass

    def perform(self, task: Task, values: Mapping[int, Any], forgotten: list[int]) -> Any:
        import ray

        self._performer.forget(forgotten)
        got = dict(zip(values, ray.get(list(values.values())), strict=True))
        return self._performer.perform(task, got)


class RayCrew:
    """A `Crew` of actors.

    Args:
        address: of the cluster; None to start Ray on this machine.
        workers: the number of workers; None for as many as the cluster has room for, at any time:
            a node that joins takes work.
        environment: environment variables of every worker.
        cpus: processors that each worker takes.
        gpus: the part of a GPU that each worker takes.
        measuring: workers beside these that have no GPU, and only measure. Then the others only
            train.
    """

    def __init__(
        self,
        address: str | None,
        workers: int | None,
        environment: Mapping[str, str],
        *,
        cpus: float = 1.0,
        gpus: float = 0.0,
        measuring: int = 0,
    ):
        import ray  # here, not above: it is an extra

        self._ray = ray
        self._began = not ray.is_initialized()
        if self._began:
            try:
                ray.init(address=address, log_to_driver=False, include_dashboard=None)
            except (ConnectionError, ValueError, RuntimeError) as error:
                why = str(error).split("\n")[0]
                raise PoolError(f"cannot reach Ray at {address or 'this machine'}: {why}") from None
        self._workers, self._needs = workers, {"CPU": cpus, "GPU": gpus}
        self._class = ray.remote(_Actor)
        self._options = {"num_cpus": cpus, "max_concurrency": 2, "max_restarts": 0}
        self._environment, self._measuring = dict(environment), measuring
        self._measure: set[int] = set()
        self._names = itertools.count()
        self._actors: dict[int, Any] = {}
        self._asked: dict[Any, tuple[int, str]] = {}
        self._pulse: dict[int, float] = {}
        self._forgotten: dict[int, list[int]] = {}
        self._looked, self._room = -_LOOK, 0

    def wanted(self) -> int:
        return self._measuring + (self._room_now() if self._workers is None else self._workers)

    def _room_now(self) -> int:
        """The number of workers that the cluster has room for, but at least one."""
        now = time.monotonic()
        if now - self._looked > _LOOK:
            self._looked, nodes = now, self._ray.nodes()
            self._room = sum(
                min(
                    int(node["Resources"].get(name, 0.0) / need)
                    for name, need in self._needs.items()
                    if need
                )
                for node in nodes
                if node["Alive"]
            )
        return max(1, self._room)

    def hire(self) -> int:
        name = next(self._names)
        gpus, environment = self._needs["GPU"], self._environment
        if len(self._measure) < self._measuring:
            self._measure.add(name)
            gpus = 0.0
        if not gpus:
            environment = environment | ON_PROCESSORS
        actor = self._class.options(num_gpus=gpus, **self._options).remote(environment)
        self._actors[name] = actor
        self._asked[actor.ready.remote()] = (name, "ready")
        self._forgotten[name] = []
        return name

    def duty(self, worker: int) -> Duty | None:
        if not self._measuring:
            return None
        return "measuring" if worker in self._measure else "training"

    def keep(self, value: Any) -> Any:
        return self._ray.put(value)

    def send(self, worker: int, task: Task, values: Mapping[int, Any]) -> None:
        forgotten, self._forgotten[worker] = self._forgotten[worker], []
        answer = self._actors[worker].perform.remote(task, dict(values), forgotten)
        self._asked[answer] = (worker, "performed")

    def forget(self, numbers: Sequence[int]) -> None:
        for forgotten in self._forgotten.values():
            forgotten.extend(numbers)

    def wait(self, seconds: float) -> list[Event]:
        self._feel_pulses()
        done, _ = self._ray.wait(
            list(self._asked), num_returns=1, timeout=seconds, fetch_local=True
        )
        return [event for answer in done if (event := self._event(answer)) is not None]

    def _feel_pulses(self) -> None:
        now = time.monotonic()
        for name, actor in self._actors.items():
            if now - self._pulse.get(name, -_PULSE) > _PULSE:
                self._pulse[name] = float("inf")  # one question at a time
                self._asked[actor.alive.remote()] = (name, "alive")

    def _event(self, answer: Any) -> Event | None:
        name, kind = self._asked.pop(answer)
        if name not in self._actors:
            return None
        try:
            content = self._ray.get(answer)
        except self._ray.exceptions.RayError as error:
            self.dismiss(name)
            why = str(error).split("\n")[0]
            return Event(worker=name, kind="dead", content=f"a worker of Ray died: {why}")
        if kind == "performed":
            kind, content = content
        if kind == "alive":
            self._pulse[name] = time.monotonic()
        return Event(worker=name, kind=kind, content=content)

    def dismiss(self, worker: int) -> None:
        self._ray.kill(self._actors.pop(worker), no_restart=True)
        self._asked = {answer: about for answer, about in self._asked.items() if about[0] != worker}
        self._pulse.pop(worker, None)
        self._forgotten.pop(worker, None)
        self._measure.discard(worker)

    def close(self) -> None:
        for name in list(self._actors):
            self.dismiss(name)
        if self._began:
            self._ray.shutdown()
