"""What a network is shown: observations of any `Space`, and the last action, as features."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from games.spaces import Box, Discrete, Space, size_of
from psro.policies.networks.settings import NetworkConfig

_SMALL = 8
"""Convolutions halve an image until no side is longer."""


def flattened(space: Space, value: Any) -> jax.Array:
    """A value of a space, leaves `[*batch, *shape]`, as one vector `[*batch, size_of(space)]`.
    Whole numbers are one-hot; a number that is not in the space, such as -1, is all zeros."""
    leaves, structure = jax.tree.flatten(space)
    vectors = [
        _vector(leaf, part)
        for leaf, part in zip(leaves, structure.flatten_up_to(value), strict=True)
    ]
    return vectors[0] if len(vectors) == 1 else jnp.concatenate(vectors, axis=-1)


def centred(space: Box | Discrete, action: jax.Array) -> jax.Array:
    """An action as a vector `[*batch, A]`: one-hot, or from -1 to 1 between its bounds."""
    if isinstance(space, Discrete):
        return _vector(space, action)
    middle, half = (space.low + space.high) / 2, (space.high - space.low) / 2
    return _vector(space, (action - middle) / half)


def _vector(space: Box | Discrete, value: jax.Array) -> jax.Array:
    batch = value.shape[: value.ndim - len(space.shape)]
    if isinstance(space, Discrete):
        value = jax.nn.one_hot(value, space.num)
    return value.reshape(*batch, space.size)


class LinearEncoder(nnx.Linear):
    """One layer with a rectifier, of everything flattened."""

    def __init__(self, seen: Space, done: Box | Discrete, features: int, **settings: Any):
        super().__init__(size_of((seen, done)), features, **settings)
        self.seen, self.done = seen, done

    def encode(self, observation: Any, last_action: jax.Array) -> jax.Array:
        """Features `[..., features]`."""
        vectors = [flattened(self.seen, observation), centred(self.done, last_action)]
        return nnx.relu(self(jnp.concatenate(vectors, axis=-1)))


class DeepEncoder(nnx.Module):
    """Layers with rectifiers, after a reader for each leaf of the observation and for the action:
    convolutions for images, embeddings for whole numbers, or the flattened value."""

    def __init__(
        self, seen: Space, done: Box | Discrete, features: int, *, config: NetworkConfig,
        dtype: str, rngs: nnx.Rngs, **settings: Any,
    ):  # fmt: skip
        self.seen, self.done = seen, done
        self.readers = nnx.List()
        size = 0
        for leaf in jax.tree.leaves((seen, done)):
            is_image = isinstance(leaf, Box) and len(leaf.shape) == 3
            if config.encoder == "cnn" and is_image:
                reader = Convolutions(leaf, config.channels, dtype=dtype, rngs=rngs)
            elif config.encoder == "embedding" and isinstance(leaf, Discrete):
                reader = Embedding(leaf, config.width, dtype=dtype, rngs=rngs)
            else:
                reader = Flat(leaf)
            self.readers.append(reader)
            size += reader.size
        depth = 0 if config.encoder == "linear" else config.depth
        sizes = [size, *[config.width] * depth, features]
        self.layers, self.norms = nnx.List(), nnx.List()
        for before, after in zip(sizes[:-1], sizes[1:], strict=True):
            self.layers.append(nnx.Linear(before, after, dtype=dtype, rngs=rngs, **settings))
            if config.layer_norm:
                self.norms.append(nnx.LayerNorm(after, dtype=dtype, rngs=rngs))

    def encode(self, observation: Any, last_action: jax.Array) -> jax.Array:
        """Features `[..., features]`."""
        values = jax.tree.structure(self.seen).flatten_up_to(observation)
        if isinstance(self.done, Box):  # between its bounds, from -1 to 1
            last_action = centred(self.done, last_action).reshape(last_action.shape)
        vectors = [
            read(value) for read, value in zip(self.readers, [*values, last_action], strict=True)
        ]
        x = jnp.concatenate(vectors, axis=-1)
        for number, layer in enumerate(self.layers):
            x = layer(x)
            x = nnx.relu(self.norms[number](x) if len(self.norms) else x)
        return x


class Flat(nnx.Module):
    """A leaf as it is, flattened; whole numbers one-hot."""

    def __init__(self, space: Box | Discrete):
        self.space, self.size = space, space.size

    def __call__(self, value: jax.Array) -> jax.Array:
        return _vector(self.space, value)


class Embedding(nnx.Module):
    """A learned vector for each whole number, and one for -1, which stands for none."""

    def __init__(self, space: Discrete, width: int, *, dtype: str, rngs: nnx.Rngs):
        self.space, self.size = space, math.prod(space.shape) * width
        self.table = nnx.Embed(space.num + 1, width, dtype=dtype, rngs=rngs)

    def __call__(self, value: jax.Array) -> jax.Array:
        batch = value.shape[: value.ndim - len(self.space.shape)]
        return self.table(value.astype(jnp.int32) + 1).reshape(*batch, self.size)


class Convolutions(nnx.Module):
    """Windows of 3 x 3: one layer at full size, then layers that halve the image while a side is
    longer than 8. Images `[*batch, height, width, channels]`."""

    def __init__(self, space: Box, channels: int, *, dtype: str, rngs: nnx.Rngs):
        self.space, self.layers = space, nnx.List()
        height, width, before = space.shape
        stride, after = 1, channels
        while True:
            self.layers.append(
                nnx.Conv(before, after, (3, 3), strides=stride, dtype=dtype, rngs=rngs)
            )
            height, width = -(-height // stride), -(-width // stride)
            before, stride, after = after, 2, 2 * channels
            if max(height, width) <= _SMALL:
                break
        self.size = height * width * before

    def __call__(self, value: jax.Array) -> jax.Array:
        batch = value.shape[:-3]
        x = value.reshape(-1, *self.space.shape)
        for layer in self.layers:
            x = nnx.relu(layer(x))
        return x.reshape(*batch, self.size)
