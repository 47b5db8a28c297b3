"""`psro watch`: a live page of one or several runs, for a browser on this machine.

The runs do not notice it: their folders are only read. A run replaces its commit in one rename, so
the page always shows a finished iteration.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Sequence
from pathlib import Path

import jax
from plotly.offline import get_plotlyjs

from games.printing import printable
from psro.runs import archive
from psro.runs import folder as run_folder
from psro.runs.storage import ExperimentError
from psro.views import page
from psro.views.page import reading
from psro.views.page.document import Document
from psro.views.server import LoopbackServer, Refused, Response, text

NICENESS = 19
"""The lowest priority, so that a run on the same core comes first."""


class Watched:
    """Folders and their page's document. A request makes the document anew if a folder has
    changed."""

    def __init__(self, *folders: str | os.PathLike):
        """`folders`, one or several, are all of `psro run` or all of `psro train`.

        Raises:
            ExperimentError: one is no experiment, or an exported file.
            PageError: they have no page in common.
        """
        self.folders = list(map(Path, folders))
        for folder in self.folders:
            if archive.is_file(folder):
                raise ExperimentError(
                    f"{folder} is an exported run, which does not change; use psro report"
                )
        self._lock = threading.Lock()
        self._made: tuple[str, str] | None = None
        runs = self._read()
        page.check_alike(runs)
        self.title = _title(runs)
        self._files = [
            run.folder / name
            for run in runs
            for name in (run_folder.CONFIG, reading.commit_of(run))
        ]

    def version(self) -> str:
        """A text that changes when a folder does."""
        parts = []
        for file in self._files:
            try:
                of = os.lstat(file)
                parts.append(f"{of.st_ino}.{of.st_mtime_ns}.{of.st_size}")
            except OSError:
                parts.append("-")
        return " ".join(parts)

    def document(self) -> str:
        """The document as JSON, with two more entries: `status`, a sentence for people, and
        `ended`, whether every run has ended.

        Raises:
            ExperimentError: a folder is gone or damaged.
        """
        with self._lock:
            version = self.version()
            if self._made is None or self._made[0] != version:
                runs = self._read()
                content = _content(runs) | {
                    "status": _status(runs),
                    "ended": all(run.ended for run in runs),
                }
                self._made = version, page.as_json(content)
            return self._made[1]

    def _read(self) -> list[reading.Shown]:
        return [reading.read(folder) for folder in self.folders]


def _title(runs: Sequence[reading.Shown]) -> str:
    games = {run.config.game for run in runs}
    return games.pop() if len(games) == 1 else f"{len(games)} games"


def _content(runs: Sequence[reading.Shown]) -> Document:
    """The document of one run, or of those of several that have a record to show."""
    if len(runs) == 1:
        return reading.of_one(runs[0])
    if begun := [run for run in runs if run.records]:
        return reading.of_several(begun)
    return {
        "title": printable(_title(runs)),
        "subtitle": f"{len(runs)} runs",
        "facts": [],
        "sections": [],
    }


def _status(runs: Sequence[reading.Shown]) -> str:
    if len(runs) == 1:
        (run,) = runs
        return f"ended: {run.ended}" if run.ended else reading.going_on(run)
    ended = sum(run.ended is not None for run in runs)
    waiting = sum(not run.records for run in runs)
    status = f"{ended} of {len(runs)} have ended"
    return f"{status}; {waiting} without a record" if waiting else status


def server(*folders: str | os.PathLike, port: int = 0) -> LoopbackServer:
    """The server of a live page of one or several runs, to be started with `serve_forever`.

    Raises:
        ExperimentError: a folder is no experiment.
        PageError: the folders have no page in common.
        LoopbackError: the port cannot be used.
    """
    watched = Watched(*folders)

    def made() -> Response:
        try:
            return 200, "application/json", watched.document().encode(errors="backslashreplace")
        except ExperimentError as error:
            raise Refused(503, str(error)) from None

    return LoopbackServer(
        {
            ("GET", "/"): lambda body: text(page.live(watched.title), "html"),
            ("GET", "/page.js"): lambda body: text(page.asset("page.js"), "javascript"),
            ("GET", "/page.css"): lambda body: text(page.asset("page.css"), "css"),
            ("GET", "/plotly.js"): lambda body: text(get_plotlyjs(), "javascript"),
            ("GET", "/version"): lambda body: text(watched.version()),
            ("GET", "/document.json"): lambda body: made(),
        },
        port=port,
    )


def watch(*folders: str | os.PathLike, port: int = 0) -> None:
    """Serves a live page of one or several runs until it is interrupted."""
    # The run needs the accelerator's memory and the cores more than its watcher does.
    jax.config.update("jax_platforms", "cpu")
    os.nice(NICENESS)
    shown = ", ".join(printable(str(folder)) for folder in folders)
    with server(*folders, port=port) as serving:
        print(f"{serving.url}  shows {shown}; Ctrl-C ends it", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            serving.serve_forever()
