"""Magnetic mirror descent in self-play (MMD; Sokota et al. 2022, arXiv:2206.05825)."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from psro.oracles.job import Losses
from psro.oracles.on_policy import Batch, clipped_surrogate
from psro.oracles.rollout import Rollout
from psro.oracles.self_play.beside import Compared, following
from psro.oracles.self_play.learner import Networks, Progress, Run, State, falling
from psro.oracles.self_play_settings import MMDConfig
from psro.policies.policy import Params


class MMD(Compared[MMDConfig]):
    """Every player's policy moves at every info state, against the others' current policies, to

        argmax over pi of  <q, pi> - alpha KL(pi || rho) - (1 / eta) KL(pi || pi_old),

    (section 3, eq. 13) for action values q, a magnet rho and a step size eta. With a fixed magnet
    the last iterate converges to the regularised equilibrium. With a magnet that moves towards the
    policy (section 3, "moving magnet": `rho <- rho^(1 - r) pi^r`) it approaches an equilibrium of
    the game itself, at a constant alpha.

    With networks, `<q, pi>` is the surrogate of sampled advantages, as in the paper's section 5.
    The magnet is a network too. Its weights are a moving average of the policy's, with rate r, or
    those of the policy when the iteration began (`magnet`). The average wavers less than the policy
    does, and is the policy to play (`play_average`). The entropy bonus is a second magnet, uniform
    play.
    """

    def _begin(self, run: Run, rollout: Rollout, scale: jax.Array, key: jax.Array) -> State:
        policy, magnet = run.initial
        if self._config.magnet == "moving":
            magnet = policy
        elif self._config.play_average:
            policy, magnet = magnet, policy
        run = dataclasses.replace(run, initial=(policy, magnet))
        return super()._begin(run, rollout, scale, key)

    def _loss(self, params: Params, batch: Batch, progress: Progress) -> tuple[jax.Array, Losses]:
        config, seen = self._config, batch.decisions
        outputs, value = self._unroll(params, seen)
        choice, before, magnet = (
            self._policy.distribution(some, seen.legal) for some in (outputs, *batch.reference)
        )
        log_ratio = jnp.where(seen.valid, choice.log_prob(seen.action) - seen.log_prob, 0.0)
        surrogate = clipped_surrogate(jnp.exp(log_ratio), batch.advantage, config.clip)
        parts = {
            "policy": -surrogate,
            "value": jnp.square(value - batch.value_target),
            "entropy": choice.entropy(),
            "magnet": choice.divergence(magnet),
            "proximal": choice.divergence(before),
        }
        weights = {
            "policy": 1.0,
            "value": config.value_weight,
            "entropy": -falling(config.entropy_weight, config.last_entropy_weight, progress),
            "magnet": config.magnet_weight,
            "proximal": config.proximal_weight,
        }
        means = {name: (batch.weight * part).mean() for name, part in parts.items()}
        return sum(weights[name] * mean for name, mean in means.items()), means

    def _finished(self, networks: Networks) -> Networks:
        policy, magnet = networks
        average = self._config.magnet == "average" and self._config.play_average
        return (magnet, policy) if average else networks

    def _after(self, networks: Networks, progress: Progress) -> Networks:
        policy, magnet = networks
        if self._config.magnet == "average":
            rate = self._config.magnet_rate
            magnet = following(magnet, policy, rate)
        return policy, magnet
