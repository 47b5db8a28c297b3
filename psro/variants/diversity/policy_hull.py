"""Policy Space Diversity PSRO (Yao et al. 2023, arXiv:2306.16884): a new policy should be far from
the policy hull, all mixtures of the population."""

from __future__ import annotations

import numpy as np

from psro import exact
from psro.variants.diversity.context import Context, DiversityError, Term
from psro.variants.diversity.nearest import nearest

GAP = 1e-10
"""Newton's method stops at a mixture whose divergence is at most this much above the least, in
nats."""
MAX_STEPS = 100
"""The most steps of Newton's method; ten are usual."""


def policy_hull(context: Context, *, tremble: float = 0.01) -> Term:
    """`min over psi in H(Pi) of KL(pi || psi)`: the policy's least Kullback-Leibler divergence from
    a mixture of the population, in nats. It is the sequence-form divergence, a Bregman divergence
    of realization plans. A new policy should maximise `u(pi, sigma) + weight *` this value.

    The paper's divergence is a sum over info states: the probability of reaching each one, with the
    policy against fixed opponents, times the divergence of the actions there. By the chain rule,
    this is the divergence of how episodes end, `sum_s end[s] x[s] log(x[s] / y[s])`. Here `end[s]`
    is the probability that the opponents and chance end the episode right after sequence s. The
    divergence is convex in x and y together, so the nearest mixture y is the solution of a convex
    program. It is solved to a duality gap of `GAP`. The paper bounds the divergence by the least
    divergence from a member.

    The divergence would be infinite for a policy that does what no member does, and the paper does
    not say what to do then. Here every policy, new or member, plays uniformly for the whole episode
    with probability `tremble`. So the value is at most a little above `log(1 / tremble)`. It is
    zero for members and mixtures. It is positive for policies that differ from all mixtures where
    the opponents' play leads. It is convex.

    Args:
        context: the population and its opponents.
        tremble: in (0, 1). The smaller it is, the more an action counts that the hull never plays.
    """
    if not 0 < tremble < 1:
        raise DiversityError(f"tremble should be between 0 and 1, not {tremble:g}")
    player = context.player
    uniform = exact.realization_plan(player, exact.uniform_behaviour(player))
    end = np.concatenate([[1.0], context.reach[player.info_state[1:]]])
    end -= np.bincount(player.parent, weights=context.reach, minlength=player.num_sequences)
    ends = end > 1e-12  # below this it is rounding: no episode ends there
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
        # Plans and mixtures have the same mass; these two terms make the slope zero on the hull
        value = end @ (own * ratio - own + mixture)
        return float(value), gradient

    return term


def likeliest(densities: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """The weights `[K]` on the simplex with the largest `mass @ log(weights @ densities)`, for
    densities `[K, M] > 0` and masses `[M]`.

    Newton's method with a line search (as in Kim et al. 2020, "A fast algorithm for maximum
    likelihood estimation of mixture proportions using sequential quadratic programming"). With rows
    `a_k = sqrt(mass) densities_k / mixture`, the best weights of the quadratic model are those of
    the hull's nearest point to `2 sqrt(mass)`. By concavity, the gap to the optimum is at most
    `max_k mass @ (densities_k / mixture) - sum(mass)`.

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
        # Armijo's rule. Near the optimum the rise is only rounding, and steps are whole.
        while rise > 1e-12 and mass @ np.log1p(step * change) < 0.1 * step * rise:
            step /= 2
        weights = np.maximum(weights + step * direction, 0.0)
        weights /= weights.sum()
    raise DiversityError(
        f"the nearest mixture of {len(densities)} policies was not found: after {MAX_STEPS} steps "
        f"its divergence may still be {gap:.3g} nats too large"
    )
