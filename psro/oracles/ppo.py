"""Recurrent PPO as a best response (arXiv:1707.06347)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

from psro.oracles.on_policy import Batch, OnPolicy, Unrolled
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
        entropy_weight = self._entropy_weight(progress)

        def step(carry: tuple[Params, optax.OptState, jax.Array], envs: jax.Array):
            params, opt_state, goes_on = carry
            gradient, divergence = jax.grad(self._loss, has_aux=True)(
                params, batch.take(envs), entropy_weight
            )
            after = self._step(params, opt_state, gradient)
            if config.target_kl is not None:
                goes_on &= divergence <= config.target_kl
                after = _only_where(goes_on, after, (params, opt_state))
            return (*after, goes_on), None

        keys = jax.random.split(key, config.epochs)
        order = jax.vmap(lambda key: jax.random.permutation(key, config.num_envs))(keys)
        order = order.reshape(config.epochs * config.num_minibatches, -1)
        (params, opt_state, _), _ = jax.lax.scan(step, (params, opt_state, jnp.bool_(True)), order)
        return params, opt_state

    def _loss(
        self, params: Params, batch: Batch, entropy_weight: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Clipped surrogate, value error and entropy (arXiv:1707.06347, eq. 7 and 9), as a weighted
        mean over decisions. Also returns the approximate KL divergence of the policy from the one
        that acted: the mean of `ratio - 1 - log ratio` (Schulman 2020, "Approximating KL
        divergence")."""
        config, seen = self._config, batch.decisions
        now = self._unroll(params, batch)
        log_ratio = jnp.where(seen.valid, now.log_prob - seen.log_prob, 0.0)
        ratio = jnp.exp(log_ratio)
        clipped = jnp.clip(ratio, 1 - config.clip, 1 + config.clip)
        surrogate = jnp.minimum(ratio * batch.advantage, clipped * batch.advantage)
        error = self._value_error(now, batch)
        loss = config.value_weight * error - surrogate - entropy_weight * now.entropy
        return (batch.weight * loss).mean(), (batch.weight * (ratio - 1 - log_ratio)).mean()

    def _value_error(self, now: Unrolled, batch: Batch) -> jax.Array:
        """Squared errors of values, `[L, N]`. With `clip_value` they are not below those of the
        values held near the rollout's (as in the code of arXiv:1707.06347)."""
        most = self._config.clip_value
        if most is None:
            return now.value_error
        before = batch.decisions.value
        held = before + jnp.clip(now.value - before, -most, most)
        return jnp.maximum(now.value_error, jnp.square(held - batch.value_target))


def _only_where(
    goes_on: jax.Array,
    after: tuple[Params, optax.OptState],
    before: tuple[Params, optax.OptState],
) -> tuple[Params, optax.OptState]:
    """A step, or none. Steps that are not taken count for the learning rate's schedule too, which
    has to reach zero at the end of the training."""

    def is_schedule(node: object) -> bool:
        return isinstance(node, optax.ScaleByScheduleState)

    return jax.tree.map(
        lambda new, old: new if is_schedule(new) else jnp.where(goes_on, new, old),
        after,
        before,
        is_leaf=is_schedule,
    )
