"""DreamerV3 as a best response (Hafner et al. 2023, arXiv:2301.04104), small.

The learner plays, keeps whole rollouts for replay as `dqn` does, and takes gradient steps on
batches from it. One step trains everything: the world model on the sequences, and the actor and the
critic on what the model dreams from every one of their states. The opponents are part of the world:
rewards, endings and observations are those at the player's own next decision.

A sequence is stored with the carry at its start and with its first-flags (`reset`), so it goes on
where it was cut and forgets where an episode begins. See `psro.oracles.replay` for why sequences
have weights.

What is smaller than in the paper: the widths; one optimiser step (Adam) for all losses; the critic
learns from dreams alone. What differs is said in `psro.policies.networks.world_model`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from games.game import Game
from games.levels import Level
from psro.errors import SettingsError
from psro.oracles.dreamer.imagination import (
    Dream,
    Spread,
    actor_critic_loss,
    dream,
    explored,
    lambda_returns,
)
from psro.oracles.dreamer.model import States, learned_from, model_loss
from psro.oracles.dreamer_settings import DreamerConfig
from psro.oracles.job import Losses
from psro.oracles.replay import Replayed, Student
from psro.oracles.sequences import Sequences
from psro.policies.distributions import Distribution
from psro.policies.dreamer_policy import DreamerPolicy
from psro.policies.networks import two_hot
from psro.policies.networks.world_model import WorldModel
from psro.policies.policy import Params


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Dreaming:
    """What the gradient steps change.

    Attributes:
        params: the network.
        slow: the parameters of the slow critic.
        opt_state: the optimiser's state.
        spread: how far imagined returns are apart.
    """

    params: Params
    slow: Params
    opt_state: optax.OptState
    spread: Spread


class Dreamer(Replayed):
    """The oracle: `Dreamer(game, policy, config)(jobs)`."""

    world_model = True

    def __init__(self, game: Game, policy: DreamerPolicy, config: DreamerConfig):
        if not isinstance(policy, DreamerPolicy):
            raise SettingsError("oracle dreamer needs policies with a world model")
        super().__init__(game, policy, config, act=self._act)

    def _act(self, outputs: jax.Array, legal: jax.Array | None, exploration: Any) -> Distribution:
        return explored(self._policy.distribution(outputs, legal))

    def _begin(self, initial: Params) -> Dreaming:
        return Dreaming(
            params=initial,
            slow=initial["value_head"],
            opt_state=self._optimizer.init(initial),
            spread=Spread.unknown(),
        )

    def _params(self, student: Student) -> Params:
        return student.trained.params

    def _improve(
        self,
        trained: Dreaming,
        batch: Sequences,
        levels: Sequence[Level] | None,
        progress: jax.Array,
        key: jax.Array,
    ) -> tuple[Dreaming, jax.Array, Losses]:
        """As in `Replayed`. All sequences are alike, so the errors are zeros."""
        entropy_weight = self._config.entropy_weight * (1 - progress)
        gradient, (spread, losses) = jax.grad(self._loss, has_aux=True)(
            trained.params, trained.slow, trained.spread, batch, entropy_weight, key
        )
        params, opt_state = self._step(trained.params, trained.opt_state, gradient)
        slow = optax.incremental_update(
            params["value_head"], trained.slow, self._config.target_rate
        )
        trained = Dreaming(params=params, slow=slow, opt_state=opt_state, spread=spread)
        return trained, jnp.zeros_like(batch.reward), losses

    def _loss(
        self,
        params: Params,
        slow: Params,
        spread: Spread,
        batch: Sequences,
        entropy_weight: jax.Array,
        key: jax.Array,
    ) -> tuple[jax.Array, tuple[Spread, Losses]]:
        """The world model's, the actor's and the critic's loss; how far returns are apart; and the
        losses of the model, and of the actor and the critic."""
        config, policy = self._config, self._policy
        model_key, dream_key = jax.random.split(key)
        model = policy.model(params)
        of_model, states = model_loss(policy, model, batch, model_key, burn_in=config.burn_in)
        fixed = policy.model(jax.lax.stop_gradient(params))
        dreamt, start = self._dreams(fixed, batch, jax.lax.stop_gradient(states), dream_key)
        discount = config.gamma * dreamt.going_on
        value = two_hot.mean(fixed.value_head(dreamt.state))
        returns = lambda_returns(dreamt.reward, discount, value, config.trace_decay)
        spread = spread.after(returns, start > 0, config.spread_decay)
        of_dreams = actor_critic_loss(
            policy,
            model,
            policy.model(params | {"value_head": slow}),
            dreamt,
            returns,
            start,
            discount,
            unit=spread.unit(config.least_spread),
            entropy_weight=entropy_weight,
        )
        return of_model + of_dreams, (spread, {"model": of_model, "actor_critic": of_dreams})

    def _dreams(
        self, model: WorldModel, batch: Sequences, states: States, key: jax.Array
    ) -> tuple[Dream, jax.Array]:
        """Dreams from every decision of the sequences, and their weights `[L * N]`."""

        def starts(leaf: Any) -> jax.Array:  # [L + 1, N, ...] -> [L * N, ...]
            return leaf[:-1].reshape(-1, *leaf.shape[2:])

        turn = batch.turn
        weight = learned_from(turn, batch.truncated, self._config.burn_in) & turn.valid
        weight = weight * jnp.broadcast_to(batch.weight, weight.shape)
        carry, state, legal = jax.tree.map(starts, (states.carry, states.state, turn.legal))
        dreamt = dream(self._policy, model, carry, state, legal, key, horizon=self._config.horizon)
        return dreamt, starts(weight)
