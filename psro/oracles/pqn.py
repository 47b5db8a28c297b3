"""Parallelised Q-learning as a best response (PQN; Gallici et al. 2024, arXiv:2407.04811).

Q-learning from fresh episodes, like an on-policy method: no replay and no target network. The
network's logits are Q-values, exploration is epsilon-greedy, and the finished policy is a softmax
at a small temperature, all as in `dqn`. A rollout is learned in `epochs` passes of minibatches;
each has whole environments. Targets are computed from the Q-values of the same pass, without a
gradient, so they follow the learner from step to step. A rollout's sequences take over the carry of
the rollout before, without its gradient.

The paper holds Q-learning stable by layer norm in the network. Its returns go on through random
actions (Peng's Q(lambda)); by default they end there (`cut_traces`), because a best response is
greedy.

As in other methods from fresh episodes, the weight of a stratum's decisions is 1 / (episodes that
it finished in the rollout); `sampling` gives the reason.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import optax

from games.game import Game
from games.levels import Level
from psro.oracles.job import Losses, Sample, mean_losses
from psro.oracles.off_policy_settings import PQNConfig
from psro.oracles.on_policy import episode_weights, orders
from psro.oracles.q_learning import double_q_returns, epsilon_greedy, share_of_random_actions
from psro.oracles.replay import check_numbers
from psro.oracles.sampling import Sampled
from psro.oracles.sequences import Sequences, sequences, time_first
from psro.policies.policy import Params, Policy

Student = tuple[Params, optax.OptState]


class PQN(Sampled):
    """The oracle: `PQN(game, policy, config)(jobs)`."""

    def __init__(self, game: Game, policy: Policy, config: PQNConfig):
        check_numbers(config.name, game)
        super().__init__(
            game, policy, config, sequence_length=config.rollout_length, act=epsilon_greedy
        )

    def _start(self, initial: Params) -> Student:
        return initial, self._optimizer.init(initial)

    def _params(self, student: Student) -> Params:
        return student[0]

    def _exploration(self, progress: jax.Array) -> jax.Array:
        return share_of_random_actions(self._config, progress)

    def _learn(
        self, student: Student, sample: Sample, progress: jax.Array, key: jax.Array
    ) -> tuple[Student, Losses]:
        config = self._config
        decided = sample.decisions.valid
        weight = episode_weights(sample.episodes.count, self._num_strata)  # [E]
        weight = weight / jnp.maximum((weight[None] * decided).mean(), 1e-12)
        items = sequences(sample, weight)

        def step(student: Student, envs: jax.Array):
            params, opt_state = student
            batch = time_first(jax.tree.map(lambda leaf: leaf[envs], items))
            loss, gradient = jax.value_and_grad(self._loss)(params, batch, sample.levels)
            return self._step(params, opt_state, gradient), {"q": loss}

        order = orders(key, config.epochs, config.num_minibatches, config.num_envs)
        student, losses = jax.lax.scan(step, student, order)
        return student, mean_losses(losses)

    def _loss(self, params: Params, batch: Sequences, levels: Sequence[Level] | None) -> jax.Array:
        """Mean squared error of the Q-values of the actions taken (arXiv:2407.04811, algorithm 2),
        weighted by decision."""
        config, turn = self._config, batch.turn
        q, _ = self._outputs(
            params, turn.observation, turn.last_action, turn.reset, batch.carry, levels
        )  # [L + 1, N, A]
        held = jax.lax.stop_gradient(q)
        goal = double_q_returns(
            held,
            held,
            batch,
            gamma=config.gamma,
            trace_decay=config.trace_decay,
            cut_traces=config.cut_traces,
        )
        taken = jnp.take_along_axis(q[:-1], batch.action[..., None], axis=-1)[..., 0]
        weight = turn.valid[:-1] * ~batch.truncated * batch.weight[None]
        return (weight * jnp.square(taken - goal)).mean()
