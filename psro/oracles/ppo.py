"""Recurrent PPO as a best response (arXiv:1707.06347)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

from psro.oracles.job import Losses, mean_losses
from psro.oracles.on_policy import Batch, OnPolicy, Unrolled, clipped_surrogate, orders
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
    ) -> tuple[Params, optax.OptState, Losses]:
        """`epochs` passes of minibatch steps over one rollout."""
        config = self._config
        entropy_weight = self._entropy_weight(progress)

        def step(carry: tuple[Params, optax.OptState, jax.Array], envs: jax.Array):
            params, opt_state, goes_on = carry
            gradient, losses = jax.grad(self._loss, has_aux=True)(
                params, batch.take(envs), entropy_weight
            )
            after = self._step(params, opt_state, gradient)
            if config.target_kl is not None:
                goes_on &= losses["kl"] <= config.target_kl
                after = _only_where(goes_on, after, (params, opt_state))
            return (*after, goes_on), losses

        order = orders(key, config.epochs, config.num_minibatches, config.num_envs)
        carry = (params, opt_state, jnp.bool_(True))
        (params, opt_state, _), losses = jax.lax.scan(step, carry, order)
        return params, opt_state, mean_losses(losses)

    def _loss(
        self, params: Params, batch: Batch, entropy_weight: jax.Array
    ) -> tuple[jax.Array, Losses]:
        """Clipped surrogate, value error and entropy (arXiv:1707.06347, eq. 7 and 9), as a weighted
        mean over decisions. Also returns its parts, and as `kl` the approximate KL divergence of
        the policy from the one that acted: the mean of `ratio - 1 - log ratio` (Schulman 2020,
        "Approximating KL divergence")."""
        config, seen = self._config, batch.decisions
        now = self._unroll(params, batch)
        log_ratio = jnp.where(seen.valid, now.log_prob - seen.log_prob, 0.0)
        ratio = jnp.exp(log_ratio)
        surrogate = clipped_surrogate(ratio, batch.advantage, config.clip)
        error = self._value_error(now, batch)
        loss = config.value_weight * error - surrogate - entropy_weight * now.entropy
        divergence = (batch.weight * (ratio - 1 - log_ratio)).mean()
        losses = self._losses(batch, -surrogate, now, error) | {"kl": divergence}
        return (batch.weight * loss).mean(), losses

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
