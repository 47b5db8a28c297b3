"""`solve`: the solutions of a game by a concept. Which method is used depends on the game's size
and on its number of players; every result carries its certificate."""

from __future__ import annotations

from typing import Any

import numpy as np

import games
from games.readers import frames
from games.tree import GameTree
from psro.metagame.solve import others
from psro.metagame.solve.nash import METHODS, nash
from psro.metagame.solve.records import Equilibrium, Solved, SolveError
from psro.metagame.solve.selection import CRITERIA

__all__ = [
    "CONCEPTS",
    "CRITERIA",
    "METHODS",
    "Equilibrium",
    "SolveError",
    "Solved",
    "solve",
]

CONCEPTS = {
    "nash": "Nash equilibria",
    "qre": "logit quantal response equilibria, at a lambda or along their path",
    "ce": "a correlated equilibrium with the largest sum of payoffs",
    "cce": "a coarse correlated equilibrium with the largest sum of payoffs",
    "alpha_rank": "how long evolution stays at each profile",
    "rationalizable": "what iterated strict dominance leaves",
    "minimax": "what each player can guarantee itself, and how",
}
"""What `solve` can be asked for."""


def solve(
    game: GameTree | str | Any,
    concept: str = "nash",
    *,
    all_equilibria: bool = False,
    best_by: str | None = None,
    precision: float | None = None,
    path: bool = False,
    method: str = "auto",
) -> Solved:
    """The solutions of an enumerated game.

    Args:
        game: a tree, of `games.load`, or its name, or payoffs: a DataFrame (zero-sum; its labels
            are the names of actions), two DataFrames, or an array (`games.readers.frames`).
        concept: one of `CONCEPTS`.
        all_equilibria: `nash` lists all extreme equilibria of two players, or all pure ones of more
            and one more from the logit correspondence.
        best_by: keep the best of the equilibria, by one of `CRITERIA`.
        precision: lambda of `qre`, per unit of payoff; by default 1.
        path: `qre` follows the branch from uniform play to `precision`, or until supports are
            clear.
        method: how `nash` is found, one of `METHODS`.

    Raises:
        SolveError, or another `PsroError`: the game has no such solution, or is too large for it.
    """
    _check(concept, all_equilibria, best_by, precision, path, method)
    if frames.is_data(game):
        game = frames.normal_form(game)
    tree = games.load(game) if isinstance(game, str) else game
    if not isinstance(tree, GameTree):
        raise SolveError(f"{game} is another library's environment, and has no tree to solve")
    if concept == "nash":
        return nash(tree, all_equilibria, best_by, method)
    if concept == "qre":
        return others.quantal(tree, precision, path)
    if concept == "minimax":
        return others.minimax(tree)
    if concept == "rationalizable":
        return others.rationalizable(tree)
    return others.joint(tree, concept)


def _check(concept, all_equilibria, best_by, precision, path, method) -> None:
    """Raises SolveError for arguments that do not go together."""
    if concept not in CONCEPTS:
        raise SolveError(f"unknown concept {concept!r}; known: {', '.join(CONCEPTS)}")
    if method not in METHODS:
        raise SolveError(f"unknown method {method!r}; known: {', '.join(METHODS)}")
    if best_by is not None and best_by not in CRITERIA:
        raise SolveError(f"unknown criterion {best_by!r}; known: {', '.join(CRITERIA)}")
    for name, given in (("all", all_equilibria), ("best", best_by), ("method", method != "auto")):
        if given and concept != "nash":
            raise SolveError(f"--{name} is for the concept nash, not for {concept}")
    if (precision is not None or path) and concept != "qre":
        raise SolveError(f"--lambda and --path are for the concept qre, not for {concept}")
    if precision is not None and not 0 <= precision < np.inf:
        raise SolveError(f"lambda = {precision:g} must be at least 0 and finite")
    if (all_equilibria or best_by) and method not in ("auto", "enumeration"):
        raise SolveError(f"--all and --best enumerate equilibria; --method {method} finds one")
