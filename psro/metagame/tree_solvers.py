"""Meta-solvers that look beyond the payoff table, at what the policies do in the game: from a
`MetaGame` to a `MetaStrategy`. One line each in `TREE_SOLVERS`; all are for two-player zero-sum
games."""

from __future__ import annotations

from psro.exact import sequence_form
from psro.metagame.meta_game import MetaGame
from psro.metagame.meta_strategy import MetaStrategy
from psro.metagame.solvers import Solver


def least_exploitable(meta_game: MetaGame) -> MetaStrategy:
    """The mixtures of the populations that lose least to players who are not restricted to theirs:
    what anytime double oracle trains against (McAleer et al. 2022, arXiv:2201.07700, section 3):

        sigma_p in argmax over Delta(Pi_p) of min over any pi_-p of u_p(sigma_p, pi_-p),

    for Pi_p player p's population and u_p its expected return. Their exploitability does not rise
    when populations grow: the maximum is over more. Of several the program's vertex is taken."""
    found = sequence_form.population_exploitability(meta_game.tree, meta_game.plans)
    return MetaStrategy(marginals=tuple(found.mixtures))


TREE_SOLVERS: dict[str, Solver] = {
    "least_exploitable": Solver(function=least_exploitable, concept="nash", num_players=2),
}
