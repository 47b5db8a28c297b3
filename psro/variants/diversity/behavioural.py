"""Behavioural diversity (Liu et al. 2021, arXiv:2106.04958): the distance between a policy's and
the meta-strategy's visits to (info state, action) pairs."""

from __future__ import annotations

import numpy as np

from psro.variants.diversity.context import Context, Term


def behavioural(context: Context) -> Term:
    """`D_f(d || e) = sum over (s, a) of f(d / e) e`: an f-divergence of the policy's occupancy d
    from the occupancy e of the player's own meta-strategy. Both play against the opponents of
    training.

    Occupancies are exact: `reach[I] x[I, a]`, the probability of reaching the info state and taking
    the action there. The paper leaves f open. Here it is `(t - 1)^2 / (2 (t + 1))`, which gives the
    triangular discrimination `sum (d - e)^2 / (d + e) / 2`. It lies within constant factors of the
    Jensen-Shannon divergence (Topsoe 2000), which the authors' code has. But its slope is finite at
    actions that the policy does not take. If the authors' divergence were linearised, it would
    forbid all of these actions.

    The value is divided by the number of decisions that the meta-strategy takes in an episode. So
    it is 1 for a policy that takes as many decisions and shares none of them. It is zero for the
    meta-strategy's mixture, but not for each of its policies. It is convex.
    """
    share = np.concatenate([[0.0], context.reach[context.player.info_state[1:]]])  # [S]
    mixed = share * (context.weights @ context.plans)
    decisions = mixed.sum() or 1.0  # without any decision every occupancy is zero

    def term(plan: np.ndarray) -> tuple[float, np.ndarray]:
        difference, total = share * plan - mixed, share * plan + mixed
        # Where e is zero, the value is d itself; take its slope, 1, also where d is zero
        ratio = np.divide(difference, total, out=np.ones_like(total), where=total > 0)
        gradient = share * ratio * (2 - ratio)
        return float(difference @ ratio / (2 * decisions)), gradient / (2 * decisions)

    return term
