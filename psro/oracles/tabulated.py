"""What oracles with `tabulated` look up at info states: the opponents' mixture, and a bonus. R are
all rows of a player's levels, laid end to end (`games.levels.rows`)."""

from __future__ import annotations

import numpy as np

from games.levels import by_level
from games.tree import GameTree
from psro import exact
from psro.oracles.base import Jobs
from psro.policies.policy import Params

_MET = 1e-12
"""The least probability that opponents lead somewhere with which a bonus is paid there: below, no
episode comes by, and the quotient is no float32."""


def opponent_tables(tree: GameTree, jobs: Jobs) -> Params:
    """The opponents of every job as `Lookup` takes them, leaves `[J, Q, 1, R, ...]`, from
    `ExactView.mixture`."""
    seats = np.asarray(jobs.player)[:, None] + 1 + np.arange(tree.num_players - 1)
    logits = [
        [
            np.concatenate(
                by_level(
                    tree,
                    q,
                    np.log(np.maximum(exact.behaviour(tree.players[q], plans[q]), 1e-30)),
                )
            )
            for q in opponents % tree.num_players
        ]
        for opponents, plans in zip(seats, jobs.exact.mixture, strict=True)
    ]
    logits = np.array(logits)[:, :, None]  # [J, Q, 1, R, A]
    return {"logits": logits, "value": np.zeros(logits.shape[:-1], np.float32)}


def bonus_tables(tree: GameTree, jobs: Jobs) -> np.ndarray:
    """What every action earns beside the game's returns, `[J, R, A]`, from `ExactView.bonus`: the
    bonus of a sequence is paid whenever it is played, so it is divided by how often opponents lead
    there."""
    tables = []
    view = jobs.exact
    for p, bonus, reach in zip(np.asarray(jobs.player), view.bonus, view.reach, strict=True):
        player = tree.players[p]
        met = np.append(1.0, reach[player.info_state[1:]])
        paid = np.divide(bonus, met, out=np.zeros_like(bonus), where=met > _MET)
        tables.append(np.concatenate(by_level(tree, p, paid)))
    return np.array(tables)
