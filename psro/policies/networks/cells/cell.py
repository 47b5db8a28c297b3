"""What a memory cell is, and how a sequence runs through one.

A cell is an NNX module, made by `Cell(in_features, hidden_features, dtype=dtype, rngs=rngs)`.
`dtype` is what its matrix products are computed in. Its parameters are float32. Its carry does not
depend on `dtype`.

The carry belongs to the cell: any PyTree, whose leaves have any shapes and types (vectors,
matrices, complex numbers, whole numbers, -inf). A step is a function of the carry and the input
alone: no random numbers, no state within the module, no statistics over the batch. So the carry is
a function of a player's own history, and a policy can be tabulated.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import jax
from flax import nnx

from psro.policies.networks.cells.parts import on_cpu

Carry = Any
"""A PyTree of arrays, batch axes first; what follows them is the cell's."""
UNROLLED = 8
"""Steps that the compiler joins on accelerators, where copying the carry and launching kernels cost
much of a step. On a CPU that is slower."""


class Cell(Protocol):
    """A memory cell. It may also have a method `scan`, with the attribute `parallel_from`:

    `scan(carry, x, reset) -> (carry, y)` runs a whole sequence at once: x `[T, *batch, in]`,
    y `[T, *batch, H]`. Where `reset [T, *batch]` is True, the cell gets its initial carry before
    that step. The results are those of the steps, except for rounding. Sequences of at least
    `parallel_from` steps are trained by `scan` on a CPU, because it is faster there. On
    accelerators all sequences are, because each step of a loop costs the time of its launch.
    """

    def __call__(self, carry: Carry, x: jax.Array) -> tuple[Carry, jax.Array]:
        """One step: the next carry, and y `[*batch, H]`, from x `[*batch, in]`."""

    def initial_carry(self, batch_shape: tuple[int, ...]) -> Carry:
        """The carry at the start of an episode, leaves `[*batch_shape, ...]`."""


def initial_carry(cell: Cell, hidden_features: int, batch_shape: tuple[int, ...]) -> Carry:
    """The cell's carry at the start of an episode, leaves `[*batch_shape, ...]`. The cells of
    `flax.nnx` have a method of another name for it."""
    if hasattr(cell, "initial_carry"):
        return cell.initial_carry(batch_shape)
    return cell.initialize_carry((*batch_shape, hidden_features), rngs=nnx.Rngs(0))


def unroll(
    cell: Cell,
    carry: Carry,
    x: jax.Array,
    reset: jax.Array,
    forget: Callable[[Carry, jax.Array], Carry],
) -> tuple[Carry, jax.Array]:
    """A sequence, time first: the carry after it, and y `[T, *batch, H]`.

    Args:
        carry: the carry before step 0.
        x: `[T, *batch, in]`.
        reset: bool `[T, *batch]`, True where an episode begins.
        forget: `forget(carry, where)` is the initial carry where `where` is True.
    """
    if hasattr(cell, "scan") and (not on_cpu() or len(x) >= cell.parallel_from):
        return cell.scan(carry, x, reset)

    def step(carry: Carry, inputs: tuple[jax.Array, jax.Array]) -> tuple[Carry, jax.Array]:
        x, reset = inputs
        return cell(forget(carry, reset), x)

    return jax.lax.scan(step, carry, (x, reset), unroll=1 if on_cpu() else UNROLLED)
