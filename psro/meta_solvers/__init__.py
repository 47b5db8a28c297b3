"""Meta-solvers: payoffs `[P, K_0, ..., K_{P-1}]` to a meta-strategy.

A product solver returns one distribution `[K_p]` per player, drawn from independently; a joint
solver returns one distribution `[K_0, ..., K_{P-1}]` over profiles. A solver is one file and one
entry in `META_SOLVERS`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Literal

import numpy as np

from psro.meta_solvers.alpha_rank import alpha_rank
from psro.meta_solvers.alpha_rank_single import alpha_rank_single
from psro.meta_solvers.fictitious_play import fictitious_play
from psro.meta_solvers.hedge import hedge
from psro.meta_solvers.last import last
from psro.meta_solvers.last_k import last_k
from psro.meta_solvers.mecce import mecce
from psro.meta_solvers.mece import mece
from psro.meta_solvers.mgcce import mgcce
from psro.meta_solvers.mgce import mgce
from psro.meta_solvers.mwcce import mwcce
from psro.meta_solvers.mwce import mwce
from psro.meta_solvers.nash import nash
from psro.meta_solvers.projected_replicator import projected_replicator
from psro.meta_solvers.qre import qre
from psro.meta_solvers.regret import (
    MetaSolverError,
    cce_gains,
    ce_gains,
    joint_of,
    marginals,
    regrets,
)
from psro.meta_solvers.regret_matching import regret_matching
from psro.meta_solvers.regularized_replicator import regularized_replicator
from psro.meta_solvers.replicator import replicator
from psro.meta_solvers.uniform import uniform

Solution = list[np.ndarray] | np.ndarray
"""A product: one distribution `[K_p]` per player; or a joint: `[K_0, ..., K_{P-1}]`."""

MetaSolver = Callable[[np.ndarray], Solution]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Solver:
    """A meta-solver, and what a caller should know before it calls it.

    Attributes:
        function: payoffs `[P, K_0, ..., K_{P-1}]` to a meta-strategy.
        concept: the equilibrium of the meta-game that every result is, within the solver's
            tolerance; None where it is none, or only in some games. It tells which gap to measure.
        joint: whether results are joints; else they are products.
        num_players: the only number of players that it is for; None for any.
        symmetric: whether it is for symmetric games only, with one population.
    """

    function: MetaSolver
    concept: Literal["nash", "ce", "cce"] | None = None
    joint: bool = False
    num_players: int | None = None
    symmetric: bool = False

    def __call__(self, payoffs: np.ndarray) -> Solution:
        return self.function(payoffs)


META_SOLVERS: dict[str, Solver] = {
    "nash": Solver(function=nash, concept="nash", num_players=2),
    "uniform": Solver(function=uniform),
    "last": Solver(function=last),
    "last_k": Solver(function=last_k),
    "fictitious_play": Solver(function=fictitious_play),
    "regret_matching": Solver(function=regret_matching),
    "hedge": Solver(function=hedge),
    "replicator": Solver(function=replicator),
    "projected_replicator": Solver(function=projected_replicator),
    "regularized_replicator": Solver(function=regularized_replicator),
    "qre": Solver(function=qre),
    "alpha_rank": Solver(function=alpha_rank, joint=True),
    "alpha_rank_single": Solver(function=alpha_rank_single, num_players=2, symmetric=True),
    "mgcce": Solver(function=mgcce, concept="cce", joint=True),
    "mgce": Solver(function=mgce, concept="ce", joint=True),
    "mwcce": Solver(function=mwcce, concept="cce", joint=True),
    "mwce": Solver(function=mwce, concept="ce", joint=True),
    "mecce": Solver(function=mecce, concept="cce", joint=True),
    "mece": Solver(function=mece, concept="ce", joint=True),
}

__all__ = [
    "META_SOLVERS",
    "MetaSolver",
    "MetaSolverError",
    "Solution",
    "Solver",
    "cce_gains",
    "ce_gains",
    "joint_of",
    "marginals",
    "nash",
    "regrets",
    "uniform",
]
