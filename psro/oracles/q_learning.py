"""What Q-learning oracles share: exploration, and targets.

Targets are those of Watkins's Q(lambda) (Watkins 1989; as in Retrace, Munos et al. 2016,
arXiv:1606.02647, with a greedy target policy). They use the values of double Q-learning (van
Hasselt et al. 2016, arXiv:1509.06461). Q' is another network than the learner, or the learner:

    b    = argmax of Q(h', b)                      h': the player's own next decision
    G(h) = r + gamma [Q'(h', b) + lambda 1(a' = b) (G(h') - Q'(h', b))]      0 for [] at the end
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from psro.oracles.off_policy_settings import QConfig
from psro.oracles.sequences import Sequences
from psro.policies.distributions import MaskedCategorical


def greedy(q: jax.Array, legal: jax.Array) -> jax.Array:
    """The best legal action, int `[...]`."""
    return jnp.where(legal, q, -jnp.inf).argmax(axis=-1)


def epsilon_greedy(q: jax.Array, legal: jax.Array, epsilon: jax.Array | float) -> MaskedCategorical:
    """A random legal action with probability `epsilon`, otherwise the best one."""
    random = legal / jnp.maximum(legal.sum(axis=-1, keepdims=True), 1)
    best = jax.nn.one_hot(greedy(q, legal), q.shape[-1])
    log_pi = jnp.log(jnp.maximum((1 - epsilon) * best + epsilon * random, 1e-30))
    return MaskedCategorical(log_pi=log_pi, legal=legal)


def share_of_random_actions(config: QConfig, progress: jax.Array) -> jax.Array:
    """Epsilon after a share `progress` of training: it falls linearly, then stays."""
    fallen = jnp.minimum(progress / config.exploration_share, 1.0)
    return config.exploration + fallen * (config.last_exploration - config.exploration)


def double_q_returns(
    online: jax.Array,
    target: jax.Array,
    batch: Sequences,
    *,
    gamma: float,
    trace_decay: float,
    cut_traces: bool = True,
) -> jax.Array:
    """G of the module's docstring, `[L, N]`, from both networks' Q-values `[L + 1, N, A]`. Without
    `cut_traces`, lambda is not multiplied by 1(a' = b): Peng's Q(lambda)."""
    best = greedy(online, batch.turn.legal)  # [L + 1, N]
    value = jnp.take_along_axis(target, best[..., None], axis=-1)[..., 0]  # [L + 1, N]
    trace = (batch.action == best[:-1]) | (not cut_traces)
    return traced_returns(value, value[:-1], trace_decay * trace, batch, gamma=gamma)


def traced_returns(
    value: jax.Array, taken: jax.Array, trace: jax.Array, batch: Sequences, *, gamma: float
) -> jax.Array:
    """Returns `[L, N]`, by a recursion from the end of each sequence:

        G(h) = r + gamma [V(h') + c(h') (G(h') - Q(h', a'))]                 0 for [] at the end

    Where an episode was cut off and nobody knows what would have followed, G = Q.

    Args:
        value: V of each decision, and of the one after the last, `[L + 1, N]`.
        taken: Q of each action taken, `[L, N]`.
        trace: c of each decision, 0 to 1, `[L, N]`.
    """

    def backwards(after: jax.Array, step: tuple[jax.Array, ...]):
        reward, done, truncated, value, taken, trace = step
        goal = jnp.where(truncated, taken, reward + gamma * after * ~done)
        return value + trace * (goal - taken), goal

    steps = (batch.reward, batch.done, batch.truncated, value[:-1], taken, trace)
    _, goal = jax.lax.scan(backwards, value[-1], steps, reverse=True)
    return goal
