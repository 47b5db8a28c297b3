"""The statistics of observations, in all networks of a learner."""

from __future__ import annotations

from typing import TypeVar

import jax
import jax.numpy as jnp

from psro.policies.networks.normaliser import seen
from psro.policies.policy import Params, Policy

NORMALISER = "normaliser"
"""The parameter's name that holds the statistics."""
T = TypeVar("T")


def observed(
    policy: Policy, params: Params, networks: T, observation: jax.Array, counts: jax.Array
) -> T:
    """A PyTree of networks, each with the statistics of `params` and of the observations
    `[*batch, ...]` where `counts [*batch]`. Without normalisation, the networks as they are.

    Args:
        policy: the network.
        params: one set of parameters.
        networks: a PyTree that has parameters in it, leaves `[...]` or with axes before them.
    """
    if not policy.normalises:
        return networks
    statistics = seen(policy.observation_space, params[NORMALISER], observation, counts)

    def is_network(node: object) -> bool:
        return isinstance(node, dict) and NORMALISER in node

    def replaced(node: T) -> T:
        if not is_network(node):
            return node
        alike = jax.tree.map(
            lambda new, old: jnp.broadcast_to(new, old.shape), statistics, node[NORMALISER]
        )
        return node | {NORMALISER: alike}

    return jax.tree.map(replaced, networks, is_leaf=is_network)
