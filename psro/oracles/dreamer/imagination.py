"""The actor and the critic learn from imagined decisions (arXiv:2301.04104, eq. 6 to 8 and 10).

The model dreams on from every posterior of replayed sequences: the actor plays, and the prior
answers. There is no gradient through the dream; the actor's is that of REINFORCE.

**Legal actions.** At the first decision they are known. After it, the model predicts them.
Otherwise the actor would learn to rely on actions that it can never play, about which the model has
seen nothing.

Axes: H decisions of M dreams; S entries of a state.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from psro.oracles.dreamer.model import per_decision
from psro.policies.distributions import Distribution, MaskedCategorical
from psro.policies.dreamer_policy import DreamerPolicy
from psro.policies.networks import two_hot
from psro.policies.networks.cells.cell import Carry
from psro.policies.networks.world_model import UNIMIX, WorldModel, draw

_PERCENTILES = (5.0, 95.0)


def explored(choice: Distribution) -> Distribution:
    """What the actor plays in training: numbers with the share `UNIMIX` of the uniform distribution
    over the legal actions, so that none is forgotten. Real numbers as they are."""
    if not isinstance(choice, MaskedCategorical):
        return choice
    uniform = choice.legal / jnp.maximum(choice.legal.sum(axis=-1, keepdims=True), 1)
    mixed = (1 - UNIMIX) * jnp.exp(choice.log_pi) + UNIMIX * uniform
    return MaskedCategorical(log_pi=jnp.log(jnp.maximum(mixed, 1e-30)), legal=choice.legal)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Dream:
    """M imagined sequences of H decisions.

    Attributes:
        state: the input of the heads, `[H + 1, M, S]`.
        legal: `[H, M, A]`; None if actions are a box.
        action: what the actor's distribution sampled, `[H, M, ...]`.
        reward: expected rewards, `[H, M]`.
        going_on: probabilities that the episode goes on after the decision, `[H, M]`.
    """

    state: jax.Array
    legal: jax.Array | None
    action: jax.Array
    reward: jax.Array
    going_on: jax.Array


def dream(
    policy: DreamerPolicy,
    model: WorldModel,
    carry: Carry,
    state: jax.Array,
    legal: jax.Array | None,
    key: jax.Array,
    *,
    horizon: int,
) -> Dream:
    """Imagines `horizon` decisions from states `[M, S]`, the carries behind them, leaves
    `[M, ...]`, and the actions `[M, A]` that are legal there."""

    def step(now, key: jax.Array):
        carry, state, legal = now
        act, answer = jax.random.split(key)
        action = explored(policy.choice(model, state, legal)).sample(act)
        played = policy.vector(action)
        reward, going_on = model.outcome(state, played)
        memory, y = model.cell.advance(carry, played)
        z = draw(model.cell.prior(y), answer)
        then = jnp.concatenate([y, z], axis=-1)
        outcome = {
            "state": state,
            "legal": legal,
            "action": action,
            "reward": two_hot.mean(reward),
            "going_on": jax.nn.sigmoid(going_on),
        }
        return ((memory, z), then, model.legal(then)), outcome

    (_, last, _), steps = jax.lax.scan(step, (carry, state, legal), jax.random.split(key, horizon))
    steps["state"] = jnp.concatenate([steps["state"], last[None]])
    return Dream(**steps)


def lambda_returns(
    reward: jax.Array, discount: jax.Array, value: jax.Array, trace_decay: float
) -> jax.Array:
    """R `[H, M]` of eq. 7, from rewards and discounts `[H, M]` and values v `[H + 1, M]`:

    R_t = r_t + d_t ((1 - lambda) v_{t+1} + lambda R_{t+1})      R_H = v_H
    """

    def backwards(after: jax.Array, step: tuple[jax.Array, ...]):
        reward, discount, value = step
        total = reward + discount * ((1 - trace_decay) * value + trace_decay * after)
        return total, total

    steps = (reward, discount, value[1:])
    return jax.lax.scan(backwards, value[-1], steps, reverse=True)[1]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Spread:
    """Moving averages of two percentiles of returns, and of 1, which says how much they have seen:
    `[]` each."""

    low: jax.Array
    high: jax.Array
    seen: jax.Array

    @classmethod
    def unknown(cls) -> Spread:
        zero = jnp.float32(0)
        return cls(low=zero, high=zero, seen=zero)

    def after(self, returns: jax.Array, where: jax.Array, decay: float) -> Spread:
        """With the returns `[H, M]` of the dreams `where [M]`."""
        low, high = jnp.nanpercentile(
            jnp.where(where[None], returns, jnp.nan), jnp.array(_PERCENTILES)
        )
        fresh = Spread(low=low, high=high, seen=jnp.ones_like(low))
        mixed = jax.tree.map(lambda old, new: decay * old + (1 - decay) * new, self, fresh)
        return jax.tree.map(lambda old, new: jnp.where(where.any(), new, old), self, mixed)

    def unit(self, least: float) -> jax.Array:
        """What advantages are divided by, `[]`: the distance of the percentiles, if it is more
        than `least`. So small returns are not blown up to noise."""
        return jnp.maximum((self.high - self.low) / jnp.maximum(self.seen, 1e-8), least)


def actor_critic_loss(
    policy: DreamerPolicy,
    model: WorldModel,
    slow: WorldModel,
    dreamt: Dream,
    returns: jax.Array,
    start: jax.Array,
    discount: jax.Array,
    *,
    unit: jax.Array,
    entropy_weight: jax.Array | float,
) -> jax.Array:
    """The loss per decision `[]`.

    Args:
        model: with the parameters that learn.
        slow: with the critic that changes slowly. The critic is also drawn towards it.
        returns: the lambda-returns, `[H, M]`.
        start: the weight of each dream, `[M]`.
        discount: `[H, M]`. A decision counts as much as the dream is likely to reach it.
        unit: what advantages are divided by.
        entropy_weight: the bonus for an entropy of 1 nat.
    """
    stop = jax.lax.stop_gradient
    reached = jnp.cumprod(jnp.concatenate([jnp.ones_like(discount[:1]), discount[:-1]]), axis=0)
    weight = stop(reached * start[None])  # [H, M]
    state = stop(dreamt.state[:-1])
    chosen = explored(policy.choice(model, state, dreamt.legal))
    bins = model.value_head(state)
    advantage = stop((returns - two_hot.mean(bins)) / unit)
    actor = -advantage * chosen.log_prob(dreamt.action) - entropy_weight * chosen.entropy()
    critic = two_hot.cross_entropy(bins, stop(returns))
    critic += two_hot.cross_entropy(bins, stop(two_hot.mean(slow.value_head(state))))
    return per_decision(actor + critic, weight)
