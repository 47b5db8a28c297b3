"""`psro solve`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

import games
from psro.cli.arguments import Files, Flag, MaybeName, Name, Number, explained
from psro.cli.folders import proposed
from psro.cli.process import UsageError, hint, say

if TYPE_CHECKING:
    from psro.metagame.solve import Solved

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
    out: Files = (),
    max_histories: Number = 1_000_000,
) -> None:
    """Solve a game, without training: equilibria by the names of its players and actions.

    Args:
        game: An OpenSpiel game string, or a file: .efg, .nfg, .csv, .npy or .npz.
        concept: nash, ce (correlated equilibrium), cce (coarse correlated), qre (quantal response),
            alpha_rank, rationalizable (iterated strict dominance) or minimax (what each player can
            guarantee itself).
        all_equilibria: List all extreme Nash equilibria of two players, or all pure ones of more
            players and one from the logit correspondence.
        best: Of the equilibria of --all, show only the best: by total (the largest sum of payoffs),
            welfare (the same, with each player's payoffs scaled to run from 0 to 1) or risk (risk
            dominance).
        method: How a Nash equilibrium is found: enumeration, lemke, lp, logit, or auto, which
            chooses by the game's size.
        precision: Lambda of qre, per unit of payoff, as in Gambit. By default 1.
        path: Follow the logit correspondence from lambda 0 on. --out FILE.svg draws it.
        json: Print one JSON object instead of tables, with a list `equilibria`.
        out: Files to write. The ending of each decides what it holds: .json, .csv or .tex the
            solutions; .efg or .nfg the game in Gambit's format; .profile the strategies in Gambit's
            format; .svg the tree with the first equilibrium, or the path, which may also be a .png;
            .html a page with all of it that needs no network.
        max_histories: Refuse a game with more histories.
    """
    _check_files(out)
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
    for name in out:
        _writers()[Path(name).suffix.lower()](solved, Path(name))
    if json:
        import json as codec

        print(codec.dumps(_texts().as_json(solved)))
        return
    solution_tables.print_solved(solved, tables.console())
    for name in out:
        say(f"written: {name}")
    hint(proposed("run", "--game", game))


def _check_files(out: Sequence[str]) -> None:
    """Raises UsageError for a file of an ending that is not known."""
    for name in out:
        if Path(name).suffix.lower() not in _writers():
            raise UsageError(f"--out {name} must end in {', '.join(_writers())}")


def _writers() -> dict[str, Callable[[Solved, Path], None]]:
    """What writes a file, by its ending."""
    return {
        ".json": _write_json,
        ".csv": _write_csv,
        ".tex": lambda solved, path: _write(path, _texts().latex(solved)),
        ".efg": _write_efg,
        ".nfg": lambda solved, path: _write(path, _texts().nfg(solved)),
        ".profile": lambda solved, path: _write(path, _texts().profile(solved)),
        ".svg": _draw,
        ".png": _draw,
        ".html": _write_page,
    }


def _write_page(solved: Solved, path: Path) -> None:
    from psro.views import page, solution_page

    page.write(page.offline(solution_page.document(solved)), path)


def _texts() -> ModuleType:
    from psro.views import solution_files

    return solution_files


def _write_json(solved: Solved, path: Path) -> None:
    import json as codec

    _write(path, codec.dumps(_texts().as_json(solved), indent=1) + "\n")


def _write_csv(solved: Solved, path: Path) -> None:
    from psro.views import tables

    tables.write_columns(_texts().columns(solved), path)


def _write_efg(solved: Solved, path: Path) -> None:
    from games.writers.gambit import efg

    _write(path, efg(solved.tree))


def _draw(solved: Solved, path: Path) -> None:
    """The path of the logit correspondence, or the tree with the first equilibrium."""
    if solved.path is not None:
        from psro.views.logit_plot import path_figure
        from psro.views.plots import save_figure

        save_figure(path_figure(solved), path)
        return
    if path.suffix.lower() == ".png":
        raise UsageError(f"{path}: a tree is drawn as .svg; only --path is drawn as .png")
    from psro.views.tree_drawing import svg

    first = solved.equilibria[0].behaviours if solved.equilibria else None
    _write(path, svg(solved.tree, first))


def _write(path: Path, text: str) -> None:
    from psro.runs import disk

    with disk.writing(path):
        disk.write(path, text)
