"""Recurrent policies as pure functions: acting, unrolling a sequence, tabulating down a tree.

One policy step per own decision: a player's network is stepped when that player moves, on its
observation and its own previous action, from a carry that starts at zero with the episode. So a
carry is a function of the player's own action-observation history, and acting, training and
tabulating must agree on it (`tests/test_policy.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from games.tree import GameTree, PlayerTree
from psro.networks import RecurrentNetwork
from psro.networks.recurrent import Carry

Params = Any
"""A nested dict of float32 arrays, one network's parameters."""


class Policy:
    """A `RecurrentNetwork` without its parameters, which every call takes first."""

    def __init__(self, *, observation_size: int, num_actions: int, hidden_size: int, cell: str):
        if hidden_size < 1:
            raise ValueError(f"hidden_size = {hidden_size} must be at least 1")

        def build(key: jax.Array) -> RecurrentNetwork:
            return RecurrentNetwork(
                observation_size=observation_size,
                num_actions=num_actions,
                hidden_size=hidden_size,
                cell=cell,
                rngs=nnx.Rngs(key),
            )

        self.observation_size = observation_size
        self.num_actions = num_actions
        self._build = build
        shapes = nnx.eval_shape(lambda: build(jax.random.key(0)))
        self._graph, _ = nnx.split(shapes)
        self._carry = jax.eval_shape(lambda: build(jax.random.key(0)).initial_carry(()))
        self._init = jax.jit(lambda keys: jax.lax.map(self.init, keys))

    def init(self, key: jax.Array) -> Params:
        """Parameters of a fresh network. On a CPU do not `vmap` it: see `init_many`."""
        return nnx.to_pure_dict(nnx.state(self._build(key)))

    def init_many(self, keys: jax.Array) -> Params:
        """Fresh networks for `keys [N]`, leaves `[N, ...]`, one after another: on CPU, a `vmap`
        over orthogonal initialisers deadlocks (its QR runs in the thread pool that waits for it).
        """
        return self._init(keys)

    def initial_carry(self, batch_shape: tuple[int, ...] = ()) -> Carry:
        """The carry at the start of an episode, leaves `[*batch_shape, H]`."""
        return jax.tree.map(
            lambda leaf: jnp.zeros((*batch_shape, *leaf.shape), leaf.dtype), self._carry
        )

    def __call__(
        self, params: Params, observation: jax.Array, last_action: jax.Array, carry: Carry
    ) -> tuple[jax.Array, jax.Array, Carry]:
        """One own decision: logits `[..., A]`, value `[...]` and the next carry."""
        network = nnx.merge(self._graph, params)
        memory, carry = network.remember(network.encode(observation, last_action), carry)
        logits, value = network.heads(memory)
        return logits, value, carry

    def unroll(
        self,
        params: Params,
        observation: jax.Array,
        last_action: jax.Array,
        reset: jax.Array,
        carry: Carry,
    ) -> tuple[jax.Array, jax.Array]:
        """A sequence of own decisions, time first: logits `[T, B, A]` and values `[T, B]`.

        `carry` is the one before step 0. Where `reset [T, B]` is True an episode begins at that
        step: the cell sees the initial carry there, not the one that came before.
        """
        network = nnx.merge(self._graph, params)

        def step(carry: Carry, inputs: tuple[jax.Array, jax.Array]):
            features, reset = inputs
            memory, carry = network.remember(features, self.forget(carry, reset))
            return carry, memory

        _, memory = jax.lax.scan(step, carry, (network.encode(observation, last_action), reset))
        return network.heads(memory)

    def with_temperature(self, params: Params, temperature: float) -> Params:
        """Parameters whose policy is a softmax of the same logits over `temperature`."""
        head = jax.tree.map(lambda leaf: leaf / temperature, params["policy_head"])
        return params | {"policy_head": head}

    def forget(self, carry: Carry, where: jax.Array) -> Carry:
        """The initial carry (zeros) where `where [...]` is True, `carry` elsewhere."""
        return jax.tree.map(lambda leaf: jnp.where(where[..., None], 0.0, leaf), carry)


def log_probabilities(logits: jax.Array, legal: jax.Array) -> jax.Array:
    """Log-probabilities `[..., A]` over the legal actions; a huge negative number elsewhere.

    Where no action is legal (a terminal state) the result is uniform, and must not be used.
    """
    return jax.nn.log_softmax(jnp.where(legal, logits, jnp.finfo(logits.dtype).min), axis=-1)


