"""Recurrent advantage actor-critic as a best response (A2C; Mnih et al. 2016, arXiv:1602.01783)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

from psro.oracles.job import Losses
from psro.oracles.on_policy import Batch, OnPolicy
from psro.policies.policy import Params


class A2C(OnPolicy):
    """The oracle: `A2C(game, policy, config)(jobs)`."""

    def _improve(
        self,
        params: Params,
        opt_state: optax.OptState,
        batch: Batch,
        progress: jax.Array,
        key: jax.Array,
    ) -> tuple[Params, optax.OptState, Losses]:
        """One step on the whole rollout."""
        columns = batch.take(jnp.arange(self._config.num_envs))
        gradient, losses = jax.grad(self._loss, has_aux=True)(
            params, columns, self._entropy_weight(progress)
        )
        return *self._step(params, opt_state, gradient), losses

    def _loss(
        self, params: Params, batch: Batch, entropy_weight: jax.Array
    ) -> tuple[jax.Array, Losses]:
        """Policy gradient, value error and entropy (arXiv:1602.01783, section 4), and these
        parts."""
        now = self._unroll(params, batch)
        gain = now.log_prob * batch.advantage + entropy_weight * now.entropy
        losses = self._losses(batch, -now.log_prob * batch.advantage, now, now.value_error)
        return (batch.weight * (self._config.value_weight * now.value_error - gain)).mean(), losses
