"""Solutions of a game: equilibria of every concept, in one kind of record."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from games.printing import html_table, printable
from games.tree import GameTree
from psro.errors import PsroError
from psro.exact.rational.dominance import Elimination

if TYPE_CHECKING:
    from games.named import Named


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


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
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

    def __repr__(self) -> str:
        count = f"{len(self.equilibria)} solution{'s' * (len(self.equilibria) != 1)}"
        return f"<Solved {printable(self.tree.name)}: {self.concept}, {count} by {self.method}>"

    def _repr_html_(self) -> str:
        """A table for notebooks: the payoffs of every solution, and its strategies in small games,
        by name. Some of many."""
        from games.named import Named  # it needs OpenSpiel

        named = Named(self.tree)
        facts = {"game": self.tree.name, "concept": self.concept, "method": self.method}
        for count, one in enumerate(self.equilibria[:_SHOWN], 1):
            pairs = zip(named.players, one.payoffs, strict=True)
            said = ", ".join(f"{player} {payoff:.6g}" for player, payoff in pairs)
            if one.behaviours is not None and self.tree.num_info_states <= _SHOWN:
                said += f" · {_strategies(named, one.behaviours)}"
            facts[f"solution {count} of {len(self.equilibria)}"] = said
        return html_table(facts)


_SHOWN = 20
"""Solutions, and info states, in a notebook."""


def _strategies(named: Named, behaviours: tuple[np.ndarray, ...]) -> str:
    """What players play at each of their info states, with its probability."""
    words = []
    for p, own in enumerate(named.tree.players):
        for i, state in enumerate(named.info_states[p]):
            first, end = own.first_sequence[i : i + 2]
            played = ", ".join(
                f"{named.actions[p][s]} {behaviours[p][s]:.3g}"
                for s in range(first, end)
                if behaviours[p][s] > 5e-4
            )
            at = "" if named.is_one_shot else f" at {state}"
            words.append(f"{named.players[p]}{at}: {played}")
    return "; ".join(words)
