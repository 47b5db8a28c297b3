"""The other end of an agent's process (`psro.measure.arena.guest`): it asks, waits no longer than
it may, and ends the process."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import games
from games.info_states import InfoStates
from games.printing import printable
from psro.errors import SettingsError
from psro.measure.arena.forfeits import MOST_STARTS, Forfeit

_PROGRAM = Path(__file__).with_name("guest.py")
_ROOT = Path(games.__file__).parent.parent
_MOST_BYTES = 1 << 16
"""Bytes of a reply. A table may have more."""
_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)
_MOST_WAITS = 20
"""A process that waits for a busy processor gets at most so many times its seconds."""
_TOLERANCE = 1e-6
"""By how much the probabilities of a policy's actions may miss 1."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """What an agent's process may use."""

    action_seconds: float = 2.0
    """Wall seconds that an action may take. On Linux, those in which the process waits for a busy
    processor do not count."""
    start_seconds: float = 30.0
    """Wall seconds until the file is imported, and for the table of an OpenSpiel policy."""
    mebibytes: int = 1024
    """Memory of the process, Python's own included."""

    def __post_init__(self):
        for name in ("action_seconds", "start_seconds"):
            if not 0 < getattr(self, name) <= 86_400:
                raise SettingsError(
                    f"{name} = {getattr(self, name)} must be above 0 and at most 86,400"
                )
        if not 64 <= self.mebibytes <= 1 << 20:
            raise SettingsError(
                f"mebibytes = {self.mebibytes} must be at least 64 and at most {1 << 20:,}"
            )


