"""Recurrent policy networks: encoder, cell and two heads. A cell is one line in `CELLS`."""

from typing import TYPE_CHECKING

from games.lazy import attributes

if TYPE_CHECKING:
    from psro.policies.networks.cells import CELLS
    from psro.policies.networks.recurrent import RecurrentNetwork
    from psro.policies.networks.world_model import WorldModel

BUILT_IN = (
    "lstm", "gru", "block_gru", "slstm", "mlstm", "xlstm", "gtrxl", "gpt2", "s5", "shm", "dnc",
    "ffm", "none",
)  # fmt: skip
"""The names of the cells that `CELLS` holds from the start."""

DTYPES = ("float32", "bfloat16")
"""What a network may be computed in; its parameters and carries are float32 in any case."""

__all__ = ["BUILT_IN", "CELLS", "DTYPES", "RecurrentNetwork", "WorldModel"]

__getattr__ = attributes(
    __name__,
    {
        "CELLS": "psro.policies.networks.cells",
        "RecurrentNetwork": "psro.policies.networks.recurrent",
        "WorldModel": "psro.policies.networks.world_model",
    },
)
"""JAX and Flax are imported with the first of these."""
