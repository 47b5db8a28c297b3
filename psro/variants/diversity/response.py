"""Response diversity (Liu et al. 2021, arXiv:2106.04958): how far a policy's payoffs are from what
the population can reach."""

from __future__ import annotations

import numpy as np

from psro.variants.diversity.context import Context, Term
from psro.variants.diversity.nearest import nearest


def response(context: Context) -> Term:
    """`min over beta in Delta(K) of |A' beta - a|^2`: the squared distance of the policy's payoff
    row a `[N]`, in units of the game's largest return, from the convex hull of the population's
    rows A `[K, N]`.

    The paper maximises a lower bound of it, by the rows' pseudo-inverse and least singular value;
    here it is solved exactly. Zero for members and mixtures of the population, and for whatever
    earns the same as one against every policy of the opponents; convex.
    """
    rows = context.row(context.plans)

    def term(plan: np.ndarray) -> tuple[float, np.ndarray]:
        row = context.row(plan)
        away = row - nearest(rows, row) @ rows
        return float(away @ away), context.row_gradient(2 * away)

    return term
