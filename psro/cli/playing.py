"""`psro play`."""

from __future__ import annotations

import contextlib

from games.printing import printable
from psro.cli.arguments import Flag, Folder, MaybeNumber, Number, explained
from psro.cli.folders import proposed, runs_in, shell
from psro.cli.process import UsageError, hint, say


@explained
def play(
    folder: Folder,
    seat: Number = 0,
    seed: MaybeNumber = None,
    web: Flag = False,
    port: MaybeNumber = None,
) -> None:
    """Play against a saved population, and see which of its policies you met.

    Args:
        folder: An experiment folder, or a file that `psro export` wrote. In a folder of several
            seeds, you play against the least exploitable run, or the first if games are sampled.
        seat: Your seat, counted from 0.
        seed: Seed of the cards and of the population's random choices. By default a new seed each
            time.
        web: Play in a browser, on a page that only this computer can see.
        port: Port of the page. By default a free port.
    """
    if port is not None and not web:
        raise UsageError(f"--port {port} is for the page; add --web")
    from psro.play import page, terminal
    from psro.play.match import Match
    from psro.runs import experiment
    from psro.views import tables
    from psro.views.server import LoopbackServer

    run = _least_exploitable(runs_in([folder]))
    match = Match(experiment.load(run), seat, seed)
    if not web:
        terminal.in_terminal(match, tables.console())
        hint(proposed("report", folder))
        return
    with LoopbackServer(page.routes(match), port=port or 0) as server:
        print(f"{printable(match.name)}: {server.url}  (Ctrl-C ends it)", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


def _least_exploitable(runs: list[str]) -> str:
    """The run whose population is least exploitable; the first, where that is not known."""
    if len(runs) == 1:
        return runs[0]
    from psro.runs import folder as run_folder

    measured = {}
    for run in runs:
        records = run_folder.snapshot(run).records
        if records:
            measured[run] = records[-1].exploitability
    if not measured:
        raise UsageError(f"none of {shell(runs)} has a finished iteration")
    if None in measured.values():  # sampled: nobody knows
        first = next(iter(measured))
        say(
            f"{first} is the first of {len(runs)} seeds; episodes do not tell the least exploitable"
        )
        return first
    best = min(measured, key=measured.get)
    say(f"{best} is the least exploitable of {len(runs)} seeds")
    return best
