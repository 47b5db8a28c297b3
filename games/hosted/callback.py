"""Calls a Python function on numpy arrays from inside a jitted program.

`jax.pure_callback` first makes JAX arrays of the arguments, also on the CPU. Such a copy may be put
off to a thread of the same pool that is waiting for the callback, and then neither ends. Here the
function is handed the program's own memory as numpy arrays: nothing is copied, nothing waits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import mlir

from games.errors import GameError

HostFunction = Callable[..., tuple[np.ndarray, ...]]

_host_call = Primitive("host_call")
_host_call.multiple_results = True


def host_call(function: HostFunction, results: Sequence[jax.ShapeDtypeStruct]) -> Callable:
    """The function as one of JAX: under `jit`, `vmap` and loops, on every backend of JAX.

    `function` must be pure: XLA may drop a call whose results nobody reads, and repeat one. It gets
    and returns numpy arrays with the same leading axes, one for every `vmap` around it, and calls
    nothing of JAX. It may be called by several threads at once, and must not keep its arguments.

    Args:
        function: takes arrays `[..., *own axes]`, returns a tuple of arrays `[..., *shape]`.
        results: shapes (without the leading axes) and types of what it returns.

    The first argument of what is returned has no axes of its own: its axes are the leading ones.
    """
    shapes = tuple((tuple(result.shape), np.dtype(result.dtype)) for result in results)

    @jax.custom_batching.custom_vmap
    def call(*args: jax.Array) -> tuple[jax.Array, ...]:
        return tuple(_host_call.bind(*args, function=function, shapes=shapes))

    @call.def_vmap
    def batched(size: int, is_batched: Sequence[bool], *args: jax.Array):
        whole = [
            arg if batched else jnp.broadcast_to(arg, (size, *arg.shape))
            for arg, batched in zip(args, is_batched, strict=True)
        ]
        return call(*whole), (True,) * len(shapes)

    return jax.jit(call)  # calls outside of a program compile once


@_host_call.def_abstract_eval
def _abstract(first: ShapedArray, *_, function: HostFunction, shapes: tuple) -> list[ShapedArray]:
    return [ShapedArray((*first.shape, *shape), dtype) for shape, dtype in shapes]


def _lower(context: mlir.LoweringRuleContext, *operands, function: HostFunction, shapes: tuple):
    results, *_ = mlir.emit_python_callback(
        context,
        function,
        None,
        list(operands),
        context.avals_in,
        context.avals_out,
        has_side_effect=False,
        returns_token=False,
    )
    return results


mlir.register_lowering(_host_call, _lower, cacheable=False)


def raised_on_the_host(error: jax.errors.JaxRuntimeError) -> GameError | KeyboardInterrupt | None:
    """What the function raised, if it is one of these: XLA passes on its text alone. (A callback
    may run in the main thread, and Python then raises there what Ctrl-C means.)"""
    *_, last = re.split(r"^ {2}File .*$", str(error), flags=re.MULTILINE)
    if re.search(r"^KeyboardInterrupt\b", last, flags=re.MULTILINE):
        return KeyboardInterrupt()
    sentence = re.search(r"^(?:games\.errors\.)?GameError: (.*)", last, flags=re.MULTILINE)
    return GameError(sentence[1]) if sentence else None
