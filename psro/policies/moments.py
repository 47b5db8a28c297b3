"""Running means and variances, a batch at a time."""

from __future__ import annotations

import dataclasses
from typing import Self

import jax
import jax.numpy as jnp


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Moments:
    """Of all values so far, each entry of its own.

    Attributes:
        count: how many values, `[]`.
        mean, variance: of each entry, `[*shape]`; 0 and 1 while there are no values.
    """

    count: jax.Array
    mean: jax.Array
    variance: jax.Array

    @classmethod
    def none(cls, shape: tuple[int, ...]) -> Self:
        """Of no values."""
        return cls(
            count=jnp.zeros((), jnp.float32),
            mean=jnp.zeros(shape, jnp.float32),
            variance=jnp.ones(shape, jnp.float32),
        )

    def with_values(self, values: jax.Array, counts: jax.Array) -> Self:
        """With the values `[*batch, *shape]` where `counts [*batch]` is True (Chan, Golub and
        LeVeque 1979, "Updating formulae and a pairwise algorithm for computing sample variances",
        eq. 2.1). Values that do not count may be anything that is finite."""
        axes = tuple(range(counts.ndim))
        weight = counts.reshape(*counts.shape, *(1,) * self.mean.ndim).astype(jnp.float32)
        number = weight.sum()
        of_batch = (weight * values).sum(axes) / jnp.maximum(number, 1)  # [*shape]
        squares = (weight * jnp.square(values - jnp.expand_dims(of_batch, axes))).sum(axes)
        total = jnp.maximum(self.count + number, 1)
        step = of_batch - self.mean
        variance = self.count * self.variance + squares
        variance += jnp.square(step) * self.count * number / total
        some = number > 0
        return dataclasses.replace(
            self,
            count=self.count + number,
            mean=jnp.where(some, self.mean + step * number / total, self.mean),
            variance=jnp.where(some, variance / total, self.variance),
        )
