"""The exact best response as a table: with it PSRO is double oracle (McMahan et al. 2003)."""

from __future__ import annotations

import jax
import numpy as np

from games.game import Game
from psro import exact
from psro.oracles.base import Jobs, Results, by_run
from psro.policy import TablePolicy, stack

_TIE = 1e-9
"""By how much returns of sequences may differ to be broken as a tie, as a share of the largest."""


class BestResponse:
    """The oracle: `BestResponse(game, policy)(key, jobs)`. Its policies are pure, and there
    is nothing to set.

    Ties are broken at random. Against a mixture that leaves its opponent least, many responses are
    equally good, and the first of them may be in the population for good.
    """

    temperature = 1.0
    tabular = True
    conditional = False

    def __init__(self, game: Game, policy: TablePolicy, config: None = None):
        if game.tree is None:
            raise ValueError("oracle best_response needs a game that is enumerated")
        self._tree = game.tree
        self._policy = policy

    def __call__(self, key: jax.Array, jobs: Jobs) -> Results:
        params, values = [], []
        keys, jobs = by_run(key, jobs)
        rngs = [np.random.default_rng(each) for each in np.asarray(jax.random.key_data(keys))]
        for run, player, gain in zip(jobs.run, np.asarray(jobs.player), jobs.gains, strict=True):
            tie_breaker = rngs[run].uniform(0, _TIE * np.abs(gain).max(), len(gain))
            best = exact.best_response_to(self._tree.players[player], gain + tie_breaker)
            params.append(self._policy.from_plan(self._tree, player, best.plan))
            values.append(gain @ best.plan)
        none = np.zeros(len(params), int)
        return Results(
            params=stack(params),
            decisions=none,
            episodes=none,
            diverged=none > 0,
            curve=np.array(values)[:, None],
        )
