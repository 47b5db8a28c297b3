"""What several cells are made of."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx


class Fit(nnx.Module):
    """Inputs `[..., in]` as `[..., H]`: a linear layer, or nothing if they have that width. For
    cells that add to their input what they remember."""

    def __init__(self, in_features: int, hidden_features: int, *, dtype: str, rngs: nnx.Rngs):
        fits = in_features == hidden_features
        self.linear = (
            None if fits else nnx.Linear(in_features, hidden_features, dtype=dtype, rngs=rngs)
        )

    def __call__(self, x: jax.Array) -> jax.Array:
        return (x if self.linear is None else self.linear(x)).astype(jnp.float32)


def along(param: jax.Array, x: jax.Array) -> jax.Array:
    """A parameter `[K, ...]` in the shape `[..., K, ...]` of x, whose last axes it has."""
    return jnp.broadcast_to(param, x.shape)


def restarted(start: Any, carry: Any, where: jax.Array) -> Any:
    """A carry, leaves `[*batch, ...]`, and its start, leaves `[...]`, where `where` is True. Leaves
    of the carry may have more leading axes than `where`."""

    def restart(start: jax.Array, leaf: jax.Array) -> jax.Array:
        batch = leaf.shape[: leaf.ndim - start.ndim]
        begins = jnp.broadcast_to(where, batch).reshape(*batch, *(1,) * start.ndim)
        return jnp.where(begins, jnp.broadcast_to(start, leaf.shape), leaf)

    return jax.tree.map(restart, start, carry)


def num_heads(features: int) -> int:
    """4 heads, or fewer if they do not divide the features or would have fewer than 4."""
    return next(n for n in (4, 2, 1) if n == 1 or (features % n == 0 and features >= 4 * n))


def in_heads(x: jax.Array, heads: int) -> jax.Array:
    """`[..., H]` as `[..., heads, H / heads]`."""
    return x.reshape(*x.shape[:-1], heads, x.shape[-1] // heads)


def flat(x: jax.Array) -> jax.Array:
    """`[..., heads, d]` as `[..., heads * d]`."""
    return x.reshape(*x.shape[:-2], -1)


def on_cpu() -> bool:
    """Whether JAX computes on a CPU, where a parallel pass pays less."""
    return jax.default_backend() == "cpu"


def linear_recurrence(
    decay: jax.Array, change: jax.Array, carry: jax.Array, reset: jax.Array, associative: bool
) -> jax.Array:
    """All states `[T, *batch, ...]` of `s_t = a_t s_{t-1} + b_t`.

    `jax.lax.associative_scan` computes them in about 2 log T operations on all of them. It joins
    two stretches of time to one: (a, b) then (a', b') is (a' a, a' b + b') (Blelloch 1990, "Prefix
    sums and their applications"). A CPU computes one step after the other faster.

    Args:
        decay: a, `[T, *batch, ...]`.
        change: b, of the same shape.
        carry: s before step 0, `[*batch, ...]`.
        reset: `[T, *batch]`, True where s is zero before the step.
        associative: whether to compute by `associative_scan`.
    """
    ends = reset.reshape(*reset.shape, *(1,) * (decay.ndim - reset.ndim))
    decay = jnp.where(ends, 0, decay)

    def step(state: jax.Array, inputs: tuple[jax.Array, jax.Array]):
        state = inputs[0] * state + inputs[1]
        return state, state

    def join(before: tuple[jax.Array, jax.Array], after: tuple[jax.Array, jax.Array]):
        return after[0] * before[0], after[0] * before[1] + after[1]

    if not associative:
        return jax.lax.scan(step, carry, (decay, change))[1]
    change = change.at[0].add(decay[0] * carry)
    return jax.lax.associative_scan(join, (decay, change))[1]


def steps_within(steps: jax.Array, reset: jax.Array) -> jax.Array:
    """The number of steps within the episode before each step, int32 `[T, *batch]`, from the number
    before the first, `[*batch]`."""
    time = jnp.arange(len(reset), dtype=jnp.int32).reshape(-1, *(1,) * steps.ndim)
    time = along(time, reset)
    begun = jax.lax.cummax(jnp.where(reset, time, -1))  # when the episode began; -1: before
    return time + jnp.where(begun < 0, along(steps, reset), -begun)
