"""An enumerated game for an offline page: its tree, what is seen at each info state, and what is
shown at each end. `tree.js` plays it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from games import GameTree
from games.readers.positions import check_histories, positions
from psro.measure.replay import Dealer
from psro.play.offline.book import Pool
from psro.play.stage import Stage

MAX_HISTORIES = 500_000
"""The most histories of a game that a page holds."""

_SCENE = ("text", "picture", "board", "actions")
_CLOSE = ("state", "outcome", "board")
_TREE = ("decision_player", "decision_info_state", "first_slot", "first_outcome", "outcome_node")


def arrays_of(tree: GameTree, dealer: Dealer, pool: Pool) -> dict[str, np.ndarray]:
    """The arrays of a game; texts and pictures are places in the pool.

    Raises:
        GameError: the game is too large, or OpenSpiel has no such game.
    """
    check_histories(tree, MAX_HISTORIES, "a page")
    arrays = {name: np.asarray(getattr(tree, name), np.int32) for name in _TREE}
    arrays["outcome_probability"] = np.asarray(tree.outcome_probability, np.float64)
    arrays["returns"] = np.asarray(tree.terminal_returns, np.float64)
    for p, own in enumerate(tree.players):
        arrays[f"first_sequence_{p}"] = np.asarray(own.first_sequence, np.int32)
    return arrays | _shown(tree, Stage(dealer), pool)


def _shown(tree: GameTree, stage: Stage, pool: Pool) -> dict[str, np.ndarray]:
    scenes = [np.full((len(_SCENE), own.num_info_states), -1, np.int32) for own in tree.players]
    known = [np.zeros(own.num_info_states, bool) for own in tree.players]
    closes = np.full((len(_CLOSE), tree.num_terminals), -1, np.int32)
    pictures = np.full((tree.num_terminals, tree.num_players), -1, np.int32)
    for state, node in positions(tree):
        if node >= tree.num_decisions:
            end = node - tree.num_decisions
            close = stage.close(state)
            closes[:, end] = [pool.put(close.state), pool.put(close.outcome), _board(close, pool)]
            for p, picture in enumerate(close.pictures):
                pictures[end, p] = pool.put_picture(picture)
            continue
        seat, place = int(tree.decision_player[node]), int(tree.decision_info_state[node])
        if known[seat][place]:
            continue
        known[seat][place] = True
        scene = stage.scene(state, seat)
        scenes[seat][:, place] = [
            pool.put(scene.text),
            pool.put_picture(scene.picture),
            _board(scene, pool),
            pool.put([dataclasses.asdict(action) for action in scene.actions]),
        ]
    columns = {
        f"scene_{name}_{p}": own[k] for p, own in enumerate(scenes) for k, name in enumerate(_SCENE)
    }
    columns |= {f"close_{name}": closes[k] for k, name in enumerate(_CLOSE)}
    return columns | {"close_pictures": pictures}


def _board(shown: Any, pool: Pool) -> int:
    return pool.put(None if shown.board is None else dataclasses.asdict(shown.board))
