"""`psro play`."""

from __future__ import annotations

import contextlib

import tyro

from psro.cli.process import UsageError


def play(
    folder: tyro.conf.Positional[str],
    seat: int = 0,
    seed: int | None = None,
    web: bool = False,
    port: int | None = None,
) -> None:
    """Play against a saved population, and see which of its policies you met.

    Args:
        folder: An experiment folder.
        seat: The player that you are, counted from 0.
        seed: Deal and draw as the last time with this seed; by default as never before.
        web: Play in a browser, on a page that only this computer can see.
        port: Where the page is; by default any that is free.
    """
    if port is not None and not web:
        raise UsageError(f"--port {port} is for the page; add --web")
    from psro.play import page, terminal
    from psro.play.match import Match
    from psro.runs import experiment
    from psro.views import tables
    from psro.views.server import LoopbackServer

    match = Match(experiment.load(folder), seat, seed)
    if not web:
        terminal.in_terminal(match, tables.console())
        return
    with LoopbackServer(page.routes(match), port=port or 0) as server:
        print(f"{match.name}: {server.url}  (Ctrl-C ends it)", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
