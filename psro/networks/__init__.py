"""Recurrent policy networks: encoder, cell and two heads. A cell is one line in `CELLS`."""

from psro.networks.recurrent import CELLS, RecurrentNetwork

__all__ = ["CELLS", "RecurrentNetwork"]
