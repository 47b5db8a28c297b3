"""Recurrent advantage actor-critic as a best response (A2C; Mnih et al. 2016, arXiv:1602.01783)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

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
    ) -> tuple[Params, optax.OptState]:
        """One step on the whole rollout."""
        columns = batch.take(jnp.arange(self._config.num_envs))
        gradient = jax.grad(self._loss)(params, columns, self._entropy_weight(progress))
        return self._step(params, opt_state, gradient)

    def _loss(self, params: Params, batch: Batch, entropy_weight: jax.Array) -> jax.Array:
        """Policy gradient, value error and entropy (arXiv:1602.01783, section 4)."""
        now = self._unroll(params, batch)
        gain = now.log_prob * batch.advantage + entropy_weight * now.entropy
        return (batch.weight * (self._config.value_weight * now.value_error - gain)).mean()
