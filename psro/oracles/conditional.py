"""One network for a whole population: NeuPL (Liu et al. 2022, arXiv:2202.07415).

All policies of all players are one recurrent network. An extra input, the condition, says which
policy the network plays: the seat, and the distribution over opponents' policies that the policy
responds to (one row of the paper's interaction graph). All policies share what they learn:

    theta in argmax sum_k u(pi_theta(. | sigma_k), sum_j sigma_k(j) pi_theta(. | sigma_j)),

where sigma_k is the meta-strategy over the policies below k, one level of `--expansion hierarchy`.
The opponents' theta on the right is the theta at the start of the iteration. The paper does not fix
the meta-solver or the encoding of a condition. Here a condition is the seat (one-hot) and the
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
from psro.oracles.training import Training, Yardstick, expected_return, train, yardstick
from psro.policies.conditional import ConditionalPolicy
from psro.policies.policy import Params


class Conditional(FullWidth):
    """The oracle: `Conditional(game, policy, config)(jobs)`.

    A step changes the policies of all jobs at once. It minimises the mean of their losses
    (`FullWidth`; the paper trains by MPO on episodes). The best parameters are those with the
    largest mean value. Curves have each job's value before and after training.
    """

    conditional = True

    def __init__(self, game: Game, policy: ConditionalPolicy, config: ConditionalConfig):
        super().__init__(game, policy, config)
        self._train_together = jax.jit(self._train_all)

    def __call__(self, jobs: Jobs) -> Results:
        """All jobs belong to one run. The run's network learns from all of them."""
        seats = np.eye(self._tree.num_players, dtype=np.float32)[np.asarray(jobs.player)]
        weights = np.asarray(jobs.opponents, np.float32).reshape(len(jobs), -1)
        conditions = np.concatenate([seats, weights], axis=1)
        network = jax.tree.map(lambda leaf: leaf[0], jobs.initial["network"])
        measure = yardstick(self._tree, self._levels, jobs.player, jobs.exact)
        inputs = jax.device_put((network, conditions, measure))
        training, curve = jax.device_get(self._train_together(*inputs))
        none = np.zeros(len(jobs), int)
        return Results(
            params={
                "network": jax.tree.map(
                    lambda leaf: np.broadcast_to(leaf, (len(jobs), *leaf.shape)), training.best
                ),
                "condition": conditions,
                "temperature": np.full(len(jobs), self._config.temperature, np.float32),
            },
            decisions=none,
            episodes=none,
            diverged=np.full(len(jobs), training.diverged),
            curve=curve,
        )

    def _train_all(
        self, network: Params, conditions: jax.Array, yardsticks: Yardstick
    ) -> tuple[Training, jax.Array]:
        """The network trained for all conditions, and each job's value before and after,
        `[J, 2]`."""
        config = self._config

        def loss(network: Params) -> jax.Array:
            losses = jax.vmap(lambda c, y: self._loss(_told(network, c, 1.0), y, ()))
            return losses(conditions, yardsticks).mean()

        def values(network: Params) -> jax.Array:  # [J]
            return jax.vmap(
                lambda c, y: expected_return(self._policy, _told(network, c, config.temperature), y)
            )(conditions, yardsticks)

        def stretch(learner, number: jax.Array):
            return self._steps(loss, learner), jnp.nan

        training = train(
            (network, self._optimizer.init(network)),
            learn=stretch,
            finish=lambda learner: learner[0],
            value=lambda network: values(network).mean(),
            evaluations=config.evaluations,
            patience=config.patience,
            enough=yardsticks.best.mean() - config.tolerance / yardsticks.scale[0],
        )
        curve = jnp.stack([values(network), values(training.best)], axis=1)
        return dataclasses.replace(training, learner=()), curve


def _told(network: Params, condition: jax.Array, temperature: float) -> Params:
    return {
        "network": network,
        "condition": condition,
        "temperature": jnp.float32(temperature),
    }
