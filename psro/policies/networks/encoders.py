"""What a network is shown: observations of any `Space`, and actions, as vectors."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from games.spaces import Box, Discrete, Space


def flattened(space: Space, value: Any) -> jax.Array:
    """A value of a space, leaves `[*batch, *shape]`, as one vector `[*batch, size_of(space)]`.
    Whole numbers are one-hot; a number that is not in the space, such as -1, is all zeros."""
    leaves, structure = jax.tree.flatten(space)
    vectors = [
        _vector(leaf, part)
        for leaf, part in zip(leaves, structure.flatten_up_to(value), strict=True)
    ]
    return vectors[0] if len(vectors) == 1 else jnp.concatenate(vectors, axis=-1)


def _vector(space: Box | Discrete, value: jax.Array) -> jax.Array:
    batch = value.shape[: value.ndim - len(space.shape)]
    if isinstance(space, Discrete):
        value = jax.nn.one_hot(value, space.num)
    return value.reshape(*batch, space.size)


def centred(space: Box | Discrete, action: jax.Array) -> jax.Array:
    """An action as a vector `[*batch, A]`: one-hot, or from -1 to 1 between its bounds."""
    if isinstance(space, Discrete):
        return _vector(space, action)
    middle, half = (space.low + space.high) / 2, (space.high - space.low) / 2
    return _vector(space, (action - middle) / half)
