"""Phantom tic-tac-toe and dark hex for an offline page, by their rules. `blind.js` plays them."""

from __future__ import annotations

from typing import Any

import numpy as np

from games.readers.openspiel import load_openspiel, tensor_name
from games.walked import WALKED, walked_rules
from psro.measure.replay import Dealer
from psro.play import boards
from psro.play.match import MatchError
from psro.runs.experiment import Experiment


def is_blind(dealer: Dealer) -> bool:
    """Whether the dealer's game is one of these."""
    return dealer.short_name in WALKED


def rules_of(experiment: Experiment, dealer: Dealer) -> tuple[dict[str, Any], dict[str, Any]]:
    """The rules as numbers, and their arrays.

    Raises:
        GameError: the board is too large, or players see more than their own tries.
        MatchError: policies see something else.
    """
    name = experiment.setup.source
    game = load_openspiel(name)
    rules = walked_rules(name, game)
    state, cells = game.new_initial_state(), rules.num_cells
    shows_order = tensor_name(name, game, experiment.config.observation) == "information_state"
    size = rules.view_size + (cells * cells if shows_order else 0)
    if experiment.policy_network.observation_space.size != size:
        raise MatchError(f"the policies of {name} see more than a page knows of the game")
    board = boards.read(dealer.short_name, state.observation_string(0))
    return {
        "cells": cells,
        "columns": board.columns,
        "hexagonal": board.hexagonal,
        "goal": board.goal,
        "passes": bool(rules.passes),
        "viewSize": int(rules.view_size),
        "size": size,
        "showsOrder": shows_order,
        "names": [[state.action_to_string(p, cell) for cell in range(cells)] for p in range(2)],
    }, {
        "entries": np.asarray(rules.entries, np.int32),
        "wins": np.asarray(rules.wins, np.uint8),
    }
