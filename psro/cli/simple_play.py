"""`psro eval POLICY --game NAME`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from games.forms import open_form, same_game
from psro.cli.process import UsageError, note

if TYPE_CHECKING:
    from psro.measure.simple_play import SimplePlay


def measure_policy(policies: Sequence[str], game: str, *, json: bool, cfr_iterations: int) -> None:
    """Measures a policy that needs no run, or the mixture of a saved run, exactly.

    Raises:
        UsageError: not one policy, an unknown one, a run of another game, or CFR+ without
            iterations.
        GameError: the game has no exact form.
    """
    from psro.measure import simple_play
    from psro.views import simple_tables, tables

    known = simple_play.policies(cfr_iterations, note)
    if len(policies) == 1 and policies[0] not in known and os.path.exists(policies[0]):
        played = _of_run(policies[0], game)
    elif len(policies) != 1 or policies[0] not in known:
        named = f", not {' '.join(policies)}" if policies else ""
        raise UsageError(
            f"--game {game} measures one policy{named}: {', '.join(known)}, or a folder or an "
            "export of a run"
        )
    elif policies[0] == "cfr+" and not cfr_iterations:
        raise UsageError("cfr+ needs --cfr-iterations of at least 1")
    else:
        form = open_form(game, progress=walk_progress())
        played = simple_play.measure(form, policies[0], known[policies[0]])
    if json:
        simple_tables.print_json(played)
    else:
        simple_tables.print_table(played, tables.console())


def _of_run(folder: str, game: str) -> SimplePlay:
    """The mixture of a run in the game of that name, which must be its own."""
    from psro.measure import simple_play
    from psro.runs import experiment

    run = experiment.load(folder)
    if not same_game(run.config.game, game):
        raise UsageError(f"{folder} is a run of {run.config.game}, not of {game}")
    form = run.tree or open_form(game, observation=run.config.observation, progress=walk_progress())
    return simple_play.measure(form, folder, lambda form: simple_play.of_run(run, form, note))


def walk_progress() -> Callable[[int, int], None] | None:
    """What shows how far a walk is: for a person at a terminal only."""
    return _show_parts if sys.stderr.isatty() else None


def _show_parts(done: int, parts: int) -> None:
    """How far a walk is, on one line of the terminal, which it leaves empty."""
    line = f"walked {done} of {parts} parts" if done < parts else ""
    print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)
