"""Rewards in units of the spread of the returns so far (Engstrom et al. 2020, "Implementation
matters in deep policy gradients", arXiv:2005.12729, section 3)."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from psro.oracles.decisions import Decisions
from psro.policies.moments import Moments

_MOST = 10.0
"""Scaled rewards are held between minus and plus this."""
_SMALL = 1e-8


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class ReturnScale:
    """What a learner knows of its returns.

    Attributes:
        earned: the discounted sum of the rewards of the episode so far, `[E]`.
        moments: of these sums after every decision.
    """

    earned: jax.Array
    moments: Moments

    @classmethod
    def start(cls, num_envs: int) -> ReturnScale:
        return cls(earned=jnp.zeros(num_envs), moments=Moments.none(()))


def scaled(
    scale: ReturnScale, decisions: Decisions, restarted: jax.Array, gamma: float
) -> tuple[ReturnScale, Decisions]:
    """The scale after a rollout, and the rollout with rewards in its unit. New episodes have begun
    in the environments `restarted [E]` before the rollout."""

    def forwards(earned: jax.Array, step: tuple[jax.Array, jax.Array]):
        reward, done = step
        earned = gamma * earned + reward
        return jnp.where(done, 0.0, earned), earned

    earned, sums = jax.lax.scan(
        forwards,
        jnp.where(restarted, 0.0, scale.earned),
        (decisions.reward, decisions.done),
    )
    moments = scale.moments.with_values(sums, decisions.valid)
    reward = jnp.clip(decisions.reward * jax.lax.rsqrt(moments.variance + _SMALL), -_MOST, _MOST)
    after = ReturnScale(earned=earned, moments=moments)
    return after, dataclasses.replace(decisions, reward=reward)
