"""Recurrent policy networks: encoder, cell and two heads. A cell is one line in `CELLS`."""

from psro.policies.networks.recurrent import CELLS, DTYPES, RecurrentNetwork

__all__ = ["CELLS", "DTYPES", "RecurrentNetwork"]
