"""Attention over a ring of the last keys and values, for `gtrxl` and `gpt2`.

A ring is a sliding window over the steps of an episode. Step p of an episode is written to slot
p mod W. A step attends to itself and to the W - 1 steps before it, as far back as the episode goes.
So a ring is a function of the player's own history, and training on whole sequences is the same as
stepping. (With memories of whole segments, as in Transformer-XL, it is not: a step's view is
longer at the end of a segment.)
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from psro.policies.networks.cells.parts import along, flat, in_heads

WINDOW = 64
"""Steps that a ring holds by default: W."""

Ring = dict[str, jax.Array]
"""`keys` and `values`, `[*batch, W, H]`."""


def blank(batch_shape: tuple[int, ...], window: int, features: int) -> Ring:
    """An empty ring."""
    zeros = jnp.zeros((*batch_shape, window, features))
    return {"keys": zeros, "values": zeros}


def step(
    ring: Ring,
    steps: jax.Array,
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    distances: jax.Array | None = None,
) -> tuple[Ring, jax.Array]:
    """One step: the next ring, and what is read, `[*batch, H]`.

    Args:
        steps: steps of the episode so far, int32 `[*batch]`.
        query: `[*batch, heads, d]`, already scaled.
        key: `[*batch, H]`.
        value: `[*batch, H]`.
        distances: what is added to the matches of each query with steps at the distances 0 to
            W - 1, `[*batch, heads, W]`.
    """
    window = ring["keys"].shape[-2]
    distance = (steps[..., None] - _slots(ring)) % window  # [*batch, W]
    here = (distance == 0)[..., None]
    ring = {
        "keys": jnp.where(here, key[..., None, :], ring["keys"]),
        "values": jnp.where(here, value[..., None, :], ring["values"]),
    }
    heads = query.shape[-2]
    keys, values = (in_heads(ring[name], heads) for name in ("keys", "values"))
    match = jnp.einsum("...nd,...wnd->...nw", query, keys)
    if distances is not None:
        match += _at(distances, distance[..., None, :])
    match = jnp.where((distance <= steps[..., None])[..., None, :], match, -jnp.inf)
    return ring, flat(jnp.einsum("...nw,...wnd->...nd", jax.nn.softmax(match), values))


def scan(
    ring: Ring,
    steps: jax.Array,
    reset: jax.Array,
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    distances: jax.Array | None = None,
) -> tuple[Ring, jax.Array]:
    """The same for T steps at once, T <= W: the ring after them, and what is read, `[T, *batch,
    H]`.

    Args:
        steps: steps of the episode before each step, `[T, *batch]`; see `parts.steps_within`.
    """
    window, length, heads = ring["keys"].shape[-2], len(reset), query.shape[-2]
    episode = jnp.cumsum(reset, axis=0)  # [T, *batch]
    time = jnp.arange(length, dtype=jnp.int32)
    # The steps before these, in the ring: slot j holds the last place that is j mod W.
    before = jnp.where(reset[0], 0, steps[0])  # [*batch]; of no use after a reset
    age = (before[..., None] - 1 - _slots(ring)) % window + 1  # [*batch, W], counted from time 0
    held = (age <= before[..., None])[None] & (episode == 0)[..., None]  # [T, *batch, W]
    old_distance = age[None] + time.reshape(-1, *(1,) * age.ndim)
    held &= old_distance < window
    # These steps themselves.
    new_distance = time[:, None] - time[None]  # [t, s]
    new_distance = new_distance.reshape(length, *(1,) * before.ndim, length)
    same = jnp.moveaxis(episode[:, None] == episode[None], 1, -1)  # [t, *batch, s]
    same &= new_distance >= 0
    new_distance = jnp.broadcast_to(new_distance, same.shape)

    old_keys, old_values = (in_heads(ring[name], heads) for name in ("keys", "values"))
    new_keys, new_values = (in_heads(leaf, heads) for leaf in (key, value))
    match = jnp.concatenate(
        [
            jnp.einsum("t...nd,...wnd->t...nw", query, old_keys),
            jnp.einsum("t...nd,s...nd->t...ns", query, new_keys),
        ],
        axis=-1,
    )
    if distances is not None:
        distance = jnp.concatenate([old_distance, new_distance], axis=-1)
        match += _at(distances, jnp.clip(distance, 0, window - 1)[..., None, :])
    seen = jnp.concatenate([held, same], axis=-1)[..., None, :]
    weight = jax.nn.softmax(jnp.where(seen, match, -jnp.inf))
    read = jnp.einsum("t...nw,...wnd->t...nd", weight[..., :window], old_values)
    read += jnp.einsum("t...ns,s...nd->t...nd", weight[..., window:], new_values)
    return _written(ring, steps, episode, key, value), flat(read)


def _written(
    ring: Ring, steps: jax.Array, episode: jax.Array, key: jax.Array, value: jax.Array
) -> Ring:
    """The ring after T steps."""
    window, length = ring["keys"].shape[-2], len(steps)
    age = (
        steps[-1][..., None] - _slots(ring)
    ) % window  # [*batch, W], counted back from the last step
    first = jnp.argmax(episode == episode[-1:], axis=0)  # [*batch], when the episode began
    first = first[..., None].astype(jnp.int32)
    new = length - 1 - age >= first
    kept = (episode[-1] == 0)[..., None]
    source = jnp.moveaxis(jnp.clip(length - 1 - age, 0), -1, 0)[..., None]  # [W, *batch, 1]

    def write(old: jax.Array, leaf: jax.Array) -> jax.Array:
        # [T, *batch, H] at [W, *batch, 1]
        chosen = jnp.moveaxis(jnp.take_along_axis(leaf, source, axis=0), 0, -2)
        return jnp.where(new[..., None], chosen, jnp.where(kept[..., None], old, 0))

    return {"keys": write(ring["keys"], key), "values": write(ring["values"], value)}


def _slots(ring: Ring) -> jax.Array:
    """The number of each slot, int32 `[*batch, W]`."""
    keys = ring["keys"]
    return along(jnp.arange(keys.shape[-2], dtype=jnp.int32), keys[..., 0])


def _at(by_distance: jax.Array, distance: jax.Array) -> jax.Array:
    """`[..., heads, W]` at distances `[..., 1, K]`, as `[..., heads, K]`."""
    shape = (*by_distance.shape[:-1], distance.shape[-1])
    return jnp.take_along_axis(by_distance, jnp.broadcast_to(distance, shape), axis=-1)
