"""Policy Space Diversity PSRO (Yao et al. 2023, arXiv:2306.16884): a new policy should be far from
the policy hull, all mixtures of the population."""

from __future__ import annotations

import numpy as np

from psro import exact
from psro.variants.diversity.context import Context, DiversityError, Term
from psro.variants.diversity.nearest import nearest

GAP = 1e-10
"""Divergence, in nats, by which a hull's point may be further than the nearest, and Newton's steps
after which to give up; ten are usual."""
MAX_STEPS = 100


def policy_hull(context: Context, *, tremble: float = 0.01) -> Term:
    """`min over psi in H(Pi) of KL(pi || psi)`: the least Kullback-Leibler divergence, in nats, of
    the policy from a mixture of the population: the sequence-form divergence, a Bregman divergence
    of realization plans. A new policy is to maximise `u(pi, sigma) + weight *` this.

    The paper's is the sum over info states of the probability of coming there, with the policy
    against fixed opponents, times the divergence of the actions. By the chain rule that is the
    divergence of how episodes end, `sum_s end[s] x[s] log(x[s] / y[s])`, where `end[s]` is the
    probability that the opponents and chance end the episode right after sequence s. It is convex
    in x and y together, so the nearest mixture y is a convex program, solved here to a duality
    gap of `GAP`. The paper bounds it by the least divergence from a member.

    It would be infinite for a policy that does what no member does, and the paper leaves open what
    then; here every policy, the new one and the members, plays uniformly for the whole episode with
    probability `tremble`. So it is at most `log(1 / tremble)` and a little. Zero for members and
    mixtures, positive for policies that differ from all where the opponents lead; convex.

    Args:
        context: the population and its opponents.
        tremble: in (0, 1). Smaller values tell apart more sharply what the hull never does.
    """
    if not 0 < tremble < 1:
        raise DiversityError(f"tremble should be between 0 and 1, not {tremble:g}")
    player = context.player
    uniform = exact.realization_plan(player, exact.uniform_behaviour(player))
    end = np.concatenate([[1.0], context.reach[player.info_state[1:]]])
    end -= np.bincount(player.parent, weights=context.reach, minlength=player.num_sequences)
    ends = end > 1e-12  # else rounding: no episode ends there
    end = end[ends]

    def trembling(plans: np.ndarray) -> np.ndarray:
        return (1 - tremble) * plans[..., ends] + tremble * uniform[ends]

    members = trembling(context.plans)

    def term(plan: np.ndarray) -> tuple[float, np.ndarray]:
        own = trembling(plan)
        mixture = likeliest(members, end * own) @ members
        ratio = np.log(own / mixture)
        gradient = np.zeros_like(plan)
        gradient[ends] = (1 - tremble) * end * ratio
        # The masses of episodes are both 1 for plans; with them the slope is zero on the hull
        value = end @ (own * ratio - own + mixture)
        return float(value), gradient

    return term


def likeliest(densities: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """The weights `[K]` on the simplex with the largest `mass @ log(weights @ densities)`, for
    densities `[K, M] > 0` and masses `[M]`.

    Newton's method with a line search (as Kim et al. 2020, "A fast algorithm for maximum
    likelihood estimation of mixture proportions using sequential quadratic programming"): with
    rows `a_k = sqrt(mass) densities_k / mixture`, the quadratic model's best weights are those of
    the hull's nearest point to `2 sqrt(mass)`. The gap to the optimum is at most
    `max_k mass @ (densities_k / mixture) - sum(mass)`, by concavity.

    Raises:
        DiversityError: the gap is not below `GAP` after `MAX_STEPS`.
    """
    weights = np.full(len(densities), 1 / len(densities))
    for _ in range(MAX_STEPS):
        mixture = weights @ densities
        slope = densities @ (mass / mixture)
        gap = slope.max() - mass.sum()
        if gap <= GAP:
            return weights
        direction = nearest(densities * (np.sqrt(mass) / mixture), 2 * np.sqrt(mass)) - weights
        rise, step = slope @ direction, 1.0
        change = direction @ densities / mixture
        # Armijo's rule, where the rise is more than rounding: next to the optimum steps are whole
        while rise > 1e-12 and mass @ np.log1p(step * change) < 0.1 * step * rise:
            step /= 2
        weights = np.maximum(weights + step * direction, 0.0)
        weights /= weights.sum()
    raise DiversityError(
        f"the nearest mixture of {len(densities)} policies was not found: after {MAX_STEPS} steps "
        f"it may still be {gap:.3g} nats off"
    )
