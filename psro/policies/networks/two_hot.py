"""Numbers of unknown size as targets: symlog, and two-hot distributions over bins (Hafner et al.
2023, arXiv:2301.04104, eq. 9 to 11)."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np

NUM_BINS = 63
"""Bins of a distribution. Their number is odd, so that one of them is zero."""
_WIDEST = 3.0
"""The last bin is symexp of this, 19. Rewards are in units of the game's largest return."""


def symlog(x: jax.Array) -> jax.Array:
    """sign(x) log(1 + |x|): x itself near zero, its logarithm far away."""
    return jnp.sign(x) * jnp.log1p(jnp.abs(x))


def symexp(x: jax.Array) -> jax.Array:
    """The inverse of `symlog`."""
    return jnp.sign(x) * jnp.expm1(jnp.abs(x))


@functools.cache
def bins() -> np.ndarray:
    """The numbers that the bins stand for, float32 `[NUM_BINS]`, symmetric around zero."""
    upper = np.expm1(np.linspace(0, _WIDEST, NUM_BINS // 2 + 1))
    return np.concatenate([-upper[:0:-1], upper]).astype(np.float32)


def two_hot(x: jax.Array) -> jax.Array:
    """Weights `[..., NUM_BINS]` of the two bins next to x `[...]`. The bins' weighted sum is x. A
    number beyond the last bin counts as that bin."""
    x = jnp.clip(x, bins()[0], bins()[-1])
    place = (symlog(x) + _WIDEST) * (NUM_BINS - 1) / (2 * _WIDEST)  # bins are evenly apart here
    below = jnp.clip(jnp.floor(place).astype(jnp.int32), 0, NUM_BINS - 2)
    low, high = jnp.asarray(bins())[below], jnp.asarray(bins())[below + 1]
    share = jnp.clip((x - low) / (high - low), 0, 1)[..., None]
    return (1 - share) * jax.nn.one_hot(below, NUM_BINS) + share * jax.nn.one_hot(
        below + 1, NUM_BINS
    )


def mean(logits: jax.Array) -> jax.Array:
    """The expected number `[...]` of distributions with logits `[..., NUM_BINS]`. Bins of the same
    size are added first, so that a symmetric distribution has mean zero exactly."""
    weighted = jax.nn.softmax(logits, axis=-1) * jnp.broadcast_to(bins(), logits.shape)
    half = NUM_BINS // 2
    return (weighted[..., half + 1 :] + weighted[..., half - 1 :: -1]).sum(axis=-1)


def cross_entropy(logits: jax.Array, x: jax.Array) -> jax.Array:
    """The loss `[...]` of logits `[..., NUM_BINS]` whose target is the number x `[...]`."""
    return -(two_hot(x) * jax.nn.log_softmax(logits, axis=-1)).sum(axis=-1)
