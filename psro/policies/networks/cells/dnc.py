"""Differentiable neural computer (DNC; Graves et al. 2016, "Hybrid computing using a neural network
with dynamic external memory", Nature 538)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx

from psro.policies.networks.cells.lstm import LSTM
from psro.policies.networks.cells.parts import along, flat

Carry = dict[str, jax.Array]


class DNC(nnx.Module):
    """An LSTM that reads and writes a memory M of N words (the paper's methods section).

    The LSTM sees x and what was read before. It says an interface of keys k, strengths β, an erase
    vector e, a write vector v, free gates f, an allocation gate g_a, a write gate g_w and read
    modes π. Then, with weightings over the N words:

        ψ = Π_r (1 - f_r w_r)                        what no head frees
        u' = (u + w - u ⊙ w) ⊙ ψ                    usage
        a[φ_j] = (1 - u'[φ_j]) Π_{i<j} u'[φ_i]       allocation; φ sorts words by usage, ascending
        w' = g_w (g_a a + (1 - g_a) C(M, k, β))      write weighting
        M' = M ⊙ (1 - w' eᵀ) + w' vᵀ
        L'[i, j] = (1 - w'[i] - w'[j]) L[i, j] + w'[i] p[j],    L'[i, i] = 0     temporal links
        p' = (1 - Σ w') p + w'                       precedence
        w_r' = π_r1 L'ᵀ w_r + π_r2 C(M', k_r, β_r) + π_r3 L' w_r                 read weightings
        output = W [h, M'ᵀ w_r' for all r]

    C(M, k, β) is a softmax over β times the cosines of k with the words.

    The carry is M `[*batch, N, width]`, L `[*batch, N, N]`, u, w and p `[*batch, N]`, the read
    weightings `[*batch, R, N]`, what was read `[*batch, R, width]`, and the LSTM's carry. It
    begins with zeros.
    """

    def __init__(
        self,
        in_features: int,
        hidden_features: int,
        *,
        words: int = 16,
        width: int = 16,
        reads: int = 2,
        dtype: str,
        rngs: nnx.Rngs,
    ):
        self.words, self.width, self.reads = words, width, reads
        read_features = reads * width
        self.controller = LSTM(in_features + read_features, hidden_features, dtype=dtype, rngs=rngs)
        sizes = {
            "read_keys": read_features, "read_strengths": reads, "write_key": width,
            "write_strength": 1, "erase": width, "write": width, "free": reads,
            "allocation_gate": 1, "write_gate": 1, "modes": 3 * reads,
        }  # fmt: skip
        self.sizes = tuple(sizes.items())
        self.interface = nnx.Linear(hidden_features, sum(sizes.values()), dtype=dtype, rngs=rngs)
        self.leave = nnx.Linear(
            hidden_features + read_features, hidden_features, dtype=dtype, rngs=rngs
        )

    def initial_carry(self, batch_shape: tuple[int, ...]) -> Carry:
        def zeros(*shape: int) -> jax.Array:
            return jnp.zeros((*batch_shape, *shape))

        return {
            "memory": zeros(self.words, self.width),
            "links": zeros(self.words, self.words),
            "usage": zeros(self.words),
            "written": zeros(self.words),
            "precedence": zeros(self.words),
            "weightings": zeros(self.reads, self.words),
            "read": zeros(self.reads, self.width),
            "controller": self.controller.initial_carry(batch_shape),
        }

    def __call__(self, carry: Carry, x: jax.Array) -> tuple[Carry, jax.Array]:
        seen = jnp.concatenate([x, flat(carry["read"])], axis=-1)
        controller, h = self.controller(carry["controller"], seen)
        said = self._said(h)
        usage = _usage(carry, nnx.sigmoid(said["free"]))
        written = self._write_weighting(carry["memory"], usage, said)
        erased = written[..., :, None] * nnx.sigmoid(said["erase"])[..., None, :]
        memory = carry["memory"] * (1 - erased) + (
            written[..., :, None] * said["write"][..., None, :]
        )
        links = _links(carry["links"], carry["precedence"], written)
        left = 1 - written.sum(axis=-1, keepdims=True)
        weightings = self._read_weightings(memory, links, carry["weightings"], said)
        read = jnp.einsum("...rn,...nw->...rw", weightings, memory)
        carry = {
            "memory": memory,
            "links": links,
            "usage": usage,
            "written": written,
            "precedence": left * carry["precedence"] + written,
            "weightings": weightings,
            "read": read,
            "controller": controller,
        }
        y = self.leave(jnp.concatenate([h, flat(read)], axis=-1))
        return carry, y.astype(jnp.float32)

    def _said(self, h: jax.Array) -> dict[str, jax.Array]:
        """The interface before its gates, by name."""
        numbers, said, start = self.interface(h).astype(jnp.float32), {}, 0
        for name, size in self.sizes:
            said[name] = numbers[..., start : start + size]
            start += size
        return said

    def _write_weighting(
        self, memory: jax.Array, usage: jax.Array, said: dict[str, jax.Array]
    ) -> jax.Array:
        by_content = by_similarity(
            memory, said["write_key"][..., None, :], one_plus(said["write_strength"])
        )[..., 0, :]
        fresh = nnx.sigmoid(said["allocation_gate"])
        chosen = fresh * allocation(usage) + (1 - fresh) * by_content
        return nnx.sigmoid(said["write_gate"]) * chosen

    def _read_weightings(
        self, memory: jax.Array, links: jax.Array, before: jax.Array, said: dict[str, jax.Array]
    ) -> jax.Array:
        keys = said["read_keys"]
        keys = keys.reshape(*keys.shape[:-1], self.reads, self.width)
        modes = said["modes"]
        modes = nnx.softmax(modes.reshape(*modes.shape[:-1], self.reads, 3))[..., None]
        backward = jnp.einsum("...mn,...rm->...rn", links, before)
        forward = jnp.einsum("...nm,...rm->...rn", links, before)
        by_content = by_similarity(memory, keys, one_plus(said["read_strengths"]))
        return (
            modes[..., 0, :] * backward + modes[..., 1, :] * by_content + modes[..., 2, :] * forward
        )


def one_plus(x: jax.Array) -> jax.Array:
    """1 + log(1 + exp(x)), at least 1."""
    return 1 + nnx.softplus(x)


def by_similarity(memory: jax.Array, keys: jax.Array, strengths: jax.Array) -> jax.Array:
    """C of the equations, `[..., R, N]`, for R keys `[..., R, width]` and strengths `[..., R]`."""

    def unit(x: jax.Array) -> jax.Array:
        return x * jax.lax.rsqrt(jnp.square(x).sum(axis=-1, keepdims=True) + 1e-6)

    cosine = jnp.einsum("...rw,...nw->...rn", unit(keys), unit(memory))
    return nnx.softmax(cosine * strengths[..., None])


def allocation(usage: jax.Array) -> jax.Array:
    """How free each word is, `[..., N]`: the least used word first, by the sorted free list. Words
    of equal usage come in their order."""
    order = jnp.argsort(usage, axis=-1)
    ascending = jnp.take_along_axis(usage, order, axis=-1)
    used = jnp.cumprod(ascending, axis=-1)
    before = jnp.concatenate([jnp.ones_like(used[..., :1]), used[..., :-1]], axis=-1)
    free = (1 - ascending) * before
    return jnp.take_along_axis(free, jnp.argsort(order, axis=-1), axis=-1)


def _usage(carry: Carry, free: jax.Array) -> jax.Array:
    kept = jnp.prod(1 - free[..., None] * carry["weightings"], axis=-2)
    usage, written = carry["usage"], carry["written"]
    return (usage + written - usage * written) * kept


def _links(links: jax.Array, precedence: jax.Array, written: jax.Array) -> jax.Array:
    to, of = written[..., :, None], written[..., None, :]
    links = (1 - to - of) * links + to * precedence[..., None, :]
    return links * along(1 - jnp.eye(links.shape[-1]), links)
