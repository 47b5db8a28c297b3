"""From a diversity term to gains: oracles maximise what is linear in a realization plan."""

from __future__ import annotations

import numpy as np

from games.tree import PlayerTree
from psro import exact
from psro.diversity_terms.context import DiversityError, Term

STARTS = 8
"""Points from which `maximise` climbs. On Kuhn poker the best of eight ends was the maximum over
all pure policies nearly always, that of one often not: where a term has its minimum, on the hull of
the population, it has no slope."""
_SHARES = (1.0, 0.5, 0.25, 0.125)
"""Steps towards a linearisation's best response that are tried; a term that is convex takes 1."""


def maximise(
    player: PlayerTree, gains: np.ndarray, term: Term, weight: float, steps: int
) -> np.ndarray:
    """Gains `[S]` whose exact best response x has a large `gains @ x + weight * J(x)`: no less than
    the best response to `gains` themselves has.

    Frank and Wolfe's method: at a plan x, take the best response to `gains + weight * grad J(x)`,
    and go towards it as long as the objective rises. For convex J and weight above zero whole steps
    never let it fall, and it ends at a pure policy that is its own linearisation's best response;
    there may be several such, so it starts from the plain best response and from some disturbed
    ones, always the same. Of all linearisations on the way the one is returned whose best response
    is best; that is a pure policy, for a concave J too, whose maximum may not be.

    Args:
        player: whose gains these are.
        gains: what its sequences earn, `[S]`.
        term: J.
        weight: of J, in units of payoff.
        steps: linearisations from each start.
    """
    if steps < 1:
        raise DiversityError(f"a term is linearised once or more, not {steps} times")

    def objective(plan: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = term(plan)
        return float(gains @ plan) + weight * value, gains + weight * gradient

    plain = exact.best_response_to(player, gains).plan
    best, found = objective(plain)[0], gains
    generator = np.random.default_rng(0)
    for start in range(STARTS):
        plan = plain
        if start:
            noise = np.abs(gains).max() * generator.normal(size=len(gains))
            plan = exact.best_response_to(player, gains + noise).plan
        value, slope = objective(plan)
        for _ in range(steps):
            corner = exact.best_response_to(player, slope).plan
            reached = [(share, *objective(plan + share * (corner - plan))) for share in _SHARES]
            if reached[0][1] > best:
                best, found = reached[0][1], slope
            share, higher, slope_there = max(reached, key=lambda each: each[1])
            if higher <= value:
                break
            plan, value, slope = plan + share * (corner - plan), higher, slope_there
    return found
