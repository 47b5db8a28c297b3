"""Diverse PSRO (Perez-Nieves et al. 2021, arXiv:2103.07927): a new policy should enlarge the
expected size of a set of policies drawn by a determinantal point process."""

from __future__ import annotations

import numpy as np

from psro.diversity_terms.context import Context, Term


def expected_cardinality(context: Context) -> Term:
    """What a policy adds to the population's expected cardinality `tr(I - (M M' + I)^-1)`
    (`diversity.expected_cardinality`), for the rows M `[K, N]` of the payoff table.

    With `A = I + M' M` and the policy's row m it is `m' A^-2 m / (1 + m' A^-1 m)` (Sherman and
    Morrison's formula), in [0, 1). Of rows of one length r^2 = m' m those orthogonal to the
    population's add most, `r^2 / (1 + r^2)`; nothing is added by a row of zeros only. A copy of a
    member adds something in the published kernel, which is kept: `1 / (1 + 2 b)` of what the member
    itself had added to the others, and never more than `3 - 2 sqrt(2) = 0.17`; b is `m' B^-1 m`
    for the others' B = A - m m'.

    The paper leaves the rows' scale open; here they are in units of the game's largest return. It
    has one population and so a new column too; here columns are the opponents' policies.
    """
    rows = context.row(context.plans)  # [K, N]
    inverse = np.linalg.inv(np.eye(rows.shape[1]) + rows.T @ rows)  # eigenvalues in (0, 1]

    def term(plan: np.ndarray) -> tuple[float, np.ndarray]:
        row = context.row(plan)
        once = inverse @ row
        twice = inverse @ once
        added, length = row @ twice, 1 + row @ once
        gradient = 2 * (twice - added / length * once) / length
        return float(added / length), context.row_gradient(gradient)

    return term
