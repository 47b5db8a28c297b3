"""The exact best response as a table: with it PSRO is double oracle (McMahan et al. 2003)."""

from __future__ import annotations

import jax
import numpy as np

from games.game import Game
from psro import exact
from psro.oracles.base import Jobs, Results
from psro.policy import TablePolicy, stack


class BestResponse:
    """The oracle: `BestResponse(game, policy)(key, jobs)`. Its policies are pure, and there
    is nothing to set."""

    temperature = 1.0
    tabular = True

    def __init__(self, game: Game, policy: TablePolicy, config: None = None):
        if game.tree is None:
            raise ValueError("oracle best_response needs a game that is enumerated")
        self._tree = game.tree
        self._policy = policy

    def __call__(self, key: jax.Array, jobs: Jobs) -> Results:
        params, values = [], []
        for player, gain in zip(np.asarray(jobs.player), jobs.gains, strict=True):
            best = exact.best_response_to(self._tree.players[player], gain)
            params.append(self._policy.from_plan(self._tree, player, best.plan))
            values.append(best.value)
        none = np.zeros(len(params), int)
        return Results(
            params=stack(params),
            decisions=none,
            episodes=none,
            diverged=none > 0,
            curve=np.array(values)[:, None],
        )
