"""Regularised Nash dynamics in self-play (R-NaD; Perolat et al. 2022, "Mastering the game of
Stratego with model-free multiagent reinforcement learning", arXiv:2206.15378)."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from games.game import Game
from psro.errors import SettingsError
from psro.oracles.decisions import Decisions
from psro.oracles.job import Losses
from psro.oracles.on_policy import Batch
from psro.oracles.replay import check_numbers
from psro.oracles.rollout import Rollout
from psro.oracles.self_play.beside import Beside, Compared
from psro.oracles.self_play.learner import Networks, Progress, Run, State
from psro.oracles.self_play_settings import RNaDConfig
from psro.policies.policy import Params, Policy


class RNaD(Compared[RNaDConfig]):
    """Three steps are repeated (section 2 of the paper): transform the rewards by a regularisation
    policy pi_reg, move to the transformed game's equilibrium, replace pi_reg by the result. Every
    move of player i costs it, and pays its opponent,

        eta log(pi(a | h) / pi_reg(a | h)).

    So the transformed game is zero-sum, and its equilibrium attracts the dynamics. Here pi_reg is
    the policy as it was when the iteration began. (The paper blends the next one in over some
    steps; here it is replaced at once.)

    The dynamics are NeuRD (arXiv:1906.00190; appendix of the paper, "learning update"): for the
    logits l, of mean zero over legal actions, and a behaviour mu,

        loss = - sum over a of l(a) clip(q(a) - <pi, q>, +-c), where |l(a)| may not pass beta,
        q(a) = - eta log(pi(a) / pi_reg(a)) + V + [a was taken] (r + V' - V) / mu(a).

    The paper's targets are those of v-trace. On fresh rollouts its importance weights are 1, and
    its sums are those of generalised advantage estimation with a decay of 1. Its last step, which
    removes improbable actions from the finished policy, is left out.
    """

    def __init__(self, game: Game, policy: Policy, config: RNaDConfig, **settings: Any):
        check_numbers(config.name, game)
        if game.num_players != 2:
            raise SettingsError(
                f"self-play {config.name} is for two players, and the game is for "
                f"{game.num_players}"
            )
        super().__init__(game, policy, config, **settings)

    def _make_rollout(self, game: Game) -> Rollout:
        pair, unit = Beside(self._policy), self._config.regularisation * game.max_return

        def toll(outputs: jax.Array, legal: jax.Array | None, action: jax.Array) -> jax.Array:
            own, reference = pair.both(outputs, legal)
            return unit * (own.log_prob(action) - reference.log_prob(action))

        return self._rollout_of(game, pair, toll=toll)

    def _begin(self, run: Run, rollout: Rollout, scale: jax.Array, key: jax.Array) -> State:
        run = dataclasses.replace(run, initial=(run.initial[0], run.initial[0]))
        return super()._begin(run, rollout, scale, key)

    def _facing(self, networks: Networks) -> Networks:
        return jax.tree.map(lambda leaf: leaf[:, None], networks)

    def _against(
        self, decisions: Decisions, episodes: jax.Array, outputs: tuple[jax.Array, jax.Array]
    ) -> Batch:
        """With the rewards of the transformed game. Advantages are `r + V' - V`: before the actions
        taken are paid for."""
        own, reference = (self._policy.distribution(some, decisions.legal) for some in outputs)
        cost = self._config.regularisation * decisions.valid
        cost *= own.log_prob(decisions.action) - reference.log_prob(decisions.action)  # [T, E]
        decisions = dataclasses.replace(decisions, reward=decisions.reward - cost)
        batch = self._weighted(decisions, episodes, outputs)
        cost = cost.reshape(-1, self._config.sequence_length, cost.shape[-1]).swapaxes(0, 1)
        return dataclasses.replace(batch, advantage=batch.advantage + cost)

    def _loss(self, params: Params, batch: Batch, progress: Progress) -> tuple[jax.Array, Losses]:
        config, seen = self._config, batch.decisions
        outputs, value = self._unroll(params, seen)
        legal = seen.legal
        before, reference = (self._policy.distribution(o, legal) for o in batch.reference)
        taken = jax.nn.one_hot(seen.action, legal.shape[-1])
        gained = batch.advantage / jnp.maximum(jnp.exp(seen.log_prob), config.least_probability)
        worth = gained[..., None] * taken
        worth -= config.regularisation * (before.log_pi - reference.log_pi)
        worth = jnp.where(legal, worth, 0.0)
        pi = jnp.where(legal, jnp.exp(before.log_pi), 0.0)
        force = worth - (pi * worth).sum(axis=-1, keepdims=True)
        force = jnp.clip(force, -config.force_clip, config.force_clip)
        number = jnp.maximum(legal.sum(axis=-1, keepdims=True), 1)
        logits = jnp.where(legal, outputs, 0.0)
        logits = logits - logits.sum(axis=-1, keepdims=True) / number
        goes_on = jnp.where(force > 0, logits < config.most_logit, logits > -config.most_logit)
        push = jax.lax.stop_gradient(jnp.where(legal & goes_on, force, 0.0))
        parts = {
            "policy": -(push * logits).sum(axis=-1),
            "value": jnp.square(value - batch.value_target),
            "entropy": self._policy.distribution(outputs, legal).entropy(),
        }
        means = {name: (batch.weight * part).mean() for name, part in parts.items()}
        return means["policy"] + config.value_weight * means["value"], means
