"""Recurrent PPO as a best response (arXiv:1707.06347)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

from psro.oracles.on_policy import Batch, OnPolicy
from psro.policies.policy import Params


class PPO(OnPolicy):
    """The oracle: `PPO(game, policy, config)(jobs)`."""

    def _improve(
        self,
        params: Params,
        opt_state: optax.OptState,
        batch: Batch,
        progress: jax.Array,
        key: jax.Array,
    ) -> tuple[Params, optax.OptState]:
        """`epochs` passes of minibatch steps over one rollout."""
        config = self._config
        entropy_weight = config.entropy_weight * (1 - progress)

        def step(carry: tuple[Params, optax.OptState], envs: jax.Array):
            params, opt_state = carry
            gradient = jax.grad(self._loss)(params, batch.take(envs), entropy_weight)
            return self._step(params, opt_state, gradient), None

        keys = jax.random.split(key, config.epochs)
        order = jax.vmap(lambda key: jax.random.permutation(key, config.num_envs))(keys)
        order = order.reshape(config.epochs * config.num_minibatches, -1)
        return jax.lax.scan(step, (params, opt_state), order)[0]

    def _loss(self, params: Params, batch: Batch, entropy_weight: jax.Array) -> jax.Array:
        """Clipped surrogate, value error and entropy (arXiv:1707.06347, eq. 7 and 9), as a weighted
        mean over decisions."""
        config, seen = self._config, batch.decisions
        now = self._unroll(params, batch)
        ratio = jnp.exp(jnp.where(seen.valid, now.log_prob - seen.log_prob, 0.0))
        clipped = jnp.clip(ratio, 1 - config.clip, 1 + config.clip)
        surrogate = jnp.minimum(ratio * batch.advantage, clipped * batch.advantage)
        loss = config.value_weight * now.value_error - surrogate - entropy_weight * now.entropy
        return (batch.weight * loss).mean()
