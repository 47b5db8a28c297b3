"""Recurrent policies at every info state of a game of any size, a part of the own tree at a time.

`psro.policies.policy.Tabulator` holds all info states and carries of a level at once. Here a
player's own tree is walked depth first, `CHUNK` info states in each step. A step takes its carries
from those of the parents, and they are freed with its last child. So the memory is that of a few
chunks, whatever the game and the cell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from games.info_states import InfoStates
from psro import exact
from psro.policies.jax_settings import own_settings
from psro.policies.policy import Params, Policy

CHUNK = 16_384
"""Info states that are tabulated in one step, times policies."""
_LEAST_CHUNK = 1_024
"""Info states in a step, if the policies are many."""


class ChunkedTabulator:
    """Behaviours of policies of one network, `Policy`, which is compiled once for all players.

    Args:
        policy: the network.
        chunk: info states in each step, times policies. By default a step has at least
            `_LEAST_CHUNK` info states.
    """

    def __init__(self, policy: Policy, *, chunk: int = CHUNK):
        self._policy, self._chunk = policy, chunk
        self._least = min(chunk, _LEAST_CHUNK)
        self._step = jax.jit(jax.vmap(self._decide, in_axes=(0, 0, None, None, None, None, None)))

    def __call__(
        self,
        params: Params,
        states: InfoStates,
        *,
        negligible: float = 0.0,
        weights: np.ndarray | None = None,
    ) -> np.ndarray:
        """Behaviours, float64 `[K, S]`, of policies with leaves `[K, ...]`, at one player's info
        states. Entry 0, of the empty sequence, is 1.

        Args:
            params: of the policies.
            states: of the player.
            negligible: where the mixture of these policies plays to an info state with less than
                this times the probability of uniform play, the subtree is left out: there the
                result is uniform. Whatever the opponents do, uniform play is in one of the places
                where it begins, at most. So the plans of the mixture with and without this differ
                by at most `negligible` in total variation, and expected returns by this times the
                largest difference of two returns.
            weights: of the policies in that mixture, `[K]`; by default all are equal.
        """
        return self._tabulated(params, states, (1.0,), negligible, weights)[:, 0]

    def at_temperatures(
        self, params: Params, states: InfoStates, factors: Sequence[float]
    ) -> np.ndarray:
        """All behaviours, float64 `[K, N, S]`, if the policies' temperatures are multiplied by each
        of N factors. The networks run once for all of them."""
        return self._tabulated(params, states, factors)

    @own_settings()
    def _tabulated(
        self,
        params: Params,
        states: InfoStates,
        factors: Sequence[float],
        negligible: float = 0.0,
        weights: np.ndarray | None = None,
    ) -> np.ndarray:
        number = len(jax.tree.leaves(params)[0])
        size = max(self._chunk // number, self._least)
        weights = np.full(number, 1 / number) if weights is None else weights / weights.sum()
        result = np.empty((number, len(factors), states.num_sequences))
        result[:] = exact.uniform_behaviour(states)
        scales = 1 / np.asarray(factors, np.float32)
        params, own_tree = jax.tree.map(jnp.asarray, params), _OwnTree(states)
        todo = list(_parts(size, *own_tree.roots(number), self._start(number, size)))
        while todo:
            rows, parents, odds, carry = todo.pop()
            at, sequences = expanded(states.first_sequence, rows)
            actions = states.action[sequences].astype(np.int32)
            inputs = _inputs(size, states, rows, at, actions)
            padded = np.zeros(size, np.int32)
            padded[: len(rows)] = parents
            probabilities, carry = self._step(params, carry, padded, scales, *inputs)
            chances = np.asarray(probabilities, np.float64)
            chances /= chances.sum(axis=-1, keepdims=True)  # so that a plan loses nothing
            chances = chances.reshape(*chances.shape[:2], -1)
            chances = chances[..., at * states.num_actions + actions]
            for own, of_policy in zip(result, chances, strict=True):
                for table, row in zip(own, of_policy, strict=True):
                    table[sequences] = row
            below, parents, odds = own_tree.children(rows, odds, chances[:, 0])
            kept = weights @ odds >= negligible
            todo += _parts(size, below[kept], parents[kept], odds[:, kept], carry)
        return result

    def _start(self, number: int, size: int) -> Any:
        """The first carry of each of `number` policies, `size` times."""
        carry = self._policy.initial_carry((size,))
        return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (number, *leaf.shape)), carry)

    def _decide(
        self,
        params: Params,
        carry: Any,
        parents: jax.Array,
        scales: jax.Array,
        observation: jax.Array,
        last_action: jax.Array,
        legal: jax.Array,
    ) -> tuple[jax.Array, Any]:
        carry = jax.tree.map(lambda leaf: leaf[parents], carry)
        outputs, _, carry = self._policy(params, observation, last_action, carry)
        logits = jnp.where(legal[None], outputs[None] * scales[:, None, None], -jnp.inf)
        return jax.nn.softmax(logits, axis=-1), carry


def _parts(
    size: int, rows: np.ndarray, parents: np.ndarray, odds: np.ndarray, carry: Any
) -> Iterator[tuple]:
    for begin in range(0, len(rows), size):
        part = slice(begin, begin + size)
        yield rows[part], parents[part], odds[:, part], carry


def _inputs(
    size: int, states: InfoStates, rows: np.ndarray, at: np.ndarray, actions: np.ndarray
) -> tuple[np.ndarray, ...]:
    """What the network is told at `rows`, padded to `size`: of their sequences, `at` is the place
    in `rows`."""
    legal = np.zeros((size, states.num_actions), bool)
    legal[at, actions] = True
    legal[len(rows) :] = True  # no row is without an action
    seen = states.observe(rows)
    observation = np.zeros((size, *seen.shape[1:]), seen.dtype)
    observation[: len(rows)] = seen
    last_action = np.full(size, -1, np.int32)
    last_action[: len(rows)] = states.action[states.parent[rows]]
    return observation, last_action, legal


class _OwnTree:
    """The info states that follow each info state of a player. *Odds* `[K, n]` are how much more
    probably each of K policies plays to n info states than uniform play does."""

    def __init__(self, states: InfoStates):
        self._states = states
        parent = states.parent_info_state
        first_level = int(states.level_start[min(1, states.num_levels)])
        self._order = np.argsort(parent[first_level:], kind="stable").astype(np.int32) + first_level
        counts = np.bincount(parent[first_level:], minlength=states.num_info_states)
        self._start = np.concatenate([[0], np.cumsum(counts)])

    def roots(self, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The info states of level 0, nothing as their parents' places, and their odds."""
        starts = self._states.level_start
        rows = np.arange(starts[0], starts[min(1, self._states.num_levels)])
        return rows, np.zeros_like(rows), np.ones((number, len(rows)))

    def children(
        self, rows: np.ndarray, odds: np.ndarray, chances: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The children of `rows`: their numbers, the places of their parents in `rows`, and their
        odds. `chances [K, M]` are the policies' probabilities of the rows' M sequences."""
        first = self._states.first_sequence
        at, places = expanded(self._start, rows)
        below = self._order[places]
        legal = first[rows + 1] - first[rows]
        sequence = self._states.parent[below] - first[rows[at]] + (np.cumsum(legal) - legal)[at]
        return below, at, odds[:, at] * chances[:, sequence] * legal[at]


def expanded(start: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The ranges `start[row]:start[row + 1]` one after another: the place in `rows` of each number,
    and the numbers."""
    counts = (start[rows + 1] - start[rows]).astype(np.int64)
    at = np.repeat(np.arange(len(rows)), counts)
    offset = np.arange(len(at)) - np.repeat(np.cumsum(counts) - counts, counts)
    return at, start[rows][at] + offset
