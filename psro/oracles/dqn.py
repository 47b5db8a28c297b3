"""Recurrent Q-learning as a best response (DRQN).

The network's logits are the Q-values of a player's own action-observation history h, in units of
the game's largest return. The greedy policy is a softmax at temperature zero. So the finished
policy is an ordinary network at a small temperature. Its value head is not used. (A dueling head,
value plus advantage, arXiv:1511.06581, was not better.)

Sequences are replayed from stored carries, all alike (`psro.oracles.replay`). Targets are those of
Watkins's Q(lambda), with double Q-learning (`psro.oracles.q_learning`). Q' is the target network, a
moving average of the learner.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import optax

from games.game import Game
from games.levels import Level
from psro.oracles.job import Losses
from psro.oracles.off_policy_settings import DQNConfig
from psro.oracles.q_learning import double_q_returns, epsilon_greedy, share_of_random_actions
from psro.oracles.replay import Replayed, Student, check_numbers, weighted_mean
from psro.oracles.sequences import Sequences
from psro.policies.policy import Params, Policy


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class QNetworks:
    """The learner's network, the target network, and the optimiser's state."""

    params: Params
    target: Params
    opt_state: optax.OptState


class DQN(Replayed):
    """The oracle: `DQN(game, policy, config)(jobs)`."""

    def __init__(self, game: Game, policy: Policy, config: DQNConfig):
        check_numbers(config.name, game)
        super().__init__(game, policy, config, act=epsilon_greedy)

    def _begin(self, initial: Params) -> QNetworks:
        return QNetworks(params=initial, target=initial, opt_state=self._optimizer.init(initial))

    def _params(self, student: Student) -> Params:
        return student.trained.params

    def _exploration(self, progress: jax.Array) -> jax.Array:
        return share_of_random_actions(self._config, progress)

    def _improve(
        self,
        trained: QNetworks,
        batch: Sequences,
        levels: Sequence[Level] | None,
        progress: jax.Array,
        key: jax.Array,
    ) -> tuple[QNetworks, jax.Array, Losses]:
        (loss, error), gradient = jax.value_and_grad(self._loss, has_aux=True)(
            trained.params, trained.target, batch, levels
        )
        params, opt_state = self._step(trained.params, trained.opt_state, gradient)
        target = optax.incremental_update(params, trained.target, self._config.target_rate)
        trained = QNetworks(params=params, target=target, opt_state=opt_state)
        return trained, error, {"q": loss}

    def _loss(
        self, params: Params, target: Params, batch: Sequences, levels: Sequence[Level] | None
    ) -> tuple[jax.Array, jax.Array]:
        """Mean squared error of the Q-values of the actions taken, weighted by sequence. Also the
        size of each error, `[L, N]`."""
        q = self._q_values(params, batch, levels)  # [L + 1, N, A]
        goal = self._goal(jax.lax.stop_gradient(q), self._q_values(target, batch, levels), batch)
        taken = jnp.take_along_axis(q[:-1], batch.action[..., None], axis=-1)[..., 0]
        weight = self._weight(batch, levels)
        error = (weight > 0) * jnp.abs(taken - goal)
        return weighted_mean(weight, jnp.square(taken - goal)), error

    def _goal(self, online: jax.Array, target: jax.Array, batch: Sequences) -> jax.Array:
        """What Q-values learn, `[L, N]`, from both networks' Q-values `[L + 1, N, A]`."""
        config = self._config
        return double_q_returns(
            online, target, batch, gamma=config.gamma, trace_decay=config.trace_decay
        )

    def _q_values(
        self, params: Params, batch: Sequences, levels: Sequence[Level] | None
    ) -> jax.Array:
        """Q-values `[L + 1, N, A]` of replayed sequences."""
        turn = batch.turn
        q, _ = self._outputs(
            params, turn.observation, turn.last_action, turn.reset, batch.carry, levels
        )
        return q
