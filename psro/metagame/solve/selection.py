"""The choice of one equilibrium among several."""

from __future__ import annotations

import dataclasses

import numpy as np

from games.tree import GameTree
from psro.exact.plans import realization_plan
from psro.metagame.solve.records import Equilibrium, Solved, SolveError

CRITERIA = {
    "total": "the largest sum of payoffs",
    "welfare": "the largest sum of payoffs, each as a share of its player's span",
    "risk": "risk dominance among the pure ones",
}
"""How the best of several equilibria is chosen. The sum of shares does not depend on units."""


def scores(equilibria: tuple[Equilibrium, ...], criterion: str, tree: GameTree) -> np.ndarray:
    """The sum of payoffs of each equilibrium, each payoff in its player's span for `welfare`."""
    span = np.ones(tree.num_players)
    if criterion == "welfare":
        least, most = tree.terminal_returns.min(axis=0), tree.terminal_returns.max(axis=0)
        span = np.where(most > least, most - least, 1.0)
    return np.array([float((one.payoffs / span).sum()) for one in equilibria])


def best(solved: Solved, criterion: str, table: np.ndarray | None) -> Solved:
    """The solved game with its best equilibrium alone. For `risk`, `table` holds the payoffs
    `[2, K_0, K_1]`, fractions, of the strategic form."""
    if criterion == "risk":
        number = _risk_dominant(solved, table)
    else:
        by_score = scores(solved.equilibria, criterion, solved.tree)
        number = int(np.argmax(np.round(by_score, 9)))
    note = f"number {number + 1} of {len(solved.equilibria)} equilibria, by {CRITERIA[criterion]}"
    return dataclasses.replace(
        solved,
        equilibria=(solved.equilibria[number],),
        complete=False,
        notes=(*solved.notes, note),
    )


def _risk_dominant(solved: Solved, table: np.ndarray | None) -> int:
    """The number of the pure equilibrium that no other pure one risk-dominates (Harsanyi and Selten
    1988): in their 2 x 2 game, the product of the losses by deviating from it is the largest."""
    if table is None or len(table) != 2:
        raise SolveError("risk dominance compares pure equilibria of two players")
    pure = {}
    for number, one in enumerate(solved.equilibria):
        chosen = _pure_profile(solved, one)
        if chosen is not None:
            pure[number] = chosen
    if not pure:
        raise SolveError(f"{solved.tree.name} has no pure equilibrium, so none is risk dominant")

    def product(profile, other):
        (i, j), (k, m) = profile, other
        return (table[0][i, j] - table[0][k, j]) * (table[1][i, j] - table[1][i, m])

    for number, profile in pure.items():
        if all(product(profile, other) >= product(other, profile) for other in pure.values()):
            return number
    raise SolveError(
        f"no equilibrium of {solved.tree.name} is risk dominant: each of the {len(pure)} pure ones "
        "is risk-dominated by another one"
    )


def _pure_profile(solved: Solved, one: Equilibrium) -> tuple[int, ...] | None:
    """The numbers of the reduced strategies of a pure equilibrium; None for a mixed one."""
    chosen = []
    for player, behaviour, plans in zip(
        solved.tree.players, one.behaviours, solved.plans, strict=True
    ):
        plan = realization_plan(player, behaviour)
        numbers = np.flatnonzero((plans == plan).all(axis=1))
        if not len(numbers):
            return None
        chosen.append(int(numbers[0]))
    return tuple(chosen)
