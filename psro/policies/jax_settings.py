"""The JAX settings that this code needs, and the errors of games that are stepped on the host."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import jax

from games.hosted.callback import raised_on_the_host


@contextlib.contextmanager
def own_settings() -> Iterator[None]:
    """Sets JAX's options for this code, even if the process has set others (`JAX_ENABLE_X64`,
    `JAX_NUMPY_DTYPE_PROMOTION`, `JAX_TRANSFER_GUARD`). Types have 32 bits by default, as in all
    saved files. Type promotion is the standard one. Transfers between the host and devices are
    allowed. Libraries need the last two. Do not use it as a decorator of generators.

    An error that a game raises on the host reaches the caller as what it was, not as JAX's."""
    with (
        jax.enable_x64(False),
        jax.numpy_dtype_promotion("standard"),
        jax.transfer_guard("allow"),
    ):
        try:
            yield
        except jax.errors.JaxRuntimeError as error:
            raise raised_on_the_host(error) or error from None
