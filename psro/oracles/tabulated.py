"""Tables that oracles with `tabulated` look up at info states: the opponents' mixture, and a bonus.
The axis R has all rows of a player's levels, one level after the other (`games.levels.rows`)."""

from __future__ import annotations

import numpy as np

from games.levels import by_level
from games.tree import GameTree
from psro import exact
from psro.oracles.base import Jobs
from psro.policies.policy import Params

_MET = 1e-12
"""A bonus is paid only where the probability that opponents lead there is above this. Below it, no
episode reaches the info state, and the quotient does not fit in float32."""


def opponent_tables(tree: GameTree, jobs: Jobs) -> Params:
    """The opponents of every job in the form of `Lookup`, leaves `[J, Q, 1, R, ...]`, from
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
    """What every action earns in addition to the game's returns, `[J, R, A]`, from
    `ExactView.bonus`. A sampled episode pays the bonus whenever it plays the sequence. So the bonus
    is divided by the probability that opponents lead there."""
    tables = []
    view = jobs.exact
    for p, bonus, reach in zip(np.asarray(jobs.player), view.bonus, view.reach, strict=True):
        player = tree.players[p]
        met = np.append(1.0, reach[player.info_state[1:]])
        paid = np.divide(bonus, met, out=np.zeros_like(bonus), where=met > _MET)
        tables.append(np.concatenate(by_level(tree, p, paid)))
    return np.array(tables)
