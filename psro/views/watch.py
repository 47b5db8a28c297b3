"""`psro watch`: a live page of a run, for a browser on this machine.

The run does not notice it: the folder is only read. The run replaces its commit in one rename, so
the page always shows a finished iteration.
"""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

import jax
from plotly.offline import get_plotlyjs

from games.printing import printable
from psro.runs import archive
from psro.runs import folder as run_folder
from psro.runs.storage import ExperimentError
from psro.views import page
from psro.views.page import reading
from psro.views.server import LoopbackServer, Refused, Response, text

NICENESS = 19
"""The lowest priority, so that a run on the same core comes first."""


class Watched:
    """A folder and its page's document. A request makes the document anew if the folder has
    changed."""

    def __init__(self, folder: str | os.PathLike):
        self.folder = Path(folder)
        if archive.is_file(folder):
            raise ExperimentError(
                f"{folder} is an exported run, which does not change; use psro report"
            )
        self._lock = threading.Lock()
        self._made: tuple[str, str] | None = None
        run = reading.read(self.folder)
        self.title = run.config.game
        self._names = (run_folder.CONFIG, reading.commit_of(run))

    def version(self) -> str:
        """A text that changes when the folder does."""
        parts = []
        for name in self._names:
            try:
                of = os.lstat(self.folder / name)
                parts.append(f"{of.st_ino}.{of.st_mtime_ns}.{of.st_size}")
            except OSError:
                parts.append("-")
        return " ".join(parts)

    def document(self) -> str:
        """The document as JSON, with two more entries: `status`, a sentence for people, and
        `ended`, whether the run has ended.

        Raises:
            ExperimentError: the folder is gone or damaged.
        """
        with self._lock:
            version = self.version()
            if self._made is None or self._made[0] != version:
                run = reading.read(self.folder)
                why = run.ended
                status = f"ended: {why}" if why else reading.going_on(run)
                content = reading.of_one(run) | {"status": status, "ended": why is not None}
                self._made = version, page.as_json(content)
            return self._made[1]


def server(folder: str | os.PathLike, *, port: int = 0) -> LoopbackServer:
    """The server of a run's live page, to be started with `serve_forever`.

    Raises:
        ExperimentError: the folder is no experiment.
        LoopbackError: the port cannot be used.
    """
    watched = Watched(folder)

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


def watch(folder: str | os.PathLike, *, port: int = 0) -> None:
    """Serves a run's live page until it is interrupted."""
    # The run needs the accelerator's memory and the cores more than its watcher does.
    jax.config.update("jax_platforms", "cpu")
    os.nice(NICENESS)
    with server(folder, port=port) as serving:
        print(f"{serving.url}  shows {printable(str(folder))}; Ctrl-C ends it", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            serving.serve_forever()
