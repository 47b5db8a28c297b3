"""Distributions of one decision's action: over numbers that are legal, and over a box.

An action here is what a distribution samples and scores. `played` says what the game gets for it.
For numbers they are the same. For a box, the action is the value *before* tanh: so its
log-probability is exact however close to the edge of the box the game's action is.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np

from games.spaces import Box

_NODES = 16
"""Nodes of the quadrature of entropies: within 0.02 nats for standard deviations up to 2."""


class Distribution(Protocol):
    """A PyTree of arrays with batch axes `[*batch]`."""

    def sample(self, key: jax.Array) -> jax.Array:
        """One action each. Differentiable in the parameters where actions are real numbers."""

    def log_prob(self, action: jax.Array) -> jax.Array:
        """Log-probabilities, or log-densities in the units of the game, `[*batch]`."""

    def entropy(self) -> jax.Array:
        """In nats, `[*batch]`."""

    def divergence(self, other: Distribution) -> jax.Array:
        """The Kullback-Leibler divergence KL(self || other) from another distribution of the same
        kind, in nats, `[*batch]`."""

    def mode(self) -> jax.Array:
        """The most likely action; of a box the middle of the distribution before tanh."""

    def played(self, action: jax.Array) -> jax.Array:
        """What the game gets for an action, a value of its action space."""


def log_probabilities(logits: jax.Array, legal: jax.Array) -> jax.Array:
    """Log-probabilities `[..., A]` of the legal actions; a large negative number for the others.

    Where no action is legal (a terminal state) the result is uniform and has no meaning.
    """
    return jax.nn.log_softmax(jnp.where(legal, logits, jnp.finfo(logits.dtype).min), axis=-1)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class MaskedCategorical:
    """Over the numbers 0 to A - 1, of which some are legal.

    Attributes:
        log_pi: log-probabilities, `[*batch, A]`.
        legal: bool `[*batch, A]`.
    """

    log_pi: jax.Array
    legal: jax.Array

    @classmethod
    def of(cls, logits: jax.Array, legal: jax.Array) -> MaskedCategorical:
        """The softmax of logits `[*batch, A]` over the legal actions."""
        return cls(log_pi=log_probabilities(logits, legal), legal=legal)

    def sample(self, key: jax.Array) -> jax.Array:
        return jax.random.categorical(key, self.log_pi)

    def log_prob(self, action: jax.Array) -> jax.Array:
        return jnp.take_along_axis(self.log_pi, action[..., None], axis=-1)[..., 0]

    def entropy(self) -> jax.Array:
        return -jnp.where(self.legal, jnp.exp(self.log_pi) * self.log_pi, 0.0).sum(axis=-1)

    def divergence(self, other: MaskedCategorical) -> jax.Array:
        ratio = self.log_pi - other.log_pi
        return jnp.where(self.legal, jnp.exp(self.log_pi) * ratio, 0.0).sum(axis=-1)

    def mode(self) -> jax.Array:
        return jnp.where(self.legal, self.log_pi, -jnp.inf).argmax(axis=-1)

    def played(self, action: jax.Array) -> jax.Array:
        return action


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class TanhNormal:
    """Over a box of A entries: independent normal numbers u, squashed into the box by tanh
    (Haarnoja et al. 2018, arXiv:1801.01290, appendix C). Actions are u, `[*batch, A]`:

        played = low + (high - low) (1 + tanh u) / 2
        log p  = sum over entries of log N(u) - log(1 - tanh(u)^2) - log((high - low) / 2)

    With log(1 - tanh(u)^2) = 2 (log 2 - u - softplus(-2 u)), nothing overflows or is lost at any u.

    Attributes:
        mean: of u, `[*batch, A]`.
        log_std: logarithm of the standard deviation of u, `[*batch, A]`.
        space: the box.
    """

    mean: jax.Array
    log_std: jax.Array
    space: Box = dataclasses.field(metadata={"static": True})

    def sample(self, key: jax.Array) -> jax.Array:
        noise = jax.random.normal(key, self.mean.shape, self.mean.dtype)
        return self.mean + jnp.exp(self.log_std) * noise

    def log_prob(self, action: jax.Array) -> jax.Array:
        distance = (action - self.mean) * jnp.exp(-self.log_std)
        normal = -0.5 * (jnp.square(distance) + math.log(2 * math.pi)) - self.log_std
        return (normal - self._log_slope(action)).sum(axis=-1)

    def entropy(self) -> jax.Array:
        """Of what is played: the normal numbers' plus the mean of log |d played / d u|, by
        Gauss-Hermite quadrature. It needs no sample, and is largest for play that fills the box:
        a bonus for it does not push actions to the edges, as one for the normal's entropy does."""
        nodes, weights = _quadrature()
        nodes = nodes.reshape(-1, *(1,) * self.mean.ndim)
        at_nodes = self._log_slope(self.mean[None] + jnp.exp(self.log_std)[None] * nodes)
        slope = (at_nodes * weights.reshape(nodes.shape)).sum(axis=0)
        normal = self.log_std + 0.5 * (1 + math.log(2 * math.pi))
        return (normal + slope).sum(axis=-1)

    def divergence(self, other: TanhNormal) -> jax.Array:
        """That of the normal numbers: what is played is a function of them that can be undone."""
        spread = jnp.exp(2 * (self.log_std - other.log_std))
        distance = jnp.square((self.mean - other.mean) * jnp.exp(-other.log_std))
        return (other.log_std - self.log_std + (spread + distance - 1) / 2).sum(axis=-1)

    def mode(self) -> jax.Array:
        return self.mean

    def played(self, action: jax.Array) -> jax.Array:
        """float32 `[*batch, *shape]`."""
        space = self.space
        inside = space.low + (space.high - space.low) * (1 + jnp.tanh(action)) / 2
        inside = jnp.clip(inside, space.low, space.high)  # by rounding
        return inside.reshape(*action.shape[:-1], *space.shape)

    def _log_slope(self, action: jax.Array) -> jax.Array:
        """log |d played / d u| of every entry."""
        half = (self.space.high - self.space.low) / 2
        squashed = 2 * (math.log(2) - action - jax.nn.softplus(-2 * action))
        return squashed + math.log(half)


@functools.cache
def _quadrature() -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights for a mean over the standard normal, float32 `[16]`."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    return nodes.astype(np.float32), (weights / weights.sum()).astype(np.float32)
