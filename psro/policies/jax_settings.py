"""JAX's settings that the code is written for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import jax


@contextlib.contextmanager
def own_settings() -> Iterator[None]:
    """Types are those that the code states, whatever a process has set for its own
    (`JAX_ENABLE_X64`, `JAX_NUMPY_DTYPE_PROMOTION`, `JAX_TRANSFER_GUARD`): 32 bits where it states
    none, as everything that is saved has, the ordinary promotion, and transfers between the host
    and devices. Libraries that are called need the last two. As a decorator it is for functions
    that are no generators."""
    with (
        jax.enable_x64(False),
        jax.numpy_dtype_promotion("standard"),
        jax.transfer_guard("allow"),
    ):
        yield
