"""Every meta-solver as the loop calls it: from a `MetaGame` to a `MetaStrategy`.

Those of `META_SOLVERS` use the payoff table only. Those of `GAME_SOLVERS` also use the policies'
plans in the game.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from games import plugins
from psro.exact import sequence_form
from psro.metagame import least_exploitable as by_cuts
from psro.metagame.exact_meta_game import ExactMetaGame
from psro.metagame.form_meta_game import FormMetaGame
from psro.metagame.meta_game import MetaGame
from psro.metagame.solvers import META_SOLVERS, Solver, meta_solver
from psro.metagame.strategy import MetaStrategy


def least_exploitable(meta_game: ExactMetaGame | FormMetaGame) -> MetaStrategy:
    """The mixtures of the populations that are hardest to exploit by opponents who may play any
    strategy of the game (McAleer et al. 2022, arXiv:2201.07700, section 3: anytime double oracle):

        sigma_p in argmax over Delta(Pi_p) of min over any pi_-p of u_p(sigma_p, pi_-p),

    for player p's population Pi_p and expected return u_p. Their exploitability does not rise when
    populations grow. Of several such mixtures, the linear program's vertex is returned. Where the
    game is not enumerated, they are found within a tolerance (`psro.metagame.least_exploitable`).
    """
    if isinstance(meta_game, FormMetaGame):
        return MetaStrategy(marginals=by_cuts.least_exploitable(meta_game).mixtures)
    population = sequence_form.population_exploitability(meta_game.tree, meta_game.plans)
    return MetaStrategy(marginals=tuple(population.mixtures))


GAME_SOLVERS: dict[str, Solver] = {
    "least_exploitable": Solver(
        function=least_exploitable, concept="nash", num_players=2, zero_sum=True
    ),
}
"""Solvers whose functions map a meta-game with exact policies to a `MetaStrategy`."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class MetaGameSolver:
    """A meta-solver and its properties.

    Attributes:
        solve: from a meta-game to its meta-strategy.
        aim: the equilibrium of the meta-game (nash, cce or ce) that the solver always finds, within
            its tolerance; None if it finds none, or only in some games.
        joint: whether results are joints; else players draw independently.
        num_players: the number of players that it needs; None for any number.
        symmetric: whether it needs a symmetric game with one population.
        zero_sum: whether it needs payoffs that add up to a constant.
        exact: whether it needs the policies' plans, so that games must be measured exactly.
    """

    solve: Callable[[MetaGame], MetaStrategy]
    aim: str | None
    joint: bool
    num_players: int | None
    symmetric: bool
    zero_sum: bool
    exact: bool

    @property
    def concept(self) -> str:
        """The equilibrium that results are measured against, one of `MEANINGS`: `aim` if there is
        one, else `cce` for joints and `nash` for others."""
        return self.aim or ("cce" if self.joint else "nash")

    def __call__(self, meta_game: MetaGame) -> MetaStrategy:
        return self.solve(meta_game)


def solver_of(text: str) -> MetaGameSolver:
    """A meta-solver by its name, from both dictionaries; settings are in brackets.

    Raises:
        MetaSolverError: unknown name or wrong settings, see `meta_solver`.
    """
    name = text.partition("(")[0].strip()
    if name.isidentifier() and name not in META_SOLVERS and name not in GAME_SOLVERS:
        plugins.find("psro.meta_solvers", name, META_SOLVERS)
        if name in META_SOLVERS and not isinstance(META_SOLVERS[name], Solver):
            META_SOLVERS[name] = Solver(function=META_SOLVERS[name])
    solver = meta_solver(text, META_SOLVERS | GAME_SOLVERS)
    looks_at_the_game = name in GAME_SOLVERS

    def by_payoffs(meta_game: MetaGame) -> MetaStrategy:
        return MetaStrategy.of(solver.function(meta_game.payoffs))

    return MetaGameSolver(
        solve=solver.function if looks_at_the_game else by_payoffs,
        aim=solver.concept,
        joint=solver.joint,
        num_players=solver.num_players,
        symmetric=solver.symmetric,
        zero_sum=solver.zero_sum,
        exact=looks_at_the_game,
    )
