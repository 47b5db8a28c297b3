"""Policy improvement on the whole tree, by exact counterfactual values of the network itself.

A plain policy gradient gets stuck: an info state that the policy does not reach gets no gradient,
even if it would earn much there. Here the weight of an info state depends on its *opponents* alone
(as in regret minimisation: Brown et al. 2019, arXiv:1811.00164). It does not depend on the policy's
own earlier actions.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from games.levels import action_values
from psro.oracles.training import Yardstick, log_policy
from psro.oracles.whole_tree import WholeTree, emphasis
from psro.policies.distributions import log_probabilities
from psro.policies.policy import Params


class FullWidth(WholeTree):
    """The oracle: `FullWidth(game, policy, config)(jobs)`.

    A step moves the policy towards `softmax(q / improvement)`. Here q are the policy's own action
    values, given that its opponents lead to the info state. This is one step of regularised policy
    iteration (Geist et al. 2019, arXiv:1901.11275, eq. 4). The loss is the cross entropy. The
    weight of an info state is the square root of the difference between its best and its worst
    counterfactual action value (`emphasis`).
    """

    def _loss(self, params: Params, yardstick: Yardstick, aims: Sequence[jax.Array]) -> jax.Array:
        log_pi = log_policy(self._policy, params, yardstick.levels)
        pi = [jax.lax.stop_gradient(jnp.exp(level_log_pi)) for level_log_pi in log_pi]
        values, _ = action_values(yardstick.levels, yardstick.returns, pi)
        loss, total = 0.0, 1e-12
        for level, q, reach, now in zip(
            yardstick.levels, values, yardstick.reach, log_pi, strict=True
        ):
            given = q * yardstick.scale / jnp.maximum(reach, 1e-12)[:, None]
            better = jnp.exp(log_probabilities(given / self._config.improvement, level.legal))
            weight = emphasis(level, q)
            loss -= (weight[:, None] * better * now).sum()
            total += weight.sum()
        return loss / total
