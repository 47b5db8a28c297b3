"""Recurrent soft actor-critic (Haarnoja et al. 2018, arXiv:1812.05905; for actions that are numbers
Christodoulou 2019, arXiv:1910.07207).

The actor's network is that of the policy pi. Two critics estimate the values Q of a player's own
action-observation history h and an action, in units of the game's largest return. Targets use the
smaller of two target critics Q', moving averages. They count the entropy that the policy will have
(alpha is its weight):

    V(h)     = mean over a of pi(a | h) of (min Q'(h, a) - alpha log pi(a | h))
    G(h)     = r + gamma [V(h') + c(h') (G(h') - min Q'(h', a'))]      0 for [] at the end
    c(h)     = lambda min(1, pi(a | h) / mu(a | h))                    mu: the policy that acted
    critics:   (Q(h, a) - G(h))^2
    actor:     mean over a of pi(a | h) of (alpha log pi(a | h) - min Q(h, a))
    alpha:     log alpha (entropy of pi at h - its target)

G is Retrace (Munos et al. 2016, arXiv:1606.02647); lambda = 0 gives the papers' one-step targets.
Means over numbers are sums over all of them. Means over a box are one sample each, through which
the actor's gradient flows (`psro.oracles.soft_values`). The target of the entropy is a share of the
largest where the policy stands, and the share falls linearly in training: a pure best response
always exists. Decisions without a choice have no part in it.

Sequences are replayed from stored carries (`psro.oracles.replay`). Each of the three networks has a
memory of its own. So the critics run beside the actor in rollouts (`Beside`), and their carries are
stored with the actor's.
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
from psro.oracles.base import Jobs
from psro.oracles.job import Losses
from psro.oracles.off_policy_settings import SACConfig
from psro.oracles.q_learning import traced_returns
from psro.oracles.replay import Replayed, Student, weighted_mean
from psro.oracles.sequences import Sequences
from psro.oracles.soft_values import soft_values
from psro.policies.distributions import Distribution
from psro.policies.networks.cells.cell import Carry
from psro.policies.policy import Params, Policy

_CRITICS = 0x5AC
"""What the random keys of the critics' first parameters are folded with."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Networks:
    """What is trained.

    Attributes:
        actor: the policy's network.
        critics: two networks, leaves `[2, ...]`.
        log_alpha: logarithm of the weight of the entropy bonus, `[]`.
    """

    actor: Params
    critics: Params
    log_alpha: jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Trained:
    """The networks, the target critics, and the optimiser's state."""

    networks: Networks
    target: Params
    opt_state: optax.OptState


class Beside:
    """Acts as the actor does, with the critics' memories beside it. Parameters are `Networks`."""

    def __init__(self, policy: Policy, critic: Policy):
        self._policy, self._critic = policy, critic
        self.no_action = policy.no_action
        self.distribution = policy.distribution

    def initial_carry(self, batch_shape: tuple[int, ...] = ()) -> tuple[Carry, Carry]:
        """The actor's carry, leaves `[*batch_shape, ...]`, and the critics', `[*batch_shape, 2,
        ...]`."""
        own = self._policy.initial_carry(batch_shape)
        return own, self._critic.initial_carry((*batch_shape, 2))

    def forget(self, carry: tuple[Carry, Carry], where: jax.Array) -> tuple[Carry, Carry]:
        own, critics = carry
        return self._policy.forget(own, where), self._critic.forget(critics, where[..., None])

    def __call__(
        self,
        networks: Networks,
        observation: Any,
        last_action: jax.Array,
        carry: tuple[Carry, Carry],
    ) -> tuple[jax.Array, jax.Array, tuple[Carry, Carry]]:
        """As `Policy.__call__`, for decisions `[E]`."""
        own, critics = carry
        outputs, value, own = self._policy(networks.actor, observation, last_action, own)
        both = jax.vmap(self._critic, in_axes=(0, None, None, 1), out_axes=(0, 0, 1))
        _, _, critics = both(networks.critics, observation, last_action, critics)
        return outputs, value, (own, critics)


