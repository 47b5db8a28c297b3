"""Behavioural and response diversity together (Liu et al. 2021, arXiv:2106.04958)."""

from __future__ import annotations

import numpy as np

from psro.variants.diversity.behavioural import behavioural
from psro.variants.diversity.context import Context, Term
from psro.variants.diversity.response import response


def bd_rd(
    context: Context, *, behavioural_weight: float = 1.0, response_weight: float = 1.0
) -> Term:
    """The weighted sum of `behavioural` and `response`, the paper's objective without the return:
    `argmax_pi u(pi, sigma) + w_1 D_f(d || e) + w_2 min_beta |A' beta - a|^2`. The paper leaves the
    weights open. Neither term has a unit."""
    parts = (
        (behavioural_weight, behavioural(context)),
        (response_weight, response(context)),
    )

    def term(plan: np.ndarray) -> tuple[float, np.ndarray]:
        total, slope = 0.0, np.zeros_like(plan)
        for weight, part in parts:
            value, gradient = part(plan)
            total, slope = total + weight * value, slope + weight * gradient
        return total, slope

    return term
