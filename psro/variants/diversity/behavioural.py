"""Behavioural diversity (Liu et al. 2021, arXiv:2106.04958): the distance between a policy's and
the meta-strategy's visits to (info state, action) pairs."""

from __future__ import annotations

import numpy as np

from psro.variants.diversity.context import Context, Term


def behavioural(context: Context) -> Term:
    """`D_f(d || e) = sum over (s, a) of f(d / e) e`: an f-divergence of the policy's occupancy d
    from the occupancy e of the player's own meta-strategy, both against the opponents that it
    trains against.

    Occupancies are exact: the probability of coming to the info state and taking the action there,
    `reach[I] x[I, a]`. The paper leaves f open; it is `(t - 1)^2 / (2 (t + 1))`, the triangular
    discrimination `sum (d - e)^2 / (d + e) / 2`. That lies within constant factors of the
    Jensen-Shannon divergence (Topsoe 2000), which the authors' code has, but its slope is finite
    where a policy does not go: linearised, the others' would forbid every action not yet taken.
    It is divided by the decisions that the meta-strategy takes in an episode: 1 for a policy of as
    many decisions that shares none of them. Zero for the meta-strategy's mixture (not for each of
    its policies); convex.
    """
    share = np.concatenate([[0.0], context.reach[context.player.info_state[1:]]])  # [S]
    mixed = share * (context.weights @ context.plans)
    decisions = mixed.sum() or 1.0  # without any decision every occupancy is zero

    def term(plan: np.ndarray) -> tuple[float, np.ndarray]:
        difference, total = share * plan - mixed, share * plan + mixed
        # The limit where neither goes is d itself, with slope 1
        ratio = np.divide(difference, total, out=np.ones_like(total), where=total > 0)
        gradient = share * ratio * (2 - ratio)
        return float(difference @ ratio / (2 * decisions)), gradient / (2 * decisions)

    return term
