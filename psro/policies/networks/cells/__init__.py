"""Memory cells, a file each. `cell` says what a cell is."""

from collections.abc import Callable

from psro.policies.networks.cells.cell import Cell
from psro.policies.networks.cells.gru import GRU
from psro.policies.networks.cells.lstm import LSTM
from psro.policies.networks.cells.none import NoMemory

CELLS: dict[str, Callable[..., Cell]] = {
    "lstm": LSTM,
    "gru": GRU,
    "none": NoMemory,
}
"""Memory cells by name, called as `cell(in_features, hidden_features, dtype=dtype, rngs=rngs)`. A
cell of `flax.nnx` may be registered as it is."""

__all__ = ["CELLS", "Cell"]
