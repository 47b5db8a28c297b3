"""Recurrent policy networks: encoder, cell and two heads. A cell is one line in `CELLS`."""

from typing import TYPE_CHECKING

from games.lazy import attributes

if TYPE_CHECKING:
    from psro.policies.networks.recurrent import CELLS, RecurrentNetwork

BUILT_IN = ("lstm", "gru")
"""The names of the cells that `CELLS` holds from the start."""

DTYPES = ("float32", "bfloat16")
"""What a network may be computed in; its parameters and carries are float32 in any case."""

__all__ = ["BUILT_IN", "CELLS", "DTYPES", "RecurrentNetwork"]

__getattr__ = attributes(
    __name__,
    {name: "psro.policies.networks.recurrent" for name in ("CELLS", "RecurrentNetwork")},
)
"""JAX and Flax are imported with the first of these."""
