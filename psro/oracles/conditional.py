"""One network for a whole population: NeuPL (Liu et al. 2022, arXiv:2202.07415).

Every policy of every player is the same recurrent network, told which one to be by what it is to
respond to: its seat, and its opponents' distribution over their policies (the paper's interaction
graph, a row a policy). What one learns, all others can use:

    theta in argmax sum_k u(pi_theta(. | sigma_k), sum_j sigma_k(j) pi_theta(. | sigma_j)),

for sigma_k the meta-strategy over the policies below k, one level of `--expansion hierarchy`. The
opponents' theta on the right is the one with which the iteration began. The paper leaves the
meta-solver open, and how the network is shown a condition: here the seat, one-hot, and the
opponents' weights.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from games.game import Game
from psro.oracles.base import Jobs, Results
from psro.oracles.full_width import FullWidth
from psro.oracles.settings import ConditionalConfig
from psro.oracles.training import Yardstick, expected_return, train, yardstick
from psro.policies.policy import ConditionalPolicy, Params


class Conditional(FullWidth):
    """The oracle: `Conditional(game, policy, config)(key, jobs)`.

    A step moves all jobs' policies at once, by the mean of their losses (`FullWidth`; the paper
    trains by MPO on episodes). The best parameters are those with the largest mean value; curves
    have each job's value before and after.
    """

    conditional = True

    def __init__(self, game: Game, policy: ConditionalPolicy, config: ConditionalConfig):
        super().__init__(game, policy, config)
        self._train_together = jax.jit(self._train_all)
        self._values = jax.jit(self._values_of)

    def __call__(self, key: jax.Array, jobs: Jobs) -> Results:
        seats = np.eye(self._tree.num_players, dtype=np.float32)[np.asarray(jobs.player)]
        weights = np.asarray(jobs.opponents, np.float32).reshape(len(seats), -1)
        conditions = np.concatenate([seats, weights], axis=1)
        network = jax.tree.map(lambda leaf: leaf[0], jobs.initial["network"])
        yardsticks = yardstick(self._tree, self._levels, jobs)
        training = self._train_together(network, conditions, yardsticks)
        none = np.zeros(len(seats), int)
        return Results(
            params={
                "network": jax.tree.map(
                    lambda leaf: jnp.broadcast_to(leaf, (len(seats), *leaf.shape)), training.best
                ),
                "condition": conditions,
            },
            decisions=none,
            episodes=none,
            diverged=np.broadcast_to(np.asarray(training.diverged), len(seats)),
            curve=np.stack(
                [
                    self._values(each, conditions, yardsticks)
                    for each in (
                        self._policy.network_with_temperature(network, self._config.temperature),
                        training.best,
                    )
                ],
                axis=1,
            ),
        )

    def _train_all(self, network: Params, conditions: jax.Array, yardsticks: Yardstick):
        config = self._config

        def loss(network: Params) -> jax.Array:
            losses = jax.vmap(lambda c, y: self._loss(self._told(network, c), y, ()))
            return losses(conditions, yardsticks).mean()

        def value(network: Params) -> jax.Array:
            values = jax.vmap(lambda c, y: expected_return(self._policy, self._told(network, c), y))
            return values(conditions, yardsticks).mean()

        def one_round(learner, number: jax.Array):
            return self._steps(loss, learner), jnp.nan

        training = train(
            (network, self._optimizer.init(network)),
            learn=one_round,
            finish=lambda learner: self._policy.network_with_temperature(
                learner[0], config.temperature
            ),
            value=lambda network: self._values_of(network, conditions, yardsticks).mean(),
            rounds=config.rounds,
            patience=config.patience,
            enough=yardsticks.best.mean() - config.tolerance / self._scale,
        )
        return dataclasses.replace(training, learner=())

    def _values_of(
        self, network: Params, conditions: jax.Array, yardsticks: Yardstick
    ) -> jax.Array:
        """Every job's expected return, `[J]`."""
        values = jax.vmap(lambda c, y: expected_return(self._policy, self._told(network, c), y))
        return values(conditions, yardsticks)

    def _told(self, network: Params, condition: jax.Array) -> Params:
        return {"network": network, "condition": condition}
