"""Policy improvement on the whole tree, by exact counterfactual values of the network itself.

A plain policy gradient gets stuck: what the policy does not reach gets no gradient, however much it
would earn there. Here an info state counts by what its *opponents* make of it (as in regret
minimisation: Brown et al. 2019, arXiv:1811.00164), whatever the policy itself does above.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from games.levels import action_values
from psro.oracles.training import Yardstick, log_policy
from psro.oracles.whole_tree import WholeTree, emphasis
from psro.policies.policy import Params, log_probabilities


class FullWidth(WholeTree):
    """The oracle: `FullWidth(game, policy, config)(jobs)`.

    A step moves the policy towards `softmax(q / improvement)`, q being its own action values given
    that its opponents lead there (one step of regularised policy iteration; Geist et al. 2019,
    arXiv:1901.11275, eq. 4): cross entropy, an info state counting by the square root of
    what the choice there is worth, its opponents' reach included.
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
