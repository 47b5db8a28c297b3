"""Workers in processes of this machine. They need nothing but the standard library.

Driver and worker talk over a socket that only they have, by the standard library's connections. So
whatever a process reads there comes from our own.
"""

from __future__ import annotations

import itertools
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from multiprocessing import connection
from typing import IO, Any

from psro.training.pool import SILENCE, Duty, Event, Task
from psro.training.worker import ALIVE, Performer, versions

_SECONDS = struct.Struct("ll")
"""A timeout of sockets: seconds and microseconds."""
_TAIL = 300
"""Characters of what a dead worker has printed last, in messages."""


class _Worker:
    """A process, and our end of its socket."""

    def __init__(self, environment: Mapping[str, str]):
        ours, theirs = socket.socketpair()
        for limit in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):  # in the middle of a message
            ours.setsockopt(socket.SOL_SOCKET, limit, _SECONDS.pack(int(SILENCE), 0))
        self.printed: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-P",
                "-c",
                _MAIN,
                str(theirs.fileno()),
            ],  # -P: PYTHONPATH alone counts
            env={**os.environ, "PYTHONPATH": path, **environment},
            stdin=subprocess.DEVNULL,
            stdout=self.printed,
            stderr=self.printed,
            pass_fds=[theirs.fileno()],
            process_group=0,  # a terminal's Ctrl-C is for the driver alone
        )
        theirs.close()
        self.socket = connection.Connection(ours.detach())

    def why(self) -> str:
        """Why it has died, and what it printed last."""
        code = self.process.wait()
        why = f"a worker was killed by {signal.Signals(-code).name}" if code < 0 else (
            f"a worker ended with code {code}"
        )  # fmt: skip
        self.printed.seek(0, os.SEEK_END)
        self.printed.seek(max(0, self.printed.tell() - _TAIL))
        said = " ".join(self.printed.read().decode(errors="replace").split())
        return f"{why}: {said}" if said and code >= 0 else why

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self.socket.close()
        self.printed.close()


_MAIN = "import sys; from psro.training.processes import serve; serve(int(sys.argv[1]))"


class Processes:
    """A `Crew` of processes.

    Args:
        environments: the environment variables of each worker, beside those of this process.
        duties: the only kind of work that each worker does; by default all do every kind.
    """

    def __init__(
        self,
        environments: Sequence[Mapping[str, str]],
        duties: Sequence[Duty | None] | None = None,
    ):
        self._environments = environments
        self._duties = duties or [None] * len(environments)
        self._workers: dict[int, _Worker] = {}
        self._names = itertools.count()
        self._place: dict[int, int] = {}

    def wanted(self) -> int:
        return len(self._environments)

    def hire(self) -> int:
        taken = set(self._place.values())
        place = next(n for n in range(len(self._environments)) if n not in taken)
        name = next(self._names)
        self._workers[name] = _Worker(self._environments[place])
        self._place[name] = place
        return name

    def duty(self, worker: int) -> Duty | None:
        return self._duties[self._place[worker]]

    def keep(self, value: Any) -> Any:
        return value

    def send(self, worker: int, task: Task, values: Mapping[int, Any]) -> None:
        self._tell(worker, ("do", task, values))

    def forget(self, numbers: Sequence[int]) -> None:
        for worker in list(self._workers):
            self._tell(worker, ("forget", list(numbers), {}))

    def _tell(self, worker: int, message: tuple[str, Any, Any]) -> None:
        try:
            self._workers[worker].socket.send(message)
        except OSError:
            self._workers[worker].process.kill()  # `wait` finds that out

    def wait(self, seconds: float) -> list[Event]:
        by_socket = {worker.socket: name for name, worker in self._workers.items()}
        events = []
        for ready in connection.wait(by_socket, seconds):
            name = by_socket[ready]
            try:
                kind, content = ready.recv()
            except (OSError, EOFError):
                worker = self._workers[name]
                worker.process.kill()  # it may have closed the socket and live on
                kind, content = "dead", worker.why()
                self._remove(name)
            events.append(Event(worker=name, kind=kind, content=content))
        return events

    def dismiss(self, worker: int) -> None:
        self._remove(worker)

    def _remove(self, name: int) -> None:
        self._place.pop(name)
        self._workers.pop(name).end()

    def close(self) -> None:
        for name in list(self._workers):
            self._remove(name)


def serve(descriptor: int) -> None:
    """A worker's life: it does what the driver sends, until the driver is gone."""
    driver, lock = connection.Connection(descriptor), threading.Lock()

    def say(kind: str, content: Any = None) -> None:
        with lock:
            driver.send((kind, content))

    def stay_alive() -> None:
        while True:
            try:
                say("alive")
            except OSError:
                os._exit(1)  # the driver is gone
            pause.wait(ALIVE)

    pause = threading.Event()
    threading.Thread(target=stay_alive, daemon=True).start()
    performer = Performer()
    try:
        say("ready", versions())
        while True:
            order, what, values = driver.recv()
            if order == "forget":
                performer.forget(what)
            else:
                say(*performer.perform(what, values))
    except (OSError, EOFError):
        os._exit(1)
