"""Diverse PSRO (Perez-Nieves et al. 2021, arXiv:2103.07927): a new policy should enlarge the
expected size of a set of policies drawn by a determinantal point process."""

from __future__ import annotations

import numpy as np

from games.units import ALIKE
from psro.variants.diversity.context import Context, Term


def expected_cardinality(context: Context) -> Term:
    """What a policy adds to the population's expected cardinality: `D(S + pi) - D(S)` with `D(S) =
    tr(I - (M M' + I)^-1)` (`effective_diversity.cardinality_of`). The rows of M `[K, N]` are the
    policies' payoffs, divided by one number: the root mean square of the lengths of the
    population's rows. A new policy should maximise `u(pi, sigma) + weight * D(S + pi)`; D(S) is the
    same for all new policies.

    For `A = I + M' M` and the policy's row m, the value is `m' A^-2 m / (1 + m' A^-1 m)` (Sherman
    and Morrison's formula), in [0, 1). Among rows of one length r, those orthogonal to the
    population's rows add most, `r^2 / (1 + r^2)`. A row of zeros adds nothing. As in the published
    kernel, a copy of a member adds something: `1 / (1 + 2 b)` of what the member itself had added
    to the others, with `b = m' (A - m m')^-1 m` of that member. This is never more than `3 - 2
    sqrt(2) = 0.17`.

    The authors' code divides every row by its own length in one experiment, and leaves payoffs as
    they are in the others. With payoffs as they are, their unit would decide how much the kernel
    counts. With each row divided by its own length, the value is no longer near to one that
    `maximise` can climb. The paper has one population, so a new policy also adds a column. Here
    columns are the opponents' policies.
    """
    rows = context.row(context.plans)  # [K, N]
    length = np.sqrt(np.square(rows).sum(axis=1).mean())
    if length <= ALIKE:  # all payoffs are zero: keep the game's unit
        length = 1.0
    rows = rows / length
    inverse = np.linalg.inv(np.eye(rows.shape[1]) + rows.T @ rows)  # eigenvalues in (0, 1]

    def term(plan: np.ndarray) -> tuple[float, np.ndarray]:
        row = context.row(plan) / length
        once = inverse @ row
        twice = inverse @ once
        added, divisor = row @ twice, 1 + row @ once
        gradient = 2 * (twice - added / divisor * once) / divisor
        return float(added / divisor), context.row_gradient(gradient / length)

    return term
