"""One player's recurrent policies as one behaviour, where there is no tree to tabulate them in."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import jax
import numpy as np

from games.readers.states import OwnDecision
from psro.policies.jax_settings import own_settings
from psro.policies.networks.cells.cell import Carry
from psro.policies.policy import Params, Policy

_REMEMBERED = 1024
"""Info states whose carries are kept, the latest. One of 100 policies of 256 units takes 200 kB."""


class MixedBehaviour:
    """Plays as a population of which one policy is drawn for each game.

    At a decision, a policy counts by its weight times the probability that it would have taken the
    player's earlier actions: the mixture of realization plans, as far as one history needs it (von
    Stengel 1996). Every network steps through the player's own decisions, as in training.

    Args:
        policy: the policy function that takes `params`.
        params: the parameters of the player's policies, leaves `[K, ...]`.
        weights: probability of each policy for a whole game, float64 `[K]`.
    """

    @own_settings()
    def __init__(self, policy: Policy, params: Params, weights: np.ndarray):
        self._arguments = (policy, params, weights)
        self._weights = weights
        self._support = np.flatnonzero(weights)
        support = self._support
        self._params = jax.tree.map(lambda leaf: leaf[support], params)
        self._policy = policy
        self._act = jax.jit(jax.vmap(policy, in_axes=(0, None, None, 0)))
        self._known: OrderedDict[bytes, tuple[np.ndarray, Carry]] = OrderedDict()

    def __reduce__(self):
        return MixedBehaviour, self._arguments

    def __call__(self, decisions: Sequence[OwnDecision]) -> np.ndarray:
        """The probabilities of the last decision's legal actions, float64."""
        *earlier, last = decisions
        weights = self.posterior(earlier, [decision.last_action for decision in decisions[1:]])
        log_pi = self._log_probabilities(decisions)[-1]  # [support, legal]
        return weights[self._support] @ np.exp(log_pi)

    def posterior(self, decisions: Sequence[OwnDecision], actions: Sequence[int]) -> np.ndarray:
        """The probability of every policy, float64 `[K]`, after it took these actions at these
        decisions."""
        log_weights = np.log(self._weights[self._support])
        for decision, action, log_pi in zip(
            decisions, actions, self._log_probabilities(decisions), strict=True
        ):
            log_weights = log_weights + log_pi[:, decision.legal.index(action)]
        posterior = np.zeros(len(self._weights))
        reach = np.exp(log_weights - log_weights.max())
        posterior[self._support] = reach / reach.sum()
        return posterior

    @own_settings()
    def _log_probabilities(self, decisions: Sequence[OwnDecision]) -> list[np.ndarray]:
        """Of every decision's legal actions, for the policies with a weight, `[support, legal]`."""
        carry = self._policy.initial_carry((len(self._support),))
        results = []
        for decision in decisions:
            if decision.key not in self._known:
                logits, _, carry = self._act(
                    self._params, decision.observation, decision.last_action, carry
                )
                self._known[decision.key] = np.asarray(logits, np.float64), carry
            self._known.move_to_end(decision.key)
            logits, carry = self._known[decision.key]
            own = logits[:, decision.legal]
            own = own - own.max(axis=1, keepdims=True)
            results.append(own - np.log(np.exp(own).sum(axis=1, keepdims=True)))
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return results
