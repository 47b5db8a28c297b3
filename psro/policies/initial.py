"""What a best response starts from: fresh parameters, the last policy, or the population's average.

Each function takes fresh parameters (leaves `[P, ...]`), the players' populations and their
meta-strategies (`[K_p]` each). It returns parameters, leaves `[P, ...]`. Their temperature is not
used: an oracle always trains at temperature 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from psro.policies.policy import Params
    from psro.policies.population import Population

# Functions import JAX only when they are called, because `INITS` is read without JAX.


def scratch(fresh: Params, population: Population, meta_strategy: Sequence[np.ndarray]) -> Params:
    """A fresh network."""
    return fresh


def previous(fresh: Params, population: Population, meta_strategy: Sequence[np.ndarray]) -> Params:
    """The best response of the previous iteration."""
    own = _own_members(population)
    return population.policies(own[-1]) if own else fresh


def fusion(fresh: Params, population: Population, meta_strategy: Sequence[np.ndarray]) -> Params:
    """The average of a player's parameters under its meta-strategy, `sum_k sigma(k) theta_k`, over
    the whole support (Fusion-PSRO, Lian et al. 2024, arXiv:2405.21027, eq. 4)."""
    import jax

    weights = np.stack(meta_strategy).astype(np.float32)  # [P, K]
    own = _own_members(population)
    if len(own) < population.size:  # guests are other networks: the rest is averaged
        weights = weights * np.isin(np.arange(population.size), own)
        total = weights.sum(axis=1, keepdims=True)
        if not total.all():
            return fresh
        weights = weights / total

    def average(*leaves: np.ndarray) -> np.ndarray:  # [P, ...], of each policy
        return sum(
            weights[:, k].reshape(-1, *(1,) * (leaf.ndim - 1)) * leaf
            for k, leaf in enumerate(leaves)
            if weights[:, k].any()
        )

    return jax.tree.map(average, *population.members)


def _own_members(population: Population) -> list[int]:
    """The numbers of the policies that are the run's own network."""
    from psro.policies.guests import is_guest

    return [number for number, member in enumerate(population.members) if not is_guest(member)]


_SHRUNK = np.float32(0.9)


def perturbed(fresh: Params, population: Population, meta_strategy: Sequence[np.ndarray]) -> Params:
    """The average of `fusion`, mixed with a fresh network: `0.9 theta + 0.1 theta_0` (shrink and
    perturb, Ash and Adams 2020, arXiv:1910.08475, section 4). If the meta-strategy is pure, the
    average of `fusion` is one trained policy and explores little. This policy explores more."""
    import jax

    average = fusion(fresh, population, meta_strategy)
    return jax.tree.map(lambda old, new: _SHRUNK * old + (1 - _SHRUNK) * new, average, fresh)


INITS = {"scratch": scratch, "previous": previous, "fusion": fusion, "perturbed": perturbed}
