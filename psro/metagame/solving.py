"""Every meta-solver as the loop calls it: from a `MetaGame` to a `MetaStrategy`.

Those of `META_SOLVERS` go by the payoff table alone. Those of `GAME_SOLVERS` look at what the
policies do in the game as well.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from psro.exact import sequence_form
from psro.metagame.meta_game import MetaGame
from psro.metagame.solvers import META_SOLVERS, Solver, meta_solver
from psro.metagame.strategy import MetaStrategy


def least_exploitable(meta_game: MetaGame) -> MetaStrategy:
    """The mixtures of the populations that lose least to players who are not restricted to theirs:
    what anytime double oracle trains against (McAleer et al. 2022, arXiv:2201.07700, section 3):

        sigma_p in argmax over Delta(Pi_p) of min over any pi_-p of u_p(sigma_p, pi_-p),

    for Pi_p player p's population and u_p its expected return. Their exploitability does not rise
    when populations grow: the maximum is over more. Of several the program's vertex is taken."""
    population = sequence_form.population_exploitability(meta_game.tree, meta_game.plans)
    return MetaStrategy(marginals=tuple(population.mixtures))


GAME_SOLVERS: dict[str, Solver] = {
    "least_exploitable": Solver(
        function=least_exploitable, concept="nash", num_players=2, zero_sum=True
    ),
}
"""Their functions map a `MetaGame` to a `MetaStrategy`."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class MetaGameSolver:
    """A meta-solver, and what a caller should know before it calls it.

    Attributes:
        solve: from a meta-game to its meta-strategy.
        aim: the equilibrium of the meta-game that every result is, within the solver's tolerance:
            nash, cce or ce; None where it is none, or only in some games.
        joint: whether results are joints; else players draw independently.
        num_players: the only number of players that it is for; None for any.
        symmetric: whether it is for symmetric games only, with one population.
        zero_sum: whether it is for games only whose payoffs add up to a constant.
    """

    solve: Callable[[MetaGame], MetaStrategy]
    aim: str | None
    joint: bool
    num_players: int | None
    symmetric: bool
    zero_sum: bool

    @property
    def concept(self) -> str:
        """What results are measured as, one of `MEANINGS`: the equilibrium that the solver aims at,
        else a coarse correlated one where they are joints, and a Nash equilibrium where not."""
        return self.aim or ("cce" if self.joint else "nash")

    def __call__(self, meta_game: MetaGame) -> MetaStrategy:
        return self.solve(meta_game)


def solver_of(text: str) -> MetaGameSolver:
    """A meta-solver by its name, of all that there are; settings stand in brackets.

    Raises:
        MetaSolverError: there is none such; see `meta_solver`.
    """
    solver = meta_solver(text, META_SOLVERS | GAME_SOLVERS)
    looks_at_the_game = text.partition("(")[0].strip() in GAME_SOLVERS

    def by_payoffs(meta_game: MetaGame) -> MetaStrategy:
        return MetaStrategy.of(solver.function(meta_game.payoffs))

    return MetaGameSolver(
        solve=solver.function if looks_at_the_game else by_payoffs,
        aim=solver.concept,
        joint=solver.joint,
        num_players=solver.num_players,
        symmetric=solver.symmetric,
        zero_sum=solver.zero_sum,
    )
