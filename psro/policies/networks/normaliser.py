"""Observations with mean 0 and variance 1, by the statistics of what a learner has observed.

The statistics are variables of the network. So they are saved, loaded and averaged with its
parameters, and a finished policy always sees as it did when it was trained. No gradient reaches
them: learners update them with `seen`, between a rollout's training and the next rollout.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from games.spaces import Box, Space
from psro.errors import SettingsError
from psro.policies.moments import Moments

_MOST = 10.0
"""Normalised observations are held between minus and plus this."""
_SMALL = 1e-8
"""Added to variances."""


class Statistic(nnx.Variable):
    """An array that is saved with the parameters, and not trained."""


class Normaliser(nnx.Module):
    """Normalises every `Box` of an observation, entry by entry."""

    def __init__(self, space: Space):
        self.space = space
        boxes = [leaf for leaf in jax.tree.leaves(space) if isinstance(leaf, Box)]
        if not boxes:
            raise SettingsError(
                "network.normalize_observations is for real numbers, and the game shows none"
            )
        self.count = Statistic(jnp.zeros((), jnp.float32))
        self.mean = nnx.List([Statistic(jnp.zeros(box.shape, jnp.float32)) for box in boxes])
        self.variance = nnx.List([Statistic(jnp.ones(box.shape, jnp.float32)) for box in boxes])

    def __call__(self, observation: Any) -> Any:
        """The observation `[*batch, ...]`, normalised."""
        leaves, structure = jax.tree.flatten(self.space)
        values, number = structure.flatten_up_to(observation), 0
        for place, leaf in enumerate(leaves):
            if isinstance(leaf, Box):
                value = jnp.asarray(values[place], jnp.float32)
                batch = tuple(range(value.ndim - len(leaf.shape)))
                mean, variance = (
                    jnp.expand_dims(jax.lax.stop_gradient(statistics[number][...]), batch)
                    for statistics in (self.mean, self.variance)
                )
                distance = (value - mean) * jax.lax.rsqrt(variance + _SMALL)
                values[place] = jnp.clip(distance, -_MOST, _MOST)
                number += 1
        return jax.tree.unflatten(structure, values)


def seen(space: Space, statistics: Any, observation: Any, counts: jax.Array) -> Any:
    """The statistics, as a nested dict, with the observations `[*batch, ...]` where
    `counts [*batch]` is True."""
    leaves, structure = jax.tree.flatten(space)
    boxes = [
        value
        for leaf, value in zip(leaves, structure.flatten_up_to(observation), strict=True)
        if isinstance(leaf, Box)
    ]
    after = {"count": statistics["count"], "mean": {}, "variance": {}}
    for number, values in enumerate(boxes):
        name = str(number)
        moments = Moments(
            count=statistics["count"],
            mean=statistics["mean"][name],
            variance=statistics["variance"][name],
        ).with_values(values, counts)
        after["count"] = moments.count
        after["mean"][name], after["variance"][name] = moments.mean, moments.variance
    return after
