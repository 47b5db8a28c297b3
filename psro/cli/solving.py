"""`psro solve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

import games
from psro.cli.arguments import Flag, MaybeName, Name, Names, Number, explained
from psro.cli.folders import shell
from psro.cli.process import UsageError, hint, say

Game = Annotated[Positional[str], arg(metavar="GAME")]
All = Annotated[bool, arg(name="all", help_behavior_hint="")]
Lambda = Annotated[float | None, arg(name="lambda", metavar="LAMBDA", help_behavior_hint="")]


@explained
def solve_game(
    game: Game,
    concept: Name = "nash",
    all_equilibria: All = False,
    best: MaybeName = None,
    method: Name = "auto",
    precision: Lambda = None,
    path: Flag = False,
    json: Flag = False,
    out: Names = (),
    max_histories: Number = 1_000_000,
) -> None:
    """Solve a game, without training: equilibria by the names of its players and actions.

    Args:
        game: An OpenSpiel game string, or a file: .efg, .nfg, .csv, .npy or .npz.
        concept: nash, ce, cce, qre, alpha_rank, rationalizable (iterated strict dominance) or
            minimax (what each player can guarantee itself).
        all_equilibria: List all extreme Nash equilibria of two players, or all pure ones of more
            players and one from the logit correspondence.
        best: Of all these, only the best: total (the sum of payoffs), welfare (the sum of payoffs,
            each in its player's span) or risk (risk dominance).
        method: How a Nash equilibrium is found: enumeration, lemke, lp, logit, or auto, which
            chooses by the game's size.
        precision: Lambda of qre, per unit of payoff, as in Gambit. By default 1.
        path: Follow the logit correspondence from lambda 0 on. --out FILE.svg draws it.
        json: Print one JSON object, with a list `equilibria`.
        out: Files to write. The ending of each decides what it holds: .json, .csv, or .tex.
        max_histories: Refuse a game with more histories.
    """
    endings = [Path(name).suffix.lower() for name in out]
    known = _writers()
    for name, ending in zip(out, endings, strict=True):
        if ending not in known:
            raise UsageError(f"--out {name} must end in {', '.join(known)}")
    from psro.metagame.solve import solve
    from psro.views import solution_tables, tables

    solved = solve(
        games.load(game, max_histories=max_histories),
        concept,
        all_equilibria=all_equilibria,
        best_by=best,
        precision=precision,
        path=path,
        method=method,
    )
    for name, ending in zip(out, endings, strict=True):
        known[ending](solved, Path(name))
    if json:
        import json as codec

        from psro.views.solution_files import as_json

        print(codec.dumps(as_json(solved)))
        return
    solution_tables.print_solved(solved, tables.console())
    for name in out:
        say(f"written: {name}")
    hint(f"psro run --game {shell([game])}")


def _writers() -> dict:
    """What writes a file, by its ending."""
    return {".json": _write_json, ".csv": _write_csv, ".tex": _write_latex}


def _write_json(solved, path: Path) -> None:
    import json as codec

    from psro.views.solution_files import as_json

    _write(path, codec.dumps(as_json(solved), indent=1) + "\n")


def _write_csv(solved, path: Path) -> None:
    from psro.views import solution_files, tables

    tables.write_columns(solution_files.columns(solved), path)


def _write_latex(solved, path: Path) -> None:
    from psro.views.solution_files import latex

    _write(path, latex(solved))


def _write(path: Path, text: str) -> None:
    from psro.runs import disk

    with disk.writing(path):
        disk.write(path, text)
