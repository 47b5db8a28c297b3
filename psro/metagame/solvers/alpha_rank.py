"""Alpha-Rank: the share of time that a chain of mutations spends at each profile.

Omidshafiei et al. 2019, "alpha-Rank: Multi-Agent Evaluation by Evolution", arXiv:1903.01373, with
one population per player; Muller et al. 2020 (arXiv:1909.12823) use it as a meta-solver.
"""

from __future__ import annotations

import numpy as np

from psro.metagame.solvers.payoffs import checked
from psro.metagame.solvers.regret import MetaSolverError
from psro.metagame.solvers.settings import Count, Positive, PositiveShare

MAX_PROFILES = 5_000
"""The chain is solved as a dense matrix of this many squared, 0.2 GB."""

_TIE = 1e-9
"""Payoffs that differ by less, as a share of the player's payoff span, are a tie."""

_BLOCK = 64
"""The number of states eliminated together. It affects only speed."""


def alpha_rank(
    payoffs: np.ndarray,
    *,
    epsilon: PositiveShare = 1e-10,
    alpha: Positive = np.inf,
    population: Count = 50,
) -> np.ndarray:
    """The stationary distribution over profiles, a joint `[K_0, ..., K_{P-1}]`.

    From each profile, one player's policy may change to one that earns more (equation 12): pi with
    `pi C = pi`, where `C[s, s'] = eta * fixation(u_p(s') - u_p(s))` for profiles that differ in one
    player p's policy, and eta is one over the number of such changes.

    alpha-PSRO (Muller et al.) also has a preference-based best response, for games with many
    players or general-sum payoffs. Here best responses are the usual ones, as with every solver.

    Args:
        payoffs: `[P, K_0, ..., K_{P-1}]`.
        epsilon: for infinite `alpha`, the probability of a change for the worse, which keeps the
            chain irreducible. A smaller value than the default changes little.
        alpha: selection intensity, per unit of payoff; infinite by default.
        population: individuals in each population (m), for finite `alpha`.

    Raises:
        MetaSolverError: payoffs of a wrong shape, more than `MAX_PROFILES` profiles, or an `alpha`
            so large that the chain falls apart in floating point.
    """
    payoffs = checked(payoffs, "alpha_rank")
    shape, num_profiles = payoffs.shape[1:], payoffs[0].size
    if num_profiles > MAX_PROFILES:
        raise MetaSolverError(
            f"meta-solver alpha_rank is for up to {MAX_PROFILES} profiles, and this meta-game has "
            f"{num_profiles}; use mgcce"
        )
    chain = np.zeros((num_profiles, num_profiles))
    profiles = np.arange(num_profiles).reshape(shape)
    for p in range(len(shape)):
        own = np.moveaxis(profiles, p, 0).reshape(shape[p], -1)  # [K_p, N / K_p]
        table = np.moveaxis(payoffs[p], p, 0).reshape(shape[p], -1)
        gain = table[None] - table[:, None]  # [from, to, N / K_p]
        chain[own[:, None], own[None]] = fixation(
            gain, np.ptp(payoffs[p]), epsilon=epsilon, alpha=alpha, population=population
        )
    return stationary(chain).reshape(shape)


def fixation(
    gain: np.ndarray, span: float, *, epsilon: float, alpha: float, population: int
) -> np.ndarray:
    """Probability that a mutant that earns `gain` more takes over its population (equation 11). For
    infinite alpha it is `1 - epsilon` or `epsilon`, and 1/2 for a tie."""
    if np.isinf(alpha):
        better = np.where(gain > 0, 1 - epsilon, epsilon)
        return np.where(np.abs(gain) <= _TIE * span, 0.5, better)
    # (1 - exp(-u)) / (1 - exp(-m u)), with every exponent at most 0; 1 / m where u is 0
    u, m = alpha * gain, population
    size = np.where(u == 0, 1.0, np.abs(u))
    ratio = np.expm1(-size) / np.expm1(-m * size)
    return np.where(u == 0, 1 / m, np.where(u > 0, ratio, np.exp(-(m - 1) * size) * ratio))


def stationary(rates: np.ndarray) -> np.ndarray:
    """The stationary distribution `[N]` of an irreducible chain, from its transition rates `[N, N]`
    (the diagonal and a common factor do not matter). Overwrites `rates`.

    The method is the elimination of Grassmann, Taksar and Heyman (1985). It never subtracts, so
    every entry is accurate for every small `epsilon`. It eliminates a block of states at a time.

    Raises:
        MetaSolverError: the chain is not irreducible in floating point.
    """
    np.fill_diagonal(rates, 0.0)
    size = len(rates)
    for end in range(size, 1, -_BLOCK):
        start = max(end - _BLOCK, 1)
        for n in range(end - 1, start - 1, -1):
            exits = rates[n, :n].sum()
            if not exits > 0:
                raise MetaSolverError(
                    "alpha_rank's chain is not irreducible in floating point; use a smaller alpha "
                    "or a larger epsilon"
                )
            rates[:n, n] /= exits
            # The block's other states need this now. The rest is done for the whole block at once.
            rates[start:n, :n] += np.outer(rates[start:n, n], rates[n, :n])
            rates[:start, start:n] += np.outer(rates[:start, n], rates[n, start:n])
        rates[:start, :start] += rates[:start, start:end] @ rates[start:end, :start]
    weights = np.zeros(size)
    weights[0] = 1.0
    for n in range(1, size):
        weights[n] = weights[:n] @ rates[:n, n]
        if weights[n] > 1e100:  # only ratios matter
            weights[: n + 1] /= weights[n]
    return weights / weights.sum()
