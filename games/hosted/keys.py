"""Random keys as other libraries take them."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def raw(key: jax.Array) -> jax.Array:
    """A key as plain numbers, uint32 `[2]`. States of other libraries hold keys so."""
    return jax.random.key_data(key) if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else key
