"""Dark hex: hex, each player blind to the other's stones."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from games.errors import GameError
from games.native.hidden_board import HiddenBoard
from games.walked.dark_hex import CELL_STATES, VERSIONS, entries, neighbours


class DarkHex(HiddenBoard):
    """OpenSpiel's `dark_hex`. Black (player 0) connects north and south, white west and east.

    The board is a label for every cell, then for the four edges: 0 where there is no stone, and the
    same label for all that is connected; black's are positive and white's negative. So a stone
    gives its own label to whatever it joins, and no search is needed to see who has won.
    """

    def __init__(self, name: str, parameters: dict[str, Any], observation: str):
        rows, columns = parameters["num_rows"], parameters["num_cols"]
        version = parameters["gameversion"]
        if rows < 2 or columns < 2:  # OpenSpiel's edges would not be four
            raise GameError(f"{name!r}: a board of {rows} x {columns} must be at least 2 x 2")
        if version not in VERSIONS:
            raise GameError(f"{name!r}: gameversion {version!r} must be {' or '.join(VERSIONS)}")
        cells = rows * columns
        super().__init__(
            name,
            observation,
            obstype=parameters["obstype"],
            passes=VERSIONS[version],
            entries=entries(cells),
            view_size=CELL_STATES * cells,
            turn_entries=2 * cells,
        )
        self._neighbours = neighbours(rows, columns)
        kind = np.int8 if cells + 2 <= np.iinfo(np.int8).max else np.int32
        edges = [cells + 1, cells + 2, -cells - 1, -cells - 2, 0]
        self._labels = np.array([0] * cells + edges, kind)

    def start(self) -> jax.Array:
        return jnp.asarray(self._labels)

    def is_marked(self, board: jax.Array, cell: jax.Array) -> jax.Array:
        return board[cell] != 0

    def mark(self, board: jax.Array, player: jax.Array, cell: jax.Array) -> jax.Array:
        colour = (1 - 2 * player).astype(board.dtype)
        label = colour * (cell + 1).astype(board.dtype)
        near = board[jnp.asarray(self._neighbours)[cell]]  # [6]
        joined = jnp.where(near * jnp.sign(colour) > 0, near, label)
        takes = (board[:, None] == joined[None]).any(axis=1) | (jnp.arange(len(board)) == cell)
        return jnp.where(takes, label, board)

    def result(self, board: jax.Array, player: jax.Array) -> tuple[jax.Array, jax.Array]:
        north, south, west, east, _ = board[self.num_actions :]
        won = jnp.where(player == 0, north == south, west == east)
        return won, won  # a full board has a winner
