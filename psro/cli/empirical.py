"""`psro egta`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from psro.cli.arguments import Files, Flag, Name, Names, Number, explained
from psro.cli.process import UsageError, say

Log = Annotated[Positional[str], arg(metavar="FILE")]
_ENDINGS = (".html", ".csv", ".json")


@explained
def analyse(
    file: Log,
    seats: Name = "auto",
    strategies: Names = (),
    payoffs: Names = (),
    bootstrap: Number = 200,
    seed: Number = 0,
    json: Flag = False,
    out: Files = (),
) -> None:
    """Analyse logged matches between strategies: payoffs and equilibria with intervals, and ranks.

    Args:
        file: A CSV file with one match a line, and a column of strategies and one of payoffs for
            each seat, such as strategy_1, strategy_2, payoff_1, payoff_2.
        seats: roles (what seat a strategy has matters), symmetric (it does not), or auto: symmetric
            if seats are numbered and all have had the same strategies.
        strategies: The columns of strategies, one for each seat, if they are not called as above.
        payoffs: The columns of payoffs, in the same order of seats.
        bootstrap: Samples of the bootstrap, which gives equilibria their intervals. 0 = no
            intervals.
        seed: Seed of the bootstrap.
        json: Print one JSON object instead of tables.
        out: Files to write: .html (the page), .csv (the table of payoffs) or .json.
    """
    _check(out)
    import json as codec

    from psro.metagame.egta import egta
    from psro.views import egta_tables, tables

    game = egta(
        file, seats=seats, strategies=strategies, payoffs=payoffs, bootstrap=bootstrap, seed=seed
    )
    for name in out:
        path = Path(name)
        match path.suffix.lower():
            case ".html":
                from psro.views import page
                from psro.views.page.egta import document

                page.write(page.of_document(document(game)), path)
            case ".csv":
                tables.write_columns(game.table().to_dict(orient="list"), path)
            case ".json":
                _write(path, codec.dumps(egta_tables.as_json(game), indent=1) + "\n")
    if json:
        print(codec.dumps(egta_tables.as_json(game)))
        return
    egta_tables.print_game(game, tables.console())
    for name in out:
        say(f"written: {name}")


def _check(out: Sequence[str]) -> None:
    """Raises UsageError for a file of an ending that is not known."""
    for name in out:
        if Path(name).suffix.lower() not in _ENDINGS:
            raise UsageError(f"--out {name} must end in {', '.join(_ENDINGS)}")


def _write(path: Path, text: str) -> None:
    from psro.runs import disk

    with disk.writing(path):
        disk.write(path, text)
