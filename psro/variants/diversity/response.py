"""Response diversity (Liu et al. 2021, arXiv:2106.04958): the distance of a policy's payoffs from
those of all mixtures of the population."""

from __future__ import annotations

import numpy as np

from psro.variants.diversity.context import Context, Term
from psro.variants.diversity.nearest import nearest


def response(context: Context) -> Term:
    """`min over beta in Delta(K) of |A' beta - a|^2`: the squared distance of the policy's payoff
    row a `[N]`, in units of the game's largest return, from the convex hull of the population's
    rows A `[K, N]`.

    The paper maximises a lower bound of it, by the rows' pseudo-inverse and least singular value.
    Here it is solved exactly. It is convex. It is zero for mixtures of the population, and for
    policies that earn the same as a mixture against every policy of the opponents.
    """
    rows = context.row(context.plans)

    def term(plan: np.ndarray) -> tuple[float, np.ndarray]:
        row = context.row(plan)
        away = row - nearest(rows, row) @ rows
        return float(away @ away), context.row_gradient(2 * away)

    return term
