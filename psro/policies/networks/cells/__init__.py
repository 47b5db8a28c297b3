"""Memory cells, a file each. `cell` says what a cell is."""

from collections.abc import Callable

from psro.policies.networks.cells.block_gru import BlockGRU
from psro.policies.networks.cells.cell import Cell
from psro.policies.networks.cells.dnc import DNC
from psro.policies.networks.cells.ffm import FFM
from psro.policies.networks.cells.gpt2 import GPT2
from psro.policies.networks.cells.gru import GRU
from psro.policies.networks.cells.gtrxl import GTrXL
from psro.policies.networks.cells.lstm import LSTM
from psro.policies.networks.cells.mlstm import MLSTM
from psro.policies.networks.cells.none import NoMemory
from psro.policies.networks.cells.s5 import S5
from psro.policies.networks.cells.shm import SHM
from psro.policies.networks.cells.slstm import SLSTM
from psro.policies.networks.cells.xlstm import XLSTM

CELLS: dict[str, Callable[..., Cell]] = {
    "lstm": LSTM,
    "gru": GRU,
    "block_gru": BlockGRU,
    "slstm": SLSTM,
    "mlstm": MLSTM,
    "xlstm": XLSTM,
    "gtrxl": GTrXL,
    "gpt2": GPT2,
    "s5": S5,
    "shm": SHM,
    "dnc": DNC,
    "ffm": FFM,
    "none": NoMemory,
}
"""Memory cells by name, called as `cell(in_features, hidden_features, dtype=dtype, rngs=rngs)`. A
cell of `flax.nnx` may be registered as it is."""

__all__ = ["CELLS", "Cell"]
