"""Phantom tic-tac-toe: noughts and crosses, each player blind to the other's marks."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from games.errors import GameError
from games.native.hidden_board import HiddenBoard
from games.walked.phantom_ttt import CELLS, ENTRIES, LINES, VERSIONS

FULL = (1 << CELLS) - 1


class PhantomTicTacToe(HiddenBoard):
    """OpenSpiel's `phantom_ttt`. The board is a word: bits 0 to 8 are the crosses of player 0, bits
    9 to 17 the noughts of player 1."""

    def __init__(self, name: str, parameters: dict[str, Any], observation: str):
        version = parameters["gameversion"]
        if version not in VERSIONS:
            raise GameError(f"{name!r}: gameversion {version!r} must be {' or '.join(VERSIONS)}")
        super().__init__(
            name,
            observation,
            obstype=parameters["obstype"],
            passes=VERSIONS[version],
            entries=ENTRIES,
            view_size=3 * CELLS,
            turn_entries=2 * CELLS - 1,
        )

    def start(self) -> jax.Array:
        return jnp.int32(0)

    def is_marked(self, board: jax.Array, cell: jax.Array) -> jax.Array:
        return ((board | board >> CELLS) >> cell) & 1 == 1

    def mark(self, board: jax.Array, player: jax.Array, cell: jax.Array) -> jax.Array:
        return board | jnp.int32(1) << (cell + CELLS * player)

    def result(self, board: jax.Array, player: jax.Array) -> tuple[jax.Array, jax.Array]:
        own = board >> CELLS * player
        won = jnp.bool_(False)
        for line in LINES:
            won |= own & line == line
        return won, won | ((board | board >> CELLS) & FULL == FULL)