class Guest:
    """An agent of a Python file, in a process of its own.

    Attributes:
        kind: `Function`, `Policy` or `Bot`; None if it did not start.
        sent: the positions that its process has been told.
        expelled: why it is not started again; None while it plays.
    """

    def __init__(self, file: str, name: str, game: str, limits: Limits, modules: Sequence[str]):
        files = json.dumps(_files_of(modules))
        self._arguments = [file, name, game, str(_ROOT), str(limits.mebibytes), files]
        self._limits, self._starts = limits, 0
        self.kind: str | None = None
        self.expelled: Forfeit | None = None
        self._process: subprocess.Popen | None = None
        self.sent: set[int] = set()
        self.begin()

    def begin(self) -> None:
        """Starts the process, without waiting for it."""
        asked, asking = os.pipe()
        said, saying = os.pipe()
        command = [sys.executable, "-P", str(_PROGRAM), *self._arguments, str(asked), str(saying)]
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(asked, saying),
                start_new_session=True,
                env=os.environ | _ONE_THREAD,
            )
        finally:
            os.close(asked)
            os.close(saying)
        os.set_blocking(asking, False)
        self._asking, self._said, self._left = asking, said, b""
        self._until = time.monotonic() + self._limits.start_seconds
        self._starts += 1
        self.sent, self._spent = set(), 0.0

    def check(self) -> None:
        """Waits until the agent is there. An agent that fails meanwhile is expelled.

        Raises:
            SettingsError: the file has no such agent.
        """
        try:
            reply = self._reply(max(0.0, self._until - time.monotonic()))
        except Forfeit as forfeit:
            self.expelled = self._at_start(forfeit)
            return
        if "unusable" in reply:
            self.close()
            file, name = self._arguments[:2]
            raise SettingsError(f"{file}:{name} {printable(str(reply['unusable']))}")
        self.kind = str(reply.get("is"))

    def _at_start(self, forfeit: Forfeit) -> Forfeit:
        words = forfeit.words or "it took too long"
        self.close()
        return Forfeit(forfeit.kind, f"while it was started: {words}")

    def table(self, players: Sequence[InfoStates]) -> list[np.ndarray] | None:
        """The behaviours `[S_p]` of a policy; None if it fails, which expels it."""
        try:
            self._send({"table": self._arguments[2]})
            reply = self._reply(self._limits.start_seconds, most=1 << 40)
            return [
                _behaviour(text, player)
                for text, player in zip(reply["table"], players, strict=True)
            ]
        except (Forfeit, KeyError, TypeError, ValueError) as error:
            failed = error if isinstance(error, Forfeit) else Forfeit("crash", str(error))
            self.expelled = self._at_start(failed)
            return None

    def ready(self) -> None:
        """Starts the process again if it has ended. Raises Forfeit if the agent is expelled."""
        if self.expelled is None and self._process is None:
            self.begin()
            try:
                self.check()
            except SettingsError as error:  # the file has changed
                self.expelled = Forfeit("crash", str(error))
        if self.expelled is not None:
            raise self.expelled

    def ask(self, request: dict[str, Any]) -> None:
        """Asks for an action, after `ready`. Raises Forfeit."""
        with self._counting():
            self._send(request)
        self._asked = time.monotonic()

    def answer(self, legal: Sequence[int]) -> int:
        """The action that was asked for: waits until it is there. Raises Forfeit."""
        with self._counting():
            reply = self._reply(self._limits.action_seconds, since=self._asked)
        action = reply.get("action")
        if type(action) is int and action in legal:
            return action
        said = action if "action" in reply else reply.get("said")
        listed = ", ".join(map(str, legal[:8])) + (", ..." if len(legal) > 8 else "")
        raise Forfeit("illegal", printable(f"played {str(said)[:80]}; legal were {listed}"))

    def fileno(self) -> int:
        """The pipe that is ready when the agent has answered."""
        return self._said

    @property
    def has_answered(self) -> bool:
        """Whether an answer has been read from the pipe already."""
        return b"\n" in self._left

    @property
    def seconds_left(self) -> float:
        """What is left of the time for an answer."""
        return max(0.0, self._asked + self._limits.action_seconds - time.monotonic())

    @contextlib.contextmanager
    def _counting(self) -> Iterator[None]:
        """Expels the agent if it fails and its last process has ended."""
        try:
            yield
        except Forfeit as forfeit:
            if self._process is None and self._starts >= MOST_STARTS:
                self.expelled = forfeit
            raise

    def close(self) -> None:
        """Ends the process and what it has started."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._asking)
        os.close(self._said)
        self._process = None

    def _send(self, request: dict[str, Any]) -> None:
        line = json.dumps(request, separators=(",", ":")).encode() + b"\n"
        until = time.monotonic() + self._limits.action_seconds
        while line:
            try:
                line = line[os.write(self._asking, line) :]
            except BlockingIOError:  # the pipe is full
                left = max(0.0, until - time.monotonic())
                if not select.select([], [self._asking], [], left)[1]:
                    self.close()
                    raise Forfeit("time", "it did not read what it was asked") from None
            except BrokenPipeError:
                raise self._ended() from None

    def _reply(
        self, seconds: float, most: int = _MOST_BYTES, since: float | None = None
    ) -> dict[str, Any]:
        """The next reply, within these seconds from now, or from `since`. Where the process fails,
        it is ended, and Forfeit raised."""
        begun = time.monotonic() if since is None else since
        until, parts = begun + seconds, [self._left]
        while b"\n" not in parts[-1]:
            ready, _, _ = select.select([self._said], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                until = min(time.monotonic() + seconds / 4, begun + _MOST_WAITS * seconds)
                if time.monotonic() < until and self._is_starved(seconds):
                    continue
                self.close()
                raise Forfeit("time", f"no answer within {seconds:.3g} s")
            part = os.read(self._said, 1 << 16)
            if not part:
                raise self._ended()
            parts.append(part)
            if sum(map(len, parts)) > most:
                self.close()
                raise Forfeit("crash", "its reply is too long")
        line, _, self._left = b"".join(parts).partition(b"\n")
        try:
            reply = json.loads(line)
        except ValueError:
            reply = None
        if not isinstance(reply, dict):
            self.close()
            raise Forfeit("crash", "its reply cannot be read")
        spent = reply.get("cpu")
        self._spent = spent if type(spent) is float else self._spent
        if "failed" in reply:
            kind = "memory" if reply["failed"] == "memory" else "crash"
            if kind == "memory":
                self.close()
            raise Forfeit(kind, printable(str(reply.get("words", ""))[:300]))
        return reply

    def _is_starved(self, seconds: float) -> bool:
        """Whether the process would go on if a processor were free, and has not had these seconds
        of one since its last reply."""
        try:
            fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(") ")[2].split()
        except OSError:
            return False
        had = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return fields[0] == "R" and had - self._spent < seconds

    def _ended(self) -> Forfeit:
        """The forfeit of a process that has ended by itself."""
        process = self._process
        try:
            code = process.wait(timeout=1)
        except subprocess.TimeoutExpired:  # it has closed its pipes, and lives
            code = 0
        self.close()
        if code < 0:
            try:
                return Forfeit("crash", f"its process was ended by {signal.Signals(-code).name}")
            except ValueError:
                pass
        return Forfeit("crash", f"its process ended with code {code}")


def _files_of(modules: Sequence[str]) -> dict[str, list[str]]:
    """The file of each imported module, and the folder that it is imported from."""
    files = {}
    for name in modules:
        module = sys.modules.get(name)
        file = getattr(module, "__file__", None)
        if file is None:
            raise SettingsError(f"the module {name} is not imported, or has no file")
        path = Path(file).resolve()
        files[name] = [str(path), str(path.parents[name.count(".") + hasattr(module, "__path__")])]
    return files


def _behaviour(text: str, player: InfoStates) -> np.ndarray:
    """A behaviour `[S]` from its bytes. Raises ValueError if it is none."""
    behaviour = np.frombuffer(base64.b64decode(text, validate=True), np.float64).copy()
    if len(behaviour) != player.num_sequences:
        raise ValueError(f"its table has {len(behaviour)} entries, not {player.num_sequences}")
    sums = np.add.reduceat(behaviour[1:], player.first_sequence[:-1] - 1)
    if not (behaviour >= 0).all() or not (np.abs(sums - 1) <= _TOLERANCE).all():
        raise ValueError("the probabilities of its actions do not add up to 1")
    behaviour[1:] /= np.repeat(sums, np.diff(player.first_sequence))
    behaviour[0] = 1.0
    return behaviour
