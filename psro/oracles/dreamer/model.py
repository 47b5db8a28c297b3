"""The world model's loss on replayed sequences (arXiv:2301.04104, eq. 2 to 5).

Axes: L own decisions of N sequences; a sequence has one input more than decisions.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import optax

from psro.oracles.decisions import Turn
from psro.oracles.sequences import Sequences
from psro.policies.dreamer_policy import DreamerPolicy
from psro.policies.networks import two_hot
from psro.policies.networks.cells.cell import Carry
from psro.policies.networks.world_model import WorldModel

FREE_NATS = 1.0
"""Divergences below this are not reduced: a latent may say so much for nothing."""
PRIOR_WEIGHT = 1.0
"""Weight of the prior's step towards the posterior."""
POSTERIOR_WEIGHT = 0.1
"""Weight of the posterior's step towards the prior."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class States:
    """What a model knows at every step of sequences, leaves `[T, N, ...]`.

    Attributes:
        carry: the RSSM's carry after the step: the cell's, and z.
        y: the cell's output.
        log_q: the posterior's log-probabilities, `[T, N, latents, classes]`.
    """

    carry: Carry
    y: jax.Array
    log_q: jax.Array

    @property
    def state(self) -> jax.Array:
        """The input of the heads, `[T, N, S]`."""
        return jnp.concatenate([self.y, self.carry[1]], axis=-1)


def filtered(
    policy: DreamerPolicy,
    model: WorldModel,
    turn: Turn,
    carry: Carry,
    key: jax.Array | None = None,
) -> States:
    """The posterior pass over sequences, from the carry before their first step, leaves `[N, ...]`.
    Where `turn.reset` is True, an episode begins: the state is the initial one, and the last action
    none. With a key latents are sampled; without, they are the modes that acting takes."""
    features = model.encode(turn.observation, turn.last_action)
    keys = None if key is None else jax.random.split(key, len(turn.reset))

    def step(carry: Carry, inputs):
        features, reset, key = inputs
        carry, (y, log_q) = model.cell.observe(policy.forget(carry, reset), features, key)
        return carry, States(carry=carry, y=y, log_q=log_q)

    return jax.lax.scan(step, carry, (features, turn.reset, keys))[1]


def divergence(log_q: jax.Array, log_p: jax.Array) -> jax.Array:
    """KL(q || p) in nats `[...]`, summed over latents, from log-probabilities `[..., L, C]`."""
    return (jnp.exp(log_q) * (log_q - log_p)).sum(axis=(-2, -1))


def balanced(log_q: jax.Array, log_p: jax.Array) -> jax.Array:
    """The loss `[...]` of two distributions that ought to agree. The prior moves towards the
    posterior ten times as much as the other way around, and neither below `FREE_NATS`."""
    stop = jax.lax.stop_gradient
    prior = jnp.maximum(divergence(stop(log_q), log_p), FREE_NATS)
    posterior = jnp.maximum(divergence(log_q, stop(log_p)), FREE_NATS)
    return PRIOR_WEIGHT * prior + POSTERIOR_WEIGHT * posterior


def learned_from(turn: Turn, truncated: jax.Array, burn_in: int) -> jax.Array:
    """Whose observations the model learns, bool `[L + 1, N]`: those of decisions, and the final
    observation of an episode that was cut off. Before an episode begins in a sequence, the first
    `burn_in` steps only warm up the stored carry."""
    shown = jnp.concatenate([truncated, jnp.zeros_like(truncated[:1])])
    begun = jnp.cumsum(turn.reset, axis=0) > 0
    late = (jnp.arange(len(begun)) >= burn_in)[:, None]
    return (turn.valid | shown) & (begun | late)


def model_loss(
    policy: DreamerPolicy,
    model: WorldModel,
    batch: Sequences,
    key: jax.Array,
    *,
    burn_in: int,
) -> tuple[jax.Array, States]:
    """The loss per decision `[]`, and the states of the pass, with `L + 1` steps."""
    turn = batch.turn
    states = filtered(policy, model, turn, batch.carry, key)
    weight = learned_from(turn, batch.truncated, burn_in) * batch.weight[None]  # [L + 1, N]
    error = jnp.square(model.decoder(states.state) - model.target(turn.observation)).sum(axis=-1)
    seen = error + balanced(states.log_q, model.cell.prior(states.y))
    if turn.legal is not None:
        wrong = optax.sigmoid_binary_cross_entropy(model.legal_head(states.state), turn.legal)
        seen += jnp.where(turn.valid, wrong.sum(axis=-1), 0.0)
    # What followed a decision: not known where an episode was cut off.
    reward, going_on = model.outcome(states.state[:-1], policy.vector(batch.action))
    reward = two_hot.cross_entropy(reward, batch.reward)
    ending = optax.sigmoid_binary_cross_entropy(going_on, 1.0 - batch.done)
    known = weight[:-1] * (turn.valid[:-1] & ~batch.truncated)
    return per_decision(seen, weight) + per_decision(reward + ending, known), states


def per_decision(loss: jax.Array, weight: jax.Array) -> jax.Array:
    """The weighted mean `[]`. The weights may all be zero."""
    return (weight * loss).sum() / jnp.maximum(weight.sum(), 1e-12)
