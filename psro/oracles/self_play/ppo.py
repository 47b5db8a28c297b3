"""PPO in self-play with an entropy bonus that falls (arXiv:1707.06347; Rudolph et al. 2025,
"Reevaluating policy gradient methods for imperfect-information games", arXiv:2502.08938)."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from psro.oracles.job import Losses
from psro.oracles.on_policy import Batch, clipped_surrogate
from psro.oracles.self_play.actor_critic import A, ActorCritic
from psro.oracles.self_play.learner import Progress, falling
from psro.policies.policy import Params


class PPOSelfPlay(ActorCritic[A]):
    """Every player maximises, against the others' current policies,

        E[min(r A, clip(r, 1 - eps, 1 + eps) A)] + alpha H(pi),     r = pi(a | h) / pi_old(a | h),

    (arXiv:1707.06347, eq. 7 and 9) for advantages A and entropy H. The entropy's weight alpha falls
    over the run. With a constant alpha the policies approach a regularised equilibrium, which is
    exploitable. Without it they cycle.
    """

    def _loss(self, params: Params, batch: Batch, progress: Progress) -> tuple[jax.Array, Losses]:
        config, seen = self._config, batch.decisions
        outputs, value = self._unroll(params, seen)
        choice = self._policy.distribution(outputs, seen.legal)
        log_ratio = jnp.where(seen.valid, choice.log_prob(seen.action) - seen.log_prob, 0.0)
        surrogate = clipped_surrogate(jnp.exp(log_ratio), batch.advantage, config.clip)
        error, entropy = jnp.square(value - batch.value_target), choice.entropy()
        weight = falling(config.entropy_weight, config.last_entropy_weight, progress)
        loss = config.value_weight * error - surrogate - weight * entropy
        parts = {"policy": -surrogate, "value": error, "entropy": entropy}
        return (batch.weight * loss).mean(), {
            name: (batch.weight * part).mean() for name, part in parts.items()
        }
