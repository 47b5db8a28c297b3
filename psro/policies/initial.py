"""What a best response starts from: fresh parameters, the last one, or the population's average.

Each takes fresh parameters (leaves `[P, ...]`), the players' populations, their meta-strategies
(`[K_p]` each) and how to undo what an oracle did to a finished policy, and returns parameters,
leaves `[P, ...]`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from psro.policies.policy import Params
    from psro.policies.population import Population

# Functions import JAX when they are called: the names in `INITS` are read without it.

Reheat = Callable[[Any], Any]
"""From parameters to parameters."""


def scratch(
    fresh: Params, population: Population, meta_strategy: Sequence[np.ndarray], reheat: Reheat
) -> Params:
    """A fresh network."""
    return fresh


def previous(
    fresh: Params, population: Population, meta_strategy: Sequence[np.ndarray], reheat: Reheat
) -> Params:
    """The best response of the iteration before."""
    return reheat(population.policies(population.size - 1))


def fusion(
    fresh: Params, population: Population, meta_strategy: Sequence[np.ndarray], reheat: Reheat
) -> Params:
    """The average of a player's parameters under its meta-strategy, `sum_k sigma(k) theta_k`, over
    the whole support (Fusion-PSRO, Lian et al. 2024, arXiv:2405.21027, eq. 4)."""
    import jax
    import jax.numpy as jnp

    weights = jnp.asarray(
        np.stack([np.pad(w, (0, population.capacity - len(w))) for w in meta_strategy]), jnp.float32
    )  # [P, K]
    return reheat(
        jax.tree.map(lambda leaf: jnp.einsum("pk,pk...->p...", weights, leaf), population.params)
    )


_SHRUNK = 0.9


def perturbed(
    fresh: Params, population: Population, meta_strategy: Sequence[np.ndarray], reheat: Reheat
) -> Params:
    """Fusion's average shrunk, and a fresh network added: `0.9 theta + 0.1 theta_0` (shrink and
    perturb, Ash and Adams 2020, arXiv:1910.08475, section 4). Where the meta-strategy is pure, the
    average is a policy that its own training has left without exploration; this one has some."""
    import jax

    average = fusion(fresh, population, meta_strategy, reheat)
    return jax.tree.map(lambda old, new: _SHRUNK * old + (1 - _SHRUNK) * new, average, fresh)


INITS = {"scratch": scratch, "previous": previous, "fusion": fusion, "perturbed": perturbed}
