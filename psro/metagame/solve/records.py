"""Solutions of a game: equilibria of every concept, in one kind of record."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import numpy as np

from games.tree import GameTree
from psro.errors import PsroError
from psro.exact.rational.dominance import Elimination


class SolveError(PsroError):
    """A game that has no such solution, or is too large for it; one sentence says why."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Equilibrium:
    """One solution, of players who play independently or draw a profile together.

    Attributes:
        payoffs: each player's expected payoff, float64 `[P]`.
        regret: the largest gain of a player by deviating, as the concept has it; 0 where exact.
        behaviours: each player's action probabilities, float64 `[S_p]`; None for a joint.
        joint: the distribution over profiles of reduced strategies, `[K_0, ..., K_{P-1}]`; None for
            independent players.
        exact_payoffs, exact_behaviours: the same in fractions, where the arithmetic was exact.
            Behaviours are None at info states that the player's own play never reaches.
        component: the number of the connected set of equilibria that it belongs to, if known.
        precision: lambda, of a quantal response equilibrium.
        logs: log-probabilities of all actions `[n]`, with beliefs off the path, of logit solutions.
    """

    payoffs: np.ndarray
    regret: float
    behaviours: tuple[np.ndarray, ...] | None = None
    joint: np.ndarray | None = None
    exact_payoffs: tuple[Fraction, ...] | None = None
    exact_behaviours: tuple[np.ndarray, ...] | None = None
    component: int | None = None
    precision: float | None = None
    logs: np.ndarray | None = None

    @property
    def is_exact(self) -> bool:
        return self.exact_payoffs is not None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Solved:
    """What `psro solve` finds.

    Attributes:
        tree: the game.
        concept: one of `psro.metagame.solve.CONCEPTS`.
        method: how it was found, in words.
        equilibria: the solutions.
        complete: whether these are all extreme (or all pure) ones, as `method` says.
        plans: each player's reduced strategies `[K_p, S_p]`, where a strategic form was made.
        elimination: of `rationalizable`, what was eliminated and what is left.
        path: of `qre` with a path, the points (lambda, behaviours) of the branch.
        notes: what a reader should know, a sentence each.
    """

    tree: GameTree
    concept: str
    method: str
    equilibria: tuple[Equilibrium, ...] = ()
    complete: bool = False
    plans: tuple[np.ndarray, ...] | None = None
    elimination: Elimination | None = None
    path: tuple[tuple[float, tuple[np.ndarray, ...]], ...] | None = None
    notes: tuple[str, ...] = ()
