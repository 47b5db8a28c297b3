"""An oracle of one's own: the softmax best response, exact and as a table.

It maximises its return plus TEMPERATURE times the entropy of what it does, so that it mixes actions
which earn nearly the same: the smooth best response of Fudenberg and Levine (1998,
"The theory of learning in games", chapter 4), down a tree.
"""

from __future__ import annotations

import numpy as np

import psro
from games import PlayerTree
from games.game import Game
from psro import exact
from psro.errors import SettingsError
from psro.oracles import ORACLES, Jobs, Results
from psro.policies.policy import TablePolicy, stack

TEMPERATURE = 0.01
"""In units of the game's payoff. A decision between A actions costs at most this times log A."""


def softmax_response(player: PlayerTree, gains: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """The behaviour `[S]` that maximises return plus TEMPERATURE times entropy, against opponents
    that are given by `gains [S]` and `reach [I]` (see `psro.oracles.base.ExactView`)."""
    gains, behaviour = gains.copy(), exact.uniform_behaviour(player)
    for info_state in reversed(range(player.num_info_states)):  # children are after their parents
        actions = slice(*player.first_sequence[info_state : info_state + 2])
        scale = TEMPERATURE * reach[info_state]
        if scale == 0:  # opponents never let it come here: nothing is earned below
            continue
        best = gains[actions].max()
        weights = np.exp((gains[actions] - best) / scale)
        behaviour[actions] = weights / weights.sum()
        gains[player.parent[info_state]] += best + scale * np.log(weights.sum())
    return behaviour


class SoftmaxResponse:
    """The oracle: made once a run, called once an iteration with all jobs of that iteration."""

    tabular = True  # its policies are tables, not networks
    conditional = False

    def __init__(self, game: Game, policy: TablePolicy, config: None = None):
        if game.tree is None:
            raise SettingsError("oracle softmax_response needs a game that is enumerated")
        self._tree = game.tree
        self._policy = policy

    def __call__(self, jobs: Jobs) -> Results:
        params, values = [], []
        for seat, gains, reach in zip(jobs.player, jobs.exact.gains, jobs.exact.reach, strict=True):
            player = self._tree.players[seat]
            plan = exact.realization_plan(player, softmax_response(player, gains, reach))
            params.append(self._policy.from_plan(self._tree, seat, plan))
            values.append(gains @ plan)
        none = np.zeros(len(params), int)  # nothing is sampled, so nothing diverges
        return Results(
            params=stack(params),
            decisions=none,
            episodes=none,
            diverged=none > 0,
            curve=np.array(values)[:, None],  # one evaluation, of the finished policy
        )


ORACLES["softmax_response"] = SoftmaxResponse

if __name__ == "__main__":
    config = psro.RunConfig(oracle="softmax_response", iterations=20)
    experiment = psro.run(config, out="experiments/own-oracle")
    print(f"exploitability {experiment.exploitability():.6f}")