class SAC(Replayed):
    """The oracle: `SAC(game, policy, config)(jobs)`."""

    def __init__(self, game: Game, policy: Policy, config: SACConfig):
        self._values = soft_values(policy, config)
        super().__init__(game, policy, config, actor=Beside(policy, self._values.critic))

    def _first(self, jobs: Jobs) -> dict[str, Params]:
        """The critics are made here: on a CPU, compiled code must not map over initialisers."""
        own = jax.vmap(lambda key, player: jax.random.fold_in(key, player))(
            jobs.key, jnp.asarray(jobs.player)
        )
        keys = jax.vmap(lambda key: jax.random.split(jax.random.fold_in(key, _CRITICS)))(own)
        critics = self._values.critic.init_many(keys.reshape(-1))
        return {
            "actor": super()._first(jobs),
            "critics": jax.tree.map(
                lambda leaf: leaf.reshape(len(jobs), 2, *leaf.shape[1:]), critics
            ),
        }

    def _begin(self, initial: dict[str, Params]) -> Trained:
        networks = Networks(
            actor=initial["actor"],
            critics=initial["critics"],
            log_alpha=jnp.log(jnp.float32(self._config.first_entropy_weight)),
        )
        return Trained(
            networks=networks,
            target=initial["critics"],
            opt_state=self._optimizer.init(networks),
        )

    def _params(self, student: Student) -> Params:
        return student.trained.networks.actor

    def _acting(self, student: Student) -> Networks:
        return student.trained.networks

    def _improve(
        self,
        trained: Trained,
        batch: Sequences,
        levels: Sequence[Level] | None,
        progress: jax.Array,
        key: jax.Array,
    ) -> tuple[Trained, jax.Array, Losses]:
        gradient, (error, losses) = jax.grad(self._loss, has_aux=True)(
            trained.networks, trained.target, batch, levels, progress, key
        )
        change, opt_state = self._optimizer.update(gradient, trained.opt_state, trained.networks)
        rate = self._config.entropy_weight_rate
        change = dataclasses.replace(change, log_alpha=rate * change.log_alpha)
        networks = optax.apply_updates(trained.networks, change)
        target = optax.incremental_update(
            networks.critics, trained.target, self._config.target_rate
        )
        trained = Trained(networks=networks, target=target, opt_state=opt_state)
        return trained, error, losses

    def _loss(
        self,
        networks: Networks,
        target: Params,
        batch: Sequences,
        levels: Sequence[Level] | None,
        progress: jax.Array,
        key: jax.Array,
    ) -> tuple[jax.Array, tuple[jax.Array, Losses]]:
        """The sum of the three losses of the module's docstring; none has a gradient in another's
        networks. Also the size of each decision's error, `[L, N]`, and the losses one by one."""
        turn, values, held = batch.turn, self._values, jax.lax.stop_gradient
        own, beside = batch.carry if levels is None else ((), ())
        outputs = self._warmed_outputs(self._policy, networks.actor, batch, own, levels)
        choice = self._policy.distribution(outputs, turn.legal)  # [L + 1, N]
        seen = self._of_critics(networks.critics, batch, beside, levels)  # [2, L + 1, N, ...]
        weight = self._weight(batch, levels)
        alpha = jnp.exp(held(networks.log_alpha))
        of_target, of_actor = jax.random.split(key)
        seen_by_target = self._of_critics(target, batch, beside, levels)
        goal = self._goal(held(choice), target, seen_by_target, batch, alpha, of_target)
        taken = values.taken(networks.critics, seen[:, :-1], choice, batch.action)
        error = taken - goal[None]  # [2, L, N]
        cost = values.cost(held(networks.critics), held(seen), choice, alpha, of_actor)
        surplus = held(choice).entropy() - values.wanted(choice, self._share(progress))
        losses = {
            "critics": weighted_mean(weight, jnp.square(error).sum(axis=0)),
            "actor": weighted_mean(weight, cost[:-1]),
            "alpha": weighted_mean(weight, networks.log_alpha * surplus[:-1]),
        }
        loss = losses["critics"] + losses["actor"] + losses["alpha"]
        return loss, ((weight > 0) * jnp.abs(error).mean(axis=0), losses)

    def _goal(
        self,
        choice: Distribution,
        target: Params,
        seen: jax.Array,
        batch: Sequences,
        alpha: jax.Array,
        key: jax.Array,
    ) -> jax.Array:
        """G of the module's docstring, `[L, N]`, from what the target critics see, `[2, L + 1, N,
        ...]`."""
        value = -self._values.cost(target, seen, choice, alpha, key)
        decided = jax.tree.map(lambda leaf: leaf[:-1], choice)
        taken = self._values.taken(target, seen[:, :-1], decided, batch.action).min(axis=0)
        gone = decided.log_prob(batch.action) - batch.log_prob
        trace = self._config.trace_decay * jnp.exp(jnp.minimum(gone, 0.0))
        return traced_returns(value, taken, trace, batch, gamma=self._config.gamma)

    def _share(self, progress: jax.Array) -> jax.Array:
        """The share of the largest entropy that alpha is adapted to."""
        first, last = self._config.target_entropy, self._config.last_target_entropy
        return first + progress * (last - first)

    def _of_critics(
        self, critics: Params, batch: Sequences, carry: Carry, levels: Sequence[Level] | None
    ) -> jax.Array:
        """Both critics' outputs on replayed sequences, `[2, L + 1, N, ...]`."""
        both = jax.vmap(
            lambda params, carry: self._warmed_outputs(
                self._values.critic, params, batch, carry, levels
            ),
            in_axes=(0, 1),
        )
        return both(critics, carry)
