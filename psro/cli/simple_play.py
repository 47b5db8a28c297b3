"""`psro eval POLICY --game NAME`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from psro.cli.process import UsageError


def measure_policy(policies: Sequence[str], game: str, *, json: bool, cfr_iterations: int) -> None:
    """Measures a policy that needs no run, exactly.

    Raises:
        UsageError: not one policy, an unknown one, or CFR+ without iterations.
        GameError: the game has no exact form.
    """
    from games.forms import open_form
    from psro.measure import simple_play
    from psro.views import simple_tables, tables

    known = simple_play.policies(cfr_iterations)
    if len(policies) != 1 or policies[0] not in known:
        named = f", not {' '.join(policies)}" if policies else ""
        raise UsageError(
            f"--game {game} measures one policy that needs no run{named}: {', '.join(known)}"
        )
    if policies[0] == "cfr+" and not cfr_iterations:
        raise UsageError("cfr+ needs --cfr-iterations of at least 1")
    form = open_form(game, progress=walk_progress())
    played = simple_play.measure(form, policies[0], cfr_iterations=cfr_iterations)
    if json:
        simple_tables.print_json(played)
    else:
        simple_tables.print_table(played, tables.console())


def walk_progress() -> Callable[[int, int], None] | None:
    """What shows how far a walk is: for a person at a terminal only."""
    return _show_parts if sys.stderr.isatty() else None


def _show_parts(done: int, parts: int) -> None:
    """How far a walk is, on one line of the terminal, which it leaves empty."""
    line = f"walked {done} of {parts} parts" if done < parts else ""
    print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)
