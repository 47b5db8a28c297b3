"""Mirror descent over all actions in self-play, by the action values of a central critic."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from games.game import Game
from psro.oracles.decisions import Decisions
from psro.oracles.job import Losses
from psro.oracles.on_policy import Batch
from psro.oracles.rollout import Rollout
from psro.oracles.self_play.beside import Beside, Compared, following
from psro.oracles.self_play.learner import Networks, Progress, Run, State
from psro.oracles.self_play_settings import MirrorConfig
from psro.policies.distributions import MaskedCategorical
from psro.policies.policy import Params

_LEAST = 1e-20
_NEVER = -1e9
"""In the place of the logits of illegal actions; finite, for steps at which nothing is decided."""


class Mirror(Compared[MirrorConfig]):
    """The step of magnetic mirror descent (Sokota et al. 2022, arXiv:2206.05825, section 3, eq. 13)
    in its closed form. At every decision of a rollout the policy is fitted, by cross entropy, to

        pi(a) ~ (pi_old(a) rho(a)^(eta alpha) exp(eta q(a)))^(1 / (1 + eta alpha)),

    for the step size eta, the temperature alpha, the magnet rho, and the values q of *all* actions.
    They come from a central critic, q(a) = Q(h, a) for the history h as far as all players
    have seen it (as the history values of McAleer et al. 2023, "ESCHER", arXiv:2206.04122). The
    critic learns Q of the actions that were played by Retrace, from rollouts that explore. Its
    V(h), the policy's mean of Q, stands for what follows a rollout.

    The magnet is a network whose weights are a moving average of the policy's (the paper's moving
    magnet), so what the policies approach is an equilibrium of the game itself. With uniform play
    as magnet it is a regularised one, and exploitable as long as alpha is large. The step size
    falls over the run, by the same factor in every update. A step that is large beside the
    temperature cycles, and so does a magnet that moves faster than the policies approach it. The
    policy to play is the moving average. The policy that learns is kept beside it.
    """

    def _begin(self, run: Run, rollout: Rollout, scale: jax.Array, key: jax.Array) -> State:
        average, policy = run.initial
        return super()._begin(
            dataclasses.replace(run, initial=(policy, average)), rollout, scale, key
        )

    def _make_rollout(self, game: Game) -> Rollout:
        return self._rollout_of(game, Beside(self._policy), act=self._act).against(self._policy)

    def _act(
        self, outputs: jax.Array, legal: jax.Array, exploration: jax.Array | float
    ) -> MaskedCategorical:
        """The policy, mixed with uniform play. Outputs are both networks'."""
        pi = _probabilities(self._rollout.policy.distribution(outputs, legal))
        uniform = legal / jnp.maximum(legal.sum(axis=-1, keepdims=True), 1)
        mixed = (1 - exploration) * pi + exploration * uniform
        return MaskedCategorical.of(jnp.log(jnp.maximum(mixed, _LEAST)), legal)

    def _exploration(self, progress: Progress) -> float:
        return self._config.exploration

    def _batch(self, networks: Networks, decisions: Decisions, episodes: jax.Array) -> Batch:
        """With the policy that acted, the magnet and the advantages of all actions, `[T, E, A]`, as
        reference."""
        seen, (outputs, of_magnet) = decisions, self._outputs(networks, decisions)
        before = self._policy.distribution(outputs, seen.legal)
        pi = _probabilities(before)
        _, worth = self._policy.judge(networks[0], seen.observation, seen.last_action, seen.others)
        value = (pi * worth).sum(axis=-1)
        taken = jnp.take_along_axis(worth, seen.action[..., None], axis=-1)[..., 0]
        ratio = jnp.exp(before.log_prob(seen.action) - seen.log_prob)
        trace = self._config.gae_lambda * jnp.minimum(jnp.where(seen.valid, ratio, 0.0), 1.0)
        target = retrace(seen, value, taken, trace)
        if self._config.magnet == "average":
            magnet = self._policy.distribution(of_magnet, seen.legal).log_pi
        else:
            magnet = jnp.zeros_like(before.log_pi)
        decisions = dataclasses.replace(decisions, carry=decisions.carry[0])
        reference = before.log_pi, magnet, worth - value[..., None], value
        return self._weighted(decisions, episodes, reference, value_target=target)

    def _loss(self, params: Params, batch: Batch, progress: Progress) -> tuple[jax.Array, Losses]:
        config, seen = self._config, batch.decisions
        outputs, _ = self._policy.unroll(
            params, seen.observation, seen.last_action, seen.reset, seen.carry
        )
        value, worth = self._policy.judge(params, seen.observation, seen.last_action, seen.others)
        choice = self._policy.distribution(outputs, seen.legal)
        before, magnet, gain, expected = batch.reference
        step = decaying(config.step_size, config.last_step_size, progress)
        pull = step * decaying(config.temperature, config.last_temperature, progress)
        target = (before + pull * magnet + step * gain) / (1 + pull)
        target = jax.nn.softmax(jnp.where(seen.legal, target, _NEVER), axis=-1)
        log_pi = jnp.where(seen.legal, choice.log_pi, 0.0)
        taken = jnp.take_along_axis(worth, seen.action[..., None], axis=-1)[..., 0]
        parts = {
            "policy": -(target * log_pi).sum(axis=-1),
            "value": jnp.square(value - expected),
            "action value": jnp.square(taken - batch.value_target),
            "entropy": choice.entropy(),
        }
        means = {name: (batch.weight * part).mean() for name, part in parts.items()}
        errors = means["value"] + means["action value"]
        return means["policy"] + config.value_weight * errors, means

    def _finished(self, networks: Networks) -> Networks:
        policy, average = networks
        return average, policy

    def _after(self, networks: Networks, progress: Progress) -> Networks:
        policy, average = networks
        config = self._config
        rate = jnp.minimum(progress.part / config.magnet_window, 1.0)
        rate = rate if config.average_rate is None else config.average_rate
        return policy, following(average, policy, rate)


def retrace(
    decisions: Decisions, value: jax.Array, taken: jax.Array, trace: jax.Array
) -> jax.Array:
    """Targets of the values of the actions taken, `[T, E]`, by Retrace (Munos et al. 2016,
    arXiv:1606.02647, eq. 3).

    Args:
        value: the policy's expected action value at each decision, `[T, E]`.
        taken: the values of the actions taken.
        trace: how much of what follows a decision counts, from 0 to 1.
    """

    def backwards(carry: tuple[jax.Array, ...], step: tuple[jax.Array, ...]):
        error_after, value_after, trace_after = carry
        reward, value, taken, trace, done, truncated = step
        error = jnp.where(truncated, 0.0, reward + value_after * ~done - taken)
        error += trace_after * error_after * ~done
        return (error, value, trace), error

    nothing = jnp.zeros_like(decisions.next_value)
    steps = (decisions.reward, value, taken, trace, decisions.done, decisions.truncated)
    last = (nothing, decisions.next_value, nothing)
    _, error = jax.lax.scan(backwards, last, steps, reverse=True)
    return taken + error


def _probabilities(choice: MaskedCategorical) -> jax.Array:
    return jnp.where(choice.legal, jnp.exp(choice.log_pi), 0.0)


def decaying(first: float, last: float, progress: Progress) -> jax.Array:
    """A number that moves from `first` to `last` by the same factor in equal parts."""
    return first * (last / first) ** jnp.clip(progress.share, 0.0, 1.0)
