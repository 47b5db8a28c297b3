"""Runs as a web page: as one file that needs nothing else, or live (`psro.views.watch`).

Plotly draws the figures, and its JavaScript is part of the page (4.8 MB). page.js and page.css are
our own. A page's content security policy does not let it load anything, so it works offline and
looks the same there.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import hashlib
import html
import importlib.resources
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from plotly.offline import get_plotlyjs

from psro.errors import PsroError
from psro.runs import archive, disk
from psro.runs.folder import Snapshot
from psro.runs.learner_folder import LearnerSnapshot
from psro.views.page import reading


class PageError(PsroError):
    """A page that cannot be made; one sentence says why."""


def report(folders: Sequence[str | os.PathLike]) -> str:
    """The page of a run, or of several side by side, as HTML that needs no other file. `folders`
    are of runs, all of `psro run` or all of `psro train`, or files that `psro export` wrote.

    Raises:
        ExperimentError: a folder is no experiment, or is damaged.
        PageError: no folder is given, or a run has no finished iteration, or they have no page in
            common.
    """
    if not folders:
        raise PageError("name at least one experiment folder")
    with contextlib.ExitStack() as stack:
        runs = []
        for path in folders:
            read = stack.enter_context(archive.as_folder(path))
            run = reading.read(read, foreign=archive.is_file(path))
            runs.append(dataclasses.replace(run, folder=Path(path)))
        _check(runs)
        content = reading.of_one(runs[0]) if len(runs) == 1 else reading.of_several(runs)
    return offline(content)


def offline(content: dict[str, Any]) -> str:
    """The page of a document (`psro.views.page.document`), as HTML that needs no other file."""
    return of_document(content)


def of_document(content: dict[str, Any]) -> str:
    """The page of a document (`psro.views.page.document`), as HTML that needs no other file."""
    scripts = [get_plotlyjs(), asset("page.js")]
    hashes = " ".join(f"'sha256-{_sha256(script)}'" for script in scripts)
    data = as_json(content).replace("<", "\\u003c")  # so that no </script> ends it early
    return _page(
        content["title"],
        f'<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; script-src '
        f"{hashes}; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
        f"form-action 'none'\">\n<style>\n{asset('page.css')}</style>",
        f'<script id="document" type="application/json">{data}</script>\n'
        + "\n".join(f"<script>{script}</script>" for script in scripts),
    )


def _check(runs: Sequence[reading.Shown]) -> None:
    for run in runs:
        if not run.records:
            one = "evaluation" if isinstance(run, LearnerSnapshot) else "iteration"
            raise PageError(f"{run.folder} has no finished {one} yet")
    check_alike(runs)


def check_alike(runs: Sequence[reading.Shown]) -> None:
    """Raises PageError if some are runs of populations and others are learners."""
    kinds = {type(run): run.folder for run in runs}
    if len(kinds) > 1:
        raise PageError(
            f"{kinds[LearnerSnapshot]} is of psro train, and {kinds[Snapshot]} is of psro run; "
            "they have no page in common"
        )


def live(title: str) -> str:
    """The live page. It gets its document and its scripts from its own server."""
    return _page(
        title,
        '<link rel="stylesheet" href="/page.css">',
        '<script src="/plotly.js"></script>\n<script src="/page.js"></script>',
    )


def write(page: str, path: str | os.PathLike) -> Path:
    """Writes a page.

    Raises:
        PageError: the file cannot be written.
    """
    path = Path(path)
    try:
        disk.write(path, page)
    except OSError as error:
        raise PageError(f"cannot write {path}: {error.strerror or error}") from None
    return path


def asset(name: str) -> str:
    """`page.js` or `page.css`."""
    return importlib.resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def as_json(content: dict[str, Any]) -> str:
    """JSON on one line. Raises `ValueError` for a number that JSON does not have."""
    return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _sha256(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _page(title: str, head: str, end: str) -> str:
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{html.escape(title)} · psro</title>
<link rel="icon" href="data:,">
{head}
</head>
<body>
<main id="page"><noscript>This page is drawn by JavaScript.</noscript></main>
{end}
</body>
</html>
"""