class Tabulator:
    """Evaluates recurrent policies at every info state of a tree, one per player and call.

    The network runs down each player's info states level by level: the carry of an info state is
    the one that its parent info state left. Levels are cut into blocks of at most `block_size`
    info states, and one scan runs over the blocks of all players side by side.
    """

    def __init__(self, policy: Policy, tree: GameTree, *, block_size: int = 512):
        self._tree = tree
        widest = max(
            (int(np.diff(player.level_start).max(initial=1)) for player in tree.players), default=1
        )
        block_size = min(block_size, widest)
        most = max(player.num_info_states for player in tree.players)
        rows = [_blocks(player, block_size, trash=most + 1) for player in tree.players]
        num_blocks = max(len(each) for each in rows)
        # Row `most` of the carries is the initial carry, row `most + 1` takes what is thrown away.
        self._tables = {
            "rows": np.stack(
                [
                    np.pad(r, ((0, num_blocks - len(r)), (0, 0)), constant_values=most + 1)
                    for r in rows
                ]
            ),  # [P, blocks, block_size]
            "parent": np.stack(
                [
                    _padded(
                        np.where(p.parent_info_state < 0, most, p.parent_info_state), most, most
                    )
                    for p in tree.players
                ]
            ),  # [P, most + 2]
            "last_action": np.stack([_padded(p.previous_action, most, -1) for p in tree.players]),
            "observation": np.stack([_padded(p.observation, most, 0) for p in tree.players]),
        }

        def tabulate(params: Params, tables: dict[str, jax.Array]) -> tuple[jax.Array, jax.Array]:
            carries = policy.initial_carry((most + 2,))

            def block(carries: Carry, rows: jax.Array):
                before = jax.tree.map(lambda leaf: leaf[tables["parent"][rows]], carries)
                logits, value, after = policy(
                    params, tables["observation"][rows], tables["last_action"][rows], before
                )
                carries = jax.tree.map(lambda leaf, new: leaf.at[rows].set(new), carries, after)
                return carries, (logits, value)

            _, (logits, value) = jax.lax.scan(block, carries, tables["rows"])
            at = tables["rows"].reshape(-1)
            return (
                jnp.zeros((most + 2, policy.num_actions)).at[at].set(logits.reshape(len(at), -1)),
                jnp.zeros(most + 2).at[at].set(value.reshape(-1)),
            )

        self._tabulate = jax.jit(jax.vmap(tabulate))

    def __call__(self, params: Params) -> list[np.ndarray]:
        """Behaviours, float64 `[S_p]` for each player p, of policies with leaves `[P, ...]`."""
        logits = np.asarray(self._tabulate(params, self._tables)[0], np.float64)
        return [
            _behaviour(player, logits[seat, : player.num_info_states])
            for seat, player in enumerate(self._tree.players)
        ]

    def values(self, params: Params) -> list[np.ndarray]:
        """The value head's output at every info state, float32 `[I_p]` for each player p."""
        values = np.asarray(self._tabulate(params, self._tables)[1])
        return [values[p, : player.num_info_states] for p, player in enumerate(self._tree.players)]


def _blocks(player: PlayerTree, block_size: int, trash: int) -> np.ndarray:
    """Info states by level, cut into blocks `[blocks, block_size]`; padding is `trash`."""
    blocks = []
    for start, stop in zip(player.level_start[:-1], player.level_start[1:], strict=True):
        for first in range(start, stop, block_size):
            rows = np.arange(first, min(first + block_size, stop), dtype=np.int32)
            blocks.append(np.pad(rows, (0, block_size - len(rows)), constant_values=trash))
    return np.array(blocks, np.int32).reshape(-1, block_size)


def _padded(rows: np.ndarray, most: int, fill: int) -> np.ndarray:
    """`rows [I, ...]` extended to `[most + 2, ...]`."""
    widths = [(0, most + 2 - len(rows))] + [(0, 0)] * (rows.ndim - 1)
    return np.pad(rows, widths, constant_values=fill)


def _behaviour(player: PlayerTree, logits: np.ndarray) -> np.ndarray:
    """Softmax over the legal actions, in float64, flat over sequences `[S]`."""
    masked = np.where(player.legal, logits, -np.inf)  # [I, A]
    weights = np.exp(masked - masked.max(axis=1, keepdims=True))
    probabilities = weights / weights.sum(axis=1, keepdims=True)
    return np.concatenate([[1.0], probabilities[player.info_state[1:], player.action[1:]]])


def stack(params: Sequence[Params]) -> Params:
    """One tree with a new leading axis from several of the same structure."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *params)
