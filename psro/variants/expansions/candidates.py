"""Several best responses per player, of which only the most useful one is kept: Global PSRO (Wang
et al. 2026, arXiv:2605.28273)."""

from __future__ import annotations

import numpy as np

from psro.exact import sequence_form
from psro.metagame.solving import least_exploitable
from psro.metagame.strategy import MetaStrategy
from psro.variants.expansions.base import Expanded, Situation, Steps, Train


def candidates(now: Situation) -> Steps:
    """Explore, then select. Best responses to `levels` candidate meta-strategies sigma^c are
    trained. The pair that gives the least population exploitability is kept:

        c* = argmin_c PE(Pi + BR(sigma^c)),  PE(Pi) = min over mixtures of Pi of exploitability.

    The paper estimates PE with a conditional network. Here it is exact, by linear programs over the
    sequence form.

    The first candidate is the meta-solver's, the second the least exploitable mixtures. The others
    are means of the meta-solver's and of uniformly random mixtures. (The paper does not say how
    candidates are sampled.)
    """
    size = now.meta_game.size
    strategies = [now.meta_strategy, least_exploitable(now.meta_game)]
    while len(strategies) < now.levels:
        strategies.append(
            MetaStrategy(
                marginals=tuple(
                    (weights + now.rng.dirichlet(np.ones(size))) / 2
                    for weights in now.meta_strategy.marginals
                )
            )
        )
    slots = range(size, size + now.levels)
    meta_game = yield [
        Train(slot=slot, against=strategy)
        for slot, strategy in zip(slots, strategies[: now.levels], strict=True)
    ]

    def exploitability(slot: int) -> float:
        population = meta_game.take([*range(size), slot])
        least = sequence_form.population_exploitability(population.tree, population.plans)
        return least.measured.exploitability

    return Expanded(keep=[min(slots, key=exploitability)])
